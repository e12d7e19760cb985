"""Unpacking where Python has no filter of its own (before 3.11.4, as on Debian 12)."""

import stat
import tarfile

import pytest

from agent.firmware.__main__ import result
from agent.firmware.task import Deed, Refused, Well
from tests.firmware.bundles import FILES, Station, archive, bundle


@pytest.fixture(autouse=True)
def _old_python(monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")


@pytest.fixture
def station(tmp_path):
    return Station(tmp_path)


def member(name, **fields):
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def link(name, target):
    return member(name, type=tarfile.SYMTYPE, linkname=target)


def unpacked(station, *members):
    station.image.write_bytes(bundle(archive(FILES, *members)))
    return result(station.task(Deed.INSTALL))


@pytest.mark.parametrize(
    "evil",
    [
        [member("../../outside")],
        [member("/outside")],
        [link("out", "/etc/passwd")],
        [link("bin/out", "../../../..")],
        [link("d", "."), link("d/e", ".."), member("d/outside")],
        [link("inner/up", ".."), link("out", "inner/up/..")],
        [member("out", type=tarfile.LNKTYPE, linkname="../../../image")],
        [member("out", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
        [member("device", type=tarfile.CHRTYPE)],
        [member("pipe", type=tarfile.FIFOTYPE)],
    ],
    ids=[
        "traversal",
        "absolute",
        "absolute link",
        "link outside",
        "through a link",
        "link over a link",
        "hard link outside",
        "absolute hard link",
        "device",
        "pipe",
    ],
)
def test_what_reaches_outside_is_refused(station, tmp_path, evil):
    said = unpacked(station, *evil)
    assert isinstance(said, Refused), said
    assert station.is_untouched
    assert not list(tmp_path.rglob("outside"))


def test_what_stays_inside_is_unpacked_and_only_its_owner_writes(station):
    loose = member("loose", mode=0o6777)
    twin = member("twin", type=tarfile.LNKTYPE, linkname="bin/pilotwire")
    said = unpacked(station, loose, twin, link("bin/again", "../version"))
    assert isinstance(said, Well), said
    slot = station.slots / "slots/b"
    assert stat.S_IMODE((slot / "loose").stat().st_mode) == 0o755
    assert (slot / "bin/again").read_bytes() == FILES["version"]
    assert (slot / "twin").read_bytes() == FILES["bin/pilotwire"]
