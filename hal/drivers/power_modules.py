"""DC power modules on a CAN line as one converter, whatever protocol they speak.

`hal.drivers.module_group` knows the modules and judges, a `Family` knows their maker's ways,
and `PowerModules` talks. Every half second while there is an output, every second otherwise,
it says to each module what it shall do and asks how it is; so what is lost on the line is
made up for, and modules that keep a watchdog hear their controller. A new output is said at
once.

A module that has fallen silent hears nothing but that it shall be off: either it obeys, or it
hears nothing and its own watchdog acts. Meanwhile it counts as delivering what it had.

In this order, as the makers ask: off until that is confirmed; the range, where there are two,
with its pauses; how to start; voltage and current; on. Modules that shall deliver less hear
it before those that shall deliver more.

Modules are told one by one. All of them at once, by broadcast, are only turned off, and only
where the converter has the line's modules for itself (`is_alone`).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from hal.api import ConverterListener, PowerConverter, check_output
from hal.bus.can import CanPort
from hal.bus.turns import Priority
from hal.drivers.module_group import DANGEROUS, DISABLING, FRESH_S, Member, ModuleGroup
from hal.errors import BusError
from hal.protocols.power_module import Alarm, Codec, Rating
from hal.types import NO_OUTPUT, CanFrame, ConverterLimits, Fault, Value

logger = logging.getLogger(__name__)

OUTPUT_S: Final = 0.5
IDLE_S: Final = 1.0
"""Between two rounds, with and without an output."""

SEARCH_S: Final = 5.0
"""Between two searches through every address that a module can have."""

RANGE_PAUSE_S: Final = 2.0
"""Before and after the range is changed, with the output off (hardware reference 4.3)."""

_GOODBYE_S: Final = 0.5
_NOBODY: Final = "no module answers"


def _nothing(_: int) -> tuple[CanFrame, ...]:
    return ()


class Family(Value, frozen=True):
    """How the modules of a maker want to be treated.

    Attributes:
        codec: the protocol.
        lost_s: a module that is silent for so long has been turned off by its own watchdog.
        stops_alone: it has; otherwise it falls back to what it keeps for that case.
        prepared: what a module is told before it is turned on.
        ranged: the frames that choose the high or the low range; None: there is one range.
        high_above_v: the low range ends here.
    """

    codec: Codec
    lost_s: float = 15.0
    stops_alone: bool = True
    prepared: Callable[[int], tuple[CanFrame, ...]] = _nothing
    ranged: Callable[[int, bool], tuple[CanFrame, ...]] | None = None
    high_above_v: float = 500.0


class _Output(Value, frozen=True, eq=False):
    """What is wanted; each call's is another one."""

    voltage_v: float
    current_a: float
    until_s: float


class PowerModules(PowerConverter):
    """A converter of many modules.

    Args:
        port: their line; shared with other converters unless they are `is_alone` on it.
        addresses: of the modules; those that are not there are searched for.
        rating: of one module by the board file, None where modules tell it themselves.
        most: what the board file allows in all.
    """

    def __init__(
        self,
        port: CanPort,
        family: Family,
        addresses: tuple[int, ...],
        rating: Rating | None,
        most: ConverterLimits,
        *,
        is_alone: bool = False,
    ) -> None:
        self._port, self._family = port, family
        self._most, self._is_alone = most, is_alone
        self._addresses, self._rating = addresses, rating
        self._group = self._new_group()
        self._wish: _Output | None = None
        self._limits = NO_OUTPUT
        self._is_high = False
        self._ranges = _Ranges(family)
        self._wake = asyncio.Event()
        self._begun_s, self._search_at = 0.0, float("-inf")
        self._noted: dict[int, frozenset[Alarm]] = {}
        self._faults: dict[Fault, str] = {}
        self._trouble: str | None = _NOBODY

    async def run(self, listener: ConverterListener) -> None:
        """Turn everything off, then say and ask, round after round, until cancelled."""
        loop = asyncio.get_running_loop()
        self._group, self._ranges = self._new_group(), _Ranges(self._family)
        self._limits = NO_OUTPUT
        self._begun_s, self._search_at = loop.time(), float("-inf")
        self._faults.clear()
        try:
            with self._port.heard_by(self._heard):
                with suppress(BusError):
                    await self._all_off()
                listener.converter_available(NO_OUTPUT)
                while True:
                    self._wake.clear()
                    await self._round()
                    self._report(listener)
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(self._next_at()):
                            await self._wake.wait()
        finally:
            self._wish, self._trouble = None, _NOBODY
            with suppress(BusError, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._all_off()

    async def set_output(self, voltage_v: float, current_a: float, *, valid_s: float) -> None:
        if self._trouble is not None:
            raise BusError(f"{self._port.name}: {self._trouble}")
        check_output(self._limits, voltage_v, current_a, valid_s)
        before, until_s = self._wish, asyncio.get_running_loop().time() + valid_s
        self._wish = _Output(voltage_v, current_a, until_s)
        self._is_high = voltage_v > self._family.high_above_v or (
            before is not None and self._is_high
        )
        self._wake.set()

    async def turn_off(self) -> None:
        self._wish = None
        self._wake.set()
        await self._all_off()
        if not self._group.is_heard(asyncio.get_running_loop().time()):
            raise BusError(f"{self._port.name}: {_NOBODY}")

    def _new_group(self) -> ModuleGroup:
        return ModuleGroup(
            self._addresses,
            self._rating,
            self._most,
            lost_s=self._family.lost_s,
            stops_alone=self._family.stops_alone,
        )

    def _heard(self, frame: CanFrame) -> None:
        now_s = asyncio.get_running_loop().time()
        for report in self._family.codec.heard(frame):
            if self._group.heard(report, now_s):
                self._wake.set()

    def _next_at(self) -> float:
        """Return when the next round is due, if nothing happens before."""
        now_s = asyncio.get_running_loop().time()
        if self._wish is None:
            return now_s + IDLE_S
        return min(now_s + OUTPUT_S, self._wish.until_s)

    async def _all_off(self) -> None:
        """Turn every module off, before all else that waits for the line."""
        for module in (None,) if self._is_alone else self._addresses:
            for frame in self._family.codec.switched(module, on=False):
                await self._port.send(frame, priority=Priority.SAFETY)

    async def _round(self) -> None:
        """Say and ask everything once."""
        now_s = asyncio.get_running_loop().time()
        self._group.forget_lost(now_s)
        wish, reason, is_said = self._wish, None, False
        try:
            if wish is not None and (now_s >= wish.until_s or self._group.faults(now_s)):
                self._wish = wish = None
                await self._all_off()
            is_said = await self._command(wish, now_s)
            for frame in self._questions(now_s):
                if self._has_less(wish):
                    break  # the next round is due, and asks the same
                await self._port.send(frame)
        except BusError as error:
            reason = str(error)
        self._trouble = self._troubled(reason, is_said=is_said)

    def _troubled(self, reason: str | None, *, is_said: bool) -> str | None:
        """Return why nothing can be put out, as far as the line goes; None when it can.

        A round that the line did not carry is no trouble while modules are heard, but it does
        not end one: what is wanted has to be on the wire before.
        """
        now_s = asyncio.get_running_loop().time()
        if not self._group.is_heard(now_s):
            return reason or _NOBODY
        if self._trouble is None:
            return None
        if not any(one.is_cleared for one in self._group.present(now_s)):
            return "no module has confirmed that it is off"
        return None if is_said else reason or "the modules are not told yet what to do"

    def _has_less(self, wish: _Output | None) -> bool:
        """Tell whether less is wanted now than what is being said."""
        if wish is None or wish is self._wish:
            return False
        now = self._wish
        return now is None or now.current_a < wish.current_a or now.voltage_v < wish.voltage_v

    async def _command(self, wish: _Output | None, now_s: float) -> bool:
        """Say to each module what it shall do; return whether what is wanted is said."""
        voltage_v = 0.0 if wish is None else self._possible_v(wish, now_s)
        shares = {}
        if wish is not None and voltage_v > 0:
            shares = self._group.shares(voltage_v, wish.current_a, now_s)
        is_possible = bool(shares)
        for member in self._group.known():
            is_ready = await self._is_in_range(member, now_s)
            if member.address not in shares or not is_ready or not member.is_heard(now_s):
                shares.pop(member.address, None)
                member.said(None, now_s)
                await self._say(self._family.codec.switched(member.address, on=False))
        for address, share_a in shares.items():
            if wish is not self._wish:
                return False
            await self._put(self._group.members[address], voltage_v, share_a, now_s)
        return bool(shares) or not is_possible

    def _possible_v(self, wish: _Output, now_s: float) -> float:
        """Return the voltage that is wanted as far as those that are left have it, or 0."""
        limits = self._group.limits(now_s)
        voltage_v = min(wish.voltage_v, limits.max_v)
        return voltage_v if voltage_v >= limits.min_v else 0.0

    async def _put(
        self, member: Member, voltage_v: float, share_a: float, now_s: float
    ) -> None:
        """Say its share to a module, and that it shall be on unless it says that it is."""
        wish, codec, address = self._wish, self._family.codec, member.address
        frames = list(codec.output(address, voltage_v, share_a))
        if not member.is_on:
            frames = [*self._family.prepared(address), *frames]
            frames += codec.switched(address, on=True)
        member.said(share_a, now_s)
        await self._say(frames, is_wanted=lambda: self._wish is wish)

    async def _say(
        self, frames: Iterable[CanFrame], is_wanted: Callable[[], bool] | None = None
    ) -> None:
        for frame in frames:
            await self._port.send(frame, priority=Priority.COMMAND, is_wanted=is_wanted)

    async def _is_in_range(self, member: Member, now_s: float) -> bool:
        """Tell whether a module is in the range that it needs, and lead it there."""
        frames = self._ranges.next(member, now_s, is_high=self._is_high)
        await self._say(frames or ())
        return frames is None

    def _questions(self, now_s: float) -> Iterator[CanFrame]:
        codec, present = self._family.codec, self._group.present(now_s)
        for member in present:
            if member.rating is None:
                yield from codec.discovery(member.address)
            yield from codec.polls(member.address)
        if self._is_alone and now_s < self._search_at:
            return
        self._search_at = now_s + SEARCH_S
        for member in self._group.members.values():
            if member not in present:
                yield from codec.discovery(member.address)

    def _report(self, listener: ConverterListener) -> None:
        """Tell what has changed, the end of a fault before what can be done again."""
        now_s = asyncio.get_running_loop().time()
        self._note(now_s)
        faults = self._group.faults(now_s)
        if self._trouble is not None and now_s - self._begun_s >= FRESH_S:
            faults[Fault.COMMUNICATION_FAULT] = f"{self._port.name}: {self._trouble}"
        for fault, info in faults.items():
            if fault not in self._faults:
                listener.fault_raised(fault, info)
        for fault in self._faults.keys() - faults.keys():
            listener.fault_cleared(fault)
        self._faults = faults
        limits = self._group.limits(now_s)
        if limits != self._limits:
            self._limits = limits
            listener.converter_available(limits)
        reading = self._group.reading(now_s)
        if reading is not None and self._trouble is None:
            listener.converter_read(reading)

    def _note(self, now_s: float) -> None:
        """Log who comes and goes, and whom an alarm takes out; a fault is told only of all."""
        serious = DISABLING.keys() | DANGEROUS.keys()
        present = {one.address: one.alarms & serious for one in self._group.present(now_s)}
        for address in sorted(present.keys() | self._noted.keys()):
            before, now = self._noted.get(address), present.get(address)
            if now is None:
                logger.warning("%s: module %d is lost", self._port.name, address)
            elif before is None and not now:
                logger.info("%s: module %d is there", self._port.name, address)
            elif before != now:
                said = ", ".join(sorted(one.value for one in now)) or "no alarm any more"
                logger.warning("%s: module %d: %s", self._port.name, address, said)
        self._noted = present


class _Ranges:
    """Leads modules that have a high and a low range from one to the other.

    Off, a pause, the range, a pause (hardware reference 4.3); each module by itself.
    """

    def __init__(self, family: Family) -> None:
        self._family = family
        self._ready_s: dict[int, float] = {}

    def next(
        self, member: Member, now_s: float, *, is_high: bool
    ) -> tuple[CanFrame, ...] | None:
        """Return what is said to a module that stays off; None when it may be turned on."""
        if self._family.ranged is None:
            return None
        address = member.address
        ready_s = self._ready_s.setdefault(address, now_s + RANGE_PAUSE_S)
        if member.is_high is is_high:
            return None if now_s >= ready_s else ()
        if member.is_high is not None or member.bound_a > 0:
            member.is_high = None
            self._ready_s[address] = now_s + RANGE_PAUSE_S
            return ()
        if now_s < ready_s:
            return ()
        member.is_high = is_high
        self._ready_s[address] = now_s + RANGE_PAUSE_S
        return self._family.ranged(address, is_high)
