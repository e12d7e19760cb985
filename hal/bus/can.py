"""One owner per CAN port: whoever talks on it sends and hears through one `CanPort`.

A port has no task of its own, like a Modbus port: it opens when somebody wants to send, and
while the adapter is away it fails at once until the back-off is over. It is read on the event
loop. Frames go out one at a time, no faster than the line carries them, so that they wait
here and not in the kernel: what is urgent overtakes whatever has not begun. A frame that is
not wanted any more when its turn comes is dropped (`is_wanted`).

Only data frames with 29-bit identifiers are handed on. Bus-off, an interface that is down and
an adapter that is pulled out close the port; the next send opens it again. Whether a device
answers is for its driver to watch: CAN confirms that somebody has taken a frame, not who.

`python-can` is imported when a port is made, so a board without CAN does not pay the memory.
What it does that blocks (opening, and writing to a serial adapter) happens on a thread.
"""

import asyncio
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, Final

from hal.bus.counters import CanCounters, Tally
from hal.bus.turns import Priority, Turns
from hal.errors import BoardError, BusError
from hal.types import CanFrame

if TYPE_CHECKING:
    from can import BusABC, Message

BACKOFF_MIN_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0

MOST_AT_ONCE: Final = 64
"""Frames that are taken before the loop gets on with other things."""

SEND_S: Final = 0.2
"""How long a serial adapter may take to accept a frame."""

HANGS_S: Final = 1.0
"""When an adapter that has not even said that it does not accept is given up."""

_FRAME_BITS: Final = 160
"""Of the longest frame: 29-bit identifier, eight bytes, stuff bits, and the pause after it."""

_LOOK_S: Final = 0.02
"""Between two looks at a bus that cannot be waited for."""

_MOST_UNREAD: Final = 1000
_BUS_OFF: Final = 0x40
"""CAN_ERR_BUSOFF in the identifier of an error frame (linux/can/error.h)."""


class CanPort:
    """A CAN line, whatever carries it; made by `socketcan`, `slcan`, `udp` or `virtual`.

    Safe to use by any number of tasks of one event loop. `close` lets go of the line; the
    next send opens it again.
    """

    def __init__(
        self,
        name: str,
        open_bus: "Callable[[], BusABC]",
        *,
        bitrate: int = 125_000,
        is_blocking: bool = False,
    ) -> None:
        """Name the line; nothing is opened yet.

        Args:
            name: for people.
            open_bus: makes one attempt; it may block.
            bitrate: bits per second, more than 0; frames are paced by it.
            is_blocking: sending may block.

        Raises:
            BoardError: python-can is not installed.
        """
        try:
            import can  # noqa: F401, PLC0415 - see the module
        except ImportError as error:
            raise BoardError(
                f"{name}: CAN needs python-can: pip install 'pilotwire[can]'"
            ) from error
        self.name = name
        self._open_bus, self._is_blocking = open_bus, is_blocking
        self._frame_s = _FRAME_BITS / bitrate
        self._turns, self._tally = Turns(name), Tally(CanCounters)
        self._hearers: list[Callable[[CanFrame], None]] = []
        self._bus: BusABC | None = None
        self._stop_reading: Callable[[], object] = _nothing
        self._retry_at = float("-inf")
        self._backoff_s = BACKOFF_MIN_S

    @property
    def counters(self) -> CanCounters:
        """Return what has happened so far."""
        return self._tally.counters()

    @contextmanager
    def heard_by(self, hear: Callable[[CanFrame], None]) -> Iterator[None]:
        """Hand every frame on to somebody for the length of the block; `hear` never raises."""
        self._hearers.append(hear)
        try:
            yield
        finally:
            self._hearers.remove(hear)

    async def send(
        self,
        frame: CanFrame,
        *,
        priority: Priority = Priority.POLL,
        is_wanted: Callable[[], bool] | None = None,
    ) -> None:
        """Send a frame in its turn.

        Args:
            frame: with an identifier of 29 bits and at most eight bytes.
            priority: who goes first when several wait.
            is_wanted: asked when the turn has come; otherwise the frame is dropped.

        Raises:
            BusError: the line takes nothing, or is not there; the frame may be lost.
            ValueError: there is no such frame; nothing was sent.
        """
        message = _message(frame)
        async with self._turns.turn(priority):
            bus = await self._opened()
            if is_wanted is not None and not is_wanted():
                return
            begun_s = asyncio.get_running_loop().time()
            await self._put(bus, message)
            self._tally.count("sent")
            self._turns.rest(until=begun_s + self._frame_s)
            self._tally.busy(begun_s, begun_s + self._frame_s)

    async def listen(self) -> None:
        """Open the line without saying anything, for who answers only.

        Raises:
            BusError: it cannot be opened.
        """
        async with self._turns.turn(Priority.POLL):
            await self._opened()

    def close(self) -> None:
        """Let go of the line."""
        self._stop_reading()
        self._stop_reading = _nothing
        bus, self._bus = self._bus, None
        if bus is None:
            return
        if self._is_blocking:
            Thread(target=_shut, args=(bus,), daemon=True).start()
        else:
            _shut(bus)

    async def _put(self, bus: "BusABC", message: "Message") -> None:
        from can import CanError  # noqa: PLC0415 - see the module

        try:
            if self._is_blocking:
                await _beside(lambda: bus.send(message, SEND_S))
            else:
                bus.send(message)
        except TimeoutError as error:
            raise self._lost("hangs") from error
        except (CanError, OSError, ValueError) as error:
            code = getattr(error, "error_code", None)
            if code in {None, errno.ENOBUFS}:  # full, as when nobody is there to acknowledge
                self._tally.count("errors")
                raise BusError(f"{self.name}: takes nothing: {error}") from error
            raise self._lost(f"{error}") from error

    async def _opened(self) -> "BusABC":
        """Return the open bus.

        Raises:
            BusError: it cannot be opened, or could not lately.
        """
        if self._bus is not None:
            return self._bus
        loop = asyncio.get_running_loop()
        if (wait_s := self._retry_at - loop.time()) > 0:
            raise BusError(f"{self.name}: not open; next attempt in {wait_s:.1f} s")
        opening = loop.run_in_executor(None, self._attempt)
        try:
            bus = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_abandon)
            raise
        except BusError as error:
            raise self._lost(str(error)) from error
        self._bus, self._backoff_s = bus, BACKOFF_MIN_S
        self._tally.count("connects")
        self._read(bus)
        return bus

    def _attempt(self) -> "BusABC":
        from can import CanError  # noqa: PLC0415 - see the module

        try:
            return self._open_bus()
        except (CanError, OSError, ValueError) as error:
            raise BusError(f"cannot be opened: {error}") from error

    def _lost(self, reason: str) -> BusError:
        """Close the line and say why; it is left alone for a while."""
        self._tally.count("errors")
        self.close()
        self._retry_at = asyncio.get_running_loop().time() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_MAX_S)
        return BusError(f"{self.name}: {reason}")

    def _read(self, bus: "BusABC") -> None:
        """Take what arrives from now on."""
        loop = asyncio.get_running_loop()
        try:
            number = bus.fileno()
        except NotImplementedError:
            self._look(bus)
            return
        loop.add_reader(number, self._take, bus)
        self._stop_reading = lambda: loop.remove_reader(number)

    def _look(self, bus: "BusABC") -> None:
        self._take(bus)
        if self._bus is bus:
            timer = asyncio.get_running_loop().call_later(_LOOK_S, self._look, bus)
            self._stop_reading = timer.cancel

    def _take(self, bus: "BusABC") -> None:
        from can import CanError  # noqa: PLC0415 - see the module

        try:
            for _ in range(MOST_AT_ONCE):
                message = bus.recv(0)
                if message is None or not self._heard(message):
                    return
        except (CanError, OSError, ValueError) as error:
            self._lost(str(error))

    def _heard(self, message: "Message") -> bool:
        """Hand a message on; tell whether the line is still there."""
        if message.is_error_frame:
            if message.arbitration_id & _BUS_OFF:
                self._tally.count("bus_offs")
                self._lost("bus-off")
            return self._bus is not None
        if not message.is_extended_id or message.is_remote_frame or message.is_fd:
            self._tally.count("ignored")
            return True
        self._tally.count("received")
        frame = CanFrame(message.arbitration_id, bytes(message.data))
        for hear in tuple(self._hearers):
            hear(frame)
        return True


def socketcan(interface: str, *, bitrate: int = 125_000) -> CanPort:
    """Return a port on a network interface of the kernel, which is up and has its bit rate."""

    def opened() -> "BusABC":
        from can.interfaces.socketcan import SocketcanBus  # noqa: PLC0415 - see the module

        return SocketcanBus(
            interface, can_filters=[{"can_id": 0, "can_mask": 0, "extended": True}]
        )

    return CanPort(interface, opened, bitrate=bitrate)


def slcan(
    path: str, *, bitrate: int = 125_000, baudrate: int = 115_200, settle_s: float = 2.0
) -> CanPort:
    """Return a port on a serial adapter that speaks SLCAN (LAWICEL).

    Args:
        path: of the device file.
        bitrate: of the CAN line; one of those that SLCAN has.
        baudrate: of the serial line; USB adapters do not care.
        settle_s: how long an adapter takes to start when it is opened.
    """

    def opened() -> "BusABC":
        from can.interfaces.slcan import slcanBus  # noqa: PLC0415 - see the module

        return slcanBus(path, baudrate, bitrate=bitrate, sleep_after_open=settle_s, timeout=0.0)

    return CanPort(path, opened, bitrate=bitrate, is_blocking=True)


def udp(group: str, port: int, *, bitrate: int = 125_000) -> CanPort:
    """Return a port on a multicast group, for benches: frames as python-can packs them."""

    def opened() -> "BusABC":
        from can.interfaces.udp_multicast import UdpMulticastBus  # noqa: PLC0415 - see the module

        return UdpMulticastBus(group, port=port, fd=False)

    return CanPort(f"{group}:{port}", opened, bitrate=bitrate)


def virtual(channel: str, *, bitrate: int = 125_000) -> CanPort:
    """Return a port on a line within this process, for tests."""

    def opened() -> "BusABC":
        from can.interfaces.virtual import VirtualBus  # noqa: PLC0415 - see the module

        return VirtualBus(channel, rx_queue_size=_MOST_UNREAD)

    return CanPort(channel, opened, bitrate=bitrate)


def _message(frame: CanFrame) -> "Message":
    from can import Message  # noqa: PLC0415 - see the module

    return Message(
        arbitration_id=frame.can_id, is_extended_id=True, data=frame.data, check=True
    )


async def _beside(work: Callable[[], None]) -> None:
    """Do something that may block for ever, beside the loop.

    The thread is not waited for at the end of the process: an adapter that hangs must not keep
    it from ending.

    Raises:
        TimeoutError: it does; what it was to do may still happen.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: Exception | None = None
        try:
            work()
        except Exception as found:  # noqa: BLE001 - raised where it is waited for
            error = found
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, error)

    Thread(target=run, daemon=True).start()
    async with asyncio.timeout(HANGS_S):
        await done


def _abandon(opening: "asyncio.Future[BusABC]") -> None:
    """Close what was opened when nobody waits for it any more."""
    if opening.exception() is None:
        _shut(opening.result())


def _shut(bus: "BusABC") -> None:
    from can import CanError  # noqa: PLC0415 - see the module

    with suppress(CanError, OSError, ValueError):  # a pulled adapter cannot be told to close
        bus.shutdown()


def _nothing() -> None:
    """Do nothing."""
