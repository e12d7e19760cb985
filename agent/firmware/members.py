"""What of an archive's members may be unpacked, where Python cannot say it by itself.

Python has `tarfile.data_filter` from 3.11.4 on; Debian 12 has 3.11.2.
"""

import os
import stat
import tarfile


def harmless(member: tarfile.TarInfo, top: str) -> tarfile.TarInfo:
    """Return a member as it may be unpacked: it is ours, and only we write to it.

    Raises:
        tarfile.TarError: it, or what it links to, lies outside, or it is a device.
    """
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise tarfile.ExtractError(f"{member.name} is a special file")
    _check(member, top, member.name)
    if member.issym():
        beside = os.path.join(os.path.dirname(member.name), member.linkname)  # noqa: PTH118, PTH120
        _check(member, top, beside, member.linkname)
    if member.islnk():
        _check(member, top, member.linkname)
    member.mode &= ~(stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | stat.S_IWGRP | stat.S_IWOTH)
    member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
    return member


def _check(member: tarfile.TarInfo, top: str, path: str, link: str = "") -> None:
    """Check where a path leads to, through the links that were unpacked already."""
    root = os.path.realpath(top)
    found = os.path.realpath(os.path.join(root, path))  # noqa: PTH118  as the system resolves it
    is_absolute = os.path.isabs(path) or os.path.isabs(link)  # noqa: PTH117
    if is_absolute or os.path.commonpath((root, found)) != root:
        raise tarfile.ExtractError(f"{member.name} leads outside")
