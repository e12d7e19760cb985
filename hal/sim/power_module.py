"""Simulated DC power modules that share one output, as far as their controller can tell.

A module starts softly, regulates its voltage until its current or its power is reached, holds
what it was set to, and turns itself off when its controller falls silent. The load is a
battery behind a resistance, a resistor, or nothing. Instants come in; nothing here waits.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from hal.protocols.power_module import Alarm

SLOPE_V_PER_S: Final = 100.0


@dataclass
class Load:
    """What is at the output: `emf_v` behind `resistance_ohm`, infinite for nothing."""

    emf_v: float = 0.0
    resistance_ohm: float = math.inf

    def current_a(self, voltage_v: float) -> float:
        """Return what it takes at a voltage; nothing flows back into the modules."""
        return max(0.0, (voltage_v - self.emf_v) / self.resistance_ohm)


@dataclass
class SimulatedModule:
    """One module.

    Attributes:
        watchdog_s: it acts after so long without its controller.
        falls_back_to: what it puts out then, V and A; None: it turns off.
        starts_softly: it walks in when it is turned on.
        is_silent: it hears and does not answer.
        is_away: it is pulled out: it neither hears nor answers, and delivers nothing.
        is_deaf: its line is broken: it neither hears nor answers, and delivers.
    """

    address: int
    min_v: float = 150.0
    max_v: float = 1000.0
    max_a: float = 100.0
    max_w: float = 30_000.0
    group: int = 0
    watchdog_s: float = 10.0
    falls_back_to: tuple[float, float] | None = None
    starts_softly: bool = False
    is_silent: bool = False
    is_away: bool = False
    is_deaf: bool = False
    alarms: set[Alarm] = field(default_factory=set)
    temperature_c: float = 27.0
    is_on: bool = False
    is_high: bool = True
    set_v: float = 0.0
    set_a: float = 0.0
    voltage_v: float = 0.0
    current_a: float = 0.0
    heard_s: float = 0.0
    on_s: float = 0.0

    @property
    def hears(self) -> bool:
        """Return whether frames reach it."""
        return not (self.is_away or self.is_deaf)

    @property
    def answers(self) -> bool:
        """Return whether anybody hears of it."""
        return self.hears and not self.is_silent

    def switch(self, *, on: bool, now_s: float) -> None:
        """Turn its output on or off."""
        if on and not self.is_on:
            self.on_s = now_s
        self.is_on = on

    def wanted_v(self, now_s: float) -> float:
        """Return the voltage that it regulates now, on its soft start or at the end of it."""
        if not self.is_on or self.is_away:
            return 0.0
        if not self.starts_softly:
            return self.set_v
        return min(self.set_v, SLOPE_V_PER_S * (now_s - self.on_s))

    def able_a(self, voltage_v: float) -> float:
        """Return what it delivers at most."""
        if not self.is_on or self.is_away:
            return 0.0
        return min(self.set_a, self.max_a, self.max_w / max(voltage_v, 1.0))

    def watch(self, now_s: float) -> None:
        """Act when its controller has been silent for too long."""
        if now_s - self.heard_s <= self.watchdog_s:
            return
        self.alarms.add(Alarm.COMMUNICATION_LOST)
        if self.falls_back_to is None:
            self.is_on = False
        else:
            self.set_v, self.set_a = self.falls_back_to


class SimulatedRack:
    """Modules in parallel at one load."""

    def __init__(self, modules: list[SimulatedModule], load: Load) -> None:
        self.modules, self.load = modules, load

    def at(self, address: int | None) -> list[SimulatedModule]:
        """Return the modules that hear what goes to an address; None is all."""
        return [one for one in self.modules if one.hears and address in {None, one.address}]

    def delivered_a(self, now_s: float) -> float:
        """Return what flows into the load now."""
        self.settle(now_s)
        return sum(one.current_a for one in self.modules)

    def settle(self, now_s: float) -> None:
        """Let the output become what modules and load make of it now."""
        for one in self.modules:
            one.watch(now_s)
            one.voltage_v = one.current_a = 0.0
        wanted_v = max((one.wanted_v(now_s) for one in self.modules), default=0.0)
        most_a = sum(one.able_a(wanted_v) for one in self.modules)
        if wanted_v <= self.load.emf_v:
            voltage_v, part = wanted_v, 0.0
        else:
            drawn_a = self.load.current_a(wanted_v)
            voltage_v, part = wanted_v, drawn_a / most_a if most_a else 0.0
            if part > 1.0:
                voltage_v, part = self.load.emf_v + most_a * self.load.resistance_ohm, 1.0
        for one in self.modules:
            if one.is_on and not one.is_away:
                one.voltage_v, one.current_a = voltage_v, part * one.able_a(wanted_v)
