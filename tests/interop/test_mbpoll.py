"""Our simulated devices and our serial master against tools of the field: mbpoll and socat.

mbpoll (libmodbus) reads what `pilotwire hal simulate` serves, over TCP and over a serial line
that socat makes; our own master goes over the same line to pymodbus. Where mbpoll or socat is
missing this is left out; with PILOTWIRE_MBPOLL=required in the environment they must be there.
"""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hal.bus.modbus import SerialPort
from hal.registers import sunspec
from hal.registers.codec import Point, decode, exponent_of
from hal.registers.map import load_map
from hal.sim.modbus_device import ModbusDeviceServer
from hal.tools.simulating import charging, simulated

pytestmark = pytest.mark.interop

MAPS = sorted((Path(__file__).parents[2] / "config/registers").glob("[a-z]*.toml"))
UNIT = 7
LIMIT_S = 20.0


def is_there() -> bool:
    found = all(shutil.which(name) is not None for name in ("mbpoll", "socat"))
    is_required = os.environ.get("PILOTWIRE_MBPOLL") == "required"
    assert found or not is_required, "mbpoll or socat is missing"
    return found


async def mbpoll(where: list[str], *options: str) -> list[str]:
    """Poll once; return the values that mbpoll shows, in order of their addresses."""
    process = await asyncio.create_subprocess_exec(
        "mbpoll", "-1", "-0", "-B", "-o", "5", "-a", str(UNIT), *where, *options,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(LIMIT_S):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return re.findall(r"^\[\d+\]:\s+(\S+)", output.decode(), re.MULTILINE)


def at_tcp(device: ModbusDeviceServer) -> list[str]:
    return ["-m", "tcp", "-p", str(device.port), "127.0.0.1"]


def at_line(path: Path) -> list[str]:
    return ["-m", "rtu", "-b", "9600", "-P", "none", str(path)]


@asynccontextmanager
async def line(here: Path, there: str) -> AsyncIterator[None]:
    """Lay a serial line between a name of its own and a terminal or another such name."""
    process = await asyncio.create_subprocess_exec(
        "socat", f"PTY,link={here},raw,echo=0", f"{there},raw,echo=0"
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            while not os.path.lexists(here):  # noqa: ASYNC110, ASYNC240  # of another process
                await asyncio.sleep(0.01)
        yield
    finally:
        process.terminate()
        await process.wait()


async def seen(where: list[str], point: Point) -> float | None:
    """Return what mbpoll sees of a point, its words read as numbers by our codec."""

    async def words(address: int, count: int) -> list[int]:
        table = {3: "4:hex", 4: "3:hex"}[point.fc]
        shown = await mbpoll(where, "-t", table, "-r", str(address), "-c", str(count))
        return [int(word, 16) for word in shown]

    exponent = 0
    if point.exponent is not None:
        [word] = await words(point.exponent.address, 1)
        found = exponent_of(word)
        assert found is not None
        exponent = found
    return decode(point, await words(point.address, point.count), exponent)


if is_there():

    def test_mbpoll_reads_the_voltage_of_every_map_that_we_serve():
        async def of(path: Path) -> None:
            device_map = load_map(path)
            if device_map.sunspec is not None:
                device_map, _ = sunspec.served(device_map)
            shown = charging(device_map, 0.0)
            [point, *_] = [
                item
                for item in device_map.points
                if item.name in {"voltage_l1", "state"} and item.fc in {3, 4}
            ] or [None]
            if point is None:  # a controller that has only bits
                return
            async with simulated(load_map(path), unit=UNIT, tcp_port=0) as (device, _):
                found = await seen(at_tcp(device), point)
            assert found == pytest.approx(shown[point.name], abs=point.step), path.name
            polled.append(path.name)

        async def main() -> None:
            for start in range(0, len(MAPS), 8):  # not all processes at once
                await asyncio.gather(*map(of, MAPS[start : start + 8]))

        polled: list[str] = []
        asyncio.run(main())
        assert len(polled) > len(MAPS) * 2 // 3, sorted(polled)

    def test_mbpoll_reads_a_simulated_meter_over_a_serial_line(tmp_path):
        async def main() -> None:
            sdm = load_map(MAPS[0].parent / "eastron-sdm630.toml")
            fixed = {"voltage_l1": 231.5, "voltage_l2": 229.0, "voltage_l3": 230.25}
            async with (
                simulated(sdm, unit=UNIT, tcp_port=None, fixed=fixed) as (_, path),
                line(tmp_path / "usb", path),
            ):
                values = await mbpoll(
                    at_line(tmp_path / "usb"), "-t", "3:float", "-r", "0", "-c", "3"
                )
            assert [float(value) for value in values] == list(fixed.values())

        asyncio.run(main())

    def test_what_mbpoll_writes_arrives_and_it_is_told_what_is_refused(tmp_path):
        async def main() -> None:
            charger = load_map(MAPS[0].parent / "heidelberg-energy-control.toml")
            written: list[tuple[int, int, list[int]]] = []
            async with simulated(charger, unit=UNIT, tcp_port=None) as (device, path):
                device.on_write = lambda *what: written.append((*what[:2], list(what[2])))
                async with line(tmp_path / "usb", path):
                    where = at_line(tmp_path / "usb")
                    await mbpoll(where, "-t", "4", "-r", "261", "160")
                    device.fail_next("illegal_address")
                    with pytest.raises(AssertionError, match="Illegal data address"):
                        await mbpoll(where, "-t", "3", "-r", "4", "-c", "1")
            assert written == [(3, 261, [160])]

        asyncio.run(main())

    def test_our_master_reads_and_writes_a_server_at_the_other_end_of_socat(tmp_path):
        async def main() -> None:
            ours, theirs = tmp_path / "ours", tmp_path / "theirs"
            unit = SimDevice(
                UNIT, [SimData(0, values=[5, 6, 7, 8], datatype=DataType.REGISTERS)]
            )
            async with line(ours, f"PTY,link={theirs}"):
                server = ModbusSerialServer(
                    [unit], framer=FramerType.RTU, port=str(theirs), baudrate=9600
                )
                await server.listen()
                try:
                    async with SerialPort(str(ours), parity="E") as port:
                        assert await port.read(UNIT, 3, 1, 2) == (6, 7)
                        await port.write(UNIT, 1, [60, 70])
                        assert await port.read(UNIT, 3, 0, 4) == (5, 60, 70, 8)
                        assert port.counters.errors == port.counters.timeouts == 0
                finally:
                    await server.shutdown()

        asyncio.run(main())
