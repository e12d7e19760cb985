"""One day, watched by CSMSs that others have written, without a single violation."""

import asyncio

import pytest

from tests.interop import strict_csms
from tests.interop.day import day
from tests.interop.station import meeting, strict_meeting

pytestmark = pytest.mark.interop

BOARD = "sim-two-evse.toml"


async def at_the_ocpp_package() -> None:
    async with meeting("ocpp1.6", board=BOARD) as (peer, station):
        await day(peer, station)


async def at_ocpp_rpc() -> None:
    async with strict_meeting(BOARD) as (csms, station):
        await day(csms, station)


DAYS = [at_the_ocpp_package, *([at_ocpp_rpc] if strict_csms.is_there() else [])]


@pytest.mark.parametrize("lived", DAYS, ids=lambda lived: lived.__name__)
def test_a_day_without_a_violation(lived) -> None:
    asyncio.run(lived())
