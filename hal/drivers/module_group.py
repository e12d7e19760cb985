"""Power modules that share one output: who is there, who delivers how much, what is wrong.

Nothing here does I/O or reads a clock; instants come in, seconds of any clock that only rises.

What is set for a module and what it may be delivering are two things: a frame may be lost, and
a module that is silent goes on with what it has. So each has a `bound_a`, the most that it may
be delivering. It falls when the module confirms, or when its own watchdog has turned it off
for certain (hardware reference 1.5, rule 11). A share is raised only into what the bounds of
all leave of the total; so the sum never exceeds it, whatever is lost and returns.

    unknown ── heard ──> found ── off confirmed ──> cleared: takes its share, is turned on
                           ^                           │
                           └────── heard again ── lost ┘  nothing heard for `lost_s`
"""

import math
from collections.abc import Iterable
from typing import Final

from hal.protocols.power_module import (
    Accepted,
    Alarm,
    Condition,
    Current,
    Rating,
    Refused,
    Report,
    Voltage,
)
from hal.types import NO_OUTPUT, ConverterLimits, ConverterReading, Fault

FRESH_S: Final = 3.0
"""How old a measurement, and the last word of a module, may be: three polls and a bit."""

TAKEN: Final = 3
"""So often said to a module that goes on talking, and does not refuse, counts as confirmed:
some clones do not answer commands."""

DANGEROUS: Final = {
    Alarm.OUTPUT_OVER_VOLTAGE: Fault.OVER_VOLTAGE,
    Alarm.OUTPUT_SHORT: Fault.OVER_CURRENT,
    Alarm.ADDRESS_DUPLICATE: Fault.INTERNAL_ERROR,  # two obey as one and deliver twice
}
"""Alarms of one module that end the output of all."""

DISABLING: Final = {
    Alarm.OVER_TEMPERATURE: Fault.HIGH_TEMPERATURE,
    Alarm.INPUT_UNDER_VOLTAGE: Fault.UNDER_VOLTAGE,
    Alarm.INPUT_PHASE_LOST: Fault.UNDER_VOLTAGE,
    Alarm.INPUT_OVER_VOLTAGE: Fault.OVER_VOLTAGE,
    Alarm.INPUT_MODE: Fault.INTERNAL_ERROR,
    Alarm.INTERNAL_BUS: Fault.INTERNAL_ERROR,
    Alarm.INTERNAL_COMMUNICATION: Fault.INTERNAL_ERROR,
    Alarm.FUSE: Fault.INTERNAL_ERROR,
    Alarm.PFC: Fault.INTERNAL_ERROR,
    Alarm.DISCHARGE: Fault.INTERNAL_ERROR,
    Alarm.PROTECTION: Fault.INTERNAL_ERROR,
    Alarm.FAULT: Fault.INTERNAL_ERROR,
}
"""Alarms that take a module out; a fault of the converter when no other is left."""

_STEPS_PER_A: Final = 1000
_MOST_V, _MOST_A, _MOST_W = 2_000.0, 1_000.0, 500_000.0
"""What no module can do; a rating beyond is none."""


class Member:
    """One module.

    Attributes:
        set_a: its share as it was said last.
        bound_a: the most that it may be delivering.
        is_cleared: since it was heard of first it has been off.
        is_on: as it says; None when it does not, or was told otherwise since.
        is_high: the range it is in, of those that have two; None when nobody knows.
    """

    def __init__(self, address: int, rating: Rating | None) -> None:
        self.address, self.rating = address, rating
        self.set_a = self.bound_a = 0.0
        self.is_cleared = False
        self.is_on: bool | None = None
        self.is_high: bool | None = None
        self.alarms: frozenset[Alarm] = frozenset()
        self.heard_s = -math.inf
        self._measured: dict[type[Voltage | Current], tuple[float, float]] = {}
        self._times_said, self._said_s = 0, -math.inf

    def found(self) -> None:
        """Take that it is there, and that nobody knows what it does."""
        self.is_cleared, self.is_on, self.is_high = False, None, None
        self.bound_a = math.inf if self.rating is None else self.rating.max_a
        self._measured.clear()
        self._times_said = 0

    def lost(self, *, is_off: bool) -> None:
        """Take that nothing has been heard of it for so long that it has turned itself off."""
        if is_off:
            self.bound_a = self.set_a = 0.0
        self.is_cleared, self.is_on, self.alarms = False, None, frozenset()

    def said(self, share_a: float | None, now_s: float) -> None:
        """Take what is on the wire for it now: its share, or None for off."""
        share = share_a or 0.0
        if share != self.set_a or (share_a is None and self.is_on):
            self._times_said = 0
        if share_a is None:
            self.is_on = None
        if self.heard_s >= self._said_s:
            self._times_said += 1
        self.set_a, self._said_s = share, now_s
        self.bound_a = max(self.bound_a, share)
        if self._times_said > TAKEN:
            self.confirmed()

    def refused(self) -> None:
        """Take that it has not done something."""
        self._times_said = 0

    def confirmed(self) -> None:
        """Take that it has what it was told last."""
        self.bound_a = self.set_a
        if self.set_a == 0:
            self.is_cleared = True

    def measured(self, report: Voltage | Current, now_s: float) -> None:
        """Take a measurement, unless it cannot be true."""
        most_v = _MOST_V if self.rating is None else self.rating.max_v
        most_a = _MOST_A if self.rating is None else self.rating.max_a
        match report:
            case Voltage(_, value) if -0.1 * most_v <= value <= 1.2 * most_v:
                self._measured[Voltage] = (value, now_s)
            case Current(_, value) if -0.1 * most_a <= value <= 1.5 * most_a:
                self._measured[Current] = (value, now_s)
            case _:
                return

    def fresh(self, kind: type[Voltage | Current], now_s: float) -> float | None:
        """Return a measurement; None when it is old or was never made."""
        value, at_s = self._measured.get(kind, (0.0, -math.inf))
        return value if now_s - at_s <= FRESH_S else None

    def is_heard(self, now_s: float) -> bool:
        """Return whether it has said something lately."""
        return now_s - self.heard_s <= FRESH_S

    def is_well(self) -> bool:
        """Return whether it can deliver as far as is known."""
        return self.rating is not None and not self.alarms & DISABLING.keys()

    def capacity_a(self, voltage_v: float) -> float:
        """Return what it can deliver at a voltage above 0."""
        if self.rating is None:
            return 0.0
        return min(self.rating.max_a, self.rating.max_w / voltage_v)


class ModuleGroup:
    """The modules of one converter.

    Args:
        addresses: of its modules, whether they are there or not.
        rating: of each module, where the board file says so; what a module says of itself
            can only lower it. Its address does not count.
        most: what the board file allows in all.
        lost_s: how long a module is silent when its own watchdog has acted.
        stops_alone: that watchdog turns it off; otherwise nobody knows what it does.
    """

    def __init__(
        self,
        addresses: Iterable[int],
        rating: Rating | None,
        most: ConverterLimits,
        *,
        lost_s: float,
        stops_alone: bool = True,
    ) -> None:
        self.members = {one: Member(one, rating) for one in addresses}
        self._rating, self._most = rating, most
        self._lost_s, self._stops_alone = lost_s, stops_alone

    def present(self, now_s: float) -> list[Member]:
        """Return the modules that are not lost, in the order of their addresses."""
        return [one for one in self.members.values() if self._is_present(one, now_s)]

    def is_heard(self, now_s: float) -> bool:
        """Return whether at least one module has said something lately."""
        return any(one.is_heard(now_s) for one in self.members.values())

    def known(self) -> list[Member]:
        """Return the modules that have ever been heard of."""
        return [one for one in self.members.values() if one.heard_s > -math.inf]

    def heard(self, report: Report, now_s: float) -> bool:
        """Take what a module says; one that is none of ours says nothing.

        Return whether it was found or cleared by it, so that there is more to be said to it.
        """
        member = self.members.get(report.module)
        if member is None:
            return False
        is_new = not self._is_present(member, now_s)
        if is_new:
            member.found()
        was_cleared, member.heard_s = member.is_cleared, now_s
        self._take(member, report, now_s)
        return is_new or was_cleared is not member.is_cleared

    def forget_lost(self, now_s: float) -> None:
        """Take out who has been silent for too long."""
        for member in self.known():
            if not self._is_present(member, now_s):
                member.lost(is_off=self._stops_alone)

    def limits(self, now_s: float) -> ConverterLimits:
        """Return what can be put out with those that are there and well."""
        ratings = [one.rating for one in self._well(now_s) if one.rating is not None]
        if not ratings or self._dangers(now_s):
            return NO_OUTPUT
        return ConverterLimits(
            min_v=max(self._most.min_v, *(one.min_v for one in ratings)),
            max_v=min(self._most.max_v, *(one.max_v for one in ratings)),
            max_a=min(self._most.max_a, sum(one.max_a for one in ratings)),
            max_w=min(self._most.max_w, sum(one.max_w for one in ratings)),
        )

    def shares(self, voltage_v: float, current_a: float, now_s: float) -> dict[int, float]:
        """Return what each module shall deliver at most, by address, rounded down to 1 mA.

        Those that shall deliver less come first: what is said first makes room. With the
        bounds as they are the sum is at most `current_a`.

        Args:
            voltage_v: more than 0.
        """
        members = [one for one in self._well(now_s) if one.is_cleared]
        capacity_a = sum(one.capacity_a(voltage_v) for one in members)
        part = min(1.0, current_a / capacity_a) if capacity_a else 0.0
        wanted = {one.address: _down(part * one.capacity_a(voltage_v)) for one in members}
        free_a = current_a - sum(one.bound_a for one in self.members.values())
        more_a = sum(max(0.0, wanted[one.address] - one.bound_a) for one in members)
        room = max(0.0, min(1.0, free_a / more_a)) if more_a else 0.0
        shares = {
            one.address: (
                wanted[one.address]
                if wanted[one.address] <= one.bound_a
                else _down(one.bound_a + room * (wanted[one.address] - one.bound_a))
            )
            for one in members
        }
        return dict(sorted(shares.items(), key=lambda at: at[1] - self.members[at[0]].set_a))

    def reading(self, now_s: float) -> ConverterReading | None:
        """Return what comes out; None while no module measures it.

        The voltage is the highest that is measured. Of a module whose current is not known,
        the most that it may deliver is counted.
        """
        members = self.present(now_s)
        volts = [one.fresh(Voltage, now_s) for one in members]
        amps = [one.fresh(Current, now_s) for one in members]
        measured = [volt for volt in volts if volt is not None]
        if not measured or all(amp is None for amp in amps):
            return None
        current_a = sum(
            _least(one) if amp is None else amp for one, amp in zip(members, amps, strict=True)
        )
        return ConverterReading(max(measured), current_a)

    def faults(self, now_s: float) -> dict[Fault, str]:
        """Return what is wrong with the converter as a whole, with words for people."""
        present = self.present(now_s)
        if present and not any(one.is_well() for one in present):
            return _told(present, DISABLING) | _told(present, DANGEROUS)
        return _told(present, DANGEROUS)

    def _take(self, member: Member, report: Report, now_s: float) -> None:
        match report:
            case Voltage() | Current():
                member.measured(report, now_s)
            case Rating():
                self._rated(member, report)
            case Condition():
                member.alarms, member.is_on = report.alarms, report.is_on
                if not report.is_on:
                    member.confirmed()
            case Accepted():
                member.confirmed()
            case Refused():
                member.refused()
            case _:  # how warm it is
                return

    def _dangers(self, now_s: float) -> bool:
        return any(one.alarms & DANGEROUS.keys() for one in self.present(now_s))

    def _well(self, now_s: float) -> list[Member]:
        return [one for one in self.present(now_s) if one.is_well()]

    def _is_present(self, member: Member, now_s: float) -> bool:
        return now_s - member.heard_s <= self._lost_s

    def _rated(self, member: Member, said: Rating) -> None:
        known = self._rating
        if not (
            0 <= said.min_v < said.max_v <= _MOST_V
            and 0 < said.max_a <= _MOST_A
            and 0 < said.max_w <= _MOST_W
        ):
            return
        member.rating = said if known is None else _both(said, known)
        member.bound_a = min(member.bound_a, max(member.rating.max_a, member.set_a))


def _least(member: Member) -> float:
    """Return the bound of a module in figures that can be added."""
    return member.bound_a if math.isfinite(member.bound_a) else 0.0


def _both(one: Rating, other: Rating) -> Rating:
    return Rating(
        one.module,
        max(one.min_v, other.min_v),
        min(one.max_v, other.max_v),
        min(one.max_a, other.max_a),
        min(one.max_w, other.max_w),
    )


def _down(value_a: float) -> float:
    return math.floor(value_a * _STEPS_PER_A) / _STEPS_PER_A


def _told(members: list[Member], alarms: dict[Alarm, Fault]) -> dict[Fault, str]:
    """Return the faults that alarms stand for, each with who raises it."""
    found: dict[Fault, list[str]] = {}
    for member in members:
        for alarm, fault in alarms.items():
            if alarm in member.alarms:
                found.setdefault(fault, []).append(f"module {member.address}: {alarm.value}")
    return {fault: ", ".join(texts) for fault, texts in found.items()}
