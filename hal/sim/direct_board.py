"""A board of PWM, ADC and GPIO lines without the hardware: a directory, laid out as sysfs.

    DIRECTORY/pwmchip0/export, pwm0/{period,duty_cycle,enable}
    DIRECTORY/adc/in_voltage{0,1,2}_raw, in_voltage_scale

`SimulatedEvse` is the electrical side; here its pilot becomes voltages at an ADC, and what a
driver writes to the PWM and the lines becomes its offer and its contactor. Channel 0 shows the
peak of the pilot's high half, channel 1 that of the low one, channel 2 the proximity wire.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec import structs

from hal.api import EvseListener
from hal.bus.gpio_lines import Input, Lines, Output
from hal.gpio_settings import (
    ChannelSettings,
    ContactorSettings,
    GpioEvseSettings,
    InputLine,
    LockSettings,
    OutputLine,
    PilotSettings,
    ProximitySettings,
    PwmSettings,
)
from hal.sim.evse import SimulatedEvse
from hal.types import (
    EvseCapabilities,
    Fault,
    IdToken,
    MeterReading,
    PilotState,
)

TICK_S: Final = 0.01
PERIOD_NS: Final = 1_000_000
_SCALE_MV: Final = 0.5
_PILOT_V: Final = {"A": 12.0, "B": 9.0, "C": 6.0, "D": 3.0, "E": 0.0, "F": -12.0}
_RESISTORS: Final = ((13.0, 1500.0), (20.0, 680.0), (32.0, 220.0), (80.0, 100.0))
_FOREVER_S: Final = 1e9
_CLOSED, _LOCKED = "contactor", "locked"


def settings_in(directory: Path) -> GpioEvseSettings:
    """Return how the simulated board in a directory is wired: a socket with everything."""
    adc = str(directory / "adc")
    return GpioEvseSettings(
        chip=str(directory / "gpiochip0"),
        pwm=PwmSettings(str(directory / "pwmchip0")),
        pilot=PilotSettings(
            adc,
            ChannelSettings(0, 1650.0, 125.0),
            ChannelSettings(1, 1650.0, 125.0),
        ),
        contactor=ContactorSettings(17, mirror=InputLine(27)),
        proximity=ProximitySettings(adc, 2),
        lock=LockSettings(OutputLine(22), OutputLine(23), feedback=InputLine(24)),
        alive=OutputLine(25),
        emergency_stop=InputLine(5),
        residual_current=InputLine(6),
    )


def moved_into(directory: Path, settings: GpioEvseSettings) -> GpioEvseSettings:
    """Return the wiring of a board file with its devices below a directory."""
    adc = str(directory / "adc")
    wire = settings.proximity
    return structs.replace(
        settings,
        chip=str(directory / "gpiochip0"),
        pwm=structs.replace(settings.pwm, chip=str(directory / "pwmchip0")),
        pilot=structs.replace(settings.pilot, adc=adc),
        proximity=None if wire is None else structs.replace(wire, adc=adc),
    )


class SimulatedDirectBoard(EvseListener):
    """The board of one EVSE, and what is behind it.

    Attributes:
        evse: the electrical side; a bench plugs vehicles into it.
        settings: how it is wired.
        forced_v: what the high and the low peak show instead of the pilot's; None: the pilot's.
        ohm: at the proximity wire instead of the cable's; None: the cable's.
        pressed: names of inputs that are active by hand: emergency_stop, residual_current.
        is_welded: the contactor stays closed once it is.
        is_jammed: the contactor does not close.
        is_stuck: the lock does not move.
        is_gone: nothing answers.
        toggles: how often `alive` has changed.
    """

    def __init__(
        self, directory: Path, evse: SimulatedEvse, settings: GpioEvseSettings | None = None
    ) -> None:
        """Lay out the directory; `settings` are those of a board file, moved into it."""
        self.evse, self.directory = evse, directory
        self.settings = settings or settings_in(directory)
        self.forced_v: tuple[float, float] | None = None
        self.ohm: float | None = None
        self.pressed: set[str] = set()
        self.is_welded = self.is_jammed = self.is_stuck = self.is_gone = False
        self.toggles = 0
        self.lines: SimulatedLines | None = None
        self._cable_a: float | None = None
        self._is_locked = self._was_closed = self._is_held = False
        self._offered_a = 0.0
        self._written: dict[Path, float] = {}
        self._pwm = Path(self.settings.pwm.chip) / f"pwm{self.settings.pwm.channel}"
        self._pwm.mkdir(parents=True)
        for name, text in (("period", "0"), ("duty_cycle", "0"), ("enable", "0")):
            (self._pwm / name).write_text(text)
        self._adc = Path(self.settings.pilot.adc)
        self._adc.mkdir()
        (self._adc / "in_voltage_scale").write_text(f"{_SCALE_MV}\n")
        self._show()

    async def __aenter__(self) -> Self:
        self._running = asyncio.ensure_future(self._run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])

    def request(
        self, chip: str, outputs: Mapping[str, Output], inputs: Mapping[str, Input]
    ) -> "SimulatedLines":
        """Give the lines to a driver, as `hal.bus.gpio_lines.Requested` says."""
        if self.is_gone or self.lines is not None:
            raise OSError(f"{chip}: {'no such chip' if self.is_gone else 'in use'}")
        self.lines = SimulatedLines(self, outputs, inputs)
        return self.lines

    def driven(self, name: str) -> bool:
        """Tell whether an output is active; a line that is nobody's is not."""
        return self.lines is not None and self.lines.values.get(name, False)

    def seen(self, name: str) -> bool:
        """Tell whether an input is active."""
        if name == "mirror":
            is_closed = self.evse.outlet_closed or self._is_held
            return is_closed is self.settings.contactor.mirror_closes
        return self._is_locked if name == _LOCKED else name in self.pressed

    @property
    def on_ns(self) -> int:
        """Return how long the pilot is high in each period."""
        on_ns = int((self._pwm / "duty_cycle").read_text() or 0)
        return PERIOD_NS - on_ns if self.settings.pwm.inverted else on_ns

    async def _run(self) -> None:
        serving = asyncio.ensure_future(self.evse.run(self))
        try:
            while True:
                await self._tick()
                await asyncio.sleep(TICK_S)
        finally:
            serving.cancel()

    async def _tick(self) -> None:
        if self.driven("lock") is not self.driven("unlock") and not self.is_stuck:
            self._is_locked = self.driven("lock")
        offer_a = 0.0 if self.is_gone else offered_a(self.on_ns / PERIOD_NS)
        if offer_a != self._offered_a:
            self._offered_a = offer_a
            await self.evse.offer(offer_a, valid_s=_FOREVER_S)
        self._is_held = self.is_welded and (self._is_held or self.evse.outlet_closed)
        closes = self.driven(_CLOSED) and not self.is_jammed
        if closes is not self._was_closed:
            self._was_closed = closes
            await self.evse.energize(closed=closes)
        self._show()

    def _show(self) -> None:
        """Write what the ADC sees; in place, for a driver may be reading."""
        has_pwm = self._offered_a > 0
        high_v = _PILOT_V[self.evse.pilot.value]
        low_v = -12.0 if has_pwm else high_v
        if self.forced_v is not None:
            high_v, low_v = self.forced_v
        pilot, wire = self.settings.pilot, self.settings.proximity
        levels = {
            peak.channel: peak.mv_at_0v + peak.mv_per_v * volts
            for peak, volts in ((pilot.high, high_v), (pilot.low, low_v))
        }
        if wire is not None:
            levels[wire.channel] = self._proximity_mv(wire)
        for channel, level_mv in levels.items():
            self._write(self._adc / f"in_voltage{channel}_raw", level_mv)

    def _proximity_mv(self, wire: ProximitySettings) -> float:
        ohm, rating_a = self.ohm, self._cable_a
        if ohm is None and rating_a is not None:
            ohm = next(ohm for most_a, ohm in _RESISTORS if rating_a <= most_a)
        return wire.supply_mv * (1.0 if ohm is None else ohm / (ohm + wire.pullup_ohm))

    def _write(self, path: Path, level_mv: float) -> None:
        if self.is_gone:
            path.unlink(missing_ok=True)
            return
        if self._written.get(path) == level_mv and path.exists():
            return
        self._written[path] = level_mv
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(descriptor, f"{round(level_mv / _SCALE_MV):<8d}\n".encode(), 0)
        os.close(descriptor)

    # What the electrical side reports; the rest shows in its pilot.

    def cable_changed(self, ampacity_a: float | None) -> None:
        """Keep the cable for its resistor."""
        self._cable_a = ampacity_a

    def pilot_changed(self, pilot: PilotState, connector_id: int = 1) -> None:
        """Nothing to do."""

    def outlet_changed(self, *, closed: bool) -> None:
        """Nothing to do."""

    def lock_changed(self, *, locked: bool) -> None:
        """Nothing to do."""

    def meter_read(self, reading: MeterReading) -> None:
        """Nothing to do."""

    def meter_failed(self, reason: str) -> None:
        """Nothing to do."""

    def temperature_read(self, temperature_c: float) -> None:
        """Nothing to do."""

    def fault_raised(self, fault: Fault, info: str = "") -> None:
        """Nothing to do."""

    def fault_cleared(self, fault: Fault) -> None:
        """Nothing to do."""

    def token_presented(self, id_token: IdToken) -> None:
        """Nothing to do."""

    def detected(self, capabilities: EvseCapabilities) -> None:
        """Nothing to do."""


class SimulatedLines(Lines):
    """The lines of a simulated board while a driver has them."""

    def __init__(
        self,
        board: SimulatedDirectBoard,
        outputs: Mapping[str, Output],
        inputs: Mapping[str, Input],
    ) -> None:
        """Begin with every output inactive."""
        self.values = dict.fromkeys(outputs, False)
        self._board, self._inputs = board, tuple(inputs)

    def set(self, name: str, *, active: bool) -> None:
        """Drive an output; see `Lines`."""
        self._require()
        self._board.toggles += name == "alive" and self.values[name] is not active
        self.values[name] = active

    def get(self) -> dict[str, bool]:
        """Return which inputs are active; see `Lines`."""
        self._require()
        return {name: self._board.seen(name) for name in self._inputs}

    def close(self) -> None:
        """Let go of them; the outputs fall back to inactive."""
        if self._board.lines is self:
            self._board.lines = None

    def _require(self) -> None:
        if self._board.is_gone:
            raise OSError("the chip is gone")


def offered_a(duty: float) -> float:
    """Return what a vehicle may draw at a duty cycle (IEC 61851-1 table A.8)."""
    percent = 100 * duty
    if percent < 8 or percent > 97:  # noqa: PLR2004 - the table's figures, here and below
        return 0.0
    if percent < 10:  # noqa: PLR2004
        return 6.0
    if percent <= 85:  # noqa: PLR2004
        return percent * 0.6
    return min((percent - 64) * 2.5, 80.0)
