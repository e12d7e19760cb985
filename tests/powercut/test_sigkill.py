"""A few rounds of `python -m tests.powercut`, with every run of the tests."""

import asyncio

import pytest

from tests.powercut.rig import killed

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
def test_a_process_that_is_killed_twice_keeps_its_books(protocol):
    reports = []
    result = asyncio.run(killed(2, 7, (protocol,), reports.append))
    assert result.problems == []
    assert result.kills == len(reports) == 2
    assert result.transactions >= 1
