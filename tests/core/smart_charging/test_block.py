"""Charging profiles are refused, with the reason."""

import pytest

from agent.core.effects import Done, Verdict
from agent.core.events import ChargingProfileOffered
from tests.support.core import Bench


@pytest.mark.parametrize("evse_id", [0, 1, 2])
def test_a_profile_for_what_exists_is_not_supported(evse_id: int) -> None:
    bench = Bench(2).ready(2)
    bench.post(ChargingProfileOffered(5, evse_id))
    assert bench.reply(5) == Done(Verdict.NOT_SUPPORTED, "UnsupportedRequest")


@pytest.mark.parametrize("evse_id", [-1, 3])
def test_a_profile_for_what_does_not_exist_is_told_apart(evse_id: int) -> None:
    bench = Bench(2).ready(2)
    bench.post(ChargingProfileOffered(5, evse_id))
    assert bench.reply(5) == Done(Verdict.UNKNOWN_EVSE, "UnknownEvse")
