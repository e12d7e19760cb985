"""The 0x060 family on CAN at 125 kbit/s: Winline UXR, Maxwell MXR, SCU DPM1000 and others.

    identifier  28..20 0x060 | 19 one module, 0 all | 18..11 destination | 10..3 source | 2..0
    data        function | status | register (2) | value (4)

They share frames and registers and differ in three things, a `Dialect`: the function that
reads, what a request has in its status byte and its last bits, and how current is set
(hardware reference 4.2). An address of another controller on the line is not ours to answer.
"""

import struct
from collections.abc import Iterable
from typing import Final

from hal.protocols.power_module import (
    LENGTH,
    Accepted,
    Alarm,
    Condition,
    Current,
    Module,
    Refused,
    Report,
    Temperature,
    Voltage,
    counts,
    known,
)
from hal.types import CanFrame, Value

PROTOCOL: Final = 0x060
CONTROLLER: Final = 0xF0
EVERY: Final = 0xFF
LAST_MODULE: Final = 0x3F

SET: Final = 0x03
SAID_FLOAT: Final = 0x41
SAID_INTEGER: Final = 0x42
SAID_SET: Final = 0x43
OK: Final = 0xF0

VOLTAGE: Final = 0x0001
CURRENT: Final = 0x0002
BOARD_TEMPERATURE: Final = 0x0004
SET_CURRENT: Final = 0x001B
SET_VOLTAGE: Final = 0x0021
SET_CURRENT_POINT: Final = 0x0022
SWITCH: Final = 0x0030
ALARMS: Final = 0x0040

_OFF: Final = 0x00010000
_DC_OFF_BIT: Final = 22
_MOST: Final = 0xFFFFFFFF
_ERROR: Final = 0x80

_ALARMS: Final = {
    0: Alarm.FAULT,
    1: Alarm.PROTECTION,
    2: Alarm.FUSE,
    3: Alarm.INTERNAL_COMMUNICATION,
    4: Alarm.INPUT_MODE,
    5: Alarm.INPUT_MODE,
    6: Alarm.INTERNAL_BUS,
    7: Alarm.INTERNAL_BUS,
    8: Alarm.PFC,
    9: Alarm.INPUT_OVER_VOLTAGE,
    10: Alarm.ADDRESS_DUPLICATE,
    11: Alarm.INTERNAL_BUS,
    12: Alarm.INPUT_PHASE_LOST,
    14: Alarm.INPUT_UNDER_VOLTAGE,
    16: Alarm.COMMUNICATION_LOST,
    17: Alarm.LOAD_SHARING,
    19: Alarm.PFC_OFF,
    21: Alarm.FAN,  # at full speed
    23: Alarm.POWER_LIMITED,
    24: Alarm.TEMPERATURE_DERATED,
    25: Alarm.INPUT_LIMITED,
    26: Alarm.MEMORY,
    27: Alarm.FAN,
    28: Alarm.OUTPUT_SHORT,
    29: Alarm.MEMORY,
    30: Alarm.OVER_TEMPERATURE,
    31: Alarm.OUTPUT_OVER_VOLTAGE,
}


class Dialect(Value, frozen=True):
    """Where the makers differ.

    Attributes:
        read: the function that reads a register.
        status: second byte of a request.
        tail: last three bits of a request's identifier.
        is_current_a_point: current is set as a part of the rated one, 0 to 1, not in A.
    """

    read: int
    status: int
    tail: int
    is_current_a_point: bool


WINLINE: Final = Dialect(read=0x10, status=0x00, tail=0b000, is_current_a_point=False)
DPM1000: Final = Dialect(read=0x01, status=OK, tail=0b011, is_current_a_point=True)


class Message(Value, frozen=True):
    """One message, in either direction.

    Attributes:
        value: four bytes, a float or an integer by the register.
        tail: last three bits of the identifier.
    """

    function: int
    register: int
    destination: int
    source: int
    value: bytes = bytes(4)
    status: int = 0
    tail: int = 0


def framed(message: Message) -> CanFrame:
    """Return the frame of a message; to EVERY it is a broadcast."""
    is_single = message.destination != EVERY
    return CanFrame(
        PROTOCOL << 20
        | is_single << 19
        | message.destination << 11
        | message.source << 3
        | message.tail,
        struct.pack(">BBH", message.function, message.status, message.register) + message.value,
    )


def read(frame: CanFrame) -> Message | None:
    """Return the message of a frame, None when it is not of this protocol."""
    if frame.can_id >> 20 != PROTOCOL or len(frame.data) != LENGTH:
        return None
    function, status, register = struct.unpack(">BBH", frame.data[:4])
    return Message(
        function,
        register,
        destination=frame.can_id >> 11 & 0xFF,
        source=frame.can_id >> 3 & 0xFF,
        value=frame.data[4:],
        status=status,
        tail=frame.can_id & 0b111,
    )


class Mxr(Value, frozen=True):
    """The controller's side; a `Codec`.

    Attributes:
        rated_a: rated current of a module, above 0; what a current point is a part of.
    """

    dialect: Dialect
    rated_a: float

    def switched(self, module: Module, *, on: bool) -> tuple[CanFrame, ...]:
        """Return the frame that switches the output."""
        return (self._set(SWITCH, module, struct.pack(">I", 0 if on else _OFF)),)

    def output(
        self, module: Module, voltage_v: float, current_a: float
    ) -> tuple[CanFrame, ...]:
        """Return the frames that set the current and then the voltage."""
        volts = self._set(SET_VOLTAGE, module, _float(voltage_v))
        return self._current(module, current_a), volts

    def discovery(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frame that asks for the first thing that is polled."""
        return self.polls(module)[:1]

    def polls(self, module: int) -> tuple[CanFrame, ...]:
        """Return the frames that ask for voltage, current and alarms."""
        return tuple(
            self._sent(self.dialect.read, register, module, bytes(4))
            for register in (VOLTAGE, CURRENT, ALARMS)
        )

    def heard(self, frame: CanFrame) -> tuple[Report, ...]:
        """Return what one module says to this controller."""
        message = read(frame)
        if message is None or message.destination != CONTROLLER or message.source > LAST_MODULE:
            return ()
        if message.status != OK or message.function & _ERROR:
            return (Refused(message.source, message.status),)
        return _meant(message)

    def _current(self, module: Module, current_a: float) -> CanFrame:
        if not self.dialect.is_current_a_point:
            value = struct.pack(">I", counts(current_a, 1024, _MOST))
            return self._set(SET_CURRENT, module, value)
        if current_a > self.rated_a:
            raise ValueError(f"{current_a} A cannot be set: 0 to {self.rated_a:g}")
        return self._set(SET_CURRENT_POINT, module, _float(current_a / self.rated_a))

    def _set(self, register: int, module: Module, value: bytes) -> CanFrame:
        return self._sent(SET, register, module, value)

    def _sent(self, function: int, register: int, module: Module, value: bytes) -> CanFrame:
        destination = EVERY if module is None else module
        status, tail = self.dialect.status, self.dialect.tail
        return framed(Message(function, register, destination, CONTROLLER, value, status, tail))


def _float(value: float) -> bytes:
    """Return a number as four bytes, never above it.

    Raises:
        ValueError: it is none, negative or more than four bytes can say.
    """
    counts(value, 1, _MOST)
    packed = struct.pack(">f", value)
    if struct.unpack(">f", packed)[0] > value:
        packed = struct.pack(">I", struct.unpack(">I", packed)[0] - 1)
    return packed


def _meant(message: Message) -> tuple[Report, ...]:
    module, function, register = message.source, message.function, message.register
    if function == SAID_FLOAT and register in _MEASURED:
        return known(_MEASURED[register](module, struct.unpack(">f", message.value)[0]))
    if function in {SAID_FLOAT, SAID_INTEGER} and register == ALARMS:
        return (_condition(module, int.from_bytes(message.value)),)
    return (Accepted(module),) if register in _COMMANDS else ()


_MEASURED: Final[dict[int, type[Voltage | Current | Temperature]]] = {
    VOLTAGE: Voltage,
    CURRENT: Current,
    BOARD_TEMPERATURE: Temperature,
}
_COMMANDS: Final = {SET_CURRENT, SET_VOLTAGE, SET_CURRENT_POINT, SWITCH}


def _condition(module: int, bits: int) -> Condition:
    alarms = frozenset(alarm for bit, alarm in _ALARMS.items() if bits >> bit & 1)
    return Condition(module, is_on=not bits >> _DC_OFF_BIT & 1, alarms=alarms)


def alarm_bits(alarms: Iterable[Alarm], *, is_on: bool) -> int:
    """Return the register ALARMS of a module; the first bit of each alarm."""
    first = {alarm: bit for bit, alarm in reversed(_ALARMS.items())}
    return sum(1 << first[alarm] for alarm in alarms) | (not is_on) << _DC_OFF_BIT
