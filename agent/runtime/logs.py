"""Where the log goes, and how much of it: stderr, from the level that PILOTWIRE_LOG names.

Under systemd stderr is the journal, which adds the time by itself and takes each line's
priority from its `<N>` prefix; everywhere else a line has its time and level as text (see
agent.runtime.systemd). What libraries log below a warning is their own business.
"""

import logging
import os
from collections.abc import Mapping
from typing import Final

from agent.runtime.systemd import log_handler

LEVELS: Final = ("debug", "info", "warning", "error")
VARIABLE: Final = "PILOTWIRE_LOG"
DEFAULT: Final = "info"

_LIBRARIES: Final = ("asyncio", "pymodbus", "websockets")

logger = logging.getLogger(__name__)


def set_up(level: str | None = None, environ: Mapping[str, str] | None = None) -> None:
    """Let the root logger write to stderr; one that has a handler already is left alone.

    Args:
        level: one of `LEVELS`; None takes that of PILOTWIRE_LOG, else "info".
        environ: where PILOTWIRE_LOG is looked up; None: the process's.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    named = (os.environ if environ is None else environ).get(VARIABLE, "").lower()
    chosen = level or (named if named in LEVELS else DEFAULT)
    root.addHandler(log_handler())
    root.setLevel(chosen.upper())
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    if named and named not in LEVELS:
        logger.warning("%s=%s: allowed are %s", VARIABLE, named[:20], ", ".join(LEVELS))
