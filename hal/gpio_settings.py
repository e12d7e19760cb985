"""What a board file says of hardware that is wired to this machine itself.

    [evse.controller]
    driver = "gpio"
    chip   = "/dev/gpiochip0"
    pwm       = { chip = "/sys/class/pwm/pwmchip0", channel = 0 }
    pilot     = { adc = "/sys/bus/iio/devices/iio:device0", high = {…}, low = {…} }
    contactor = { line = 17, mirror = { line = 27 } }

A line of a GPIO chip is its offset, as `gpioinfo` lists it.
"""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from hal.types import Value

Path: TypeAlias = Annotated[str, Meta(pattern=r"^/", max_length=255)]
Line: TypeAlias = Annotated[int, Meta(ge=0, le=1023)]
Millivolts: TypeAlias = Annotated[float, Meta(ge=-50_000.0, le=50_000.0)]


class OutputLine(Value, frozen=True):
    """A line that we drive; `active_low`: 0 V means active."""

    line: Line
    active_low: bool = False


class InputLine(Value, frozen=True):
    """A line that we read; `active_low`: 0 V means active."""

    line: Line
    active_low: bool = False
    bias: Literal["as_is", "pull_up", "pull_down", "disabled"] = "as_is"


class PwmSettings(Value, frozen=True):
    """The PWM output of the pilot; `inverted`: its low half makes the pilot's high one."""

    chip: Path
    channel: Annotated[int, Meta(ge=0, le=31)] = 0
    inverted: bool = False


class ChannelSettings(Value, frozen=True):
    """A channel of the ADC that shows a peak of the pilot.

    Attributes:
        mv_at_0v: what it shows while the pilot is at 0 V.
        mv_per_v: how much more for each V; below 0 where the circuit inverts.
    """

    channel: Annotated[int, Meta(ge=0, le=31)]
    mv_at_0v: Millivolts
    mv_per_v: Millivolts


class PilotSettings(Value, frozen=True):
    """How the pilot is measured: the peaks of both halves, held by the circuit.

    Attributes:
        adc: directory of the IIO device.
        high, low: channels of the peaks; without the low one there is no diode check.
    """

    adc: Path
    high: ChannelSettings
    low: ChannelSettings


class ProximitySettings(Value, frozen=True):
    """How the cable's resistor is measured: as the lower half of a divider.

    Attributes:
        adc: directory of the IIO device.
        supply_mv, pullup_ohm: what is above it.
    """

    adc: Path
    channel: Annotated[int, Meta(ge=0, le=31)]
    supply_mv: Annotated[float, Meta(gt=0.0, le=50_000.0)] = 3300.0
    pullup_ohm: Annotated[float, Meta(gt=0.0, le=1e6)] = 1000.0


class ContactorSettings(Value, frozen=True):
    """The contactor's coil.

    Attributes:
        mirror: its auxiliary contact; None: nobody sees whether it obeys.
        mirror_closes: the auxiliary contact is closed, and its line active, while the
            contactor is; false for the usual normally closed mirror contact.
    """

    line: Line
    active_low: bool = False
    mirror: InputLine | None = None
    mirror_closes: bool = False


class LockSettings(Value, frozen=True):
    """The motor that holds the plug.

    Attributes:
        lock, unlock: move it one way and the other.
        pulse_ms: for how long.
        feedback: active while it is locked; None without one.
    """

    lock: OutputLine
    unlock: OutputLine
    pulse_ms: Annotated[int, Meta(ge=50, le=2000)] = 400
    feedback: InputLine | None = None


class GpioEvseSettings(Value, frozen=True, tag="gpio", tag_field="driver"):
    """A controller that is this machine: PWM, ADC and GPIO lines.

    Attributes:
        chip: the GPIO chip of all its lines.
        proximity: of a socket; None with a tethered cable.
        alive: toggles while the driver is well, for a circuit that lets the contactor go
            when it stops.
        emergency_stop, residual_current: active while the stop is pressed, or the residual
            current device has tripped; both open the contactor without us.
        tethered: the cable is fixed to the station.
    """

    chip: Path
    pwm: PwmSettings
    pilot: PilotSettings
    contactor: ContactorSettings
    proximity: ProximitySettings | None = None
    lock: LockSettings | None = None
    alive: OutputLine | None = None
    emergency_stop: InputLine | None = None
    residual_current: InputLine | None = None
    tethered: bool = False


_KEYS: Final = {"mirror": "contactor", "locked": "lock", "unlock": "lock"}
"""In which key of the settings a line is found that is not one itself."""


def outputs_of(settings: GpioEvseSettings) -> dict[str, OutputLine]:
    """Return the lines that are driven, by what they do."""
    contactor, lock = settings.contactor, settings.lock
    lines = {"contactor": OutputLine(contactor.line, contactor.active_low)}
    if lock is not None:
        lines |= {"lock": lock.lock, "unlock": lock.unlock}
    if settings.alive is not None:
        lines["alive"] = settings.alive
    return lines


def inputs_of(settings: GpioEvseSettings) -> dict[str, InputLine]:
    """Return the lines that are read, by what they tell."""
    lines = {
        "mirror": settings.contactor.mirror,
        "locked": settings.lock.feedback if settings.lock is not None else None,
        "emergency_stop": settings.emergency_stop,
        "residual_current": settings.residual_current,
    }
    return {name: line for name, line in lines.items() if line is not None}


def wrong_wiring(settings: GpioEvseSettings) -> tuple[str, str] | None:
    """Return the key and what is wrong with it, None when it can be wired like this."""
    if settings.tethered is (settings.proximity is not None):
        if settings.tethered:
            return "proximity", "a tethered cable has no proximity wire to be read"
        return "proximity", "is missing: a socket must know its cable (or tethered = true)"
    if settings.tethered and settings.lock is not None:
        return "lock", "a tethered cable has no plug to be locked"
    lines = {name: one.line for name, one in outputs_of(settings).items()}
    lines |= {name: one.line for name, one in inputs_of(settings).items()}
    seen: dict[int, str] = {}
    for name, line in lines.items():
        if line in seen:
            return _KEYS.get(name, name), f"line {line} is {seen[line]} already"
        seen[line] = name
    for key in ("high", "low"):
        if getattr(settings.pilot, key).mv_per_v == 0:
            return "pilot", f"{key}.mv_per_v is 0: the channel would show nothing"
    return None
