"""A DC EVSE with every device on its own wire: two units on Modbus, a process on a socket."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

from hal.api import EvseListener, Meter
from hal.bus.modbus import TcpPort
from hal.dc.sequence import Stage
from hal.dc_types import DcRating
from hal.drivers.dc_evse import DcEvse, Supply
from hal.drivers.dc_parts import Parts
from hal.drivers.isocha import IsoCha
from hal.drivers.modbus_contactor import ModbusContactor
from hal.drivers.vehicle_socket import VehicleSocket
from hal.sim.dc_devices import ContactorDevice, IsoChaDevice
from hal.sim.dc_outlet import DcOutlet, SimulatedConverter
from hal.sim.dc_vehicle import SimulatedDcVehicle
from tests.support import vloop
from tests.support.contract_hal import Recorder, served

RATING = DcRating(max_v=1000.0, max_a=200.0, max_w=60_000.0)
SUPPLY = Supply(max_a=96.0, phases=3, voltage_v=230.0, efficiency=0.94)


class DcRig:
    """Everything of one outlet."""

    def __init__(self, outlet: DcOutlet, evse: DcEvse) -> None:
        self.outlet, self.evse = outlet, evse
        self.vehicle = SimulatedDcVehicle(outlet)
        self.converter: SimulatedConverter
        self.monitor: IsoChaDevice
        self.contactor: ContactorDevice
        self.path = Path()

    # --- as a `Rig` of tests.support.contract_hal ---

    closes_by_itself = True

    @property
    def controller(self) -> DcEvse:
        return self.evse

    async def plug(self) -> None:
        self.vehicle.is_plugged = True

    async def unplug(self) -> None:
        self.vehicle.is_plugged = False

    async def lose(self) -> None:
        self.vehicle.is_frozen = True

    async def restore(self) -> None:
        self.vehicle.is_frozen = False

    async def until(self, holds: Callable[[], object], within_s: float = 60.0) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110 - there is no event for everything
                await asyncio.sleep(0.05)

    async def offered(self, limit_a: float, *, closed: bool = True) -> None:
        """Offer as long as the story lasts, and let the contactor close."""
        await self.evse.offer(limit_a, valid_s=10_000.0)
        await self.evse.energize(closed=closed)

    async def charging(self, recorder: Recorder, limit_a: float = 96.0) -> None:
        """Charge until current flows."""
        await recorder.until(lambda now: now.pilot is not None)
        self.vehicle.is_plugged = True
        await self.offered(limit_a)
        await self.until(lambda: self.evse.stage is Stage.CHARGE)
        await self.until(lambda: self.outlet.output().current_a > 1.0)


class OutletMeter(Meter):
    """The meter of a simulated outlet, as quick as any."""

    def __init__(self, outlet: DcOutlet) -> None:
        self._outlet = outlet

    async def run(self, listener: EvseListener) -> None:
        while True:
            listener.meter_read(self._outlet.reading())
            await asyncio.sleep(1.0)


@asynccontextmanager
async def rigged() -> AsyncIterator[DcRig]:
    outlet = DcOutlet()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "vehicle.sock"
        async with (
            IsoChaDevice(outlet) as monitor,
            ContactorDevice(outlet) as contactor,
            TcpPort("127.0.0.1", monitor.server.port) as monitor_line,
            TcpPort("127.0.0.1", contactor.server.port) as contactor_line,
        ):
            converter = SimulatedConverter(outlet)
            parts = Parts(
                converter,
                IsoCha(monitor_line),
                VehicleSocket(path),
                ModbusContactor(contactor_line, 1, coil=0, feedback=0),
            )
            rig = DcRig(outlet, DcEvse(parts, RATING, SUPPLY))
            rig.converter, rig.monitor, rig.contactor = converter, monitor, contactor
            rig.path = path
            vehicle = asyncio.create_task(rig.vehicle.run(path))
            try:
                yield rig
            finally:
                vehicle.cancel()
                await asyncio.gather(vehicle, return_exceptions=True)


Scene = Callable[[DcRig, Recorder], Coroutine[None, None, None]]


def played(scene: Scene) -> None:
    """Play a scene with a running EVSE and its meter."""

    async def main() -> None:
        async with rigged() as rig, served(rig.evse) as recorder:
            meter = asyncio.create_task(rig.evse.metered(OutletMeter(rig.outlet)).run(recorder))
            await scene(rig, recorder)
            meter.cancel()

    vloop.run(main())
