"""Manners of a helper process: what it does can wait, charging cannot."""

import os
from contextlib import suppress
from typing import Final

NICENESS: Final = 10


def yield_to_others() -> None:
    """Let whatever else runs go first, where the sandbox lets us."""
    with suppress(OSError):
        os.nice(NICENESS)
