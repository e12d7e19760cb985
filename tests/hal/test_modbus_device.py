import asyncio
import struct
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from hal.bus.modbus import TcpPort
from hal.bus.modbus_request import ExceptionReplyError
from hal.bus.serial_line import LineSettings, opened
from hal.bus.turns import Priority
from hal.drivers.mapped import MappedDevice
from hal.errors import BusError, DeviceError
from hal.registers.codec import Point
from hal.registers.map import RegisterMap, load_map
from hal.registers.vocabulary import EVSE_POINTS
from hal.sim.modbus_device import MAX_CONNECTIONS, MAX_FAULTS, ModbusDeviceServer
from tests.support import vloop

MAPS = sorted((Path(__file__).parents[2] / "config/registers").glob("[!_]*.toml"))
SDM630 = load_map(Path(__file__).parents[2] / "config/registers/eastron-sdm630.toml")
WORDS_230_1 = (0x4366, 0x199A)


def served(
    scene: Callable[[ModbusDeviceServer, TcpPort], Coroutine[None, None, None]], **options
) -> None:
    """Play a scene with a device and a port that is connected to it."""

    async def main() -> None:
        async with ModbusDeviceServer(SDM630, **options) as device:
            framing = options.get("framing", "tcp")
            async with TcpPort("127.0.0.1", device.port, framing=framing) as port:
                await scene(device, port)

    vloop.run(main())


def middle(register_map: RegisterMap) -> dict[str, float]:
    """Return a value for every point that its register can carry."""
    return {point.name: _middle_of(point) for point in register_map.points}


def _middle_of(point: Point) -> float:
    if point.is_monotonic:
        return 123_456_000.0
    if point.labels:
        return float(next(iter(point.labels)))
    if point.name in EVSE_POINTS and not point.unit:
        return 1.0
    return (point.minimum + point.maximum) / 2 + 1


@pytest.mark.parametrize("path", MAPS, ids=lambda path: path.stem)
def test_every_shipped_map_reads_back_what_its_device_is_fed(path):
    register_map = load_map(path)
    values = middle(register_map)

    async def main():
        async with (
            ModbusDeviceServer(register_map, read_points=lambda: values) as device,
            TcpPort("127.0.0.1", device.port) as port,
        ):
            mapped = MappedDevice(port, 1, register_map)
            await mapped.prepare()
            got = await mapped.values()
        steps = {point.name: point.step for point in register_map.points}
        for name, value in values.items():
            assert got[name] == pytest.approx(value, rel=1e-6, abs=steps[name])

    vloop.run(main())


def test_values_are_asked_for_at_each_request():
    values = {"energy_import": 0.0}

    async def scene(device, port):
        assert await port.read(1, 4, 0x48, 2) == (0, 0)
        values["energy_import"] = 1_234_500.0
        assert await port.read(1, 4, 0x48, 2) == (0x449A, 0x5000)

    served(scene, read_points=lambda: values)


def test_a_fixed_point_wins_over_the_feed_until_it_is_released():
    async def scene(device, port):
        device.set_point("voltage_l1", 230.1)
        assert await port.read(1, 4, 0, 2) == WORDS_230_1
        device.set_point("voltage_l1", None)
        assert await port.read(1, 4, 0, 2) == (0x7FC0, 0)
        device.release_point("voltage_l1")
        assert await port.read(1, 4, 0, 2) == (0, 0)

    served(scene, read_points=lambda: {"voltage_l1": 0.0})


def test_fixed_words_win_over_every_value():
    async def scene(device, port):
        device.set_point("voltage_l1", 230.1)
        device.set_words(1, [0xABCD])
        assert await port.read(1, 4, 0, 2) == (0x4366, 0xABCD)
        device.set_words(0x400, [5], fc=3)
        assert await port.read(1, 3, 0x400, 1) == (5,)

    served(scene)


def test_a_point_that_nobody_feeds_has_no_value(tmp_path):
    async def scene(device, port):
        assert await port.read(1, 4, 0x48, 2) == (0x7FC0, 0)

    served(scene)


def test_a_point_that_cannot_say_absent_is_zero_when_nobody_feeds_it(tmp_path):
    path = tmp_path / "map.toml"
    text = (MAPS[0].parent / "eastron-sdm630.toml").read_text()
    path.write_text(
        text.replace(
            "[points]",
            '[points]\ntemperature = { addr = 0x400, unit = "C", type = "int16", na = [] }',
        )
    )

    async def main():
        async with ModbusDeviceServer(load_map(path)) as device:
            assert device.words(4, 0x400, 1) == [0]

    vloop.run(main())


def test_holes_are_zero_or_refused():
    async def scene(device, port):
        assert await port.read(1, 4, 0x100, 2) == (0, 0)

    async def refused(device, port):
        device.set_point("voltage_l1", 0.0)
        assert await port.read(1, 4, 0, 2) == (0, 0)
        with pytest.raises(ExceptionReplyError, match="exception 2"):
            await port.read(1, 4, 0x10, 4)

    served(scene)
    served(refused, refuses_holes=True)


def test_what_a_client_writes_is_read_back():
    async def scene(device, port):
        await port.write(1, 0x14, [7, 8])
        await port.write(1, 0x16, [9], fc=6)
        assert await port.read(1, 3, 0x14, 3) == (7, 8, 9)

    served(scene)


def test_only_its_own_unit_is_answered():
    async def scene(device, port):
        with pytest.raises(BusError, match="no answer"):
            await port.read(1, 4, 0, 2)
        assert len(await port.read(9, 4, 0, 2)) == 2

    served(scene, unit=9)


def test_a_feed_that_a_register_cannot_carry_is_a_device_failure():
    async def scene(device, port):
        with pytest.raises(ExceptionReplyError, match="exception 4"):
            await port.read(1, 4, 0, 2)

    served(scene, read_points=lambda: {"voltage_l1": 1e300})


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        ("2b 0000 0001", 1),  # identification
        ("05 0000 1234", 3),  # neither on nor off
        ("04 0000 0000", 3),  # nothing
        ("04 0000 007e", 3),  # too much
        ("04 ffff 0002", 2),  # past the end
        ("10 ffff 0002 04 0001 0002", 2),
        ("10 0000 0002 04 0001", 3),  # fewer words than announced
        ("04", 3),  # cut short
    ],
)
def test_a_request_that_cannot_be_served_gets_its_exception(pdu, code):
    data = bytes.fromhex(pdu)

    async def main():
        async with ModbusDeviceServer(SDM630) as device:
            reader, writer = await asyncio.open_connection("127.0.0.1", device.port)
            writer.write(struct.pack(">HHHB", 77, 0, len(data) + 1, 1) + data)
            assert await reader.readexactly(9) == struct.pack(
                ">HHHBBB", 77, 0, 3, 1, data[0] | 0x80, code
            )
            writer.close()

    vloop.run(main())


@pytest.mark.parametrize(
    ("framing", "request_"),
    [("tcp", "0001 0001 0006 01 04 0000 0002"), ("rtu", "01 04 0000 0002 0000")],
)
def test_a_stream_that_is_not_modbus_is_closed(framing, request_):
    async def main():
        async with ModbusDeviceServer(SDM630, framing=framing) as device:
            reader, writer = await asyncio.open_connection("127.0.0.1", device.port)
            writer.write(bytes.fromhex(request_))
            assert await reader.read() == b""
            writer.close()

    vloop.run(main())


def test_serial_frames_are_those_of_the_makers_document():
    async def main():
        async with ModbusDeviceServer(SDM630, framing="rtu") as device:
            device.set_point("voltage_l1", 230.1)
            reader, writer = await asyncio.open_connection("127.0.0.1", device.port)
            writer.write(bytes.fromhex("01 04 00 00 00 02 71 CB"))
            assert await reader.read(20) == bytes.fromhex("01 04 04 43 66 19 9A 85 E4")
            writer.close()

    vloop.run(main())


def test_serial_frames_carry_reads_and_writes():
    async def scene(device, port):
        device.set_point("voltage_l1", 230.1)
        assert await port.read(1, 4, 0, 2) == WORDS_230_1
        await port.write(1, 0x14, [7, 8])
        assert await port.read(1, 3, 0x14, 2) == (7, 8)

    served(scene, framing="rtu")


# --- misbehaviour ---


@pytest.mark.parametrize("mode", ["down", "garbage", "slow"])
def test_a_line_in_trouble_gives_no_answer_until_it_is_up_again(mode):
    async def scene(device, port):
        device.set_point("voltage_l1", 230.1)
        device.mode = mode
        for _ in range(3):
            with pytest.raises(BusError):
                await port.read(1, 4, 0, 2)
        device.mode = "up"
        await asyncio.sleep(3 * device.slow_s)
        assert await port.read(1, 4, 0, 2) == WORDS_230_1

    served(scene)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("silent", BusError),
        ("slow", BusError),
        ("hang_up", BusError),
        ("garbage", BusError),
        ("late", BusError),
        ("short", DeviceError),
        ("busy", ExceptionReplyError),
        ("illegal_address", ExceptionReplyError),
    ],
)
def test_a_queued_fault_spoils_as_many_requests_as_it_says(fault, error):
    async def scene(device, port):
        device.set_point("voltage_l1", 230.1)
        device.fail_next(fault, times=2)
        for _ in range(2):
            with pytest.raises(error):
                await port.read(1, 4, 0, 2)
            await asyncio.sleep(device.slow_s)
        assert await port.read(1, 4, 0, 2) == WORDS_230_1

    served(scene)


def test_a_late_answer_comes_in_front_of_the_next_one():
    async def main():
        async with ModbusDeviceServer(SDM630) as device:
            device.set_point("voltage_l1", 230.1)
            device.fail_next("late")
            reader, writer = await asyncio.open_connection("127.0.0.1", device.port)
            for number in (1, 2):
                writer.write(struct.pack(">HHHBBHH", number, 0, 6, 1, 4, 0, 2))
            answers = await reader.readexactly(26)
            assert (answers[:2], answers[13:15]) == (b"\0\1", b"\0\2")
            writer.close()

    vloop.run(main())


@pytest.mark.parametrize(
    ("fault", "words"), [("nan", (0x7FC0, 0, 0x7FC0, 0)), ("ones", (0xFFFF,) * 4)]
)
def test_a_device_can_lose_its_values(fault, words):
    async def scene(device, port):
        device.set_point("voltage_l1", 230.1)
        device.fail_next(fault)
        assert await port.read(1, 4, 0, 4) == words

    served(scene)


def test_the_faults_that_wait_are_bounded():
    device = ModbusDeviceServer(SDM630)
    device.fail_next("silent", MAX_FAULTS)
    with pytest.raises(ValueError, match="at most 256"):
        device.fail_next("silent")


def test_connections_beyond_the_bound_are_closed():
    async def main():
        async with ModbusDeviceServer(SDM630) as device:
            pairs = [
                await asyncio.open_connection("127.0.0.1", device.port)
                for _ in range(MAX_CONNECTIONS + 1)
            ]
            assert await pairs[-1][0].read() == b""
            device.hang_up()
            for reader, writer in pairs[:-1]:
                assert await reader.read() == b""
                writer.close()
            pairs[-1][1].close()

    vloop.run(main())


def test_a_device_can_be_stopped_and_started_again():
    async def main():
        device = ModbusDeviceServer(SDM630)
        with pytest.raises(RuntimeError, match="has not been started"):
            _ = device.port
        await device.stop()
        await device.start()
        number = device.port
        async with TcpPort("127.0.0.1", number) as port:
            await port.read(1, 4, 0, 2)
            await device.stop()
            with pytest.raises(BusError):
                await port.read(1, 4, 0, 2)
            await device.start(port=number)
            await asyncio.sleep(5)
            await port.read(1, 4, 0, 2)
            await device.stop()

    vloop.run(main())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda device: device.set_point("volts", 1.0),
            "no point 'volts'; allowed: apparent_total, current_l1",
        ),
        (lambda device: device.release_point("volts"), "no point 'volts'"),
        (lambda device: device.set_point("voltage_l1", 1e300), "float32 cannot carry"),
        (lambda device: device.set_words(0, [0x10000]), "words must be 0 to 65535"),
        (lambda device: device.set_words(0xFFFF, [1, 2]), "an address to 65535"),
        (lambda device: device.set_words(0, [1], fc=5), "a table from 1 to 4"),
    ],
)
def test_what_a_device_cannot_show_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(ModbusDeviceServer(SDM630))


# --- what only some devices have ---

CONTROLLER = load_map(Path(__file__).parents[2] / "config/registers/_template-evse.toml")


async def exchanged(device: ModbusDeviceServer, pdu: str) -> bytes:
    """Send one message over Modbus TCP; return the answer to it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", device.port)
    data = bytes.fromhex(pdu)
    writer.write(struct.pack(">HHHB", 1, 0, len(data) + 1, 1) + data)
    size = struct.unpack(">HHHB", await reader.readexactly(7))[2]
    answer = await reader.readexactly(size - 1)
    writer.close()
    return answer


def test_coils_and_inputs_are_bits_first_one_lowest():
    async def main():
        async with ModbusDeviceServer(CONTROLLER) as device:
            device.set_words(10, [1, 0, 1, 1, 0, 0, 0, 0, 1], fc=2)
            assert await exchanged(device, "02 000a 0009") == bytes.fromhex("02 02 0d01")
            assert await exchanged(device, "05 0190 ff00") == bytes.fromhex("05 0190 ff00")
            assert await exchanged(device, "01 0190 0001") == bytes.fromhex("01 01 01")
            assert await exchanged(device, "05 0190 0000") == bytes.fromhex("05 0190 0000")
            assert device.words(1, 400, 1) == [0]

    vloop.run(main())


def test_points_in_one_word_are_served_together(tmp_path):
    text = (MAPS[0].parent / "_template-evse.toml").read_text()
    path = tmp_path / "map.toml"
    path.write_text(
        text.replace("cable_limit = { addr = 102,", "cable_limit = { addr = 101, mask = 0xFF,")
        + '[[vector]]\npoint = "cable_limit"\nwords = [0x0120]\nvalue = 32\n'
    )
    device = ModbusDeviceServer(
        load_map(path), read_points=lambda: {"outlet": 1.0, "cable_limit": 20.0}
    )
    assert device.words(3, 101, 1) == [0x0114]


def test_a_device_says_who_it_is():
    template = load_map(MAPS[0].parent / "_template.toml")
    device = ModbusDeviceServer(template)
    assert device.words(3, 0xFC00, 2) == [0x00BC, 0x614E]
    assert device.words(4, 0x0200, 2) == [0x4D2D, 0x3100]


# --- ASCII frames, and messages for all ---


async def asked_in_ascii(lines: bytes) -> bytes:
    """Return what a unit 1 with 230.1 V answers to these bytes and a good request."""
    async with ModbusDeviceServer(SDM630, framing="ascii") as device:
        device.set_point("voltage_l1", 230.1)
        asyncio.get_running_loop().patience_s = 0.005
        async with opened(LineSettings(await device.start_pty(), 38_400)) as line:
            for start in range(0, len(lines), 2000):
                line.write(lines[start : start + 2000])
                await asyncio.sleep(0.01)
            await asyncio.sleep(1.0)
            line.write(b":010400000002F9\r\n")
            await asyncio.sleep(1.0)
            return await line.read()


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b":010400000002F8\r\n",  # a wrong LRC
        b":0104000000\r\n",
        b":01\r\n",
        b":01040000000G\r\n",
        b"010400000002F9\r\n",  # no colon
        b":010400000002F9\n",  # no carriage return
        b":0104:020400000002F8\r\n",  # begun anew, for another unit
        b":" + b"0" * 600 + b"\r\n",
        b"x" * 70_000 + b"\n",
    ],
    ids=range(10),
)
def test_what_is_no_ascii_frame_for_the_unit_is_passed_over(before):
    answer = vloop.run(asked_in_ascii(before))
    assert answer == b":0104044366199A9B\r\n"


def test_a_message_for_all_is_heard_and_not_answered():
    async def scene(device, port):
        heard: list[tuple[int, ...]] = []
        device.on_write = lambda table, at, words: heard.append((table, at, *words))
        await port.share(9, 0x20, 3, (1, 60))
        await port.share(9, 0x20, 3, (2, 70))
        await asyncio.sleep(0.1)
        device.mode = "down"
        await port.share(9, 0x20, 3, (0, 80))
        await asyncio.sleep(0.1)
        device.mode = "up"
        assert await port.read(1, 4, 0x48, 2) == (0x7FC0, 0)
        assert heard == [(3, 0x20, 0, 60, 0), (3, 0x20, 0, 60, 70)]
        with pytest.raises(ValueError, match="a table of 3 words has no number 3"):
            await port.share(9, 0x20, 3, (3, 60))

    served(scene, listens_to=9, framing="rtu")


def test_of_messages_for_all_that_wait_the_last_one_holds_the_last_words():
    async def scene(device, port):
        heard: list[tuple[int, ...]] = []
        device.on_write = lambda table, at, words: heard.append(tuple(words))
        await asyncio.gather(
            port.read(1, 4, 0x48, 2),
            port.share(9, 0x20, 2, (0, 160)),
            port.share(9, 0x20, 2, (1, 160)),
            port.share(9, 0x20, 2, (0, 60), priority=Priority.SAFETY),
        )
        await asyncio.sleep(0.1)
        assert heard[-1] == (60, 160)
        first = next(at for at, words in enumerate(heard) if words[0] == 60)
        assert all(words[0] == 60 for words in heard[first:])

    served(scene, listens_to=9, framing="rtu")
