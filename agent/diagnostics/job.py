"""What the bundle's process is told and says: the contract with the agent."""

from collections.abc import Mapping
from typing import Any

from hal.types import Value


class Job(Value, frozen=True):
    """One log to write.

    Attributes:
        path: of the file to write; whatever is there is replaced.
        is_security: only the security log; otherwise everything.
        directory: the state directory.
        oldest_s, latest_s: bounds of what is in it, UTC seconds, None: no bound.
        unit: whose journal it is.
        log_files: logs of a machine without a journal, oldest first.
        status, settings: as the control socket shows them.
        secrets: texts that must not be in it, wherever they would stand.
        most_bytes: of the bundle; what is too much gives way, oldest first.
    """

    path: str
    is_security: bool
    directory: str
    oldest_s: float | None = None
    latest_s: float | None = None
    unit: str = "pilotwire"
    log_files: tuple[str, ...] = ()
    status: Mapping[str, Any] = {}
    settings: tuple[Mapping[str, Any], ...] = ()
    secrets: tuple[str, ...] = ()
    most_bytes: int = 16 << 20


class Written(Value, frozen=True, tag="done", tag_field="is"):
    """The file is there."""

    size: int


class Unwritten(Value, frozen=True, tag="failed", tag_field="is"):
    """It is not."""

    info: str


Said = Written | Unwritten
