"""The process: one job in, a file written, one line out.

status.json      what `pilotwire status` says
settings.json    every setting that may be read
machine.json     memory, disk, load, uptime
journal.log      the agent's log of the span of time, newest kept when it is too much
trace.log        what the flight recorder has kept of it (agent.diagnostics.lived)
security.log     the security log of the same span
"""

import contextlib
import datetime as dt
import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from agent.background import yield_to_others
from agent.diagnostics import lived
from agent.diagnostics.job import Job, Said, Unwritten, Written
from agent.diagnostics.redact import Redactor
from agent.ocpp.wire_time import to_text
from agent.security import log as security_log

JOURNAL_S: Final = 120.0
LONGEST_LINE: Final = 16_384
_DATED: Final = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_SECOND: Final = len("2027-01-15 08:00:00")
_FACTS: Final = ("/proc/uptime", "/proc/loadavg", "/proc/meminfo", "/proc/self/status")


def main() -> int:
    """Do the job on the standard input; return the exit code."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    yield_to_others()
    sys.stdout.buffer.write(msgspec.json.encode(written(job)) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def written(job: Job) -> Said:
    """Write the file; return its size, or why it is not there."""
    path = Path(job.path)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            if job.is_security:
                _write_security(job, file)
            else:
                _write_bundle(job, file)
        return Written(path.stat().st_size)
    except OSError as error:
        return Unwritten(f"{path}: {error.strerror or error}"[:255])


def _write_security(job: Job, file: io.BufferedWriter) -> None:
    with gzip.GzipFile(fileobj=file, mode="wb", filename="security.log") as packed:
        for line in _security(job, job.most_bytes):
            packed.write(line)


def _write_bundle(job: Job, file: io.BufferedWriter) -> None:
    """Write everything, each part within its share of the size even if nothing shrinks."""
    redactor, most = Redactor(job.secrets), job.most_bytes
    directory = Path(job.directory)
    lived_lines = lived.lines(directory, job.oldest_s, job.latest_s)
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, value in (
            ("status.json", job.status),
            ("settings.json", job.settings),
            ("machine.json", machine(directory)),
        ):
            text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
            _add(archive, name, redactor.text(text).encode())
        for name, lines, share in (
            ("journal.log", map(_cut, _journal(job)), most // 2),
            ("trace.log", (line.encode() for line in lived_lines), most // 4),
        ):
            content = b"".join(_newest(lines, share)).decode(errors="replace")
            _add(archive, name, redactor.text(content).encode())
        _add(archive, "security.log", b"".join(_security(job, most // 8)))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    archive.addfile(member, io.BytesIO(content))


def _security(job: Job, most_bytes: int) -> list[bytes]:
    """Return the security log of the span; its entries hold no secrets by contract."""
    oldest = "" if job.oldest_s is None else to_text(job.oldest_s)
    latest = "~" if job.latest_s is None else to_text(job.latest_s)
    return list(_newest(security_log.read(Path(job.directory), oldest, latest), most_bytes))


def _newest(lines: Iterable[bytes], most_bytes: int) -> Iterable[bytes]:
    """Return the last lines that together are not too long."""
    kept: deque[bytes] = deque()
    size = 0
    for line in lines:
        kept.append(line)
        size += len(line)
        while size > most_bytes:
            size -= len(kept.popleft())
    return kept


def _cut(line: bytes) -> bytes:
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + b"\n"


def _journal(job: Job) -> Iterator[bytes]:
    """Yield the lines of the agent's log, as they are."""
    for path in job.log_files:
        with contextlib.suppress(OSError), Path(path).open("rb") as file:
            yield from _within(file, _local(job.oldest_s), _local(job.latest_s))
    journalctl = shutil.which("journalctl")
    if journalctl is None or job.log_files:
        return
    command = [journalctl, "--no-pager", "--quiet", "--utc", "-o", "short-iso-precise"]
    command += ["-u", job.unit]
    for option, at_s in (("--since", job.oldest_s), ("--until", job.latest_s)):
        if at_s is not None:
            command += [option, f"@{at_s:.0f}"]
    try:
        yield from _written_by(command)
    except OSError as error:
        yield f"the journal cannot be read: {error}\n".encode()


def _within(
    lines: Iterable[bytes], oldest: bytes | None, latest: bytes | None
) -> Iterator[bytes]:
    """Yield the lines of a span; one that begins with no instant belongs to the one before."""
    is_within = True
    for line in lines:
        if _DATED.match(line):
            second = line[:_SECOND]
            is_early = oldest is not None and second < oldest
            is_late = latest is not None and second > latest
            is_within = not is_early and not is_late
        if is_within:
            yield line


def _local(wall_s: float | None) -> bytes | None:
    """Return an instant as the agent's log has it where there is no journal: in local time."""
    if wall_s is None:
        return None
    local = dt.datetime.fromtimestamp(wall_s, dt.UTC).astimezone()
    return local.strftime("%Y-%m-%d %H:%M:%S").encode()


def _written_by(command: list[str]) -> Iterator[bytes]:
    """Yield what a program writes, until its time is up; only a line of it is in memory."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  ours
        assert process.stdout is not None  # noqa: S101  a pipe
        limit = threading.Timer(JOURNAL_S, process.kill)
        limit.start()
        try:
            yield from process.stdout
        finally:
            limit.cancel()
            process.kill()


def machine(directory: Path) -> dict[str, object]:
    """Return how the machine is, as far as the unit lets us see it."""
    facts: dict[str, object] = {}
    for path in _FACTS:
        with contextlib.suppress(OSError):
            facts[path] = Path(path).read_text().splitlines()
    with contextlib.suppress(OSError):
        total, used, free = shutil.disk_usage(directory)
        facts["disk"] = {"total": total, "used": used, "free": free}
        facts["files"] = {
            item.name: item.stat().st_size for item in sorted(directory.iterdir())
        }
    return facts


if __name__ == "__main__":
    sys.exit(main())
