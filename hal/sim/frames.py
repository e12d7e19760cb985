"""Modbus frames as a device takes and sends them, on a stream.

tcp    number, protocol, length, unit, PDU          Modbus messaging on TCP/IP v1.0b, 3.1.3
rtu    unit, PDU, CRC-16                            Modbus over serial line v1.02, 2.5.1
ascii  colon, unit, PDU and LRC in hex, CR LF       the same, 2.5.2
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Literal

from hal.types import Value

Framing = Literal["tcp", "rtu", "ascii"]

STILL_S: Final = 0.02
"""How long a serial line has to be still before the next byte begins a frame."""

_WRITE_SEVERAL: Final = 16
_MAX_FRAME: Final = 256
_LONGEST_LINE: Final = 2 * _MAX_FRAME + 3  # a colon, two digits a byte, CR and LF
_FRAME_SIZES: Final = range(2, 255)  # the unit and 1 to 253 bytes


class Frame(Value, frozen=True):
    """One message: the request's number (0 on a serial line), the unit, code and data."""

    number: int
    unit: int
    pdu: bytes


async def _receive_tcp(reader: asyncio.StreamReader) -> Frame | None:
    """Return the next request, None when the stream is not Modbus TCP."""
    header = await reader.readexactly(7)
    number, protocol, size, unit = struct.unpack(">HHHB", header)
    if protocol != 0 or size not in _FRAME_SIZES:
        return None
    return Frame(number, unit, await reader.readexactly(size - 1))


async def _receive_rtu(reader: asyncio.StreamReader) -> Frame | None:
    """Return the next request, None when its checksum is wrong."""
    data = await reader.readexactly(8)
    if data[1] == _WRITE_SEVERAL:
        data += await reader.readexactly(data[6] + 1)
    if _crc(data[:-2]) != data[-2:]:
        return None
    return Frame(0, data[0], data[1:-2])


async def _receive_ascii(reader: asyncio.StreamReader) -> Frame | None:
    """Return the next request, None when it is none, or its checksum is wrong."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        await reader.readexactly(error.consumed)
        return None
    start = line.rfind(b":")  # a colon begins a frame anew, whatever was before it
    if not line.endswith(b"\r\n") or start < 0 or len(line) - start > _LONGEST_LINE:
        return None
    try:
        data = bytes.fromhex(line[start + 1 : -2].decode("ascii"))
    except ValueError:
        return None
    if len(data) < 3 or sum(data) & 0xFF:  # noqa: PLR2004 - unit, code and LRC, which sum to 0
        return None
    return Frame(0, data[0], data[1:-1])


async def until_still(reader: asyncio.StreamReader) -> None:
    """Drop what comes until nothing has come for `STILL_S`."""
    with suppress(TimeoutError):
        while True:
            async with asyncio.timeout(STILL_S):
                await reader.read(_MAX_FRAME)


def _pack_tcp(frame: Frame) -> bytes:
    return struct.pack(">HHHB", frame.number, 0, len(frame.pdu) + 1, frame.unit) + frame.pdu


def _pack_rtu(frame: Frame) -> bytes:
    data = bytes([frame.unit]) + frame.pdu
    return data + _crc(data)


def _pack_ascii(frame: Frame) -> bytes:
    data = bytes([frame.unit]) + frame.pdu
    lrc = -sum(data) & 0xFF
    return b":" + data.hex().upper().encode("ascii") + b"%02X\r\n" % lrc


def _crc(data: bytes) -> bytes:
    """Return the checksum of a serial frame (Modbus over serial line v1.02, section 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


RECEIVE: Final[dict[Framing, Callable[[asyncio.StreamReader], Awaitable[Frame | None]]]] = {
    "tcp": _receive_tcp,
    "rtu": _receive_rtu,
    "ascii": _receive_ascii,
}
PACK: Final[dict[Framing, Callable[[Frame], bytes]]] = {
    "tcp": _pack_tcp,
    "rtu": _pack_rtu,
    "ascii": _pack_ascii,
}
