"""PWM, ADC and GPIO lines of this machine, as one board: what is read at once, and switched.

Files below /sys/class/pwm and /sys/bus/iio are all there is to PWM and ADC. Everything that
is read is read by `sample`, which may take milliseconds (an ADC behind I2C) and belongs on a
thread; the outputs are switched at once.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

from hal.bus.gpio_lines import GpiodLines, Lines, Requested
from hal.drivers.pilot_signal import PERIOD_NS
from hal.gpio_settings import ChannelSettings, GpioEvseSettings, inputs_of, outputs_of
from hal.types import Value

_UNSEEN: Final = {"mirror": None, "locked": None}


class Sample(Value, frozen=True):
    """What the board shows at one instant.

    Attributes:
        high_v, low_v: peaks of the pilot's halves.
        proximity_ohm: infinite when open; None with a tethered cable.
        is_closed: what the mirror contact says; None without one.
        is_locked: what the lock's switch says; None without one.
        is_stopped: the emergency stop is pressed.
        has_tripped: the residual current device has.
    """

    high_v: float
    low_v: float
    proximity_ohm: float | None
    is_closed: bool | None
    is_locked: bool | None
    is_stopped: bool
    has_tripped: bool


class DirectBoard:
    """The board of one EVSE."""

    def __init__(
        self, settings: GpioEvseSettings, *, requested: Requested = GpiodLines
    ) -> None:
        """Say how it is wired; nothing is opened yet.

        Args:
            settings: without mistakes.
            requested: how its lines are taken.
        """
        self._settings, self._requested = settings, requested
        self._pwm = Path(settings.pwm.chip) / f"pwm{settings.pwm.channel}"
        self._scales: dict[str, tuple[float, float]] = {}
        self._lines: Lines | None = None

    def open(self) -> None:
        """Take the lines, with the contactor open, and stop the PWM (x1).

        Raises:
            BoardError: gpiod is not installed.
            OSError: something is not there, or is another's; nothing stays open.
            ValueError: a file does not hold a number.
        """
        outputs, inputs = outputs_of(self._settings), inputs_of(self._settings)
        self._lines = self._requested(self._settings.chip, outputs, inputs)
        try:
            self._start_pwm()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Open the contactor, stop the PWM and the motor, and let go; never raises."""
        lines, self._lines = self._lines, None
        if lines is None:
            return
        for name in outputs_of(self._settings):
            with suppress(OSError):
                lines.set(name, active=False)
        with suppress(OSError):
            self.pilot(PERIOD_NS)
        with suppress(OSError):
            lines.close()

    def pilot(self, on_ns: int) -> None:
        """Let the pilot be high for so long in each period of `PERIOD_NS`.

        Raises:
            OSError: the PWM is gone.
        """
        high_ns = PERIOD_NS - on_ns if self._settings.pwm.inverted else on_ns
        (self._pwm / "duty_cycle").write_text(f"{high_ns}\n")

    def switch(self, name: str, *, active: bool) -> None:
        """Drive an output of `outputs_of`.

        Raises:
            OSError: the chip is gone, or not ours now.
        """
        if self._lines is None:
            raise OSError("the lines are not ours")
        self._lines.set(name, active=active)

    def sample(self) -> Sample:
        """Return what everything shows; to be called on a thread.

        Raises:
            OSError: something is gone.
            ValueError: a file does not hold a number.
        """
        lines = self._lines
        inputs = {**_UNSEEN, **(lines.get() if lines is not None else {})}
        pilot, contactor = self._settings.pilot, self._settings.contactor
        mirror = inputs["mirror"]
        return Sample(
            high_v=self._volts(pilot.adc, pilot.high),
            low_v=self._volts(pilot.adc, pilot.low),
            proximity_ohm=self._proximity_ohm(),
            is_closed=None if mirror is None else mirror is contactor.mirror_closes,
            is_locked=inputs["locked"],
            is_stopped=bool(inputs.get("emergency_stop")),
            has_tripped=bool(inputs.get("residual_current")),
        )

    def _start_pwm(self) -> None:
        if not self._pwm.is_dir():
            (self._pwm.parent / "export").write_text(f"{self._settings.pwm.channel}\n")
        if _number(self._pwm / "period") != PERIOD_NS:
            (self._pwm / "duty_cycle").write_text("0\n")  # it must never exceed the period
            (self._pwm / "period").write_text(f"{PERIOD_NS}\n")
        self.pilot(PERIOD_NS)
        (self._pwm / "enable").write_text("1\n")

    def _volts(self, adc: str, channel: ChannelSettings) -> float:
        return (self._millivolts(adc, channel.channel) - channel.mv_at_0v) / channel.mv_per_v

    def _proximity_ohm(self) -> float | None:
        wire = self._settings.proximity
        if wire is None:
            return None
        level_mv = self._millivolts(wire.adc, wire.channel)
        below_mv = wire.supply_mv - level_mv
        return float("inf") if below_mv <= 0 else wire.pullup_ohm * level_mv / below_mv

    def _millivolts(self, adc: str, channel: int) -> float:
        """Return raw plus offset, times scale (ABI of the kernel: sysfs-bus-iio)."""
        name = f"{adc}/in_voltage{channel}"
        if name not in self._scales:
            scale = _first(Path(f"{name}_scale"), Path(adc, "in_voltage_scale"), default=1.0)
            offset = _first(Path(f"{name}_offset"), Path(adc, "in_voltage_offset"), default=0.0)
            self._scales[name] = scale, offset
        scale, offset = self._scales[name]
        return (_number(Path(f"{name}_raw")) + offset) * scale


def _number(path: Path) -> float:
    return float(path.read_text())


def _first(*paths: Path, default: float) -> float:
    return next((_number(path) for path in paths if path.is_file()), default)
