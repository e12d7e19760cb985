"""How examples are drawn and what is counted as covered.

Examples are the same ones in every run of the suite, new ones in `make fuzz`. Tests that lead
through everything many times over cover nothing for the first time, and a line that is counted
takes three times as long: their lines are not counted.
"""

import sys
import threading
from collections.abc import Generator

import pytest
from hypothesis import Phase, settings

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    max_examples=30,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)
settings.register_profile("fuzz", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("suite")

UNCOUNTED = {"fuzz", "powercut", "simulation"}
"""Directories of such tests; each rule of theirs has a test elsewhere."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Take the tracer of the coverage away from tests that are not counted."""
    tracer, in_threads = sys.gettrace(), threading.gettrace()
    if UNCOUNTED.isdisjoint(item.path.parts) or tracer is None:
        return (yield)
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]  # its stub knows no None
    try:
        return (yield)
    finally:
        threading.settrace(in_threads)  # type: ignore[arg-type]
        sys.settrace(tracer)
