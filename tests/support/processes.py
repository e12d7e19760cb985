"""Processes that outlive the test that caused them, and their end."""

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

END_MS = 10_000


def end_processes(directory: Path) -> None:
    """End what still runs on files of a directory, and wait for it.

    The simulated board lingers otherwise, and writes its last state.

    Args:
        directory: made for one run, so that its name is on no other command line.
    """
    marker = f"{directory}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if marker in (entry / "cmdline").read_bytes():
                _end(int(entry.name))


def _end(pid: int) -> None:
    descriptor = os.pidfd_open(pid)  # it can be waited for, whoever its parent is
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        if not waiting.poll(END_MS):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            waiting.poll(END_MS)
    finally:
        os.close(descriptor)
