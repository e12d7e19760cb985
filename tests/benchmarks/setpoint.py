"""Row `setpoint`: from a charging profile to the current in a controller on Modbus TCP.

Ours is a station that charges, in real time: from the moment in which its link hands it the
frame of a SetChargingProfile with 24 periods to the moment in which the controller's register
is written. In between lie the RPC layer, the profile's rules, the composite schedule, one turn
of the kernel and the driver. Theirs is a bare client of pymodbus that writes the same register
of the same controller: from the call to the same moment. The pause that this controller wants
between two requests is left out on both sides.
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from pymodbus.client import AsyncModbusTcpClient

from agent.core.events import TokenPresented
from hal.types import IdToken
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense
from tests.support.lab import IDENTITY, TAG, Lab
from tests.support.wire_board import on_the_wire

BOARD = "phoenix-charx"
SET_CURRENT = 1301
"""Its register, in A (config/registers/phoenix-charx.toml)."""

LIMITS_A = range(31, 6, -1)
"""Always lower, because raising waits five seconds each time (IEC 61851-1)."""

PERIODS = 24
CONFIG = Path(__file__).parents[2] / "config"


def profile(limit_a: int) -> dict[str, Any]:
    """Return a SetChargingProfile of 1.6 that limits the transactions of connector 1."""
    periods = [{"startPeriod": 3600 * hour, "limit": limit_a} for hour in range(PERIODS)]
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": periods,
            },
        },
    }


class _Watch:
    """When frames arrive at the station, and currents at the controller."""

    def __init__(self, lab: Lab) -> None:
        self.heard_at, self.told_at = 0.0, 0.0
        self.is_told = asyncio.Event()
        note, offer = lab.wire.note, lab.evse().offer

        def noted(now_s: float, link: int, text: str, *, is_sent: bool) -> None:
            if not is_sent and "SetChargingProfile" in text:
                self.heard_at = perf_counter()
            note(now_s, link, text, is_sent=is_sent)

        async def offered(limit_a: float, *, valid_s: float) -> None:
            self.told_at = perf_counter()
            self.is_told.set()
            await offer(limit_a, valid_s=valid_s)

        lab.wire.note = noted  # type: ignore[method-assign]
        lab.evse().offer = offered  # type: ignore[method-assign]

    async def told(self) -> None:
        async with asyncio.timeout(5.0):
            await self.is_told.wait()
        self.is_told.clear()


async def _ours(lab: Lab, watch: _Watch) -> list[float]:
    taken = []
    for limit_a in LIMITS_A:
        watch.is_told.clear()
        answer = await lab.csms.request(IDENTITY, "SetChargingProfile", profile(limit_a))
        if answer["status"] != "Accepted":
            raise BenchmarkError(f"SetChargingProfile: {answer}")
        await watch.told()
        taken.append(watch.told_at - watch.heard_at)
        await asyncio.sleep(0.02)
    return taken


async def _theirs(port: int, watch: _Watch) -> list[float]:
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    taken = []
    for limit_a in LIMITS_A:
        watch.is_told.clear()
        begun = perf_counter()
        writing = asyncio.create_task(client.write_register(SET_CURRENT, limit_a, device_id=1))
        await watch.told()
        taken.append(watch.told_at - begun)
        await writing
        await asyncio.sleep(0.02)
    client.close()
    return taken


async def _measured(lab: Lab, directory: Path) -> Figures:
    await lab.open()
    try:
        async with on_the_wire(lab, directory / "boards" / f"{BOARD}.toml", directory) as wire:
            await lab.start()
            await lab.online()
            lab.plug(ampacity_a=32.0)
            await lab.until(lambda: lab.connector() == "Preparing")
            lab.post(TokenPresented(IdToken(TAG), 1))
            await lab.until(lambda: lab.connector() == "Charging")
            watch = _Watch(lab)
            ours = await _ours(lab, watch)
            theirs = await _theirs(int(wire._ports["charx"].name.rpartition(":")[2]), watch)
        return Figures(median(ours) * 1000, median(theirs) * 1000)
    finally:
        await lab.close()


def _measure() -> Sequence[Figures]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for part in ("boards", "registers"):
            (directory / part).mkdir()
            shutil.copy(CONFIG / part / f"{BOARD}.toml", directory / part)
        path = directory / "registers" / f"{BOARD}.toml"
        text = path.read_text()
        path.write_text(re.sub(r"^gap_s +=.*$", "gap_s = 0.0", text, flags=re.MULTILINE))
        return [asyncio.run(_measured(Lab("ocpp1.6"), directory))]


SETPOINT = Benchmark(
    (
        Row(
            "setpoint.modbus-tcp",
            "SetChargingProfile at the station to the current in the controller",
            "ms",
            Sense.COST,
            5.0,
        ),
    ),
    _measure,
)
