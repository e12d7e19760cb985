"""What the agent says to systemd, and how its log reaches the journal.

Nothing here needs systemd: without it, notifications go nowhere, no watchdog is asked for,
and log lines carry their time and level as text. The protocols are sd_notify(3),
sd_watchdog_enabled(3), and the level prefixes of sd-daemon(3).
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

from sdnotify import SystemdNotifier  # type: ignore[import-untyped]  # no stubs exist

LONGEST_STATUS: Final = 200
"""Characters; it is one line for people."""

_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_DEBUG_PRIORITY: Final = 7


class Notifier:
    """Tells systemd how the agent is; says nothing to nobody without systemd."""

    def __init__(self) -> None:
        has_listener = bool(os.environ.get("NOTIFY_SOCKET"))
        self._notifier = SystemdNotifier() if has_listener else None
        if self._notifier is not None and self._notifier.socket is not None:
            # A systemd that does not read must not stop the event loop.
            self._notifier.socket.setblocking(False)

    def ready(self, status: str) -> None:
        """Say that the start is over."""
        self._tell("READY=1", _status(status))

    def status(self, status: str) -> None:
        """Say in one line, for people, what is going on."""
        self._tell(_status(status))

    def watchdog(self) -> None:
        """Say that the agent lives; see `watchdog_interval_s`."""
        self._tell("WATCHDOG=1")

    def stopping(self, status: str) -> None:
        """Say that the agent is about to end."""
        self._tell("STOPPING=1", _status(status))

    def close(self) -> None:
        """Let go of the socket; what is told afterwards goes nowhere."""
        if self._notifier is not None and self._notifier.socket is not None:
            self._notifier.socket.close()
        self._notifier = None

    def _tell(self, *assignments: str) -> None:
        if self._notifier is not None:
            self._notifier.notify("\n".join(assignments))


def _status(text: str) -> str:
    """Return a status as sdnotify can carry it, on one line."""
    line = " ".join(text.split())[:LONGEST_STATUS]
    return f"STATUS={line.encode('latin-1', 'replace').decode('latin-1')}"


def watchdog_interval_s(
    environ: Mapping[str, str] | None = None, pid: int | None = None
) -> float | None:
    """Return how often to call `Notifier.watchdog`, None when nobody watches.

    It is half of what the unit allows, as sd_watchdog_enabled(3) recommends.

    Args:
        environ: where WATCHDOG_USEC and WATCHDOG_PID are looked up; None: the process's.
        pid: of the process that is meant to be watched; None: this one.
    """
    variables = os.environ if environ is None else environ
    try:
        limit_us = int(variables["WATCHDOG_USEC"])
        watched = int(variables.get("WATCHDOG_PID") or 0)
    except (KeyError, ValueError):
        return None
    if limit_us <= 0 or watched not in (0, os.getpid() if pid is None else pid):
        return None
    return limit_us / 2e6


def is_journal(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Return whether what is written to a stream goes to the journal (JOURNAL_STREAM)."""
    told = (os.environ if environ is None else environ).get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{status.st_dev}:{status.st_ino}"


def log_handler(stream: TextIO | None = None) -> logging.Handler:
    """Return a handler for the root logger that suits where its lines go.

    Args:
        stream: None means stderr.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    if is_journal(target):
        handler.setFormatter(JournalFormatter("%(name)s: %(message)s"))
    else:
        handler.setFormatter(
            logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        )
    return handler


class JournalFormatter(logging.Formatter):
    """Begins every line with its priority as `<N>`; the journal adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record; each is an entry of the journal."""
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(prefix + line for line in super().format(record).split("\n"))


def _priority(level: int) -> int:
    for least, priority in _PRIORITIES:
        if level >= least:
            return priority
    return _DEBUG_PRIORITY
