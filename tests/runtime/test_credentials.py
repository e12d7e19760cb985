import pytest
from msgspec.structs import replace

from agent.core import variables
from agent.core.timebase import EARLIEST_WALL_S, Timebase
from agent.core.values import Stamp
from agent.runtime.credentials import AGREES_S, presented
from agent.transport.link import DialTarget, TrustedTime
from tests.support.core import WALL_S
from tests.support.shell import station

TARGET = DialTarget("wss://csms/ocpp", "CP001", ("ocpp2.0.1", "ocpp1.6"), 2, b"p")


@pytest.mark.parametrize(
    ("protocols", "setting", "allowed"),
    [
        (("ocpp2.0.1",), "false", False),
        (("ocpp2.0.1", "ocpp1.6"), "false", False),
        (("ocpp2.0.1", "ocpp1.6"), "true", True),
        (("ocpp1.6",), "false", True),
    ],
)
def test_wildcards_are_allowed_by_setting_and_where_only_16_is_spoken(
    protocols, setting, allowed
):
    present = station(**{variables.ALLOW_WILDCARDS.name: setting})
    target = replace(TARGET, protocols=protocols)
    assert presented(target, 0, present, Stamp(1, 0.0), None).allow_wildcards is allowed


@pytest.mark.parametrize(
    ("offset_s", "system_s", "time"),
    [
        (WALL_S, WALL_S + 10.0, None),
        (WALL_S, WALL_S + AGREES_S + 11.0, TrustedTime(WALL_S + 10.0, is_known=True)),
        (WALL_S, None, TrustedTime(WALL_S + 10.0, is_known=True)),
        (None, None, TrustedTime(EARLIEST_WALL_S, is_known=False)),
        (None, 0.0, TrustedTime(EARLIEST_WALL_S, is_known=False)),
    ],
)
def test_the_system_clock_counts_while_it_agrees_with_the_stations(offset_s, system_s, time):
    present = replace(station(), timebase=Timebase(boot=1, offset_s=offset_s))
    assert presented(TARGET, 0, present, Stamp(1, 10.0, system_s), None).time == time
