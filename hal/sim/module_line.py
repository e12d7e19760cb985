"""Simulated power modules on a CAN line, each family in its own protocol.

    async with served(port, rack, WinlineLine(rack)):
        ...

They answer within 5 to 20 ms, as the makers' do (hardware reference 4.7), and what is told
to all of them they do without a word.
"""

import asyncio
import itertools
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from hal.bus.can import CanPort
from hal.errors import BusError
from hal.protocols import infypower, mxr, r48xx, uugreen
from hal.protocols.power_module import Alarm
from hal.sim.power_module import SimulatedModule, SimulatedRack
from hal.types import CanFrame

LATENCIES_S: Final = (0.005, 0.012, 0.020, 0.008)
_MOST_WAITING: Final = 1_000


class ModuleLine(ABC):
    """The protocol side of a rack."""

    def __init__(self, rack: SimulatedRack) -> None:
        self.rack = rack

    @abstractmethod
    def answers(self, frame: CanFrame, now_s: float) -> Iterator[CanFrame]:
        """Do what a frame says, and yield what the modules say to it."""

    def _told(self, address: int | None, now_s: float) -> list[SimulatedModule]:
        """Return the modules that hear it, and take that their controller is there."""
        found = self.rack.at(address)
        for one in found:
            one.heard_s = now_s
            one.alarms.discard(Alarm.COMMUNICATION_LOST)
        return found


class InfypowerLine(ModuleLine):
    """Infypower and PS-M2."""

    def answers(self, frame: CanFrame, now_s: float) -> Iterator[CanFrame]:
        asked = infypower.read(frame)
        if asked is None or asked.source != infypower.CONTROLLER:
            return
        is_all = asked.destination == infypower.EVERY
        for module in self._told(None if is_all else asked.destination, now_s):
            data = self._done(module, asked, now_s)
            if module.answers and not is_all:
                yield infypower.framed(
                    infypower.Message(asked.command, asked.source, module.address, data)
                )

    def _done(self, module: SimulatedModule, asked: infypower.Message, now_s: float) -> bytes:
        match asked.command:
            case infypower.SWITCH:
                module.switch(on=not asked.data[0], now_s=now_s)
            case infypower.SET_OUTPUT:
                volts, amps = struct.unpack(">II", asked.data)
                module.set_v, module.set_a = volts / 1000, amps / 1000
            case infypower.WALK_IN:
                module.starts_softly = bool(asked.data[0])
            case infypower.OUTPUT:
                return struct.pack(">ff", module.voltage_v, module.current_a)
            case infypower.STATUS:
                return _infypower_status(module)
            case infypower.CAPABILITIES:
                return struct.pack(
                    ">HHHH",
                    int(module.max_v),
                    int(module.min_v),
                    int(module.max_a * 10),
                    int(module.max_w / 10),
                )
            case _:
                pass
        return asked.data


def _infypower_status(module: SimulatedModule) -> bytes:
    states = [
        sum(1 << bit for bit, alarm in enumerate(table) if alarm in module.alarms)
        for table in infypower.STATES
    ]
    states[1] |= (not module.is_on) * 0x01 | module.starts_softly * 0x40
    return struct.pack(">xxBxbBBB", module.group, int(module.temperature_c), *states)


class MxrLine(ModuleLine):
    """The 0x060 family."""

    def __init__(self, rack: SimulatedRack, dialect: mxr.Dialect) -> None:
        super().__init__(rack)
        self._dialect = dialect

    def answers(self, frame: CanFrame, now_s: float) -> Iterator[CanFrame]:
        asked = mxr.read(frame)
        if asked is None or asked.source != mxr.CONTROLLER:
            return
        is_all = asked.destination == mxr.EVERY
        for module in self._told(None if is_all else asked.destination, now_s):
            said = self._done(module, asked, now_s)
            if module.answers and not is_all:
                yield mxr.framed(
                    mxr.Message(
                        said[0],
                        asked.register,
                        mxr.CONTROLLER,
                        module.address,
                        said[1],
                        mxr.OK,
                        self._dialect.tail,
                    )
                )

    def _done(
        self, module: SimulatedModule, asked: mxr.Message, now_s: float
    ) -> tuple[int, bytes]:
        if asked.function == mxr.SET:
            self._set(module, asked, now_s)
            is_dpm = self._dialect is mxr.DPM1000
            return (mxr.SAID_SET if is_dpm else mxr.SAID_INTEGER), asked.value
        match asked.register:
            case mxr.VOLTAGE:
                return mxr.SAID_FLOAT, struct.pack(">f", module.voltage_v)
            case mxr.CURRENT:
                return mxr.SAID_FLOAT, struct.pack(">f", module.current_a)
            case mxr.BOARD_TEMPERATURE:
                return mxr.SAID_FLOAT, struct.pack(">f", module.temperature_c)
            case mxr.ALARMS:
                return mxr.SAID_INTEGER, struct.pack(
                    ">I", mxr.alarm_bits(module.alarms, is_on=module.is_on)
                )
            case _:
                return mxr.SAID_INTEGER, bytes(4)

    def _set(self, module: SimulatedModule, asked: mxr.Message, now_s: float) -> None:
        match asked.register:
            case mxr.SWITCH:
                module.switch(on=asked.value == bytes(4), now_s=now_s)
            case mxr.SET_VOLTAGE:
                module.set_v = struct.unpack(">f", asked.value)[0]
            case mxr.SET_CURRENT:
                module.set_a = int.from_bytes(asked.value) / 1024
            case mxr.SET_CURRENT_POINT:
                module.set_a = struct.unpack(">f", asked.value)[0] * module.max_a
            case _:
                pass


class UUGreenLine(ModuleLine):
    """UUGreen: above 500 V only in the high range, which changes only while it is off."""

    def answers(self, frame: CanFrame, now_s: float) -> Iterator[CanFrame]:
        asked = uugreen.read(frame)
        if asked is None or asked.serial or asked.kind not in {uugreen.SET, uugreen.READ}:
            return
        for module in self._told(asked.module or None, now_s):
            value = self._done(module, asked, now_s)
            if module.answers and asked.module:
                yield uugreen.framed(
                    uugreen.Message(
                        asked.kind + 1,  # an acknowledgement is the next number
                        asked.command,
                        module.address,
                        value,
                        group=module.group,
                        serial=0x1234 + module.address,
                    )
                )

    def _done(self, module: SimulatedModule, asked: uugreen.Message, now_s: float) -> int:
        if asked.kind == uugreen.READ:
            measured = {uugreen.VOLTAGE: module.voltage_v, uugreen.CURRENT: module.current_a}
            return int(measured.get(asked.command, 0.0) * 1000)
        match asked.command:
            case uugreen.SHUTDOWN:
                module.switch(on=not asked.value, now_s=now_s)
            case uugreen.SET_VOLTAGE:
                module.set_v = asked.value / 1000
            case uugreen.SET_CURRENT:
                module.set_a = asked.value / 1000
            case uugreen.RANGE if not module.is_on:
                module.is_high = asked.value == uugreen.HIGH
            case _:
                pass
        if not module.is_high:
            module.set_v = min(module.set_v, uugreen.LOW_MAX_V)
        return asked.value


class R48xxLine(ModuleLine):
    """Huawei R48xx: one request brings a burst, the last frame of which says so."""

    def __init__(self, rack: SimulatedRack, counts_per_a: float) -> None:
        super().__init__(rack)
        self._counts_per_a = counts_per_a

    def answers(self, frame: CanFrame, now_s: float) -> Iterator[CanFrame]:
        asked = r48xx.read(frame)
        if asked is None or not asked.is_request:
            return
        for module in self._told(asked.module or None, now_s):
            if asked.command == r48xx.SET:
                self._set(module, asked, now_s)
            if module.answers and asked.module:
                yield from self._said(module, asked)

    def _set(self, module: SimulatedModule, asked: r48xx.Message, now_s: float) -> None:
        match asked.register:
            case r48xx.STANDBY:
                module.switch(on=not asked.detail, now_s=now_s)
            case r48xx.SET_VOLTAGE:
                module.set_v = asked.value / 1024
            case r48xx.SET_CURRENT:
                module.set_a = asked.value / self._counts_per_a
            case _:
                pass

    def _said(self, module: SimulatedModule, asked: r48xx.Message) -> Iterator[CanFrame]:
        if asked.command == r48xx.SET:
            yield self._frame(module, asked, asked.register, asked.value, is_more=False)
            return
        measured = {
            r48xx.TEMPERATURE: module.temperature_c,
            r48xx.CURRENT: module.current_a,
            r48xx.VOLTAGE: module.voltage_v,
        }
        for register, value in measured.items():
            is_more = register != r48xx.VOLTAGE
            yield self._frame(module, asked, register, int(value * 1024), is_more=is_more)

    def _frame(
        self,
        module: SimulatedModule,
        asked: r48xx.Message,
        register: int,
        value: int,
        *,
        is_more: bool,
    ) -> CanFrame:
        return r48xx.framed(
            r48xx.Message(
                asked.command,
                module.address,
                register,
                value,
                is_request=False,
                is_more=is_more,
            )
        )


@asynccontextmanager
async def served(port: CanPort, line: ModuleLine) -> AsyncIterator[None]:
    """Let the modules of a rack answer on a port for the length of the block."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, CanFrame]] = asyncio.Queue(_MOST_WAITING)
    latencies = itertools.cycle(LATENCIES_S)

    def hear(frame: CanFrame) -> None:
        line.rack.settle(loop.time())
        for answer in line.answers(frame, loop.time()):
            with suppress(asyncio.QueueFull):
                waiting.put_nowait((loop.time() + next(latencies), answer))

    async def say() -> None:
        while True:
            at_s, answer = await waiting.get()
            await asyncio.sleep(at_s - loop.time())
            with suppress(BusError):
                await port.send(answer)

    with port.heard_by(hear):
        await port.listen()
        saying = asyncio.create_task(say())
        try:
            yield
        finally:
            saying.cancel()
            with suppress(asyncio.CancelledError):
                await saying
