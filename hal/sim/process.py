"""The simulated board as its own process: every EVSE of a board file behind real sockets.

The agent talks to it as to hardware: to each meter over Modbus TCP, to the controllers and
readers over a Unix socket (`hal.sim.wire`), on which a bench drives the vehicles too. When
the agent is killed the board stays as it is, and opens its contactors when the offers
expire, as real ones do. Without any driver it ends by itself after its linger time.

The meters' registers are kept in the state file. While a contactor is closed the file is a
few seconds ahead: it says what the register cannot exceed before it is written again, so a
meter never runs backwards, even when this process is killed. A clean end writes the exact
figure. The file also keeps the meters' TCP ports, which are taken again if they are free.
"""

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from hal.board_file import Board, EvseSettings, load_board, modbus_meter
from hal.controller_settings import SimulatedControllerSettings
from hal.errors import BoardError, HalError
from hal.port_settings import ModbusTcpSettings
from hal.reader_settings import SimulatedReaderSettings
from hal.sim.evse import SimulatedEvse
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.server import SimulatorServer
from hal.sim.unit import Unit, Wiring
from hal.types import MeterReading, Value

SAVE_S = 2.0
"""How often the registers are written while a contactor is closed."""

AHEAD_S = 4.0
"""How far ahead they are written: one interval, and as long again for a slow disk."""

EXIT_DONE = 0
EXIT_CONFIG = 78
"""BSD's EX_CONFIG, as the agent uses it (contract.md, section 3)."""

_LOG = logging.getLogger(__name__)


class State(Value, frozen=True, forbid_unknown_fields=True):
    """What outlives the process.

    Attributes:
        registers_wh: import register of each meter in Wh, by EVSE.
        ports: TCP port of each meter, by EVSE.
    """

    registers_wh: dict[int, float] = msgspec.field(default_factory=dict)
    ports: dict[int, int] = msgspec.field(default_factory=dict)


def load_state(path: Path) -> State:
    """Return the state in a file, an empty one when there is no file.

    Raises:
        BoardError: the file cannot be used; it is as it was.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return State()
    except (OSError, msgspec.MsgspecError) as error:
        raise BoardError(
            f"{path}: {error}; remove the file to start the simulated meters anew"
        ) from error


def save_state(path: Path, state: State) -> None:
    """Replace the state file; after a power cut there is the old one or the new one.

    Raises:
        OSError: it could not be written; the old one is as it was.
    """
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(state))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class SimulatedBoard:
    """All EVSEs of a board, their meters on Modbus TCP, and their registers on disk.

    Args:
        board: a simulated one.
        state_file: read now, written while it runs.

    Raises:
        BoardError: the state file cannot be used.
    """

    def __init__(self, board: Board, state_file: Path) -> None:
        self._board = board
        self._state_file = state_file
        self._saved = load_state(state_file)
        self._ports: dict[int, int] = {}
        self.units = {evse.id: self._unit(evse) for evse in board.evses}

    async def run(self, socket: Path, *, linger_s: float) -> None:
        """Serve until no driver has been connected for `linger_s`, or until cancelled.

        Raises:
            BoardError: a meter's port or the socket cannot be bound; everything is closed.
        """
        server = SimulatorServer(self.units, linger_s=linger_s)
        async with AsyncExitStack() as stack:
            stack.callback(self._save_exactly)
            try:
                for evse in self._board.evses:
                    unit = self.units[evse.id]
                    stack.push_async_callback(unit.stop)
                    await self._start_meter(evse, unit.meter)
                    await unit.start()
                    unit.on_switched = self._save
                await server.start(socket)
            except OSError as error:
                raise BoardError(f"the simulated board cannot listen: {error}") from error
            stack.push_async_callback(server.stop)
            saver = asyncio.ensure_future(self._keep_saved())
            stack.push_async_callback(_cancelled, saver)
            await server.deserted()

    def _unit(self, evse: EvseSettings) -> Unit:
        settings = evse.controller
        if not isinstance(settings, SimulatedControllerSettings):
            text = f"EVSE {evse.id} has a real controller; a simulated board has none"
            raise BoardError(text)
        simulated = SimulatedEvse(
            connectors=evse.connectors,
            max_a=evse.max_a,
            phases=evse.phases,
            energy_wh=self._saved.registers_wh.get(evse.id, settings.energy_wh),
            is_tethered=settings.tethered,
        )
        meter = None
        at = modbus_meter(evse)
        if at is not None and self._board.is_served(evse):
            meter = ModbusDeviceServer(
                self._board.maps[at.map],
                unit=at.unit,
                read_points=lambda: meter_points(simulated.reading()),
            )
        port = "" if at is None else at.port
        wiring = Wiring(evse.id, port, isinstance(evse.reader, SimulatedReaderSettings))
        return Unit(wiring, simulated, meter)

    async def _start_meter(self, evse: EvseSettings, meter: ModbusDeviceServer | None) -> None:
        at = modbus_meter(evse)
        settings = None if at is None else self._board.ports[at.port]
        if meter is None or not isinstance(settings, ModbusTcpSettings):
            return
        try:
            await meter.start(settings.host, settings.port or self._saved.ports.get(evse.id, 0))
        except OSError:
            if settings.port:
                raise
            await meter.start(settings.host, 0)
        self._ports[evse.id] = meter.port

    async def _keep_saved(self) -> None:
        while True:
            await asyncio.sleep(SAVE_S)
            self._save()

    def _save(self) -> None:
        self._write(AHEAD_S)

    def _save_exactly(self) -> None:
        self._write(0.0)

    def _write(self, ahead_s: float) -> None:
        registers = {n: unit.evse.ceiling_wh(ahead_s) for n, unit in self.units.items()}
        state = State(registers, dict(self._ports))
        if state == self._saved:
            return
        try:
            save_state(self._state_file, state)
        except OSError as error:
            _LOG.error("the registers of the simulated meters were not saved: %s", error)
        else:
            self._saved = state


def meter_points(reading: MeterReading) -> dict[str, float]:
    """Return a reading under the names of register maps, as far as the simulation goes.

    The vehicle's power factor is 1, and nothing is exported.
    """
    current_a, voltage_v = reading.current_a, reading.voltage_v
    points = {
        "power_total": reading.power_w,
        "apparent_total": reading.power_w,
        "reactive_total": 0.0,
        "power_factor": 1.0,
        "frequency": reading.frequency_hz or 0.0,
        "energy_import": reading.energy_import_wh,
        "energy_export": 0.0,
    }
    if reading.dc is not None:
        points |= {
            "voltage_dc": reading.dc.voltage_v,
            "current_dc": reading.dc.current_a,
        }
    for name in ("l1", "l2", "l3"):
        here_a, here_v = getattr(current_a, name), getattr(voltage_v, name)
        points |= {
            f"current_{name}": here_a,
            f"voltage_{name}": here_v,
            f"power_{name}": here_a * here_v,
        }
    return points


def main(arguments: Sequence[str]) -> int:
    """Run the process; return its exit code: 0 when it is done, 78 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m hal.sim", description="a simulated board")
    parser.add_argument("board", type=Path, help="board file")
    parser.add_argument("--socket", type=Path, required=True, help="Unix socket to listen on")
    parser.add_argument("--state", type=Path, required=True, help="file for the registers")
    parser.add_argument("--linger", type=float, default=30.0, help="seconds without a driver")
    options = parser.parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="simulator: %(message)s")
    try:
        with _alone(options.socket) as is_alone:
            if is_alone:
                asyncio.run(_serve(options))
            else:
                _LOG.info("another simulated board listens on %s", options.socket)
    except HalError as error:
        _LOG.error("%s", error)
        return EXIT_CONFIG
    return EXIT_DONE


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold the lock beside a socket; yield False when another process holds it.

    Raises:
        BoardError: the directory is not there or cannot be written.
    """
    try:
        file = Path(f"{path}.lock").open("wb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise BoardError(f"{path}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


async def _serve(options: argparse.Namespace) -> None:
    board = SimulatedBoard(load_board(options.board), options.state)
    serving = asyncio.ensure_future(board.run(options.socket, linger_s=options.linger))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with suppress(asyncio.CancelledError):
        await serving


async def _cancelled(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
