"""A Modbus device served from its register map: the map read backwards, over a real socket.

The server keeps no registers of its own. At each request it asks `read_points` what the
quantities are at this moment and encodes them as the device would, so a simulated vehicle
or a test decides what the meter shows. What it answers, from weakest to strongest:
`read_points`, then `set_point`, then `set_words` and what a client wrote.

It can misbehave like the real ones: `mode` is the state of the line from now on, `fail_next`
queues faults for single requests. Only requests for its own unit are answered; for any
other the line stays silent, as a serial line does.

Framing is Modbus TCP, or the frames of a serial line over the socket (`hal.sim.frames`).
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Literal, Self

from hal.registers import sunspec
from hal.registers.codec import Point, encode, words_of
from hal.registers.map import RegisterMap
from hal.sim.frames import PACK, RECEIVE, Frame, Framing, until_still
from hal.sim.pty import Pty, open_pty

Mode = Literal["up", "down", "garbage", "slow"]
OneShot = Literal[
    "silent",  # no answer
    "late",  # the answer comes with the next request, in front of its answer
    "slow",  # the answer comes after `slow_s`
    "hang_up",  # the connection is closed instead
    "garbage",  # bytes that are no frame
    "short",  # one word less than asked for, well framed
    "busy",  # exception 6
    "illegal_address",  # exception 2
    "nan",  # every point says that it has no value
    "ones",  # every bit is one, as from a line that floats
]

MAX_CONNECTIONS: Final = 8
MAX_FAULTS: Final = 256
GARBAGE: Final = bytes.fromhex("deadbeef00ff55aa")

_READS: Final = (1, 2, 3, 4)
_BIT_READS: Final = (1, 2)
_WRITE_BIT: Final = 5
_WRITE_ONE: Final = 6
_WRITE_SEVERAL: Final = 16
_BIT_VALUES: Final = {0: 0, 0xFF00: 1}  # Modbus application protocol v1.1b3, section 6.5
_REGISTERS: Final = 0x10000
_MAX_COUNT: Final = 125
_EXCEPTIONS: Final[dict[OneShot | None, int]] = {"illegal_address": 2, "busy": 6}
_MODE_FAULTS: Final[dict[Mode, OneShot]] = {
    "down": "silent",
    "garbage": "garbage",
    "slow": "slow",
}


class ModbusDeviceServer:
    """One simulated unit behind a TCP port of this machine.

    Attributes:
        mode: the state of the line.
        slow_s: how late the answers come that are slow.
        sleeps_s: after so long without a request it misses the next one; None: it is awake.
        on_request: called at each request to this unit that is answered.
        on_write: called after a client wrote: table (1 or 3), first address, words.
    """

    def __init__(
        self,
        register_map: RegisterMap,
        *,
        unit: int = 1,
        read_points: Callable[[], Mapping[str, float]] = dict,
        framing: Framing = "tcp",
        refuses_holes: bool = False,
        listens_to: int | None = None,
    ) -> None:
        """Prepare a device; nothing is opened yet.

        Args:
            register_map: what the device has.
            unit: which unit it answers as, 1 to 255.
            read_points: called at each request; values by point name, in canonical units.
                A point that it leaves out has no value, names it makes up are ignored.
            framing: of the messages.
            refuses_holes: answer exception 2 to a read that touches a register which the
                map does not name, instead of a zero.
            listens_to: a second unit, from which it takes writes and never answers.
        """
        self.mode: Mode = "up"
        self.slow_s = 2.0
        self.sleeps_s: float | None = None
        self._heard_at = float("-inf")
        self._listens_to = listens_to
        self.on_write: Callable[[int, int, Sequence[int]], None] | None = None
        self.on_request: Callable[[], None] = lambda: None
        self._set_words: dict[tuple[int, int], int] = {}
        if register_map.sunspec is not None:
            register_map, chain = sunspec.served(register_map)
            self._set_words = {(3, address): word for address, word in chain.items()}
        for text in register_map.identity:
            words = words_of(text, register_map.simulated[text.name] or "0")
            self._set_words |= {
                (text.fc, at): word for at, word in enumerate(words, start=text.address)
            }
        self._points = {point.name: point for point in register_map.points}
        self._unit, self._read_points = unit, read_points
        self._framing = framing
        self._refuses_holes = refuses_holes
        self._set_points: dict[str, float | None] = {}
        self._faults: deque[OneShot] = deque()
        self._held = b""
        self._server: asyncio.Server | None = None
        self._pty: Pty | None = None
        self._line_task: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; port 0 takes a free one, which `port` then tells.

        Raises:
            OSError: the address cannot be bound.
        """
        self._server = await asyncio.start_server(self._serve, host, port)

    async def start_pty(self) -> str:
        """Serve a pseudo terminal instead of a port, and return its path.

        The framing should be "rtu" or "ascii". Noise is dropped until the line has been still.

        Raises:
            OSError: there is no terminal left.
        """
        line = await open_pty()
        self._pty = line
        self._line_task = asyncio.create_task(self._serve_line(line.reader, line.writer))
        return line.path

    async def stop(self) -> None:
        """Close the port and every connection; harmless when not started."""
        if self._line_task is not None:
            self._line_task.cancel()
            await asyncio.wait([self._line_task])
            self._line_task = None
        if self._pty is not None:
            self._pty.close()
            self._pty = None
        if self._server is None:
            return
        self._server.close()
        self.hang_up()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """Return the TCP port that the device listens on.

        Raises:
            RuntimeError: it has not been started.
        """
        if self._server is None:
            raise RuntimeError("the simulated device has not been started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def set_point(self, name: str, value: float | None) -> None:
        """Fix a quantity, whatever `read_points` says.

        Args:
            name: of a point of the map.
            value: in the canonical unit; None makes the device say that it has none.

        Raises:
            ValueError: the map has no such point, or its type cannot carry the value.
        """
        encode(self._point(name), value)
        self._set_points[name] = value

    def release_point(self, name: str) -> None:
        """Let `read_points` decide about a quantity again.

        Raises:
            ValueError: the map has no such point.
        """
        self._set_points.pop(self._point(name).name, None)

    def set_words(self, address: int, words: Sequence[int], *, fc: int = 4) -> None:
        """Fix raw registers, whatever the points say.

        Args:
            address: of the first word, as sent on the wire.
            words: each 0 to 65535.
            fc: the table: 3 for holding, 4 for input registers; 1 for coils and 2 for
                discrete inputs, whose words are 0 or 1.

        Raises:
            ValueError: an argument is out of range.
        """
        if fc not in _READS or not 0 <= address <= _REGISTERS - len(words):
            raise ValueError(
                f"a table from 1 to 4 and an address to 65535 are needed, not {fc}, {address}"
            )
        if any(not 0 <= word < _REGISTERS for word in words):
            raise ValueError(f"words must be 0 to 65535, not {list(words)}")
        self._set_words.update({(fc, address + i): word for i, word in enumerate(words)})

    def fail_next(self, fault: OneShot, times: int = 1) -> None:
        """Queue a fault for the next requests to this unit, after those queued before.

        Raises:
            ValueError: more than `MAX_FAULTS` would be queued.
        """
        if len(self._faults) + times > MAX_FAULTS:
            raise ValueError(f"at most {MAX_FAULTS} faults can wait")
        self._faults.extend([fault] * times)

    def hang_up(self) -> None:
        """Close every connection; clients may connect again."""
        for task in self._serving:
            task.cancel()

    def words(self, fc: int, address: int, count: int) -> list[int] | None:
        """Return what the registers hold at this moment; None when one does not exist.

        Args:
            fc: the table: 3 for holding, 4 for input registers.
            address: of the first word.
            count: how many, 1 or more.

        Raises:
            ValueError: `read_points` gave a value that the register cannot carry.
        """
        end = address + count
        values = {**self._read_points(), **self._set_points}
        held: dict[int, int] = {}
        for point in self._points.values():
            if point.fc == fc and point.address < end and address < point.address + point.count:
                words = _words_of(point, values.get(point.name))
                for at, word in enumerate(words, start=point.address):
                    is_shared = point.mask or point.bits  # with others in the same word
                    held[at] = (held.get(at, 0) | word) if is_shared else word
            if point.fc == fc and point.exponent is not None:
                held[point.exponent.address] = point.exponent.simulated % _REGISTERS
        held.update({at: word for (table, at), word in self._set_words.items() if table == fc})
        if end > _REGISTERS or (
            self._refuses_holes and not held.keys() >= set(range(address, end))
        ):
            return None
        return [held.get(at, 0) for at in range(address, end)]

    def _point(self, name: str) -> Point:
        if name not in self._points:
            raise ValueError(f"no point {name!r}; allowed: {', '.join(sorted(self._points))}")
        return self._points[name]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._serving) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._serving.add(task)
        receive = RECEIVE[self._framing]
        try:
            while (frame := await receive(reader)) is not None:
                if not await self._take(frame, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the peer went away, or was sent away
        finally:
            self._serving.discard(task)
            writer.close()

    async def _serve_line(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            frame = await RECEIVE[self._framing](reader)
            if frame is None:
                await until_still(reader)
            else:
                await self._take(frame, writer)

    async def _take(self, frame: Frame, writer: asyncio.StreamWriter) -> bool:
        """Heed a frame if it is for this device; return whether the connection stays."""
        if frame.unit not in {self._unit, self._listens_to}:
            return True
        loop, heard_at = asyncio.get_running_loop(), self._heard_at
        self._heard_at = loop.time()
        if self.sleeps_s is not None and loop.time() - heard_at > self.sleeps_s:
            return True
        if frame.unit == self._unit:
            return await self._respond(frame, writer)
        if self.mode != "down":
            self.on_request()
            self._answer(frame.pdu, None)
        return True

    async def _respond(self, frame: Frame, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection stays."""
        fault = self._faults.popleft() if self._faults else _MODE_FAULTS.get(self.mode)
        if fault == "hang_up":
            return False
        if fault == "silent":
            return True
        self.on_request()
        answer = Frame(frame.number, frame.unit, self._answer(frame.pdu, fault))
        data = PACK[self._framing](answer)
        if fault == "late":
            self._held = data
            return True
        if fault == "slow":
            await asyncio.sleep(self.slow_s)
        writer.write(GARBAGE if fault == "garbage" else self._held + data)
        self._held = b""
        await writer.drain()
        return True

    def _answer(self, pdu: bytes, fault: OneShot | None) -> bytes:
        """Return the message that answers a request: a result or an exception."""
        code, address, count = struct.unpack(">BHH", pdu[:5].ljust(5, b"\0"))
        if fault in _EXCEPTIONS:
            return bytes([code | 0x80, _EXCEPTIONS[fault]])
        try:
            if code in _READS:
                words = self._read(code, address, count, fault)
                if code in _BIT_READS:
                    return _packed_bits(code, words)
                return struct.pack(f">BB{len(words)}H", code, 2 * len(words), *words)
            self._write(pdu, code, address, count)
        except _RefusedError as refusal:
            return bytes([code | 0x80, refusal.code])
        return pdu[:5]

    def _read(self, fc: int, address: int, count: int, fault: OneShot | None) -> list[int]:
        if not 1 <= count <= _MAX_COUNT:
            raise _RefusedError(3)
        try:
            words = self.words(fc, address, count)
        except ValueError:
            raise _RefusedError(4) from None
        if words is None:
            raise _RefusedError(2)
        if fault == "ones":
            return [_REGISTERS - 1] * count
        if fault == "short":
            return words[:-1]
        if fault == "nan":
            for point in self._points.values():
                start = point.address - address
                if point.fc == fc and 0 <= start <= count - point.count:
                    words[start : start + point.count] = _words_of(point, None)
        return words

    def _write(self, pdu: bytes, code: int, address: int, value: int) -> None:
        table, words = _written(pdu, code, value)
        if address + len(words) > _REGISTERS:
            raise _RefusedError(2)
        self.set_words(address, words, fc=table)
        if self.on_write is not None:
            self.on_write(table, address, words)


def _written(pdu: bytes, code: int, value: int) -> tuple[int, Sequence[int]]:
    """Return the table that a request writes to, and the words."""
    if code == _WRITE_BIT and value in _BIT_VALUES:
        return 1, [_BIT_VALUES[value]]
    if code == _WRITE_ONE:
        return 3, [value]
    if code not in {_WRITE_BIT, _WRITE_SEVERAL}:
        raise _RefusedError(1)
    if code == _WRITE_BIT or len(pdu) != 6 + 2 * value:
        raise _RefusedError(3)
    return 3, struct.unpack(f">{value}H", pdu[6:])


def _packed_bits(code: int, bits: Sequence[int]) -> bytes:
    """Return the answer to a read of bits: the first one lowest in the first byte."""
    size = (len(bits) + 7) // 8
    packed = sum((bit & 1) << index for index, bit in enumerate(bits))
    return bytes([code, size]) + packed.to_bytes(size, "little")


class _RefusedError(Exception):
    """A request that is answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _words_of(point: Point, value: float | None) -> tuple[int, ...]:
    if value is None and not point.na and not point.type.startswith("float"):
        return (0,) * point.count
    return encode(point, value)
