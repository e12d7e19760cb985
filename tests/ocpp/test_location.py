"""Places of files on the wire."""

import pytest

from agent.ocpp.location import mended
from agent.ocppj.quirks import Quirk, begin


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (" https://files.example/x ", "https://files.example/x"),
        ("ftp://files.example/to day/x", "ftp://files.example/to%20day/x"),
    ],
)
def test_blanks_are_encoded_and_noted(written: str, meant: str) -> None:
    found = begin()
    assert mended(written) == meant
    assert found == [Quirk.BLANK_IN_ADDRESS]


def test_what_is_written_well_stays_as_it_is() -> None:
    found = begin()
    assert mended("https://a:b%20c@files.example/x%20y?z") == (
        "https://a:b%20c@files.example/x%20y?z"
    )
    assert found == []
