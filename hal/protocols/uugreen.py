"""UUGreenPower UR/UXR on CAN at 125 kbit/s.

    identifier  28..25 protocol 1 | 24..21 monitor 1 | 20..14 module, 0 all | 13..0 its serial
    data        group and type | command | 0 0 | value (4)

A module answers with date and serial number in the last 14 bits; they say nothing here
(hardware reference 4.3). The reference does not give the bits of the status flags, so they
are not read. Above 500 V the module needs its high range, which it may change only while it
is off, with 2 s before and after: that order is the driver's.
"""

import struct
from typing import Final

from hal.protocols.power_module import (
    LENGTH,
    Accepted,
    Current,
    Module,
    Report,
    Voltage,
    counts,
)
from hal.types import CanFrame, Value

SET: Final = 0
SET_ACKNOWLEDGED: Final = 1
READ: Final = 2
READ_ACKNOWLEDGED: Final = 3

VOLTAGE: Final = 0
CURRENT: Final = 1
SET_VOLTAGE: Final = 2
SET_CURRENT: Final = 3
SHUTDOWN: Final = 4
RANGE: Final = 95

_PROTOCOL: Final = 1
_MONITOR: Final = 1
HIGH: Final = 1
LOW: Final = 2
LOW_MAX_V: Final = 500.0
_MOST: Final = 0x7FFFFFFF


class Message(Value, frozen=True):
    """One message, in either direction.

    Attributes:
        module: address of the module, 1 to 127, 0 for all.
        value: signed, mV and mA where it is a voltage or a current.
        serial: date and serial number of a module that answers, 14 bits.
        monitor: the controller, 1; some modules answer to 0.
    """

    kind: int
    command: int
    module: int
    value: int = 0
    group: int = 0
    serial: int = 0
    monitor: int = _MONITOR


def framed(message: Message) -> CanFrame:
    """Return the frame of a message."""
    return CanFrame(
        _PROTOCOL << 25 | message.monitor << 21 | message.module << 14 | message.serial,
        struct.pack(
            ">BBHi", message.group << 4 | message.kind, message.command, 0, message.value
        ),
    )


def read(frame: CanFrame) -> Message | None:
    """Return the message of a frame, None when it is not of this protocol."""
    if frame.can_id >> 25 != _PROTOCOL or len(frame.data) != LENGTH:
        return None
    head, command, value = struct.unpack(">BBxxi", frame.data)
    return Message(
        head & 0xF,
        command & 0x7F,
        frame.can_id >> 14 & 0x7F,
        value,
        group=head >> 4,
        serial=frame.can_id & 0x3FFF,
        monitor=frame.can_id >> 21 & 0xF,
    )


class UUGreen(Value, frozen=True):
    """The controller's side; a `Codec`."""

    def switched(self, module: Module, *, on: bool) -> tuple[CanFrame, ...]:
        """Return the frame that switches the output: 0 is on, 1 is off."""
        return (_set(SHUTDOWN, module, int(not on)),)

    def output(
        self, module: Module, voltage_v: float, current_a: float
    ) -> tuple[CanFrame, ...]:
        """Return the frames that set the current and then the voltage, mA and mV."""
        return (
            _set(SET_CURRENT, module, counts(current_a, 1e3, _MOST)),
            _set(SET_VOLTAGE, module, counts(voltage_v, 1e3, _MOST)),
        )

    def ranged(self, module: Module, *, high: bool) -> tuple[CanFrame, ...]:
        """Return the frame that chooses the range; only while the module is off."""
        return (_set(RANGE, module, HIGH if high else LOW),)

    def discovery(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frame that asks for the first thing that is polled."""
        return self.polls(module)[:1]

    def polls(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frames that ask for voltage and current."""
        return tuple(framed(Message(READ, asked, module)) for asked in (VOLTAGE, CURRENT))

    def heard(self, frame: CanFrame) -> tuple[Report, ...]:
        """Return what one module says to this controller."""
        message = read(frame)
        if message is None or message.monitor not in {0, _MONITOR} or not message.module:
            return ()
        if message.kind == READ_ACKNOWLEDGED and message.command in _MEASURED:
            return (_MEASURED[message.command](message.module, message.value / 1000),)
        return (Accepted(message.module),) if message.kind == SET_ACKNOWLEDGED else ()


_MEASURED: Final[dict[int, type[Voltage | Current]]] = {VOLTAGE: Voltage, CURRENT: Current}


def _set(command: int, module: Module, value: int) -> CanFrame:
    return framed(Message(SET, command, module or 0, value))
