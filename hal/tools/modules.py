"""`hal modules`: which DC power modules are on a CAN line, and how they are.

It asks and never tells: nothing is turned on or off, and nothing is set. But modules that hear
questions believe that their controller is there: one whose output is on stays on while it is
asked. `hal simulate` with `--can` is the other side: modules that answer, for a bench.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from msgspec.structs import replace

from hal.bus.can import CanPort
from hal.lines import can_port
from hal.port_settings import CanSettings, wrong_can
from hal.protocols.infypower import LAST_MODULE, Infypower
from hal.protocols.mxr import DPM1000, WINLINE, Mxr
from hal.protocols.mxr import LAST_MODULE as LAST_MXR
from hal.protocols.power_module import (
    Codec,
    Condition,
    Current,
    Rating,
    Report,
    Temperature,
    Voltage,
)
from hal.protocols.r48xx import R48xx
from hal.protocols.uugreen import UUGreen
from hal.sim.module_line import (
    InfypowerLine,
    ModuleLine,
    MxrLine,
    R48xxLine,
    UUGreenLine,
    served,
)
from hal.sim.power_module import Load, SimulatedModule, SimulatedRack
from hal.types import CanFrame, Value

ANSWER_S: Final = 0.5
"""How long modules may take to answer everything: 5 to 20 ms each (hardware reference 4.7)."""

_BENCH_COUNTS_PER_A: Final = 20.0

FAMILIES: Final[dict[str, tuple[Codec, range]]] = {
    "infypower": (Infypower(), range(LAST_MODULE + 1)),
    "winline": (Mxr(WINLINE, rated_a=1.0), range(LAST_MXR + 1)),
    "maxwell": (Mxr(DPM1000, rated_a=1.0), range(LAST_MXR + 1)),
    "uugreen": (UUGreen(), range(1, 0x80)),
    "r48xx": (R48xx(_BENCH_COUNTS_PER_A), range(1, 0x80)),
}
"""By the name of their driver: what they speak, and the addresses that they can have."""


class Seen(Value, frozen=True):
    """One module as it has answered; None for what it did not say."""

    address: int
    rating: Rating | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    temperature_c: float | None = None
    condition: Condition | None = None


def line(channel: str) -> CanPort:
    """Return the port that a channel means: a path, a group and a port, or an interface.

    Raises:
        BoardError: python-can is not installed.
        ValueError: it means none; the text says what is allowed.
    """
    settings = CanSettings(channel)
    if channel.startswith("/"):
        settings = CanSettings(channel, "slcan")
    elif ":" in channel:
        settings = CanSettings(channel, "udp_multicast")
    if (wrong := wrong_can(settings)) is not None:
        raise ValueError(f"{channel!r} {wrong[1]}")
    return can_port(settings)


class ModuleLooker:
    """Looks at the modules of a family, again and again."""

    def __init__(self, port: CanPort, family: str) -> None:
        """Say where to look; `family` is one of `FAMILIES`."""
        self._port = port
        self._codec, self._addresses = FAMILIES[family]
        self._reports: dict[int, dict[type, Report]] = {}

    async def look(self, *, answer_s: float = ANSWER_S) -> list[Seen]:
        """Ask every address, and return the modules that answer, by address.

        Raises:
            BusError: the line takes nothing, or is not there.
        """
        self._reports.clear()

        def hear(frame: CanFrame) -> None:
            for report in self._codec.heard(frame):
                self._reports.setdefault(report.module, {})[type(report)] = report

        with self._port.heard_by(hear):
            for address in self._addresses:
                for frame in self._codec.discovery(address):
                    await self._port.send(frame)
            await asyncio.sleep(answer_s)
            for address in sorted(self._reports):
                for frame in self._codec.polls(address):
                    await self._port.send(frame)
            await asyncio.sleep(answer_s)
        return [_seen(address, found) for address, found in sorted(self._reports.items())]


def _seen(address: int, reports: Mapping[type, Report]) -> Seen:
    seen = Seen(address)
    for report in reports.values():
        match report:
            case Rating():
                seen = replace(seen, rating=report)
            case Voltage():
                seen = replace(seen, voltage_v=report.voltage_v)
            case Current():
                seen = replace(seen, current_a=report.current_a)
            case Temperature():
                seen = replace(seen, temperature_c=report.temperature_c)
            case Condition():
                seen = replace(seen, condition=report)
            case _:
                continue
    return seen


@asynccontextmanager
async def simulated_modules(
    port: CanPort, family: str, count: int, load: Load | None = None
) -> AsyncIterator[SimulatedRack]:
    """Let modules of a family answer on a line for the length of the block.

    Args:
        count: 1 to 32; they have the first addresses of the family.
        load: what is at their common output; None for a battery that fits them.

    Raises:
        BusError: the line cannot be opened.
    """
    _, addresses = FAMILIES[family]
    battery = Load(50.0 if family == "r48xx" else 400.0, 0.1)
    modules = [_module(family, one) for one in addresses[:count]]
    rack = SimulatedRack(modules, load or battery)
    async with served(port, _line(family, rack)):
        yield rack


def _module(family: str, address: int) -> SimulatedModule:
    if family == "r48xx":
        return SimulatedModule(
            address, 41.5, 58.5, 50.0, 2_900.0, watchdog_s=60.0, falls_back_to=(48.0, 5.0)
        )
    return SimulatedModule(address, is_high=False)


def _line(family: str, rack: SimulatedRack) -> ModuleLine:
    match family:
        case "infypower":
            return InfypowerLine(rack)
        case "winline":
            return MxrLine(rack, WINLINE)
        case "maxwell":
            return MxrLine(rack, DPM1000)
        case "uugreen":
            return UUGreenLine(rack)
        case _:
            return R48xxLine(rack, _BENCH_COUNTS_PER_A)
