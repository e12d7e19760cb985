"""The parts of a DC outlet: isolation monitor, its words, and the socket of the vehicle's side."""

import asyncio
import json

import pytest

from hal.bus.modbus import TcpPort
from hal.dc_types import IsolationReading, SupplyState, VehicleStage, VehicleState
from hal.drivers.isocha import IsoCha
from hal.drivers.modbus_contactor import ModbusContactor
from hal.drivers.vehicle_socket import VehicleSocket
from hal.errors import BusError, DeviceError
from hal.protocols import isocha, vehicle_lines
from hal.protocols.isocha import Measurement
from hal.sim.dc_devices import ContactorDevice, IsoChaDevice
from hal.sim.dc_outlet import DcOutlet
from hal.types import Fault, PilotState
from tests.support import vloop


class Ear:
    """Listens to any of them."""

    def __init__(self) -> None:
        self.readings, self.states, self.closed, self.lost = [], [], [], []
        self.faults: set[Fault] = set()

    def isolation_read(self, reading):
        self.readings.append(reading)

    def vehicle_read(self, state):
        self.states.append(state)

    def vehicle_lost(self, reason):
        self.lost.append(reason)

    def contactor_changed(self, *, closed):
        self.closed.append(closed)

    def fault_raised(self, fault, info=""):
        self.faults.add(fault)

    def fault_cleared(self, fault):
        self.faults.discard(fault)


# --- the words of an isoCHA ---


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0x4974, 0x2400, 0x0002, 71), Measurement(1e6, isocha.OHM)),
        ((0x43C8, 0x0000, 0x0004, 76), Measurement(400.0, isocha.VOLT)),
        ((0x4974, 0x2400, 0x0582, 71), Measurement(1e6, isocha.OHM, isocha.BIGGER, 5)),
        ((0x4974, 0x2400, 0x4002, 71), Measurement(1e6, isocha.OHM, is_testing=True)),
        ((0x4974, 0x2400, 0x8202, 71), Measurement(1e6, isocha.OHM, 0, 2, is_testing=True)),
    ],
)
def test_four_words_are_a_measurement(words, expected):
    assert isocha.measurement(words) == expected


def test_words_are_made_as_they_are_read():
    item = Measurement(1e6, isocha.OHM, isocha.BIGGER, 5, is_testing=True)
    assert isocha.measurement(isocha.words_of(item, 71)) == item


@pytest.mark.parametrize(
    ("item", "known"),
    [
        (Measurement(1e6, isocha.OHM), 1e6),
        (Measurement(1e6, isocha.OHM, isocha.BIGGER), 1e6),
        (Measurement(1e6, isocha.OHM, isocha.SMALLER), 0.0),
        (Measurement(1e6, isocha.OHM, isocha.INVALID), None),
        (Measurement(1e6, isocha.OHM, is_testing=True), None),
        (Measurement(float("nan"), isocha.OHM), None),
        (Measurement(-1.0, isocha.OHM), None),
        (Measurement(float("inf"), isocha.OHM), None),
    ],
)
def test_a_resistance_is_never_told_as_more_than_it_surely_is(item, known):
    assert item.at_least == known


# --- the monitor on its line ---


def monitored(scene):
    async def main():
        outlet = DcOutlet()
        async with (
            IsoChaDevice(outlet) as device,
            TcpPort("127.0.0.1", device.server.port) as port,
        ):
            monitor, ear = IsoCha(port), Ear()
            task = asyncio.create_task(monitor.run(ear))
            await asyncio.sleep(1.2)
            await scene(device, monitor, ear)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    vloop.run(main())


def test_a_monitor_tells_resistance_and_voltage_twice_a_second():
    async def scene(device, _, ear):
        assert ear.readings[-1] == IsolationReading(5e6, 0.0)
        device.outlet.isolation_ohm = 1e9
        ear.readings.clear()
        await asyncio.sleep(2.0)
        assert ear.readings == [IsolationReading(10e6, 0.0)] * 4

    monitored(scene)


def test_an_alarm_of_the_monitor_is_told_and_a_warning_is_none():
    async def scene(device, _, ear):
        for alarm, is_alarm in ((1, False), (4, False), (5, True), (3, True)):
            device.alarm = alarm
            await asyncio.sleep(1.0)
            assert ear.readings[-1].is_alarm is is_alarm

    monitored(scene)


def test_a_self_test_passes_once_it_was_seen_and_is_over_and_no_reading_is_told_meanwhile():
    async def scene(_, monitor, ear):
        ear.readings.clear()
        begun_s = asyncio.get_running_loop().time()
        assert await monitor.self_test()
        assert 4.0 <= asyncio.get_running_loop().time() - begun_s <= 5.0
        assert len(ear.readings) <= 2

    monitored(scene)


def test_a_monitor_that_ends_its_test_defective_has_failed():
    async def scene(device, monitor, ear):
        device.alarm = 2
        assert not await monitor.self_test()
        assert ear.faults == {Fault.INTERNAL_ERROR}
        ear.readings.clear()
        device.alarm = 0
        await asyncio.sleep(2.0)
        assert ear.faults == {Fault.INTERNAL_ERROR}

    monitored(scene)


def test_a_test_that_is_not_seen_has_not_been_made():
    async def scene(device, monitor, _):
        device.is_deaf = True
        with pytest.raises(BusError, match="has not begun within 5 s"):
            await monitor.self_test()

    monitored(scene)


def test_a_line_without_answers_is_a_loss_after_3_s():
    async def scene(device, _, ear):
        device.server.mode = "down"
        await asyncio.sleep(2.0)
        assert not ear.faults
        await asyncio.sleep(3.0)
        assert ear.faults == {Fault.COMMUNICATION_FAULT}
        device.server.mode = "up"
        await asyncio.sleep(5.0)
        assert not ear.faults

    monitored(scene)


def test_another_device_at_its_address_is_none():
    async def main():
        outlet = DcOutlet()
        async with (
            ContactorDevice(outlet, unit=3) as device,
            TcpPort("127.0.0.1", device.server.port) as port,
        ):
            ear = Ear()
            task = asyncio.create_task(IsoCha(port).run(ear))
            await asyncio.sleep(5.0)
            assert ear.faults == {Fault.COMMUNICATION_FAULT}
            assert not ear.readings
            task.cancel()

    vloop.run(main())


def test_times_of_a_monitor_are_more_than_nothing():
    async def main():
        with pytest.raises(ValueError, match="above 0"):
            IsoCha(TcpPort("127.0.0.1", 1), poll_s=0.0)

    vloop.run(main())


# --- the contactor ---


def test_a_closing_that_was_lost_is_not_made_up_for():
    async def main():
        outlet = DcOutlet()
        async with (
            ContactorDevice(outlet) as device,
            TcpPort("127.0.0.1", device.server.port) as port,
        ):
            contactor, ear = ModbusContactor(port, 1, coil=0, feedback=0), Ear()
            task = asyncio.create_task(contactor.run(ear))
            await asyncio.sleep(1.0)
            assert ear.closed == [False]
            device.server.mode = "down"
            with pytest.raises(BusError):
                await contactor.switch(closed=True)
            device.server.mode = "up"
            await asyncio.sleep(5.0)
            assert not outlet.contactor_closed
            await contactor.switch(closed=True)
            assert outlet.contactor_closed
            await asyncio.sleep(0.5)
            assert ear.closed[-1]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert not outlet.contactor_closed

    vloop.run(main())


def test_a_mirror_contact_that_opens_when_it_closes_is_read_the_other_way_round():
    async def main():
        outlet = DcOutlet()
        async with (
            ContactorDevice(outlet) as device,
            TcpPort("127.0.0.1", device.server.port) as port,
        ):
            contactor = ModbusContactor(port, 1, coil=0, feedback=0, inverted=True)
            ear = Ear()
            task = asyncio.create_task(contactor.run(ear))
            await asyncio.sleep(1.0)
            assert ear.closed == [True]
            task.cancel()

    vloop.run(main())


# --- the vehicle's side ---


def spoken(scene, tmp_path):
    async def main():
        path = tmp_path / "vehicle.sock"
        path.write_text("left over")
        vehicle, ear = VehicleSocket(path), Ear()
        task = asyncio.create_task(vehicle.run(ear))
        await asyncio.sleep(0.1)
        reader, writer = await asyncio.open_unix_connection(str(path))
        await scene(vehicle, ear, reader, writer)
        writer.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not path.exists()

    vloop.run(main())


async def said(reader) -> dict:
    return json.loads(await reader.readline())


def test_a_line_is_a_state(tmp_path):
    async def scene(_, ear, reader, writer):
        writer.write(b'{"pilot":"C","stage":"charge","voltage_v":400,"current_a":12.5}\n')
        await asyncio.sleep(0.1)
        expected = VehicleState(PilotState.C, VehicleStage.CHARGE, 400.0, 12.5)
        assert ear.states == [expected]

    spoken(scene, tmp_path)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{}", "pilot"),
        (b'{"pilot":"Z"}', "pilot"),
        (b'{"pilot":"C","voltage_v":1501}', "voltage_v"),
        (b'{"pilot":"C","current_a":-1}', "current_a"),
        (b'{"pilot":"C","soc_pct":101}', "soc_pct"),
        (b'{"pilot":"C","voltage_v":NaN}', "JSON"),
        (b'{"pilot":"C","volts":1}', "volts"),
        (b"charge!", "JSON"),
    ],
)
def test_a_line_that_makes_no_sense_is_answered_and_is_none(line, reason, tmp_path):
    async def scene(_, ear, reader, writer):
        await said(reader)
        writer.write(line + b"\n")
        assert reason in (await said(reader))["error"]
        assert not ear.states

    spoken(scene, tmp_path)


def test_a_line_without_end_is_hung_up_on(tmp_path):
    async def scene(_, ear, reader, writer):
        writer.write(b"x" * (vehicle_lines.LONGEST + 1))
        await reader.read()
        assert ear.lost

    spoken(scene, tmp_path)


def test_a_second_client_is_hung_up_on_while_the_first_is_there(tmp_path):
    async def scene(_, ear, reader, writer):
        await said(reader)
        path = str(tmp_path / "vehicle.sock")
        other, second = await asyncio.open_unix_connection(path)
        assert await other.read() == b""
        second.close()
        assert not ear.lost
        writer.close()
        await asyncio.sleep(0.1)
        assert ear.lost
        other, second = await asyncio.open_unix_connection(path)
        assert await said(other)
        second.close()

    spoken(scene, tmp_path)


def test_where_we_stand_is_told_on_every_change_and_twice_a_second(tmp_path):
    async def scene(vehicle, _, reader, __):
        assert (await said(reader))["is_offered"] is False
        vehicle.tell(SupplyState(is_offered=True, voltage_v=12.0))
        assert (await said(reader))["voltage_v"] == 12.0
        begun_s = asyncio.get_running_loop().time()
        for _ in range(4):
            assert (await said(reader))["is_offered"] is True
        assert asyncio.get_running_loop().time() - begun_s <= 2.0

    spoken(scene, tmp_path)


def test_a_client_that_does_not_read_is_hung_up_on(tmp_path):
    async def scene(vehicle, ear, _, __):
        for volts in range(20_000):
            vehicle.tell(SupplyState(voltage_v=float(volts)))
            if volts % 100 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        assert ear.lost

    spoken(scene, tmp_path)


def test_a_socket_that_cannot_be_made_is_told(tmp_path):
    async def main():
        with pytest.raises(DeviceError, match="cannot be listened on"):
            await VehicleSocket(tmp_path / "missing" / "vehicle.sock").run(Ear())

    vloop.run(main())
