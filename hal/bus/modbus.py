"""One owner per Modbus line: every exchange with every unit on it goes through one port.

A port serialises exchanges, keeps the pause that the line needs, gives up after a timeout,
lets commands overtake polls, connects by itself and tells two kinds of trouble apart:
`BusError` (no usable answer: try again) and `DeviceError` (the device answered, and said no).
It has no task of its own: it connects when somebody asks for an exchange, and while the
peer refuses it fails at once until the back-off is over. All waiting is on loop timers.

Each request may bring the patience of its device with it (`timeout_s`), and a unit that does
not answer is left in peace for a while (`hal.bus.counters`), so that a dead one does not
starve the others on the line.

What a port makes up for in Modbus and in pymodbus:

* An answer on a serial line carries no number. One that comes after its timeout would be
  taken for the answer to the next request, and every later value would belong to the one
  before. So after a timeout, or when a caller is cancelled half-way, the line stays quiet
  for `quiet_s`, and what arrives meanwhile is dropped. Over Modbus TCP the transaction
  number does this, and no quiet is kept. Bytes that come while nobody waits are dropped.
* An exception reply is a return value of pymodbus, and the function code and the length of
  an answer are not compared with what was asked. Both are checked here.
* Bytes that are not Modbus TCP frames make pymodbus raise inside the loop. They are kept
  from it, and the connection is closed, because a stream that lost its framing never
  finds it again.

`pymodbus` is imported when a port is constructed, so a board without Modbus does not pay
the memory.
"""

import asyncio
import importlib.util
import logging
import os
import termios
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from hal.bus.counters import PortCounters, Silence, Tally
from hal.bus.modbus_request import (
    READS,
    ExceptionReplyError,
    Function,
    Request,
    is_garbled,
    read_request,
)
from hal.bus.rs485 import Rs485Mode, hold, is_pseudo_terminal
from hal.bus.timing import DEFAULT_TIMING, Timing
from hal.bus.turns import NEVER, Priority, Turns, at_once
from hal.errors import BoardError, BusError, DeviceError

if TYPE_CHECKING:
    from pymodbus.client import ModbusBaseClient
    from pymodbus.pdu import ModbusPDU

BACKOFF_MIN_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0
TURNAROUND_S: Final = 0.1
"""Pause behind a message that nobody answers (Modbus over serial line v1.02, section 2.4.1)."""

_MIN_BAUDRATE: Final = 300
_FASTEST_PAUSE_S: Final = 0.00175  # Modbus over serial line v1.02, section 2.5.1.1


class ModbusPort(ABC):
    """A Modbus line for any number of tasks; use `TcpPort` or `SerialPort`.

    `close` lets go of the line; the next exchange opens it again.
    """

    def __init__(self, name: str, timing: Timing) -> None:
        self.name = name
        self._timeout_s, self._gap_s = timing.timeout_s, timing.gap_s
        self._quiet_s = timing.quiet_s
        self._turns = Turns(name)
        self._client: ModbusBaseClient | None = None
        self._retry_at = float("-inf")
        self._backoff_s = BACKOFF_MIN_S
        self._is_garbled = self._is_waiting = False
        self._tables: dict[tuple[int, int], list[int]] = {}
        self._sharing = asyncio.Lock()
        self._tally, self._silence = Tally(PortCounters), Silence()
        from pymodbus.exceptions import ModbusException  # noqa: PLC0415 - see the module

        self._unanswered: type[Exception] = ModbusException
        self._paces_s: dict[int, float] = {}
        self._asked_at: dict[int, float] = {}
        # Every silent unit would otherwise be a line per poll; counters and listeners tell.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

    @property
    def counters(self) -> PortCounters:
        """Return what has happened so far."""
        return self._tally.counters()

    def widen_gap(self, gap_s: float) -> None:
        """Pause at least this long between any two exchanges, because the line needs it."""
        self._gap_s = max(self._gap_s, gap_s)

    def pace(self, unit: int, gap_s: float) -> None:
        """Pause at least this long between two exchanges with one unit, because it needs it.

        The line is free for the others meanwhile. What is of `Priority.SAFETY` does not wait.
        """
        self._paces_s[unit] = max(self._paces_s.get(unit, 0.0), gap_s)

    async def read(
        self,
        unit: int,
        fc: int,
        address: int,
        count: int,
        *,
        priority: Priority = Priority.POLL,
        timeout_s: float | None = None,
        retries: int = 0,
    ) -> tuple[int, ...]:
        """Read registers, or bits, of one unit.

        Args:
            unit: 1 to 255.
            fc: 3 for holding, 4 for input registers, 1 for coils, 2 for discrete inputs.
            address: of the first word, as sent on the wire.
            count: 1 to 125 words.
            priority: who goes first when several wait. A unit that has not answered for a
                while is not asked for its state or polled; that is refused at once.
            timeout_s: how long this device may take, more than 0; None for the port's time.
            retries: how often to ask again when there is no answer; the line is free in
                between.

        Returns:
            Exactly `count` words, each 0 to 65535; bits are 0 or 1.

        Raises:
            BusError: no usable answer within the timeout, or no connection.
            DeviceError: the device answered with an exception (`ExceptionReplyError`) or
                with something else than what was asked.
            ValueError: an argument is outside its range; nothing was sent.
        """
        if fc not in READS:
            raise ValueError(f"function code {fc} does not read; allowed: 1, 2, 3, 4")
        request = read_request(unit, fc, address, count)
        response = await self._performed(request, priority, timeout_s, retries)
        return request.answer(response)

    async def write(
        self,
        unit: int,
        address: int,
        words: Sequence[int],
        *,
        fc: int = 16,
        priority: Priority = Priority.COMMAND,
        timeout_s: float | None = None,
        retries: int = 0,
    ) -> None:
        """Write holding registers, or a coil, of one unit.

        Args:
            unit: 1 to 255.
            address: of the first word, as sent on the wire.
            words: 1 to 123 words, each 0 to 65535; with function code 6 exactly one, with
                5 exactly one that is 0 or 1.
            fc: 16 writes several registers in one message, 6 writes one, 5 a coil.
            priority: who goes first when several wait.
            timeout_s, retries: as for `read`.

        Raises:
            BusError: no usable answer in time; the device has the old or the new words.
            DeviceError: the device refused and has the old words, or confirmed something
                else than what was written.
            ValueError: an argument is outside its range; nothing was sent.
        """
        if fc in READS or fc not in set(Function):
            raise ValueError(f"function code {fc} does not write; allowed: 5, 6, 16")
        request = Request(unit, Function(fc), address, len(words), tuple(words))
        request.check()
        await self._performed(request, priority, timeout_s, retries)

    async def share(
        self,
        unit: int,
        address: int,
        count: int,
        changed: tuple[int, int],
        *,
        priority: Priority = Priority.COMMAND,
    ) -> None:
        """Set one word of a table that several devices are sent at once, without an answer.

        The line keeps the table, so that the words of the others stay what they are.

        Args:
            unit, address: of the first word; all of them listen to the unit.
            count: 1 to 123 words; what was never set is 0.
            changed: which word, from 0, and what it is from now on, 0 to 65535.
            priority: who goes first when several wait.

        Raises:
            BusError: no connection. Otherwise it was sent; who has heard it, nobody knows.
            ValueError: an argument is outside its range; nothing was sent.
        """
        index, word = changed
        if not 0 <= index < count:
            raise ValueError(f"a table of {count} words has no number {index}")
        words = self._tables.setdefault((unit, address), [0] * count)
        words[index] = word
        async with self._sharing:  # in order: what goes out last is what holds
            request = Request(unit, Function(16), address, count, tuple(words), is_for_all=True)
            request.check()
            await self._performed(request, priority, None, 0)

    def close(self) -> None:
        """Let go of the line; an exchange that is under way fails with `BusError`."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def _new_client(self) -> "ModbusBaseClient":
        """Return a client that makes one attempt and does not reconnect by itself."""

    @property
    @abstractmethod
    def _has_numbered_answers(self) -> bool:
        """Return whether an answer names the request that it belongs to."""

    async def _performed(
        self, request: Request, priority: Priority, timeout_s: float | None, retries: int
    ) -> "ModbusPDU":
        """Carry a request out, in its turn, as often as it takes and is allowed."""
        if timeout_s is not None and timeout_s <= 0:
            raise ValueError(f"timeout_s must be above 0, not {timeout_s}")
        loop = asyncio.get_running_loop()
        ready_at = (
            at_once if priority is Priority.SAFETY else partial(self._ready, request.unit)
        )
        # Commands keep their order; what is only looked at takes turns.
        is_look = priority >= Priority.STATE
        asked_at = self._asked_at.get(request.unit, NEVER) if is_look else NEVER
        for attempt in range(retries + 1):
            wait_s = self._silence.wait_s(request.unit, loop.time())
            if wait_s > 0 and is_look:
                self._tally.count("skipped")
                when = f"next attempt in {wait_s:.1f} s"
                raise BusError(f"{self.name}: unit {request.unit} does not answer; {when}")
            if attempt:
                self._tally.count("retries")
            try:
                async with self._turns.turn(priority, ready_at=ready_at, asked_at=asked_at):
                    return await self._exchange(request, timeout_s or self._timeout_s)
            except BusError:
                if attempt == retries or self._client is None:
                    raise
        raise AssertionError("the last attempt has returned or raised")

    def _ready(self, unit: int) -> float:
        """Return from when on a unit can be asked again, by the loop's clock."""
        return self._asked_at.get(unit, NEVER) + self._paces_s.get(unit, 0.0)

    async def _exchange(self, request: Request, timeout_s: float) -> "ModbusPDU":
        """Send one request, return its verified answer, leave the line fit for the next."""
        client, loop = self._client, asyncio.get_running_loop()
        if client is None or not client.connected:
            client = await self._connected()
        begun_s = loop.time()
        self._tally.count("requests")
        client.ctx.comm_params.timeout_connect = timeout_s  # what pymodbus waits for an answer
        is_settled = False
        self._is_waiting = True
        try:
            response = await request.send(client)
            _heed_cancellation()
            self._silence.heard(request.unit)
            request.verify(response)
            is_settled = True
        except ExceptionReplyError:
            self._tally.count("refusals")
            is_settled = True
            raise
        except DeviceError:
            self._tally.count("errors")
            raise
        except self._unanswered as error:
            self._tally.count("timeouts")
            self._silence.missed(request.unit, loop.time())
            raise BusError(f"{self.name}: {request}: no answer in {timeout_s:g} s") from error
        finally:
            self._is_waiting = False
            self._asked_at[request.unit] = loop.time()
            self._finish(begun_s, timeout_s, request, is_settled=is_settled)
        return response

    def _finish(
        self, begun_s: float, timeout_s: float, request: Request, *, is_settled: bool
    ) -> None:
        """Let the line rest as long as the exchange that just ended makes it necessary."""
        rest_s = max(self._gap_s, TURNAROUND_S if request.is_for_all else 0.0)
        if not is_settled and not self._has_numbered_answers:
            rest_s = max(rest_s, timeout_s if self._quiet_s is None else self._quiet_s)
        until_s = asyncio.get_running_loop().time() + rest_s
        self._turns.rest(until=until_s)
        self._tally.busy(begun_s, until_s)
        if self._is_garbled:
            self._is_garbled = False
            self.close()

    def _received(self, sending: bool, data: bytes) -> bytes:
        """See what goes over the line; give back what pymodbus may know of."""
        if sending or self._is_waiting:
            return data if sending else self._sound(data)
        if data:
            self._tally.count("late")
        return b""

    def _sound(self, data: bytes) -> bytes:
        """Return received bytes, nothing of them if they would make pymodbus fall over."""
        return data

    async def _connected(self) -> "ModbusBaseClient":
        """Return a connected client.

        Raises:
            BusError: the peer does not accept, or did not lately.
        """
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        loop = asyncio.get_running_loop()
        if (wait_s := self._retry_at - loop.time()) > 0:
            raise BusError(f"{self.name}: not connected; next attempt in {wait_s:.1f} s")
        reason = "cannot be opened"
        client: ModbusBaseClient | None = None
        try:
            client = self._new_client()
            if await client.connect():
                self._client, self._backoff_s = client, BACKOFF_MIN_S
                self._tally.count("connects")
                return client
        except (OSError, ValueError, termios.error) as error:
            reason = f"{reason}: {error}"
        finally:
            if client is not None and self._client is not client:
                client.close()
        self._tally.count("errors")
        self._retry_at = loop.time() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_MAX_S)
        raise BusError(f"{self.name}: {reason}")


class TcpPort(ModbusPort):
    """Modbus over a TCP connection."""

    def __init__(
        self,
        host: str,
        port: int = 502,
        *,
        framing: Literal["tcp", "rtu", "ascii"] = "tcp",
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        """Name the peer; nothing is opened yet.

        Args:
            host: name or address.
            port: 1 to 65535.
            framing: "tcp" is Modbus TCP; "rtu" and "ascii" are for gateways that pass serial
                frames on.
            timing: as `Timing` says.
        """
        from pymodbus.client import AsyncModbusTcpClient  # noqa: PLC0415 - see the module
        from pymodbus.framer import FramerType  # noqa: PLC0415 - see the module

        super().__init__(f"{host}:{port}", timing)
        self._make = AsyncModbusTcpClient
        self._framer = FramerType("socket" if framing == "tcp" else framing)
        self._host, self._port, self._framing = host, port, framing

    @property
    def _has_numbered_answers(self) -> bool:
        return self._framing == "tcp"

    def _new_client(self) -> "ModbusBaseClient":
        return self._make(
            self._host,
            port=self._port,
            framer=self._framer,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._received,
        )

    def _sound(self, data: bytes) -> bytes:
        if not self._has_numbered_answers or not is_garbled(data):
            return data
        self._is_garbled = True
        return b""


class SerialPort(ModbusPort):
    """Modbus RTU on a serial line."""

    def __init__(
        self,
        path: str,
        *,
        baudrate: int = 9600,
        parity: Literal["N", "E", "O"] = "N",
        stopbits: Literal[1, 2] = 1,
        rs485: Rs485Mode = "adapter",
        echo: bool = False,
        framing: Literal["rtu", "ascii"] = "rtu",
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        """Name the line; nothing is opened yet.

        Args:
            path: of the device: "/dev/serial/by-id/…" is the same adapter whatever it is
                plugged into and whenever.
            baudrate: bits per second, 300 or more.
            parity, stopbits: of the line. A pseudo terminal has no parity and gets none.
            rs485: who switches the direction of the line.
            echo: the adapter hears itself; what was sent is taken away from what comes.
            framing: "ascii" is Modbus ASCII, in the same eight bits.
            timing: as `Timing` says; the gap is never less than 3.5 characters (Modbus over
                serial line v1.02, section 2.5.1.1).

        Raises:
            ValueError: the rate is out of range.
            BoardError: pyserial is not installed.
        """
        if baudrate < _MIN_BAUDRATE:
            raise ValueError(f"{path}: baudrate must be 300 or more, not {baudrate}")
        if importlib.util.find_spec("serial") is None:
            raise BoardError(f"{path}: serial lines need pyserial (pilotwire[serial])")
        from pymodbus.client import AsyncModbusSerialClient  # noqa: PLC0415 - see the module
        from pymodbus.framer import FramerType  # noqa: PLC0415 - see the module

        super().__init__(path, timing)
        # A character is 11 bits: start, eight data bits, parity or a second stop bit, stop.
        self.widen_gap(max(3.5 * 11 / baudrate, _FASTEST_PAUSE_S))
        self._make = AsyncModbusSerialClient
        self._framer = FramerType.RTU if framing == "rtu" else FramerType.ASCII
        self._baudrate, self._parity, self._stopbits = baudrate, parity, stopbits
        self._rs485, self._echo = rs485, echo
        self._held: int | None = None

    def close(self) -> None:
        """Let go of the line; see `ModbusPort.close`."""
        super().close()
        if self._held is not None:
            os.close(self._held)
            self._held = None

    @property
    def _has_numbered_answers(self) -> bool:
        return False

    def _new_client(self) -> "ModbusBaseClient":
        if self._rs485 != "adapter":
            self._held = hold(self.name, self._rs485)
        return self._make(
            self.name,
            framer=self._framer,
            baudrate=self._baudrate,
            parity="N" if is_pseudo_terminal(self.name) else self._parity,
            stopbits=self._stopbits,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
            handle_local_echo=self._echo,
            trace_packet=self._received,
        )


def _heed_cancellation() -> None:
    """Raise a cancellation that got lost on the way.

    Below Python 3.12 `asyncio.wait_for`, which pymodbus waits with, swallows one that
    arrives together with the answer; its task would then live on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
