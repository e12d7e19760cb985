"""One owner per Modbus line: every exchange with every unit on it goes through one port.

A port serialises exchanges, keeps the pause that the line needs, gives up after a timeout,
lets commands overtake polls, connects by itself and tells two kinds of trouble apart:
`BusError` (no usable answer: try again) and `DeviceError` (the device answered, and said no).
It has no task of its own: it connects when somebody asks for an exchange, and while the
peer refuses it fails at once until the back-off is over. All waiting is on loop timers.

What a port makes up for in Modbus and in pymodbus:

* An answer on a serial line carries no number. One that comes after its timeout would be
  taken for the answer to the next request, and every later value would belong to the one
  before. So after a timeout, or when a caller is cancelled half-way, the line stays quiet
  for `quiet_s`, and what arrives meanwhile is dropped. Over Modbus TCP the transaction
  number does this, and no quiet is kept.
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
import termios
from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self

from hal.bus.modbus_request import READS, ExceptionReplyError, Function, Request, is_garbled
from hal.bus.turns import Priority, Turns
from hal.errors import BoardError, BusError, DeviceError
from hal.types import Value

if TYPE_CHECKING:
    from pymodbus.client import ModbusBaseClient
    from pymodbus.pdu import ModbusPDU

BACKOFF_MIN_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0

_MIN_BAUDRATE: Final = 300
_FASTEST_PAUSE_S: Final = 0.00175  # Modbus over serial line v1.02, section 2.5.1.1


class Timing(Value, frozen=True):
    """How patient a line is.

    Attributes:
        timeout_s: for each answer and for the connection, more than 0.
        gap_s: the least pause between two exchanges, 0 or more.
        quiet_s: how long the line stays quiet after a timeout when answers carry no
            number; None for as long as the timeout. The slowest device must have answered
            by then.

    Raises:
        ValueError: a value is out of range.
    """

    timeout_s: float = 0.5
    gap_s: float = 0.0
    quiet_s: float | None = None

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.gap_s < 0 or (self.quiet_s or 0) < 0:
            raise ValueError(f"needed: timeout_s > 0, gap_s >= 0, quiet_s >= 0; got {self}")


DEFAULT_TIMING: Final = Timing()


class PortCounters(Value, frozen=True):
    """What a port has seen since it was made.

    Attributes:
        connects: connections that came about.
        requests: exchanges begun, the good ones too.
        timeouts: requests without an answer in time.
        errors: requests that failed otherwise, and connections that did not come about.
        refusals: answers that a device refused with an exception.
    """

    connects: int = 0
    requests: int = 0
    timeouts: int = 0
    errors: int = 0
    refusals: int = 0


class ModbusPort(ABC):
    """A Modbus line, whatever carries it; use `TcpPort` or `SerialPort`.

    Safe to use by any number of tasks of one event loop. `close` lets go of the line; the
    next exchange opens it again.
    """

    def __init__(self, name: str, timing: Timing) -> None:
        self.name = name
        self._timeout_s, self._gap_s = timing.timeout_s, timing.gap_s
        self._quiet_s = timing.timeout_s if timing.quiet_s is None else timing.quiet_s
        self._turns = Turns(name)
        self._client: ModbusBaseClient | None = None
        self._retry_at = float("-inf")
        self._backoff_s = BACKOFF_MIN_S
        self._is_garbled = False
        self._counts = dict.fromkeys(PortCounters.__struct_fields__, 0)
        # Every silent unit would otherwise be a line per poll; counters and listeners tell.
        logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

    @property
    def counters(self) -> PortCounters:
        """Return what has happened so far."""
        return PortCounters(**self._counts)

    def widen_gap(self, gap_s: float) -> None:
        """Pause at least this long between exchanges, because a device on the line needs it."""
        self._gap_s = max(self._gap_s, gap_s)

    async def read(
        self,
        unit: int,
        fc: int,
        address: int,
        count: int,
        *,
        priority: Priority = Priority.POLL,
    ) -> tuple[int, ...]:
        """Read registers of one unit.

        Args:
            unit: 1 to 255.
            fc: 3 for holding, 4 for input registers.
            address: of the first word, as sent on the wire.
            count: 1 to 125 words.
            priority: who goes first when several wait.

        Returns:
            Exactly `count` words, each 0 to 65535.

        Raises:
            BusError: no usable answer within the timeout, or no connection.
            DeviceError: the device answered with an exception (`ExceptionReplyError`) or
                with something else than what was asked.
            ValueError: an argument is outside its range; nothing was sent.
        """
        if fc not in READS:
            raise ValueError(f"function code {fc} does not read registers; allowed: 3, 4")
        request = Request(unit, Function(fc), address, count)
        request.check()
        async with self._turns.turn(priority):
            return tuple((await self._exchange(request)).registers)

    async def write(
        self,
        unit: int,
        address: int,
        words: Sequence[int],
        *,
        fc: Literal[6, 16] = 16,
        priority: Priority = Priority.COMMAND,
    ) -> None:
        """Write holding registers of one unit.

        Args:
            unit: 1 to 255.
            address: of the first word, as sent on the wire.
            words: 1 to 123 words, each 0 to 65535; with function code 6 exactly one.
            fc: 16 writes several registers in one message, 6 writes one.
            priority: who goes first when several wait.

        Raises:
            BusError: no usable answer in time; the device has the old or the new words.
            DeviceError: the device refused and has the old words, or confirmed something
                else than what was written.
            ValueError: an argument is outside its range; nothing was sent.
        """
        request = Request(unit, Function(fc), address, len(words), tuple(words))
        request.check()
        async with self._turns.turn(priority):
            await self._exchange(request)

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

    async def _exchange(self, request: Request) -> "ModbusPDU":
        """Send one request, return its verified answer, leave the line fit for the next."""
        from pymodbus.exceptions import ModbusException  # noqa: PLC0415 - see the module

        client = await self._connected()
        self._counts["requests"] += 1
        is_settled = False
        try:
            response = await request.send(client)
            _heed_cancellation()
            request.verify(response)
            is_settled = True
        except ExceptionReplyError:
            self._counts["refusals"] += 1
            is_settled = True
            raise
        except DeviceError:
            self._counts["errors"] += 1
            raise
        except ModbusException as error:
            self._counts["timeouts"] += 1
            raise BusError(
                f"{self.name}: {request}: no answer in {self._timeout_s} s"
            ) from error
        finally:
            self._finish(is_settled=is_settled)
        return response

    def _finish(self, *, is_settled: bool) -> None:
        """Let the line rest as long as the exchange that just ended makes it necessary."""
        rest_s = self._gap_s
        if not is_settled and not self._has_numbered_answers:
            rest_s = max(rest_s, self._quiet_s)
        self._turns.rest(until=asyncio.get_running_loop().time() + rest_s)
        if self._is_garbled:
            self._is_garbled = False
            self.close()

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
        client = self._new_client()
        try:
            if await client.connect():
                self._client, self._backoff_s = client, BACKOFF_MIN_S
                self._counts["connects"] += 1
                return client
        except (OSError, ValueError, termios.error) as error:
            reason = f"{reason}: {error}"
        finally:
            if self._client is not client:
                client.close()
        self._counts["errors"] += 1
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
        framing: Literal["tcp", "rtu"] = "tcp",
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        """Name the peer; nothing is opened yet.

        Args:
            host: name or address.
            port: 1 to 65535.
            framing: "tcp" is Modbus TCP; "rtu" is for gateways that pass serial frames on.
            timing: as `Timing` says.
        """
        from pymodbus.client import AsyncModbusTcpClient  # noqa: PLC0415 - see the module
        from pymodbus.framer import FramerType  # noqa: PLC0415 - see the module

        super().__init__(f"{host}:{port}", timing)
        self._make = AsyncModbusTcpClient
        self._framer = FramerType.SOCKET if framing == "tcp" else FramerType.RTU
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
            trace_packet=self._without_garbage if self._has_numbered_answers else None,
        )

    def _without_garbage(self, sending: bool, data: bytes) -> bytes:
        if sending or not is_garbled(data):
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
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        """Name the line; nothing is opened yet.

        Args:
            path: of the device, for instance "/dev/ttyS1".
            baudrate: bits per second, 300 or more.
            parity, stopbits: a pseudo terminal has no parity: "N" there.
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

        super().__init__(path, timing)
        # A character is 11 bits: start, eight data bits, parity or a second stop bit, stop.
        self.widen_gap(max(3.5 * 11 / baudrate, _FASTEST_PAUSE_S))
        self._make = AsyncModbusSerialClient
        self._baudrate, self._parity, self._stopbits = baudrate, parity, stopbits

    @property
    def _has_numbered_answers(self) -> bool:
        return False

    def _new_client(self) -> "ModbusBaseClient":
        return self._make(
            self.name,
            baudrate=self._baudrate,
            parity=self._parity,
            stopbits=self._stopbits,
            timeout=self._timeout_s,
            retries=0,
            reconnect_delay=0,
        )


def _heed_cancellation() -> None:
    """Raise a cancellation that got lost on the way.

    Below Python 3.12 `asyncio.wait_for`, which pymodbus waits with, swallows one that
    arrives together with the answer; its task would then live on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
