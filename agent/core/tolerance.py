"""How often the CSMS was forgiven what, since the start (1.6 reference, chapter 11)."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from agent.core.events import QuirksTolerated

MOST: Final = 1_000_000_000
"""Where a count stops: more says no more."""


def counted(tolerated: Mapping[str, int], event: QuirksTolerated) -> Mapping[str, int]:
    """Return the counts by name after one more frame."""
    added = Counter(event.quirks)
    new = {name: min(tolerated.get(name, 0) + count, MOST) for name, count in added.items()}
    return {**tolerated, **new}
