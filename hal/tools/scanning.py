"""`hal scan`: which units answer on a line, and which map their registers fit.

On a serial line every rate and parity is tried with every unit: one small read each, and any
answer counts, a refusal too. A unit that answers is then read by every known map. A map fits
when all that it needs is there and plausible, voltages look like a grid, and its own `[probe]`
holds; the best fit has the most points that are plausible and not zero. Two maps can fit the
same device: relatives often share their registers.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from typing import Final, Literal

from hal.bus.modbus import ModbusPort, SerialPort, TcpPort
from hal.bus.timing import Timing
from hal.bus.turns import Priority
from hal.errors import BusError, DeviceError
from hal.registers.map import RegisterMap
from hal.tools.line import Line
from hal.tools.looking import Look, Looker
from hal.types import Value

BAUDRATES: Final = (9600, 19_200, 2400, 38_400, 57_600, 115_200, 4800)
PARITIES: Final[tuple[Literal["N", "E", "O"], ...]] = ("N", "E", "O")
GRID_V: Final = (80.0, 280.0)

_MAX_SEARCHED: Final = 247


class Setting(Value, frozen=True):
    """One way to ask: how the line is set, and which unit."""

    baudrate: int
    parity: Literal["N", "E", "O"]
    unit: int


class Found(Value, frozen=True):
    """A unit that answered, and the maps that fit, the best one first.

    Attributes:
        fits: name of the map and how many of its points are plausible and not zero.
    """

    setting: Setting
    fits: tuple[tuple[str, int], ...]


def settings(
    line: Line, baudrates: Iterable[int], parities: Iterable[str], units: Iterable[int]
) -> list[Setting]:
    """Return every way to ask, the likely ones first; over TCP only units differ."""
    units = list(units)
    if line.host:
        return [Setting(0, "N", unit) for unit in units]
    chosen = [parity for parity in PARITIES if parity in set(parities)]
    return [
        Setting(baudrate, parity, unit)
        for parity in chosen
        for baudrate in baudrates
        for unit in units
    ]


async def scan(
    line: Line,
    ways: Iterable[Setting],
    maps: Mapping[str, RegisterMap],
    *,
    timeout_s: float,
    heard: Callable[[Setting], None] = lambda _: None,
) -> AsyncIterator[tuple[Setting, Found | None]]:
    """Yield every way that was tried, with what was found there.

    Args:
        timeout_s: how long a unit may take to answer.
        heard: told of a unit that answers, before the maps are tried, which takes a while.

    Raises:
        BusError: the line cannot be opened.
    """
    for port, group in _by_port(line, ways, timeout_s):
        async with port:
            for way in group:
                found = None
                if await _answers(port, way.unit, timeout_s):
                    heard(way)
                    found = Found(way, await _fits(port, way.unit, maps))
                yield way, found


def score(
    register_map: RegisterMap, look: Look, names: Collection[str] | None = None
) -> int | None:
    """Return how many points are plausible and not zero; None when the map does not fit.

    Zeros alone fit nothing: most devices have some at any address.

    Args:
        names: the points that were read; None for all, so that `[probe]` can be asked.
    """
    values = {row.name: row.value for row in look.rows}
    voltage_v = values.get("voltage_l1")
    if voltage_v is not None and not GRID_V[0] <= voltage_v <= GRID_V[1]:
        return None
    probe = register_map.probe if names is None else None
    if probe is not None:
        value = values.get(probe.point)
        if value is None or not probe.minimum <= value <= probe.maximum:
            return None
    if not look.is_plausible:
        return None
    return sum(1 for row in look.rows if row.value and not row.doubt) or None


def _by_port(
    line: Line, ways: Iterable[Setting], timeout_s: float
) -> Iterator[tuple[ModbusPort, list[Setting]]]:
    groups: dict[tuple[int, Literal["N", "E", "O"]], list[Setting]] = {}
    for way in ways:
        groups.setdefault((way.baudrate, way.parity), []).append(way)
    timing = Timing(timeout_s=timeout_s)
    for (baudrate, parity), group in groups.items():
        if line.host:
            framing = line.framing or "tcp"
            yield TcpPort(line.host, line.port, framing=framing, timing=timing), group
        else:
            yield (
                SerialPort(
                    line.path,
                    baudrate=baudrate,
                    parity=parity,
                    stopbits=line.stopbits or 1,
                    framing="ascii" if line.framing == "ascii" else "rtu",
                    timing=timing,
                ),
                group,
            )


async def _answers(port: ModbusPort, unit: int, timeout_s: float) -> bool:
    """Tell whether a unit says anything at all."""
    for fc in (3, 4):
        try:
            await port.read(unit, fc, 0, 1, priority=Priority.COMMAND, timeout_s=timeout_s)
        except DeviceError:
            return True
        except BusError:
            if port.counters.connects == 0:
                raise
            continue
        return True
    return False


async def _fits(
    port: ModbusPort, unit: int, maps: Mapping[str, RegisterMap]
) -> tuple[tuple[str, int], ...]:
    fits: list[tuple[str, int]] = []
    for name, register_map in maps.items():
        points: int | None = None
        # One point tells most maps that do not fit; it saves the other reads.
        for names in ({"voltage_l1"}, None):
            looker = Looker(port, unit, register_map, names=names)
            try:
                await looker.prepare()
                points = score(register_map, await looker.look(), names)
            except (BusError, DeviceError):
                points = None
            if points is None:
                break
        if points is not None:
            fits.append((name, points))
    return tuple(sorted(fits, key=lambda fit: -fit[1]))
