"""From a board file to hardware: the only module that knows every driver of ours.

`load_board` and `check_board` judge the file (`hal.board_file` describes it), `build` makes
the drivers. Nothing is opened before `Hardware.start`, and the drivers' own `run` makes
the devices safe. A driver and its libraries are imported when a board names it, so a
station pays memory only for what it has.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import structs

from hal.api import (
    DigitalInput,
    EvseController,
    EvseListener,
    Indicator,
    Meter,
    PhaseSwitch,
    PowerConverter,
    ResidualCurrent,
    TokenReader,
)
from hal.board_file import (
    Board,
    EvseSettings,
    check_board,
    load_board,
    modbus_meter,
)
from hal.board_readers import hid_reader, serial_reader
from hal.controller_settings import (
    LineControllerSettings,
    OpenEvseMeterSettings,
    OpenEvseSettings,
    SimulatedControllerSettings,
)
from hal.converter_settings import ConverterSettings
from hal.dc_api import OutletOwner
from hal.dc_settings import DcEvseSettings
from hal.dc_types import DcRating
from hal.errors import BoardError, BusError
from hal.extensions import EvseFacts, Role
from hal.gpio_settings import GpioEvseSettings
from hal.input_settings import (
    GpioInputSettings,
    ModbusInputSettings,
    SimulatedInputSettings,
)
from hal.lines import can_port, modbus_port
from hal.modbus_settings import ModbusEvseSettings, ModbusMeterSettings
from hal.port_settings import CanSettings, ModbusTcpSettings
from hal.reader_settings import (
    HidReaderSettings,
    SimulatedReaderSettings,
)
from hal.registers.turned import turned
from hal.sim.vehicle import SimRefused

if TYPE_CHECKING:
    from hal.bus.can import CanPort
    from hal.bus.counters import CanCounters, PortCounters
    from hal.bus.modbus import ModbusPort
    from hal.drivers.openevse import OpenEvse
    from hal.drivers.safety_mcu import SafetyMcu
    from hal.sim.remote import Simulator

__all__ = [
    "Board",
    "EvseHardware",
    "EvseSettings",
    "Hardware",
    "SimRefused",
    "build",
    "check_board",
    "load_board",
]

SIM_SOCKET = "simulator.sock"
SIM_STATE = "simulator.json"
"""Names of the simulated board's socket and state file in the state directory."""

SIM_RETRY_S = 0.5
"""Pause between two attempts to find a simulated meter."""


class _HasCounters(Protocol):
    """A line that counts."""

    @property
    def counters(self) -> "PortCounters | CanCounters | None":
        """Return what it has seen; None when it has never been opened."""


class _Line(Protocol):
    """What has to be let go of at the end."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class EvseHardware:
    """The devices of one EVSE.

    Attributes:
        evse_id: 1 to the number of EVSEs.
        connectors: how many connectors it has, numbered from 1.
        max_a: what the wiring carries by the board file, A per phase, 6 to 80.
        phases: 1 or 3.
        controller, meter, readers: each to be run with the EVSE's listener.
        phase_switch: None unless the board file allows it and the controller is able to.
        residual_current: to be tested before each vehicle; None: nothing can be told to.
        indicator: its lamp, None without one.
    """

    evse_id: int
    connectors: int
    max_a: float
    phases: int
    controller: EvseController
    meter: Meter
    readers: tuple[TokenReader, ...]
    phase_switch: PhaseSwitch | None = None
    residual_current: ResidualCurrent | None = None
    indicator: Indicator | None = None


@dataclass(frozen=True)
class Hardware:
    """Everything that a board file names, ready to be run.

    Attributes:
        evses: by ascending id.
        grid_input: the grid operator's, None where there is none.
        simulator: the hand that moves a simulated board; None for a real one.
    """

    evses: tuple[EvseHardware, ...]
    simulator: "Simulator | None"
    _lines: tuple[_Line, ...] = ()
    _ports: Mapping[str, "_HasCounters"] = field(default_factory=dict)
    grid_input: DigitalInput | None = None

    def ports(self) -> dict[str, dict[str, float]]:
        """Return what each port has seen, by its name in the board file, for people.

        The figures are those of `PortCounters` and `CanCounters` in `hal.bus.counters`.
        """
        counters = {name: port.counters for name, port in self._ports.items()}
        return {
            name: {} if found is None else structs.asdict(found)
            for name, found in counters.items()
        }

    async def start(self) -> None:
        """Start and connect what the drivers share.

        Raises:
            BusError: the simulated board does not come up.
        """
        if self.simulator is not None:
            await self.simulator.start()

    async def close(self) -> None:
        """Let go of every line, once no driver's `run` is running any more."""
        for line in self._lines:
            line.close()
        if self.simulator is not None:
            await self.simulator.close()


def build(board: Board, *, state_directory: Path) -> Hardware:
    """Return the drivers of a board; nothing is opened yet.

    Args:
        board: without mistakes.
        state_directory: where a simulated board keeps its socket and its registers; it
            exists.

    Raises:
        BoardError: a library that a driver needs is not installed, the directory's path is
            too long for a socket, or a driver of another distribution fails.
    """
    builder = _Builder(board, state_directory)
    evses = tuple(builder.evse(evse) for evse in board.evses)
    return Hardware(
        evses, builder.simulator, tuple(builder.lines), builder.counting, builder.grid_input()
    )


class _Builder:
    """Makes drivers, and each thing that several of them share once."""

    def __init__(self, board: Board, state_directory: Path) -> None:
        self.simulator: Simulator | None = None
        self.lines: list[_Line] = []
        self._board = board
        self._state_directory = state_directory
        self._ports: dict[str, ModbusPort] = {}
        self._can_ports: dict[str, CanPort] = {}
        self.counting: dict[str, _HasCounters] = {}

    def evse(self, evse: EvseSettings) -> EvseHardware:
        controller = self._controller(evse)
        meter = self._meter(evse, controller)
        if isinstance(controller, OutletOwner):
            meter = controller.metered(meter)
        switch = controller if isinstance(controller, PhaseSwitch) else None
        if evse.phase_switching and switch is None:
            raise BoardError(
                f"{self._board.path}: EVSE {evse.id} shall switch phases, which its controller"
                " cannot; remove phase_switching"
            )
        return EvseHardware(
            evse_id=evse.id,
            connectors=evse.connectors,
            max_a=evse.max_a,
            phases=evse.phases,
            controller=controller,
            phase_switch=switch if evse.phase_switching else None,
            residual_current=controller if isinstance(controller, ResidualCurrent) else None,
            indicator=controller if isinstance(controller, Indicator) else None,
            meter=meter,
            readers=self._readers(evse),
        )

    def grid_input(self) -> DigitalInput | None:
        match self._board.grid_input:
            case None:
                return None
            case SimulatedInputSettings():
                from hal.sim.remote import RemoteInput  # noqa: PLC0415 - see the module

                return RemoteInput(self._the_simulator())
            case ModbusInputSettings() as found:
                from hal.drivers.modbus_input import ModbusInput  # noqa: PLC0415 - see the module

                return ModbusInput(
                    self._port(found.port),
                    found.unit,
                    table=found.table,
                    address=found.address,
                    bit=found.bit,
                    active=found.active,
                )

            case GpioInputSettings() as found:
                from hal.drivers.gpio_input import GpioInput  # noqa: PLC0415 - see the module

                return GpioInput(found.chip, found)

    def _extended(self, role: Role, evse: EvseSettings) -> Any:
        """Return the device of a role from another distribution; None if it is ours."""
        settings = getattr(evse, role)
        extension = self._board.extension(settings)
        if extension is None:
            return None
        facts = EvseFacts(
            evse.id, evse.connectors, evse.max_a, evse.phases, self._state_directory
        )
        return extension.device(role, settings, facts)

    def _controller(self, evse: EvseSettings) -> EvseController:
        extended: EvseController | None = self._extended("controller", evse)
        if extended is not None:
            return extended
        match evse.controller:
            case SimulatedControllerSettings():
                from hal.sim.remote import RemoteController  # noqa: PLC0415 - see the module

                return RemoteController(self._the_simulator(), evse.id)
            case ModbusEvseSettings(port=port, unit=unit, map=name, tethered=is_tethered):
                from hal.drivers import modbus_evse  # noqa: PLC0415 - see the module

                register_map = self._board.maps[name]
                part = register_map.evse
                kind = modbus_evse.ModbusEvse
                if part is not None and part.three_phases is not None:
                    kind = modbus_evse.SwitchingModbusEvse
                return kind(self._port(port), unit, register_map, is_tethered=is_tethered)
            case GpioEvseSettings() as settings:
                return _direct(settings, evse)
            case DcEvseSettings() as settings:
                return self._dc(evse, settings)
            case settings:
                controller = _line_controller(evse, settings)
                self.counting[settings.path] = controller
                return controller

    def _dc(self, evse: EvseSettings, settings: DcEvseSettings) -> EvseController:
        # Imported only for a board that charges with direct current; see the module.
        from hal.drivers.dc_evse import Supply  # noqa: PLC0415
        from hal.drivers.outlet import dc_evse  # noqa: PLC0415

        converter, isolation = evse.converter, evse.isolation
        vehicle, contactor = evse.vehicle, evse.contactor
        if converter is None or isolation is None or vehicle is None or contactor is None:
            raise AssertionError(f"EVSE {evse.id} lacks a device, as the check has not told")
        voltage_v = self._board.site.voltage_v
        return dc_evse(
            self.converter(converter),
            (isolation, vehicle, contactor),
            self._port,
            DcRating(converter.max_v, converter.max_a, converter.max_w),
            Supply(evse.max_a, evse.phases, voltage_v, settings.efficiency),
        )

    def _readers(self, evse: EvseSettings) -> tuple[TokenReader, ...]:
        extended: TokenReader | None = self._extended("reader", evse)
        if extended is not None:
            return (extended,)
        match evse.reader:
            case None:
                return ()
            case SimulatedReaderSettings():
                from hal.sim.remote import RemoteReader  # noqa: PLC0415 - see the module

                return (RemoteReader(self._the_simulator(), evse.id),)
            case HidReaderSettings() as settings:
                return (hid_reader(settings),)
            case settings:
                return (serial_reader(settings),)

    def _meter(self, evse: EvseSettings, controller: EvseController) -> Meter:
        settings = modbus_meter(evse)
        if settings is None and isinstance(evse.meter, OpenEvseMeterSettings):
            return _openevse_meter(controller)
        if settings is None:
            extended: Meter = self._extended("meter", evse)
            return extended
        if self._board.is_served(evse):
            meter = _SimulatedMeter(self._the_simulator(), self._board, evse.id, settings)
            self.lines.append(meter)
            self.counting[settings.port] = meter
            return meter
        return _modbus_meter(self._board, settings, self._port(settings.port))

    def _port(self, name: str) -> "ModbusPort":
        if name not in self._ports:
            settings = self._board.ports[name]
            if isinstance(settings, CanSettings):
                raise AssertionError(f"{name} is a CAN line, as the check has not told")
            self._ports[name] = modbus_port(settings)
            self.lines.append(self._ports[name])
            self.counting[name] = self._ports[name]
        return self._ports[name]

    def converter(self, settings: ConverterSettings) -> PowerConverter:
        from hal.drivers.module_families import power_modules  # noqa: PLC0415 - see the module

        return power_modules(self._can_port(settings.port), settings)

    def _can_port(self, name: str) -> "CanPort":
        if name not in self._can_ports:
            settings = self._board.ports[name]
            if not isinstance(settings, CanSettings):
                raise AssertionError(f"{name} is no CAN line, as the check has not told")
            port = self._can_ports[name] = can_port(settings)
            self.lines.append(port)
            self.counting[name] = port
        return self._can_ports[name]

    def _the_simulator(self) -> "Simulator":
        if self.simulator is None:
            from hal.sim.remote import Place, Simulator  # noqa: PLC0415 - see the module

            place = Place(
                board=self._board.path.resolve(),
                socket=self._state_directory / SIM_SOCKET,
                state=self._state_directory / SIM_STATE,
            )
            self.simulator = Simulator(place)
        return self.simulator


class _SimulatedMeter(Meter):
    """The meter that the simulated board serves, on whichever port it does."""

    def __init__(
        self, simulator: "Simulator", board: Board, evse_id: int, settings: ModbusMeterSettings
    ) -> None:
        self._simulator, self._board = simulator, board
        self._evse_id, self._settings = evse_id, settings
        self._tcp_port: int | None = None
        self._line: ModbusPort | None = None
        self._meter: Meter | None = None

    @property
    def counters(self) -> "PortCounters | None":
        """Return what its present line has seen."""
        return None if self._line is None else self._line.counters

    async def run(self, listener: EvseListener) -> None:
        """Poll and report until cancelled, from connection to connection.

        Raises:
            SimRefused: the simulated board has no such meter.
        """
        while True:
            try:
                link = await self._simulator.link()
                meter = self._at(await self._simulator.meter_port(self._evse_id))
            except BusError as error:
                listener.meter_failed(str(error))
                await asyncio.sleep(SIM_RETRY_S)
                continue
            async with asyncio.TaskGroup() as group:
                polling = group.create_task(meter.run(listener))
                await asyncio.shield(link.lost)
                polling.cancel()

    def close(self) -> None:
        """Let go of the line."""
        if self._line is not None:
            self._line.close()

    def _at(self, tcp_port: int) -> Meter:
        """Return the driver for a port; the same one, which knows the register, if it can."""
        if self._meter is None or tcp_port != self._tcp_port:
            self.close()
            self._line = modbus_port(ModbusTcpSettings(port=tcp_port))
            self._meter = _modbus_meter(self._board, self._settings, self._line)
            self._tcp_port = tcp_port
        return self._meter


def _line_controller(
    evse: EvseSettings, settings: LineControllerSettings
) -> "OpenEvse | SafetyMcu":
    # Imported only for a board that has such a controller; see the module.
    from hal.bus.serial_line import LineSettings  # noqa: PLC0415

    line = LineSettings(settings.path, settings.baudrate)
    if isinstance(settings, OpenEvseSettings):
        from hal.drivers.openevse import OpenEvse  # noqa: PLC0415

        return OpenEvse(line, phases=evse.phases)
    from hal.drivers.safety_mcu import SafetyMcu  # noqa: PLC0415

    return SafetyMcu(line, switches_phases=evse.phase_switching)


def _openevse_meter(controller: EvseController) -> Meter:
    # Imported only for a board that has such a meter; see the module.
    from hal.drivers.openevse import OpenEvse  # noqa: PLC0415
    from hal.drivers.openevse_meter import OpenEvseMeter  # noqa: PLC0415

    if not isinstance(controller, OpenEvse):
        raise AssertionError("the board file was checked for this")  # noqa: TRY004 - a defect
    return OpenEvseMeter(controller)


def _modbus_meter(board: Board, settings: ModbusMeterSettings, port: "ModbusPort") -> Meter:
    from hal.drivers.modbus_meter import ModbusMeter  # noqa: PLC0415 - see the module

    register_map = board.maps[settings.map]
    if settings.turned:
        register_map = turned(register_map)
    return ModbusMeter(port, settings.unit, register_map, poll_s=settings.poll_s)


def _direct(settings: GpioEvseSettings, evse: EvseSettings) -> EvseController:
    # Imported only for a board that is wired to this machine itself.
    from hal.drivers.direct_board import DirectBoard  # noqa: PLC0415
    from hal.drivers.gpio_evse import GpioEvse  # noqa: PLC0415

    return GpioEvse(
        DirectBoard(settings),
        max_a=evse.max_a,
        phases=evse.phases,
        is_tethered=settings.tethered,
        lock_pulse_s=settings.lock.pulse_ms / 1000 if settings.lock is not None else None,
        has_alive=settings.alive is not None,
    )
