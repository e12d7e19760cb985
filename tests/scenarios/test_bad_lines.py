"""Every bus goes bad in the middle of a session: it survives or ends safe, the bill is right.

Real drivers talk over pseudo terminals and sockets to simulated devices that are as the real
ones; tests.support.bad_line stands between them. The adapter of the serial lines has a stable
name under which it comes back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.core.events import TokenPresented
from hal.port_settings import ModbusSerialSettings, ModbusTcpSettings, PortSettings
from hal.types import IdToken
from tests.support.bad_line import MISHAPS, BadLine, Mishap, SerialLine, TcpLine
from tests.support.lab import TAG, VERSIONS, Lab, run
from tests.support.vloop import VirtualTimeLoop
from tests.support.wire_board import on_the_wire

PTY_PATIENCE_S = 0.0005

BOARD = """\
[port.bus]
{port}

[[evse]]
id         = 1
max_a      = 16
phases     = 3
meter      = {{ driver = "modbus_meter", port = "bus", unit = 2, map = "eastron-sdm630" }}

[evse.controller]
driver   = "modbus_evse"
port     = "bus"
unit     = 1
map      = "heidelberg-energy-control"
tethered = true
"""
PORTS = {
    "rtu on a pseudo terminal": 'driver = "modbus_serial"\npath = "/dev/ttyS0"\nbaudrate = 19_200',
    "tcp": 'driver = "modbus_tcp"\nhost = "192.168.1.50"',
}
SETTINGS = {"TxCtrlr.StopTxOnMeterFailure": False}

Story = Callable[[Lab, BadLine], Awaitable[None]]


class Wires:
    """Lays the one line of a board, which may go bad."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.line: SerialLine | TcpLine | None = None
        self._answering: asyncio.Task[None] | None = None

    async def laid(self, number: int, framing: str) -> PortSettings:
        if framing == "tcp":
            self.line = TcpLine(number)
            await self.line.start()
            return ModbusTcpSettings("127.0.0.1", self.line.port)
        answers, devices = await asyncio.open_connection("127.0.0.1", number)
        line = self.line = SerialLine(self._directory / "usb-FTDI-if00", devices.write)

        async def answering() -> None:
            try:
                while data := await answers.read(300):
                    line.answered(data)
            finally:
                devices.close()

        self._answering = asyncio.ensure_future(answering())
        return ModbusSerialSettings(line.path, baudrate=19_200)

    async def close(self) -> None:
        if self.line is not None:
            self.line.close()
        if self._answering is not None:
            self._answering.cancel()
            await asyncio.wait([self._answering])


@asynccontextmanager
async def patient() -> AsyncIterator[None]:
    """Give pseudo terminals the moment that they need."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.patience_s = PTY_PATIENCE_S
    try:
        yield
    finally:
        loop.patience_s = 0.0


def lived(version: str, wire: str, directory: Path, story: Story) -> Lab:
    path = directory / "board.toml"
    path.write_text(BOARD.format(port=PORTS[wire]))

    async def whole(lab: Lab) -> None:
        wires = Wires(directory)
        async with patient():
            try:
                async with on_the_wire(lab, path, directory, wires.laid):
                    assert wires.line is not None
                    await story(lab, wires.line)
            finally:
                await wires.close()

    return run(Lab(version, settings=dict(SETTINGS)), whole)


async def charging(lab: Lab) -> None:
    await lab.start()
    await lab.online()
    await lab.until(lambda: lab.connector() == "Available")
    lab.plug()
    await lab.until(lambda: lab.connector() == "Preparing")
    lab.post(TokenPresented(IdToken(TAG), 1))
    await lab.until(lambda: lab.connector() == "Charging")
    await asyncio.sleep(30)


async def suffered(lab: Lab, line: BadLine, mishap: Mishap, *, lasts_s: float) -> None:
    """Let the line go bad for a while; nothing dangerous may happen meanwhile."""
    line.suffer(mishap)
    for _ in range(round(lasts_s * 10)):
        await asyncio.sleep(0.1)
        offer_a = lab.evse().offer_a
        assert offer_a == 0.0 or 6.0 <= offer_a <= 16.0
        register = lab.station.evses[1].inputs.reading
        assert register is not None
        assert register.energy_import_wh <= lab.energy_wh() + 1.0
    if mishap in {"silence", "gone"}:
        assert not lab.evse().outlet_closed  # its watchdog has heard nobody
    line.suffer(None)


async def left(lab: Lab) -> None:
    await lab.until(lambda: lab.connector() not in {"Faulted", "Preparing"})
    await asyncio.sleep(30)
    lab.unplug()
    await lab.until(lambda: lab.connector() == "Available")
    await lab.delivered()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wire", PORTS)
@pytest.mark.parametrize("mishap", MISHAPS)
def test_a_session_survives_a_line_that_goes_bad_for_a_while(version, wire, mishap, tmp_path):
    async def story(lab: Lab, line: BadLine) -> None:
        await charging(lab)
        await suffered(lab, line, mishap, lasts_s=45.0)
        await lab.until(lambda: lab.connector() == "Charging", limit_s=150)
        await left(lab)

    lab = lived(version, wire, tmp_path, story)
    (bill,) = lab.bills
    assert bill.complete
    assert not bill.missing_seq_nos
    assert bill.energy_wh == pytest.approx(lab.flowed_wh, abs=1.5)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wire", PORTS)
@pytest.mark.parametrize("mishap", ["silence", "gone"])
def test_a_line_that_stays_away_ends_the_session_safe_and_bills_what_was_read(
    version, wire, mishap, tmp_path
):
    async def story(lab: Lab, line: BadLine) -> None:
        await charging(lab)
        await suffered(lab, line, mishap, lasts_s=240.0)
        await lab.delivered()
        await left(lab)

    lab = lived(version, wire, tmp_path, story)
    (bill,) = lab.bills
    assert bill.complete
    assert bill.energy_wh is not None
    # What flowed until the watchdog struck, unread: at most 16 s of 11 kW. It is not guessed.
    assert lab.flowed_wh - 50.0 <= bill.energy_wh <= lab.flowed_wh + 1.0


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("wire", PORTS)
def test_a_line_that_is_bad_again_and_again_costs_nothing(version, wire, tmp_path):
    async def story(lab: Lab, line: BadLine) -> None:
        await charging(lab)
        for mishap in MISHAPS * 2:
            line.suffer(mishap)
            await asyncio.sleep(1.5)
            line.suffer(None)
            await asyncio.sleep(8.5)
        await lab.until(lambda: lab.connector() == "Charging", limit_s=150)
        await left(lab)

    lab = lived(version, wire, tmp_path, story)
    (bill,) = lab.bills
    assert bill.complete
    assert bill.energy_wh == pytest.approx(lab.flowed_wh, abs=1.5)
