"""Controllers behind a serial adapter that is not ours: socat between two pseudo terminals.

Real time and a real process; where there is no socat this is left out, with
PILOTWIRE_SOCAT=required in the environment it must be there.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hal.bus.serial_line import LineSettings
from hal.drivers.openevse import OpenEvse
from hal.sim.evse import SimulatedEvse
from hal.sim.openevse import OpenEvseDevice
from hal.types import Fault, PilotState
from tests.hal.test_openevse import Rig
from tests.support.contract_hal import charging, served

pytestmark = pytest.mark.interop


def is_there() -> bool:
    found = shutil.which("socat") is not None
    assert found or os.environ.get("PILOTWIRE_SOCAT") != "required", "socat is missing"
    return found


@asynccontextmanager
async def adapter(path: Path, device: str) -> AsyncIterator[None]:
    """Plug an adapter in under a name that leads to a device."""
    process = await asyncio.create_subprocess_exec(
        "socat", f"PTY,link={path},raw,echo=0,b115200", f"{device},raw,echo=0"
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


if is_there():

    def test_a_charge_goes_on_after_an_adapter_was_pulled_out_and_put_back(tmp_path):
        path = tmp_path / "usb"

        async def main() -> None:
            async with OpenEvseDevice(SimulatedEvse(is_tethered=True)) as board:
                rig = Rig(board)
                rig.controller = OpenEvse(LineSettings(str(path), 115_200), phases=1)
                async with served(rig.controller) as recorder:
                    async with adapter(path, board.path):
                        await charging(rig, recorder)
                    await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
                    async with adapter(path, board.path):
                        await recorder.until(lambda now: not now.faults)
                        await recorder.until(lambda now: now.pilot is PilotState.B)
                        assert not board.evse.outlet_closed
                        await rig.controller.offer(16.0, valid_s=60.0)
                        await recorder.until(lambda now: now.outlet_closed)

        asyncio.run(main())
