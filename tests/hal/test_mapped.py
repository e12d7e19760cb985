import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from msgspec import structs

from hal.bus.modbus import TcpPort
from hal.drivers.mapped import MappedDevice
from hal.errors import BusError, DeviceError
from hal.registers.commands import Write
from hal.registers.map import RegisterMap, load_map
from hal.sim.modbus_device import ModbusDeviceServer
from tests.support import vloop

MAPS = Path(__file__).parents[2] / "config/registers"

SUNSPEC = """\
schema = 1
kind = "meter"
id = "test"
vendor = "Maker"
model = "Model"
source = "page 1"
phases = 1
[bus]
max_registers = 125
max_gap = 30
[sunspec]
models = [203]
length = 105
[exponents]
v_sf = { addr = 15, sim = -1 }
[defaults]
fc = 3
type = "int16"
[points]
voltage_l1 = { addr = 8, unit = "V", exponent = "v_sf" }
current_l1 = { addr = 3, unit = "A" }
power_total = { addr = 18, unit = "W" }
energy_import = { addr = 46, unit = "Wh", type = "uint32" }
[[vector]]
point = "voltage_l1"
words = [2300]
exponent = -1
value = 230.0
"""

Scene = Callable[[MappedDevice, ModbusDeviceServer], Coroutine[None, None, None]]


@pytest.fixture
def sunspec(tmp_path) -> RegisterMap:
    path = tmp_path / "map.toml"
    path.write_text(SUNSPEC)
    return load_map(path)


def played(register_map: RegisterMap, scene: Scene, **options) -> None:
    """Play a scene with a device and the simulator behind it."""

    async def main() -> None:
        async with (
            ModbusDeviceServer(register_map, **options) as device,
            TcpPort("127.0.0.1", device.port) as port,
        ):
            await scene(MappedDevice(port, 1, register_map), device)

    vloop.run(main())


FEED = {"voltage_l1": 230.1, "current_l1": 16.0, "power_total": 3680.0, "energy_import": 7.0}


@pytest.mark.parametrize("base", [40_000, 50_000, 0])
def test_a_sunspec_device_is_found_wherever_its_chain_begins(sunspec, base):
    async def scene(mapped, device):
        found = device.words(3, 40_000, 200)
        device.set_words(40_000, [0] * 200, fc=3)
        device.set_words(base, found, fc=3)
        await mapped.prepare()
        assert await mapped.values() == FEED
        assert await mapped.identity() == {
            "model": "Model",
            "firmware": "1.0",
            "serial_number": "1",
        }

    played(sunspec, scene, read_points=lambda: FEED)


def test_a_device_that_refuses_to_be_asked_for_the_mark_may_have_it_elsewhere(sunspec):
    async def scene(mapped, device):
        device.fail_next("illegal_address")
        with pytest.raises(DeviceError, match="there is no mark at 40000, 50000, 0"):
            await mapped.prepare()

    played(sunspec, scene)


def test_a_device_without_the_model_says_so(sunspec):
    async def scene(mapped, device):
        device.set_words(40_070, [201], fc=3)
        with pytest.raises(DeviceError, match="the device has no SunSpec model 203"):
            await mapped.prepare()

    played(sunspec, scene)


def test_a_chain_that_never_ends_is_given_up(sunspec):
    async def scene(mapped, device):
        for at in range(40_002, 44_000, 3):
            device.set_words(at, [1, 1], fc=3)
        with pytest.raises(DeviceError, match="no SunSpec model"):
            await mapped.prepare()

    played(sunspec, scene)


def test_what_a_device_does_not_say_about_itself_is_left_out():
    async def scene(mapped, device):
        await mapped.prepare()
        assert await mapped.identity() == {"serial_number": "12345678", "model": "M-1"}
        device.set_words(0x0200, [0, 0])
        device.fail_next("illegal_address")
        assert await mapped.identity() == {}

    played(load_map(MAPS / "_template.toml"), scene)


def test_a_register_that_wears_out_is_written_only_when_it_changes():
    async def scene(mapped, device):
        written: list[tuple[int, int]] = []
        device.on_write = lambda fc, address, words: written.append((fc, address))
        for value in (4, 4, 5):
            await mapped.write(Write(16, 2000, (value,), nv=True))
        for value in (1, 1):
            await mapped.write(Write(5, 400, (value,), nv=True))
        await mapped.write(Write(6, 258, (4,)))
        await mapped.write(Write(6, 258, (4,)))
        assert written == [(3, 2000), (3, 2000), (1, 400), (3, 258), (3, 258)]

    played(load_map(MAPS / "_template-evse.toml"), scene)


def test_a_device_that_sleeps_is_asked_twice(tmp_path):
    path = tmp_path / "map.toml"
    text = (MAPS / "_template-evse.toml").read_text()
    path.write_text(text.replace("\n[defaults]", "\n[bus]\nwakes = true\n[defaults]"))

    async def scene(mapped, device):
        await mapped.prepare()
        device.fail_next("silent")
        assert (await mapped.values())["state"] == 2
        device.fail_next("silent")
        await mapped.write(Write(16, 258, (4,)))
        assert device.words(3, 258, 1) == [4]
        device.fail_next("silent", times=2)
        with pytest.raises(BusError):
            await mapped.values()

    feed = {"state": 2, "outlet": 0, "cable_limit": 0, "error_bits": 0}
    played(load_map(path), scene, read_points=lambda: feed)


def test_the_patience_of_the_map_reaches_the_line():
    async def scene(mapped, device):
        await mapped.prepare()
        device.mode, device.slow_s = "slow", 0.4
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(BusError):
            await mapped.values()
        assert loop.time() - begun == pytest.approx(0.2, abs=0.05)

    register_map = load_map(MAPS / "_template-evse.toml")
    bus = structs.replace(register_map.bus, timeout_s=0.2)
    played(structs.replace(register_map, bus=bus), scene)
