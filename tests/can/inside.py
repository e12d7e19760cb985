"""On a virtual CAN interface of the kernel, in real time: run by `python -m tests.can`.

    python -m tests.can.inside INTERFACE

The interface is there and up, and may be taken down: this needs CAP_NET_ADMIN.
"""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable

import can
from can.interfaces.socketcan import SocketcanBus

from hal.bus.can import BACKOFF_MIN_S, socketcan
from hal.converter_settings import InfypowerSettings
from hal.drivers.module_families import power_modules
from hal.errors import BusError
from hal.sim.module_line import InfypowerLine
from hal.sim.module_line import served as answering
from hal.sim.power_module import Load, SimulatedModule, SimulatedRack
from hal.types import CanFrame, Fault
from tests.support.contract_converter import ConverterRecorder, served

FRAME = CanFrame(0x029A00F0, bytes(8))


def linked(interface: str, state: str) -> None:
    subprocess.run(["ip", "link", "set", interface, state], check=True)


async def frames_go_both_ways_and_only_29_bits_are_heard(interface: str) -> None:
    heard: list[CanFrame] = []
    port, far = socketcan(interface), SocketcanBus(interface)
    with port.heard_by(heard.append):
        await port.send(FRAME)
        got = await asyncio.to_thread(far.recv, 5.0)
        assert (got.arbitration_id, bytes(got.data), got.is_extended_id) == (
            FRAME.can_id,
            FRAME.data,
            True,
        )
        far.send(can.Message(arbitration_id=0x123, is_extended_id=False, data=b"\1"))
        for number in range(200):
            far.send(can.Message(arbitration_id=number, data=bytes((number,))))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.5)
    assert [frame.can_id for frame in heard] == list(range(200))
    port.close()
    far.shutdown()


async def a_burst_is_paced_and_nothing_of_it_is_lost(interface: str) -> None:
    heard: list[CanFrame] = []
    port, far = socketcan(interface), socketcan(interface)
    loop = asyncio.get_running_loop()
    with far.heard_by(heard.append):
        await far.listen()
        began_s = loop.time()
        for number in range(300):
            await port.send(CanFrame(number, bytes(8)))
        took_s = loop.time() - began_s
        await asyncio.sleep(0.5)
    assert [frame.can_id for frame in heard] == list(range(300))
    assert took_s >= 299 * 160 / 125_000
    port.close()
    far.close()


async def bus_off_and_an_interface_that_is_down_are_got_over(interface: str) -> None:
    port, far = socketcan(interface), SocketcanBus(interface)
    await port.send(FRAME)
    far.send(can.Message(arbitration_id=0x40, is_error_frame=True, data=bytes(8)))
    await asyncio.sleep(0.2)
    assert port.counters.bus_offs == 1
    await asyncio.sleep(BACKOFF_MIN_S)
    await port.send(FRAME)
    far.shutdown()
    linked(interface, "down")
    await _refused(port.send(FRAME))
    linked(interface, "up")
    await asyncio.sleep(2 * BACKOFF_MIN_S)
    await port.send(FRAME)
    assert port.counters.connects >= 3
    port.close()


async def power_modules_deliver_and_end_when_the_interface_goes(interface: str) -> None:
    modules = [SimulatedModule(address) for address in (0, 1, 2)]
    rack = SimulatedRack(modules, Load(400.0, 0.05))
    port, far = socketcan(interface), socketcan(interface)
    settings = InfypowerSettings(
        port="can", max_v=920.0, max_a=200.0, max_w=80_000.0, modules=(0, 1, 2)
    )
    converter = power_modules(port, settings)
    loop = asyncio.get_running_loop()
    async with answering(far, InfypowerLine(rack)), served(converter) as recorder:
        await recorder.until(lambda now: now.limits is not None and now.limits.max_a == 200.0)
        await recorder.until(lambda now: now.reading is not None)
        await converter.set_output(450.0, 60.0, valid_s=4.0)
        await _until(recorder, lambda: rack.delivered_a(loop.time()) > 59.0)
        assert sum(one.set_a for one in modules) <= 60.0
        linked(interface, "down")
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        await _refused(converter.turn_off())
        await asyncio.sleep(9.0)
        assert rack.delivered_a(loop.time()) == 0.0  # their own watchdogs
        linked(interface, "up")
        await far.listen()
        await recorder.until(lambda now: not now.faults)
        await converter.set_output(450.0, 30.0, valid_s=60.0)
        await _until(recorder, lambda: rack.delivered_a(loop.time()) > 29.0)
        await converter.turn_off()
        await asyncio.sleep(0.5)
        assert rack.delivered_a(loop.time()) == 0.0
    port.close()
    far.close()


async def _refused(work: Awaitable[None]) -> None:
    try:
        await work
    except BusError as error:
        print(f"  refused: {error}")
        return
    raise AssertionError("a line that is down took it")


async def _until(recorder: ConverterRecorder, holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            recorder.log.clear()
            await recorder.until(lambda now: now.log)


SCRIPTS = (
    frames_go_both_ways_and_only_29_bits_are_heard,
    a_burst_is_paced_and_nothing_of_it_is_lost,
    bus_off_and_an_interface_that_is_down_are_got_over,
    power_modules_deliver_and_end_when_the_interface_goes,
)


def main(interface: str) -> int:
    for script in SCRIPTS:
        asyncio.run(script(interface))
        print(f"ok   {script.__name__}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
