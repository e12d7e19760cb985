"""Infypower REG/CEG/LRG on CAN at 125 kbit/s, protocol V1.1x; Phoenix CHARX PS-M2 the same.

    identifier  28..26 error | 25..22 0xA one or all, 0xB a group | 21..16 command
                15..8 destination | 7..0 source

An answer has destination and source swapped (hardware reference 4.1). A module that hears
nothing from its controller for 10 s switches itself off.
"""

import struct
from typing import Final

from hal.protocols.power_module import (
    LENGTH,
    Accepted,
    Alarm,
    Condition,
    Current,
    Module,
    Rating,
    Refused,
    Report,
    Temperature,
    Voltage,
    counts,
    known,
)
from hal.types import CanFrame, Value

CONTROLLER: Final = 0xF0
EVERY: Final = 0x3F
"""The address of all modules."""
LAST_MODULE: Final = 0x3B

MODULE_COUNT: Final = 0x02
OUTPUT: Final = 0x03
STATUS: Final = 0x04
CAPABILITIES: Final = 0x0A
BARCODE: Final = 0x0B
EXTERNAL: Final = 0x0C
WALK_IN: Final = 0x13
IDENTIFY: Final = 0x14
SWITCH: Final = 0x1A
SET_OUTPUT: Final = 0x1C

_COMMANDS: Final = {SWITCH, SET_OUTPUT, WALK_IN}
_SINGLE: Final = 0xA
_GROUP: Final = 0xB
_MOST: Final = 0xFFFFFFFF
_DC_OFF: Final = 0x01
_WALKS_IN: Final = 0x40

_STATE2: Final = (
    Alarm.POWER_LIMITED,
    Alarm.ADDRESS_DUPLICATE,
    Alarm.LOAD_SHARING,
    Alarm.INPUT_PHASE_LOST,
    Alarm.INPUT_UNBALANCED,
    Alarm.INPUT_UNDER_VOLTAGE,
    Alarm.INPUT_OVER_VOLTAGE,
    Alarm.PFC_OFF,
)
_STATE1: Final = (
    None,  # the output is off
    Alarm.FAULT,
    Alarm.PROTECTION,
    Alarm.FAN,
    Alarm.OVER_TEMPERATURE,
    Alarm.OUTPUT_OVER_VOLTAGE,
    None,  # it walks in
    Alarm.COMMUNICATION_LOST,
)
_STATE0: Final = (Alarm.OUTPUT_SHORT, None, None, None, None, Alarm.DISCHARGE, None, None)
STATES: Final = (_STATE2, _STATE1, _STATE0)
"""The alarms of the three bytes of a status, as they follow one another, by bit."""


class Message(Value, frozen=True):
    """One message, in either direction.

    Attributes:
        data: eight bytes.
        error: 0 done, 2 command invalid, 3 data invalid, 7 starting up.
        is_group: the destination of a request, or the source of an answer, is a group.
    """

    command: int
    destination: int
    source: int
    data: bytes = bytes(LENGTH)
    error: int = 0
    is_group: bool = False


def framed(message: Message) -> CanFrame:
    """Return the frame of a message."""
    device = _GROUP if message.is_group else _SINGLE
    return CanFrame(
        message.error << 26
        | device << 22
        | message.command << 16
        | message.destination << 8
        | message.source,
        message.data,
    )


def read(frame: CanFrame) -> Message | None:
    """Return the message of a frame, None when it is not of this protocol."""
    device = frame.can_id >> 22 & 0xF
    if device not in {_SINGLE, _GROUP} or len(frame.data) != LENGTH:
        return None
    return Message(
        command=frame.can_id >> 16 & 0x3F,
        destination=frame.can_id >> 8 & 0xFF,
        source=frame.can_id & 0xFF,
        data=frame.data,
        error=frame.can_id >> 26 & 0x7,
        is_group=device == _GROUP,
    )


def barcode_of(data: bytes) -> str | None:
    """Return the serial number in an answer to BARCODE, None when it is none.

    The 13th character, twelve digits before it in 40 bits, four digits after it in 16 bits.
    The reference names only the first; the rest follows from its example.
    """
    before, after = int.from_bytes(data[1:6]), int.from_bytes(data[6:8])
    letter = chr(data[0])
    if before >= 10**12 or after >= 10**4 or not (letter.isascii() and letter.isalnum()):
        return None
    return f"{before:012d}{letter}{after:04d}"


class Infypower(Value, frozen=True):
    """The controller's side; a `Codec`."""

    def switched(self, module: Module, *, on: bool) -> tuple[CanFrame, ...]:
        """Return the frame that switches the output: 0 is on, 1 is off."""
        return (_request(SWITCH, module, bytes((not on,))),)

    def output(
        self, module: Module, voltage_v: float, current_a: float
    ) -> tuple[CanFrame, ...]:
        """Return the frame that sets voltage and current of each module, mV and mA."""
        data = struct.pack(">II", counts(voltage_v, 1e3, _MOST), counts(current_a, 1e3, _MOST))
        return (_request(SET_OUTPUT, module, data),)

    def walked_in(self, module: Module, *, on: bool) -> tuple[CanFrame, ...]:
        """Return the frame that makes the output start softly, over some 5 s, or at once."""
        return (_request(WALK_IN, module, bytes((on,))),)

    def discovery(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frame that asks a module what it can do."""
        return (_request(CAPABILITIES, module),)

    def polls(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frames that ask for voltage, current and status."""
        return _request(OUTPUT, module), _request(STATUS, module)

    def heard(self, frame: CanFrame) -> tuple[Report, ...]:
        """Return what one module says to this controller."""
        message = read(frame)
        if (
            message is None
            or message.is_group
            or message.destination != CONTROLLER
            or message.source > LAST_MODULE
        ):
            return ()
        if message.error:
            return (Refused(message.source, message.error),)
        return _meant(message.command, message.source, message.data)


def _request(command: int, module: Module, data: bytes = b"") -> CanFrame:
    destination = EVERY if module is None else module
    return framed(Message(command, destination, CONTROLLER, data.ljust(LENGTH, b"\0")))


def _meant(command: int, module: int, data: bytes) -> tuple[Report, ...]:
    if command == OUTPUT:
        voltage_v, current_a = struct.unpack(">ff", data)
        return known(Voltage(module, voltage_v), Current(module, current_a))
    if command == STATUS:
        return _status(module, data)
    if command == CAPABILITIES:
        max_v, min_v, tenths_a, tens_w = struct.unpack(">HHHH", data)
        return (Rating(module, min_v, max_v, tenths_a / 10, tens_w * 10),)
    return (Accepted(module),) if command in _COMMANDS else ()


def _status(module: int, data: bytes) -> tuple[Report, ...]:
    group, temperature_c, state2, state1, state0 = struct.unpack(">xxBxbBBB", data)
    alarms = frozenset(
        alarm
        for byte, table in zip((state2, state1, state0), STATES, strict=True)
        for bit, alarm in enumerate(table)
        if alarm is not None and byte >> bit & 1
    )
    return (
        Temperature(module, temperature_c),
        Condition(
            module,
            is_on=not state1 & _DC_OFF,
            alarms=alarms,
            group=group,
            is_walk_in=bool(state1 & _WALKS_IN),
        ),
    )
