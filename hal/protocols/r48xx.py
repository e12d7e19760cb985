"""Huawei telecom rectifiers R4830, R4850 and R4875 on CAN at 125 kbit/s, 48 V.

    identifier  28..23 0x21 | 22..16 module, 0 all | 15..8 command | 7 from the controller
                6..2 0x1F | 1 address by hardware or software | 0 more frames follow
    data        error and register (12 bits) | 0 0 | value (4), 1/1024 of the unit

One request brings a burst of answers, a register each (hardware reference 4.4). Current is
set in counts per ampere that depend on the model, so they are a setting. Without a controller
for some 60 s a module falls back to the voltage and current that it keeps for that case.
"""

import struct
from typing import Final

from hal.protocols.power_module import (
    LENGTH,
    Accepted,
    Current,
    Module,
    Refused,
    Report,
    Temperature,
    Voltage,
    counts,
)
from hal.types import CanFrame, Value

REQUEST: Final = 0x40
SET: Final = 0x80

VOLTAGE: Final = 0x175
TEMPERATURE: Final = 0x17F
CURRENT: Final = 0x181
SET_VOLTAGE: Final = 0x100
SET_CURRENT: Final = 0x103
STANDBY: Final = 0x132

MIN_V: Final = 41.5
MAX_V: Final = 58.5
"""What a module takes as its voltage while it has a controller."""

_PROTOCOL: Final = 0x21
_GROUP: Final = 0x1F
_SCALE: Final = 1024
_MOST: Final = 0xFFFF


class Message(Value, frozen=True):
    """One message, in either direction.

    Attributes:
        module: address of the module, 1 to 127, 0 for all.
        error: upper half of the first byte, 0 when all is well.
        detail: third and fourth byte; a switch has its 1 for off in the fourth.
        is_request: it comes from the controller.
        is_more: another frame of the same answer follows.
    """

    command: int
    module: int
    register: int = 0
    value: int = 0
    error: int = 0
    detail: int = 0
    is_request: bool = True
    is_more: bool = False


def framed(message: Message) -> CanFrame:
    """Return the frame of a message."""
    return CanFrame(
        _PROTOCOL << 23
        | message.module << 16
        | message.command << 8
        | message.is_request << 7
        | _GROUP << 2
        | 1 << 1
        | message.is_more,
        struct.pack(
            ">HHi", message.error << 12 | message.register, message.detail, message.value
        ),
    )


def read(frame: CanFrame) -> Message | None:
    """Return the message of a frame, None when it is not of this protocol."""
    if frame.can_id >> 23 != _PROTOCOL or len(frame.data) != LENGTH:
        return None
    head, detail, value = struct.unpack(">HHi", frame.data)
    return Message(
        frame.can_id >> 8 & 0xFF,
        frame.can_id >> 16 & 0x7F,
        head & 0xFFF,
        value,
        error=head >> 12,
        detail=detail,
        is_request=bool(frame.can_id >> 7 & 1),
        is_more=bool(frame.can_id & 1),
    )


class R48xx(Value, frozen=True):
    """The controller's side; a `Codec`.

    Attributes:
        counts_per_a: of a set current; 20 for a R4850G2, 30 for a R4830, 20.48 for a R4850.
    """

    counts_per_a: float

    def switched(self, module: Module, *, on: bool) -> tuple[CanFrame, ...]:
        """Return the frame that switches the output."""
        return (_set(STANDBY, module, 0, detail=int(not on)),)

    def output(
        self, module: Module, voltage_v: float, current_a: float
    ) -> tuple[CanFrame, ...]:
        """Return the frames that set the current and then the voltage.

        Raises:
            ValueError: the voltage is outside MIN_V to MAX_V, or the current cannot be said.
        """
        if not MIN_V <= voltage_v <= MAX_V:
            raise ValueError(f"{voltage_v} V cannot be set: {MIN_V} to {MAX_V}")
        return (
            _set(SET_CURRENT, module, counts(current_a, self.counts_per_a, _MOST)),
            _set(SET_VOLTAGE, module, counts(voltage_v, _SCALE, _MOST)),
        )

    def discovery(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frame that asks for the first thing that is polled."""
        return self.polls(module)[:1]

    def polls(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frame that asks for all that is measured."""
        return (framed(Message(REQUEST, module)),)

    def heard(self, frame: CanFrame) -> tuple[Report, ...]:
        """Return what one module says to this controller."""
        message = read(frame)
        if message is None or message.is_request or not message.module:
            return ()
        if message.error:
            return (Refused(message.module, message.error),)
        if message.command == REQUEST and message.register in _MEASURED:
            return (_MEASURED[message.register](message.module, message.value / _SCALE),)
        return (Accepted(message.module),) if message.command == SET else ()


_MEASURED: Final[dict[int, type[Voltage | Current | Temperature]]] = {
    VOLTAGE: Voltage,
    TEMPERATURE: Temperature,
    CURRENT: Current,
}


def _set(register: int, module: Module, value: int, *, detail: int = 0) -> CanFrame:
    return framed(Message(SET, module or 0, register, value, detail=detail))
