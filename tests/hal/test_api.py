"""The contract of everything that is no controller: meters, readers, inputs, lamps.

Controllers are held to it in the test modules of their drivers.
"""

import asyncio
import os
import re
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from hal.api import DigitalInput, Meter, TokenReader, check_offer, check_output
from hal.bus.modbus import SerialPort, TcpPort
from hal.bus.serial_line import LineSettings
from hal.drivers.hid_reader import HidReader, TypedText
from hal.drivers.modbus_evse import ModbusEvse
from hal.drivers.modbus_meter import ModbusMeter
from hal.drivers.pn532 import Pn532
from hal.drivers.serial_reader import Rdm6300, SerialReader, TextLines
from hal.drivers.uid import UidFormat
from hal.registers.map import RegisterMap, load_map
from hal.sim.evse import SimulatedEvse
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.modbus_evse import ModbusEvseDevice
from hal.sim.readers import SimulatedKeyboard, SimulatedPn532, SimulatedRdm6300
from hal.sim.remote import RemoteController, RemoteInput, RemoteReader, Simulator
from hal.sim.vehicle import Vehicle
from hal.types import NO_OUTPUT, ConverterLimits, Fault, IdToken, TokenType
from tests.support import vloop
from tests.support.contract_hal import (
    BOARD_CLAUSES,
    INPUT_CLAUSES,
    LISTEN_S,
    METER_CLAUSES,
    PHASES_CLAUSES,
    READER_CLAUSES,
    SIGNED_CLAUSES,
    TEMPERATURE_CLAUSES,
    clause_name,
)
from tests.support.simulated_board import end, simulated_board
from tests.support.stable_pty import StablePty

MAPS = Path(__file__).parents[2] / "config/registers"
METERS = [path for path in sorted(MAPS.glob("[!_]*.toml")) if not load_map(path).lacks]
SDM630 = load_map(MAPS / "eastron-sdm630.toml")
HEIDELBERG = load_map(MAPS / "heidelberg-energy-control.toml")
QUICK = Vehicle(reaction_s=0.0, adapt_s=0.0)
AWAY_S = 3.5
"""Longer than a reader may take to notice that a card is gone."""


# --- meters ---


class ModbusMeterRig:
    def __init__(self, device: ModbusDeviceServer, meter: Meter, register_map: RegisterMap):
        self.device, self.meter = device, meter
        step_wh = max(one.step for one in register_map.points if one.is_monotonic)
        self.more_wh = max(step_wh, 10.0)
        self.energy_wh = 1_000_000.0
        for point in register_map.points:
            device.set_point(point.name, 230.0 if "voltage" in point.name else 0.0)
            if point.name == "frequency":
                device.set_point(point.name, 50.0)
        device.set_point("energy_import", self.energy_wh)

    async def count(self) -> float:
        await asyncio.sleep(4.0)  # no meter rises faster than its power allows
        self.energy_wh += self.more_wh
        self.device.set_point("energy_import", self.energy_wh)
        return self.more_wh

    async def lose(self) -> None:
        self.device.mode = "down"

    async def restore(self) -> None:
        self.device.mode = "up"


@pytest.mark.parametrize("clause", METER_CLAUSES, ids=clause_name)
@pytest.mark.parametrize("path", METERS, ids=lambda path: path.stem)
def test_every_shipped_meter(path, clause):
    register_map = load_map(path)

    async def main():
        async with (
            ModbusDeviceServer(register_map) as device,
            TcpPort("127.0.0.1", device.port) as port,
        ):
            await clause(
                ModbusMeterRig(device, ModbusMeter(port, 1, register_map), register_map)
            )

    vloop.run(main())


@pytest.mark.parametrize("clause", METER_CLAUSES, ids=clause_name)
def test_a_meter_on_a_serial_line(clause):
    async def main():
        device = ModbusDeviceServer(SDM630, framing="rtu")
        path = await device.start_pty()
        try:
            async with SerialPort(path) as port:
                await clause(ModbusMeterRig(device, ModbusMeter(port, 1, SDM630), SDM630))
        finally:
            await device.stop()

    vloop.run(main())


class SimulatedMeterRig:
    def __init__(self, **options: bool) -> None:
        self.evse = SimulatedEvse(energy_wh=1000.0, **options)
        self.meter = self.evse

    async def count(self) -> float:
        before_wh = self.evse.reading().energy_import_wh
        self.evse.set("energy_import", before_wh + 10.0)
        return 10.0

    async def lose(self) -> None:
        self.evse.fault(Fault.POWER_METER_FAILURE)

    async def restore(self) -> None:
        self.evse.clear(Fault.POWER_METER_FAILURE)


@pytest.mark.parametrize("clause", METER_CLAUSES, ids=clause_name)
def test_the_meter_of_a_simulated_evse(clause):
    vloop.run(clause(SimulatedMeterRig()))


@pytest.mark.parametrize("clause", [*METER_CLAUSES, *SIGNED_CLAUSES], ids=clause_name)
def test_the_signing_meter_of_a_simulated_evse(clause):
    vloop.run(clause(SimulatedMeterRig(signs=True)))


# --- readers ---


class LineRig:
    """A reader on a line that can be pulled out and put back under its name."""

    def __init__(self, line: StablePty) -> None:
        self.line = line

    async def lose(self) -> None:
        await asyncio.sleep(0.1)
        self.line.pull()

    async def restore(self) -> None:
        self.line.put()

    def close(self) -> None:
        """Let go of the line's end."""


class Rdm6300Rig(LineRig):
    tokens = (IdToken("0086F444"), IdToken("0063E9AE"))
    _cards = (bytes.fromhex("100086F444"), bytes.fromhex("010063E9AE"))

    def __init__(self, line: StablePty) -> None:
        super().__init__(line)
        self.reader: TokenReader = SerialReader(
            LineSettings(line.path), lambda: Rdm6300(UidFormat(), TokenType.ISO14443)
        )

    async def tap(self, which: int) -> None:
        sim = SimulatedRdm6300(self.line.device)
        sim.card = self._cards[which]
        await asyncio.sleep(1.0)
        sim.close()
        await asyncio.sleep(AWAY_S)


class TextRig(LineRig):
    tokens = (IdToken("04A1B2C3"), IdToken("0BADCAFE"))

    def __init__(self, line: StablePty) -> None:
        super().__init__(line)
        pattern = re.compile("[0-9A-F]{8}")
        self.reader: TokenReader = SerialReader(
            LineSettings(line.path), lambda: TextLines(pattern, TokenType.ISO14443)
        )

    async def tap(self, which: int) -> None:
        for _ in range(5):
            os.write(self.line.device, self.tokens[which].value.encode() + b"\r\n")
            await asyncio.sleep(0.2)
        await asyncio.sleep(AWAY_S)


class Pn532Rig(LineRig):
    tokens = (IdToken("DEADBEEF"), IdToken("04A1B2C3D4E5F6"))

    def __init__(self, line: StablePty) -> None:
        super().__init__(line)
        self.reader: TokenReader = Pn532(LineSettings(line.path, 115_200), UidFormat())
        self.sim = SimulatedPn532(line.device)

    async def tap(self, which: int) -> None:
        self.sim.card = bytes.fromhex(self.tokens[which].value)
        await asyncio.sleep(1.0)
        self.sim.card = None
        await asyncio.sleep(AWAY_S)

    async def lose(self) -> None:
        self.close()
        await super().lose()

    def close(self) -> None:
        self.sim.close()

    async def restore(self) -> None:
        await super().restore()
        self.sim = SimulatedPn532(self.line.device)


class KeyboardRig:
    """A reader that types into a named pipe: events are bytes there too."""

    tokens = (IdToken("04A1B2C3"), IdToken("0BADCAFE"))

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keyboard = SimulatedKeyboard(path)
        meaning = TypedText(re.compile("[0-9A-F]{8}"), TokenType.ISO14443)
        self.reader: TokenReader = HidReader(str(path), meaning, grab=lambda _: None)

    async def tap(self, which: int) -> None:
        for _ in range(5):
            self._keyboard.enter(self.tokens[which].value)
            await asyncio.sleep(0.2)
        await asyncio.sleep(AWAY_S)

    async def lose(self) -> None:
        await asyncio.sleep(LISTEN_S)
        self._keyboard.close()
        self._path.unlink()

    async def restore(self) -> None:
        self._keyboard = SimulatedKeyboard(self._path)

    def close(self) -> None:
        self._keyboard.close()


@pytest.mark.parametrize("clause", READER_CLAUSES, ids=clause_name)
def test_a_reader_that_types(clause, tmp_path):
    async def main():
        with closing(KeyboardRig(tmp_path / "event0")) as rig:
            await clause(rig)

    vloop.run(main())


@pytest.mark.parametrize("clause", READER_CLAUSES, ids=clause_name)
@pytest.mark.parametrize("kind", [Rdm6300Rig, TextRig, Pn532Rig])
def test_every_reader_on_a_serial_line(kind, clause, tmp_path):
    async def main():
        with StablePty(tmp_path / "reader") as line, closing(kind(line)) as rig:
            await clause(rig)

    vloop.run(main())


class SimulatedReaderRig:
    tokens = (IdToken("04A1B2C3"), IdToken("0BADCAFE"))

    def __init__(self) -> None:
        self.evse = SimulatedEvse()
        self.reader: TokenReader = self.evse

    async def tap(self, which: int) -> None:
        self.evse.present(self.tokens[which])

    async def lose(self) -> None:
        await asyncio.sleep(0)
        self.evse.fault(Fault.READER_FAILURE)

    async def restore(self) -> None:
        self.evse.clear(Fault.READER_FAILURE)


@pytest.mark.parametrize("clause", READER_CLAUSES, ids=clause_name)
def test_the_reader_of_a_simulated_evse(clause):
    vloop.run(clause(SimulatedReaderRig()))


# --- the simulated board ---


class ProcessRig:
    """What drivers of the simulated board see of it, over its socket."""

    closes_by_itself = False
    tokens = SimulatedReaderRig.tokens

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.controller = RemoteController(simulator, 1)
        self.reader: TokenReader = RemoteReader(simulator, 1)
        self.input: DigitalInput = RemoteInput(simulator)

    async def tap(self, which: int) -> None:
        token = self.tokens[which].value
        await self.simulator.call("sim.token", {"evse_id": 1, "id_token": token})

    async def plug(self) -> None:
        vehicle = {"reaction_s": 0.0, "adapt_s": 0.0}
        await self.simulator.call("sim.plug", {"evse_id": 1, "vehicle": vehicle})

    async def heat(self, temperature_c: float) -> None:
        await self._set("evse-1", "temperature", temperature_c)

    async def spoil(self) -> None:
        await self._set("evse-1", "rcd_broken", 1.0)

    async def activate(self, *, active: bool) -> None:
        await self._set("grid", "input", float(active))

    async def lose(self) -> None:
        fault = {"evse_id": 1, "fault": "CommunicationFault"}
        await self.simulator.call("sim.fault", fault)

    async def _set(self, device: str, point: str, value: float) -> None:
        await self.simulator.call("sim.set", {"device": device, "point": point, "value": value})


class DyingRig(ProcessRig):
    async def lose(self) -> None:
        await end(self.simulator, signal.SIGKILL)


def on_a_simulated_board(
    clause: Callable[[ProcessRig], Awaitable[None]], kind: type[ProcessRig] = ProcessRig
) -> None:
    async def main():
        async with simulated_board() as simulator:
            await clause(kind(simulator))

    asyncio.run(main())


@pytest.mark.parametrize("clause", [*TEMPERATURE_CLAUSES, *BOARD_CLAUSES], ids=clause_name)
def test_what_the_controller_of_a_simulated_board_has_besides(clause):
    on_a_simulated_board(clause)


@pytest.mark.parametrize("clause", READER_CLAUSES[:-1], ids=clause_name)
def test_the_reader_of_a_simulated_board(clause):
    """All but K3: its controller tells that the board is lost."""
    on_a_simulated_board(clause)


@pytest.mark.parametrize("clause", INPUT_CLAUSES, ids=clause_name)
def test_the_input_of_a_simulated_board(clause):
    on_a_simulated_board(clause, DyingRig)


class InProcessRig:
    closes_by_itself = False

    def __init__(self) -> None:
        self.controller = self.evse = SimulatedEvse()

    async def plug(self) -> None:
        self.evse.plug(1, QUICK)

    async def lose(self) -> None:
        self.evse.fault(Fault.COMMUNICATION_FAULT)

    async def heat(self, temperature_c: float) -> None:
        self.evse.set("temperature", temperature_c)

    async def spoil(self) -> None:
        self.evse.set("rcd_broken", 1.0)

    def phases(self) -> int:
        return self.evse.live_phases


@pytest.mark.parametrize(
    "clause", [*TEMPERATURE_CLAUSES, *BOARD_CLAUSES, *PHASES_CLAUSES], ids=clause_name
)
def test_what_a_simulated_evse_has_besides(clause):
    vloop.run(clause(InProcessRig()))


class WarmControllerRig:
    closes_by_itself = True

    def __init__(self, device: ModbusEvseDevice, controller: ModbusEvse) -> None:
        self.device, self.controller = device, controller

    async def heat(self, temperature_c: float) -> None:
        self.device.server.set_point("temperature", temperature_c)


@pytest.mark.parametrize("clause", TEMPERATURE_CLAUSES, ids=clause_name)
def test_the_temperature_of_a_controller_on_modbus(clause):
    async def main():
        async with AsyncExitStack() as stack:
            device = await stack.enter_async_context(
                ModbusEvseDevice(HEIDELBERG, SimulatedEvse())
            )
            port = await stack.enter_async_context(TcpPort("127.0.0.1", device.server.port))
            await clause(WarmControllerRig(device, ModbusEvse(port, 1, HEIDELBERG)))

    vloop.run(main())


@pytest.mark.parametrize("limit_a", [5.9, 80.1, -1.0, float("nan")])
def test_p1_what_pwm_cannot_offer_is_refused(limit_a):
    with pytest.raises(ValueError, match="0 or 6 to 80 A"):
        check_offer(limit_a, 1.0)


# --- converters; their drivers are held to the clauses in their own test module ---

LIMITS = ConverterLimits(min_v=150.0, max_v=1000.0, max_a=100.0, max_w=30_000.0)
NAN = float("nan")


@pytest.mark.parametrize(
    ("output", "wrong"),
    [
        ((149.9, 10.0), "150 to 1000 V"),
        ((1000.1, 10.0), "150 to 1000 V"),
        ((NAN, 10.0), "150 to 1000 V"),
        ((300.0, -0.1), "0 to 100 A"),
        ((300.0, 100.1), "0 to 100 A"),
        ((300.0, NAN), "0 to 100 A"),
        ((400.0, 75.1), "at most 30000 W"),
    ],
)
def test_c2_what_a_converter_cannot_put_out_is_refused(output, wrong):
    with pytest.raises(ValueError, match=wrong):
        check_output(LIMITS, *output, 1.0)


@pytest.mark.parametrize("valid_s", [0.0, -1.0, NAN])
def test_an_output_is_valid_for_some_time(valid_s):
    with pytest.raises(ValueError, match="more than 0 s"):
        check_output(LIMITS, 300.0, 100.0, valid_s)


def test_a_current_that_was_divided_out_of_the_power_is_within_it():
    for voltage_v in range(300, 1000):
        check_output(LIMITS, voltage_v, LIMITS.max_w / voltage_v, 1.0)


def test_nothing_is_put_out_while_nothing_is_known():
    with pytest.raises(ValueError, match="0 to 0 V"):
        check_output(NO_OUTPUT, 400.0, 0.0, 1.0)
