"""One Modbus request: what may be asked, and whether an answer belongs to it.

`pymodbus` builds and parses the messages. What it leaves to its user is here: arguments are
checked before they reach it, and function code, address and length of an answer are
compared with the request. Numbers are those of the Modbus application protocol v1.1b3.
"""

import enum
from collections.abc import Awaitable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from hal.errors import DeviceError
from hal.types import Value

if TYPE_CHECKING:
    from pymodbus.client import ModbusBaseClient
    from pymodbus.pdu import ModbusPDU

_HEADER: Final = 6  # up to and with the length
_FRAME_SIZES: Final = range(3, 255)  # unit, code and one byte, to unit and 253 bytes
_REFUSED: Final = 0x80  # set in the function code of an exception reply
_ECHO: Final = 4  # address and value, or address and count
_MAX_WORD: Final = 0xFFFF
_MAX_UNIT: Final = 255  # 248 to 255 only behind TCP
_ILLEGAL_ADDRESS: Final = 2
REMEMBERED: Final = 128
"""Requests that are remembered: a few for each of the devices of a large station."""

_EXCEPTIONS: Final = {
    1: "illegal function",
    _ILLEGAL_ADDRESS: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target failed to respond",
}


class Function(enum.IntEnum):
    """The function codes that a port sends."""

    READ_COILS = 1
    READ_DISCRETE = 2
    READ_HOLDING = 3
    READ_INPUT = 4
    WRITE_COIL = 5
    WRITE_ONE = 6
    WRITE_SEVERAL = 16


BIT_READS: Final = frozenset({Function.READ_COILS, Function.READ_DISCRETE})
READS: Final = BIT_READS | {Function.READ_HOLDING, Function.READ_INPUT}
_WRITES: Final = frozenset({Function.WRITE_COIL, Function.WRITE_ONE, Function.WRITE_SEVERAL})
_MAX_WORDS: Final = {  # sections 6.3, 6.4, 6.6 and 6.12; of bits, no more than of words
    Function.READ_COILS: 125,
    Function.READ_DISCRETE: 125,
    Function.READ_HOLDING: 125,
    Function.READ_INPUT: 125,
    Function.WRITE_COIL: 1,
    Function.WRITE_ONE: 1,
    Function.WRITE_SEVERAL: 123,
}


class ExceptionReplyError(DeviceError):
    """The unit answered with a Modbus exception.

    Attributes:
        unit, fc, address: of the request.
        code: of the exception, 1 to 255 (Modbus application protocol v1.1b3, section 7).
    """

    def __init__(self, unit: int, fc: int, address: int, code: int) -> None:
        meaning = _EXCEPTIONS.get(code, "unknown")
        super().__init__(
            f"unit {unit}, function {fc}, address {address:#06x}: exception {code} ({meaning})"
        )
        self.unit, self.fc, self.address, self.code = unit, fc, address, code

    @property
    def is_illegal_address(self) -> bool:
        """Return whether the unit does not have some of the registers."""
        return self.code == _ILLEGAL_ADDRESS


class Request(Value, frozen=True):
    """What is asked of one unit; `words` only when writing.

    Attributes:
        is_for_all: nobody answers to it: several devices listen to this unit.
    """

    unit: int
    fc: Function
    address: int
    count: int
    words: tuple[int, ...] = ()
    is_for_all: bool = False

    def __str__(self) -> str:
        return f"unit {self.unit}, function {self.fc}, address {self.address:#06x}"

    def check(self) -> None:
        """Raise ValueError for what pymodbus would refuse in its own ways, or send wrongly."""
        max_count = _MAX_WORDS[self.fc]
        if not 1 <= self.unit <= _MAX_UNIT:
            raise ValueError(f"unit must be 1 to {_MAX_UNIT}, not {self.unit}")
        if not 1 <= self.count <= max_count:
            raise ValueError(f"{self}: 1 to {max_count} words at a time, not {self.count}")
        if self.address < 0 or self.address + self.count > _MAX_WORD + 1:
            raise ValueError(f"{self.count} words at {self.address} leave 0 to {_MAX_WORD}")
        most = 1 if self.fc is Function.WRITE_COIL else _MAX_WORD
        if any(not 0 <= word <= most for word in self.words):
            raise ValueError(f"{self}: words are 0 to {most}, not {self.words}")

    def send(self, client: "ModbusBaseClient") -> "Awaitable[ModbusPDU]":
        """Send it; the answer to one that is for all is None, whatever the type says."""
        match self.fc:  # the most frequent ones first
            case Function.READ_INPUT:
                return client.read_input_registers(
                    self.address, count=self.count, device_id=self.unit
                )
            case Function.READ_HOLDING:
                return client.read_holding_registers(
                    self.address, count=self.count, device_id=self.unit
                )
            case Function.READ_COILS:
                return client.read_coils(self.address, count=self.count, device_id=self.unit)
            case Function.READ_DISCRETE:
                return client.read_discrete_inputs(
                    self.address, count=self.count, device_id=self.unit
                )
            case Function.WRITE_COIL:
                return client.write_coil(self.address, bool(self.words[0]), device_id=self.unit)
            case Function.WRITE_ONE:
                return client.write_register(self.address, self.words[0], device_id=self.unit)
            case Function.WRITE_SEVERAL:
                return client.write_registers(
                    self.address,
                    list(self.words),
                    device_id=self.unit,
                    no_response_expected=self.is_for_all,
                )

    def verify(self, response: "ModbusPDU") -> None:
        """Raise DeviceError unless the answer is one to this request."""
        if self.is_for_all:
            return
        if response.function_code & ~_REFUSED != self.fc:
            raise DeviceError(f"{self}: answered as function {response.function_code}")
        if response.isError():
            raise ExceptionReplyError(self.unit, self.fc, self.address, response.exception_code)
        if self.words:
            if response.address != self.address:
                raise DeviceError(f"{self}: confirmed address {response.address:#06x}")
        elif (got := self._length(response)) != self.count:
            raise DeviceError(f"{self}: {got} words instead of {self.count}")

    def answer(self, response: "ModbusPDU") -> tuple[int, ...]:
        """Return what a verified answer to a read carries: words, or bits as 0 and 1."""
        if self.fc in BIT_READS:
            return tuple(int(bit) for bit in response.bits[: self.count])
        return tuple(response.registers)

    def _length(self, response: "ModbusPDU") -> int:
        """Return how many words came; bits come in whole bytes, and are as many if they fit."""
        if self.fc not in BIT_READS:
            return len(response.registers)
        got = len(response.bits)
        return self.count if got // 8 == (self.count + 7) // 8 else got


@lru_cache(REMEMBERED)
def read_request(unit: int, fc: int, address: int, count: int) -> Request:
    """Return a request that reads; the same ones are made again and again.

    Raises:
        ValueError: what is asked cannot be.
    """
    request = Request(unit, Function(fc), address, count)
    request.check()
    return request


def is_garbled(data: bytes) -> bool:
    """Return whether received bytes cannot begin with an answer in a Modbus TCP frame.

    The header is two bytes of number, two of protocol (zero), two of length and one of unit
    (Modbus messaging on TCP/IP v1.0b, section 3.1.3); a cut frame is not garbled.
    """
    if any(data[2:4]):
        return True
    if len(data) < _HEADER:
        return False
    size = int.from_bytes(data[4:_HEADER], "big")
    if size not in _FRAME_SIZES:
        return True
    if len(data) < _HEADER + size:
        return False
    code, body = data[_HEADER + 1], data[_HEADER + 2 : _HEADER + size]
    if code & _REFUSED:
        return len(body) != 1
    if code in READS:
        return body[0] != len(body) - 1
    return code not in _WRITES or len(body) != _ECHO
