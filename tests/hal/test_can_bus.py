"""A CAN port on lines of each kind: who goes first, what is lost, and how it comes back."""

import asyncio
import errno
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Self

import can
import pytest
from can.interfaces.virtual import VirtualBus

from hal.bus import can as can_bus
from hal.bus.can import BACKOFF_MIN_S, MOST_AT_ONCE, CanPort, slcan, socketcan, udp, virtual
from hal.bus.turns import Priority
from hal.errors import BoardError, BusError
from hal.types import CanFrame
from tests.support import vloop
from tests.support.stable_pty import StablePty

ON = CanFrame(0x029A00F0, bytes(8))
OFF = CanFrame(0x029A00F0, b"\1" + bytes(7))
FRAME_S = 160 / 125_000


async def until(holds: Callable[[], object]) -> None:
    """Wait, in real time, until something has come from a thread, a pty or a process."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nobody there to set an event
            await asyncio.sleep(0.01)


class Peer:
    """Somebody else on a line within this process."""

    def __init__(self, channel: str) -> None:
        self.bus = VirtualBus(channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.bus.shutdown()

    def heard(self) -> list[CanFrame]:
        """Return what has come since the last call."""
        found = []
        while (message := self.bus.recv(0)) is not None:
            found.append(CanFrame(message.arbitration_id, bytes(message.data)))
        return found

    def say(self, frame: CanFrame, **options: bool) -> None:
        message = can.Message(arbitration_id=frame.can_id, data=frame.data, **options)
        self.bus.send(message)


def on_a_line(main) -> None:
    """Run a test with a port and a peer on a line of their own, in virtual time."""

    async def ran():
        port = virtual(main.__qualname__)
        with Peer(main.__qualname__) as peer:
            try:
                await main(port, peer)
            finally:
                port.close()

    vloop.run(ran())


def test_what_is_sent_arrives_and_what_others_say_is_heard():
    async def main(port, peer):
        heard = []
        with port.heard_by(heard.append):
            await port.send(ON)
            assert peer.heard() == [ON]
            peer.say(OFF)
            await asyncio.sleep(0.1)
        peer.say(OFF)
        await asyncio.sleep(0.1)
        assert heard == [OFF]
        counters = port.counters
        assert (counters.connects, counters.sent, counters.received) == (1, 1, 2)

    on_a_line(main)


def test_frames_go_out_no_faster_than_the_line_carries_them():
    async def main(port, peer):
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for _ in range(100):
            await port.send(ON)
        assert loop.time() - begun_s == pytest.approx(99 * FRAME_S)
        assert len(peer.heard()) == 100

    on_a_line(main)


def test_what_is_urgent_overtakes_whatever_has_not_begun():
    async def main(port, peer):
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(port.send(CanFrame(number, b"")))
            await asyncio.sleep(0)
            group.create_task(port.send(ON, priority=Priority.COMMAND))
            group.create_task(port.send(OFF, priority=Priority.SAFETY))
        heard = peer.heard()
        assert heard[1:3] == [OFF, ON]
        assert len(heard) == 7

    on_a_line(main)


def test_what_is_not_wanted_any_more_in_its_turn_is_dropped():
    async def main(port, peer):
        is_on = True
        async with asyncio.TaskGroup() as group:
            group.create_task(port.send(CanFrame(1, b"")))
            await asyncio.sleep(0)
            group.create_task(port.send(ON, is_wanted=lambda: is_on))
            is_on = False
            group.create_task(port.send(OFF, priority=Priority.SAFETY))
        assert peer.heard() == [CanFrame(1, b""), OFF]
        assert port.counters.sent == 2

    on_a_line(main)


def test_what_is_no_data_frame_of_29_bits_is_not_handed_on():
    async def main(port, peer):
        heard = []
        await port.send(ON)
        with port.heard_by(heard.append):
            peer.say(CanFrame(0x123, b"\1"), is_extended_id=False)
            peer.say(CanFrame(0x123, b""), is_remote_frame=True)
            peer.say(CanFrame(0x123, bytes(64)), is_fd=True)
            peer.say(CanFrame(0x04, bytes(8)), is_error_frame=True)  # a controller's problem
            peer.say(CanFrame(0x123, b"\1\2"))
            await asyncio.sleep(0.1)
        assert heard == [CanFrame(0x123, b"\1\2")]
        assert port.counters.ignored == 3

    on_a_line(main)


def test_a_flood_leaves_the_loop_to_others():
    async def main(port, peer):
        heard, seen = [], []
        await port.send(ON)
        with port.heard_by(heard.append):
            for _ in range(3 * MOST_AT_ONCE):
                peer.say(OFF)
            while len(heard) < 3 * MOST_AT_ONCE:
                await asyncio.sleep(0.001)
                seen.append(len(heard))
        assert MOST_AT_ONCE in seen

    on_a_line(main)


@pytest.mark.parametrize("frame", [CanFrame(1 << 29, b""), CanFrame(1, bytes(9))])
def test_a_frame_that_cannot_be_is_refused(frame):
    async def main(port, peer):
        with pytest.raises(ValueError, match=r"(?i)arbitration|dlc|data"):
            await port.send(frame)
        assert peer.heard() == []

    on_a_line(main)


def test_bus_off_closes_the_port_and_the_next_send_after_a_while_opens_it():
    async def main(port, peer):
        await port.send(ON)
        peer.heard()
        peer.say(CanFrame(0x40, bytes(8)), is_error_frame=True)
        await asyncio.sleep(0.05)
        with pytest.raises(BusError, match=r"not open; next attempt in 0\.2 s"):
            await port.send(OFF, priority=Priority.SAFETY)
        await asyncio.sleep(BACKOFF_MIN_S)
        await port.send(OFF)
        assert peer.heard() == [OFF]
        assert port.counters.bus_offs == 1
        assert port.counters.connects == 2

    on_a_line(main)


class SickBus(VirtualBus):
    """A line of this process that has what a real one can have."""

    sends: Exception | None = None
    hears: Exception | None = None

    def send(self, msg, timeout=None):
        if self.sends is not None:
            raise self.sends
        super().send(msg, timeout)

    def _recv_internal(self, timeout):
        if self.hears is not None:
            raise self.hears
        return super()._recv_internal(timeout)


def with_a_sick_bus(main) -> None:
    async def ran():
        buses = []

        def opened():
            buses.append(SickBus(main.__qualname__))
            return buses[-1]

        port = CanPort("can0", opened)
        try:
            await main(port, buses)
        finally:
            port.close()

    vloop.run(ran())


def test_a_full_queue_loses_the_frame_and_not_the_line():
    async def main(port, buses):
        await port.send(ON)
        for error in (
            can.CanOperationError("Failed to transmit", errno.ENOBUFS),
            can.CanOperationError("Transmit buffer full"),
        ):
            buses[0].sends = error
            with pytest.raises(BusError, match="can0: takes nothing"):
                await port.send(ON)
        buses[0].sends = None
        await port.send(ON)
        assert len(buses) == 1
        assert port.counters.errors == 2

    with_a_sick_bus(main)


def test_what_goes_wrong_beside_the_loop_is_told_like_all_else():
    async def main():
        bus = SickBus("beside")
        port = CanPort("/dev/ttyACM0", lambda: bus, is_blocking=True)
        await port.send(ON)
        bus.sends = can.CanOperationError("Could not write to serial device")
        with pytest.raises(BusError, match="takes nothing: Could not write"):
            await port.send(ON)
        port.close()
        await until(lambda: not bus._open)

    asyncio.run(main())


@pytest.mark.parametrize("code", [errno.ENETDOWN, errno.ENODEV])
def test_an_interface_that_is_down_is_opened_anew(code):
    async def main(port, buses):
        await port.send(ON)
        buses[0].sends = can.CanOperationError("Network is down", code)
        with pytest.raises(BusError, match="can0: Network is down"):
            await port.send(ON)
        await asyncio.sleep(BACKOFF_MIN_S)
        await port.send(ON)
        assert len(buses) == 2

    with_a_sick_bus(main)


@pytest.mark.parametrize(
    "error", [can.CanOperationError("gone"), OSError(errno.EIO, "gone"), ValueError("gone")]
)
def test_a_line_that_cannot_be_read_is_opened_anew(error):
    async def main(port, buses):
        await port.send(ON)
        buses[0].hears = error
        await asyncio.sleep(0.05)
        with pytest.raises(BusError, match="not open"):
            await port.send(ON)
        await asyncio.sleep(BACKOFF_MIN_S)
        await port.send(ON)
        assert len(buses) == 2

    with_a_sick_bus(main)


def test_an_adapter_that_is_away_is_tried_ever_more_rarely():
    attempts = []

    def opened():
        attempts.append(1)
        raise can.CanInitializationError("No such device")

    async def main():
        port, loop, opened_s = CanPort("can7", opened), asyncio.get_running_loop(), []
        while loop.time() < 60.0:
            before = len(attempts)
            with pytest.raises(BusError, match=r"can7: (cannot be opened: No such|not open)"):
                await port.send(ON)
            if len(attempts) > before:
                opened_s.append(loop.time())
            await asyncio.sleep(0.05)
        pauses_s = [round(after - before, 1) for before, after in pairwise(opened_s)]
        assert pauses_s == sorted(pauses_s)
        assert (pauses_s[0], pauses_s[-1]) == (0.2, 5.0)

    vloop.run(main())


def test_who_is_cancelled_while_a_line_opens_leaves_none_open():
    async def main():
        gate = asyncio.Event()
        loop, buses = asyncio.get_running_loop(), []

        def opened():
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
            buses.append(SickBus("cancelled"))
            return buses[-1]

        port = CanPort("can0", opened)
        sending = asyncio.create_task(port.send(ON))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        gate.set()
        await until(lambda: buses and not buses[0]._open)
        assert port.counters.connects == 0

    asyncio.run(main())


def test_a_failed_opening_that_nobody_waits_for_is_no_error():
    async def main():
        gate = asyncio.Event()
        loop, done = asyncio.get_running_loop(), []

        def opened():
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()
            done.append(1)
            raise OSError(errno.ENODEV, "No such device")

        sending = asyncio.create_task(CanPort("can0", opened).send(ON))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending
        gate.set()
        await until(lambda: done)

    asyncio.run(main())


def test_without_python_can_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "can", None)
    with pytest.raises(BoardError, match=r"can0: .*pip install 'pilotwire\[can\]'"):
        socketcan("can0")


def test_a_port_on_an_interface_that_is_not_there_is_a_bus_error():
    async def main():
        with pytest.raises(BusError, match="pw-none: cannot be opened"):
            await socketcan("pw-none").send(ON)

    vloop.run(main())


# --- a serial adapter on a pseudo terminal ---


class Adapter:
    """An SLCAN adapter: `sent` is what it was asked to put on the line."""

    def __init__(self, line: StablePty) -> None:
        self.line, self.text = line, ""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(line.device, self._took)

    def _took(self) -> None:
        with suppress(OSError):
            self.text += os.read(self.line.device, 300).decode()

    async def commands(self, count: int) -> list[str]:
        """Return the first commands, when there are that many."""
        await until(lambda: self.text.count("\r") >= count)
        return self.text.split("\r")[:count]

    def say(self, text: str) -> None:
        os.write(self.line.device, text.encode())

    def pull(self) -> None:
        self._loop.remove_reader(self.line.device)
        self.line.pull()


def test_a_serial_adapter_is_set_up_written_to_and_read(tmp_path):
    async def main():
        heard = []
        with StablePty(tmp_path / "adapter") as line:
            adapter, port = Adapter(line), slcan(str(tmp_path / "adapter"), settle_s=0.0)
            with port.heard_by(heard.append):
                await port.send(OFF)
                commands = await adapter.commands(6)
                assert commands[1] == "S4"  # 125 kbit/s
                assert commands[-2:] == ["O", "T029A00F080100000000000000"]
                adapter.say("T029AF00080000000000000000\rt1238" + "00" * 8 + "\r")
                await until(lambda: heard)
            assert heard == [CanFrame(0x029AF000, bytes(8))]
            port.close()
            adapter.pull()
            line.put()

    asyncio.run(main())


def test_a_serial_adapter_that_was_pulled_out_is_opened_again_when_it_is_back(tmp_path):
    async def main():
        with StablePty(tmp_path / "adapter") as line:
            adapter, port = Adapter(line), slcan(str(tmp_path / "adapter"), settle_s=0.0)
            await port.send(ON)
            adapter.pull()
            await until(lambda: port.counters.errors)
            with pytest.raises(BusError, match="not open"):
                await port.send(OFF, priority=Priority.SAFETY)
            line.put()
            adapter = Adapter(line)
            await asyncio.sleep(BACKOFF_MIN_S)
            await port.send(OFF)
            assert (await adapter.commands(6))[-1] == "T029A00F080100000000000000"
            port.close()
            adapter.pull()
            line.put()

    asyncio.run(main())


class HangingBus(VirtualBus):
    """An adapter whose driver does not come back."""

    def __init__(self, channel: str, gate: threading.Event) -> None:
        super().__init__(channel)
        self._gate = gate

    def send(self, msg, timeout=None):
        self._gate.wait()

    def shutdown(self):
        self._gate.wait()
        super().shutdown()


def test_an_adapter_that_hangs_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr(can_bus, "HANGS_S", 0.05)
    gate, buses = threading.Event(), []

    def opened():
        buses.append(HangingBus("hanging", gate))
        return buses[-1]

    async def main():
        port = CanPort("/dev/ttyACM0", opened, is_blocking=True)
        with pytest.raises(BusError, match="/dev/ttyACM0: hangs"):
            await port.send(OFF, priority=Priority.SAFETY)
        with pytest.raises(BusError, match="not open"):
            await port.send(OFF, priority=Priority.SAFETY)
        gate.set()
        await until(lambda: not buses[0]._open)
        port.close()

    asyncio.run(main())


def test_what_an_adapter_says_after_the_end_reaches_nobody(monkeypatch):
    """The thread of a send that hung ends after the loop, without a word."""
    monkeypatch.setattr(can_bus, "HANGS_S", 0.05)
    monkeypatch.setattr(threading, "excepthook", lambda args: said.append(args.exc_value))
    said: list[BaseException] = []
    gate = threading.Event()

    async def main():
        port = CanPort("x", lambda: HangingBus("hanging", gate), is_blocking=True)
        with pytest.raises(BusError, match="hangs"):
            await port.send(OFF)

    before = set(threading.enumerate())
    asyncio.run(main())
    gate.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert said == []


def test_an_adapter_that_says_what_is_no_frame_is_closed(tmp_path):
    async def main():
        with StablePty(tmp_path / "adapter") as line:
            adapter, port = Adapter(line), slcan(str(tmp_path / "adapter"), settle_s=0.0)
            await port.send(ON)
            adapter.say("Tnonsense\r")
            await until(lambda: port.counters.errors)
            port.close()
            adapter.pull()
            line.put()

    asyncio.run(main())


# --- another process on a multicast group ---

ECHO = """\
import can
from can.interfaces.udp_multicast import UdpMulticastBus

with UdpMulticastBus("239.74.163.2", port=%d, fd=False) as bus:
    print("ready", flush=True)
    while True:
        message = bus.recv(10)
        if message is None:
            break
        if message.arbitration_id == 0x029A00F0:
            bus.send(can.Message(arbitration_id=0x029AF000, data=message.data))
            break
"""


def test_another_process_is_heard_on_a_multicast_group():
    number = 43_000 + os.getpid() % 2_000

    async def main():
        heard = []
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ECHO % number, stdout=asyncio.subprocess.PIPE
        )
        assert await process.stdout.readline() == b"ready\n"
        port = udp("239.74.163.2", number)
        with port.heard_by(heard.append):
            await port.send(OFF)
            await until(lambda: CanFrame(0x029AF000, OFF.data) in heard)
        port.close()
        await process.communicate()

    asyncio.run(main())
