import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from hal.bus.modbus import TcpPort
from hal.drivers.modbus_meter import ModbusMeter
from hal.registers.map import RegisterMap, is_dc, load_map
from hal.registers.turned import turned
from hal.sim.modbus_device import ModbusDeviceServer
from hal.types import DcReading, Fault, MeterReading, Phases
from tests.support import vloop
from tests.support.contract_hal import Recorder, served

METERS = sorted(
    path
    for path in (Path(__file__).parents[2] / "config/registers").glob("[!_]*.toml")
    if not load_map(path).lacks
)
SDM630 = load_map(Path(__file__).parents[2] / "config/registers/eastron-sdm630.toml")

SINGLE_PHASE = """\
schema = 1
kind = "meter"
id = "single"
vendor = "Maker"
model = "Model"
source = "page 1"
phases = 1

[points]
voltage_l1 = { addr = 0, unit = "V" }
current_l1 = { addr = 2, unit = "A" }
power_total = { addr = 4, unit = "W", optional = true }
power_l1 = { addr = 8, unit = "W", optional = true }
energy_import = { addr = 20, unit = "kWh", type = "uint32" }
energy_export = { addr = 22, unit = "kWh", type = "uint32", optional = true }
temperature = { addr = 40, unit = "C" }

[[vector]]
point = "energy_import"
words = [0, 1]
value = 1000

[[vector]]
point = "energy_export"
words = [0, 1]
value = 1000
"""

FEED = {
    "voltage_l1": 230.0,
    "voltage_l2": 231.0,
    "voltage_l3": 232.0,
    "voltage_dc": 400.0,
    "current_dc": 26.85,
    "current_l1": 16.0,
    "current_l2": 15.5,
    "current_l3": 15.0,
    "power_l1": 3680.0,
    "power_l2": 3580.0,
    "power_l3": 3480.0,
    "power_total": 10_740.0,
    "frequency": 50.0,
    "energy_import": 1_234_500.0,
    "energy_export": 0.0,
}

STEP_WH = 1000 / 512
"""A step that a float32 in kWh carries exactly."""


class Bench:
    """A meter, the device behind it and what was reported."""

    def __init__(self, device: ModbusDeviceServer, port: TcpPort, meter: ModbusMeter) -> None:
        self.device, self.port, self.meter = device, port, meter
        self.recorder = Recorder()

    @property
    def failures(self) -> list[str]:
        return [entry[1] for entry in self.recorder.log if entry[0] == "meter_failed"]

    async def reading(self) -> MeterReading:
        """Return the next reading."""
        count = len(self.recorder.readings)
        await self.recorder.until(lambda now: len(now.readings) > count)
        return self.recorder.readings[-1]

    async def failure(self) -> str:
        """Return why the next failing poll failed."""
        return (await self.recorder.next("meter_failed"))[1]


Scene = Callable[[Bench], Coroutine[None, None, None]]


def played(
    scene: Scene,
    register_map: RegisterMap = SDM630,
    *,
    framing: str = "tcp",
    device_map: RegisterMap | None = None,
    refuses_holes: bool = False,
    **options,
) -> None:
    """Play a scene around a running meter in virtual time."""

    async def main() -> None:
        async with (
            ModbusDeviceServer(
                device_map or register_map, framing=framing, refuses_holes=refuses_holes
            ) as device,
            TcpPort("127.0.0.1", device.port, framing=framing) as port,
        ):
            names = {point.name for point in (device_map or register_map).points}
            for name, value in FEED.items():
                if name in names:
                    device.set_point(name, value)
            bench = Bench(device, port, ModbusMeter(port, 1, register_map, **options))
            async with served(bench.meter) as bench.recorder:
                await scene(bench)

    vloop.run(main())


@pytest.fixture(name="single_phase")
def fixture_single_phase(tmp_path):
    path = tmp_path / "single.toml"
    path.write_text(SINGLE_PHASE)
    return load_map(path)


def test_a_reading_carries_every_quantity_of_the_meter():
    async def scene(bench):
        assert await bench.reading() == MeterReading(
            energy_import_wh=1_234_500.0,
            power_w=10_740.0,
            current_a=Phases(16.0, 15.5, 15.0),
            voltage_v=Phases(230.0, 231.0, 232.0),
            energy_export_wh=0.0,
            frequency_hz=50.0,
            power_phases_w=Phases(3680.0, 3580.0, 3480.0),
        )
        assert bench.recorder.kinds() == ["cleared", "meter"]

    played(scene)


def test_the_sdm630_is_read_in_one_request_per_second():
    async def scene(bench):
        for _ in range(60):
            await bench.reading()
        assert bench.port.counters.requests == 60
        assert asyncio.get_running_loop().time() == pytest.approx(59.0, abs=0.5)

    played(scene)


def test_the_pause_that_the_meter_needs_is_kept_by_its_port(single_phase):
    async def scene(bench):
        loop = asyncio.get_running_loop()
        await bench.reading()
        before = loop.time()
        await bench.port.read(1, 4, 0, 2)
        assert loop.time() - before >= SDM630.bus.gap_s - 1e-9

    played(scene)


# --- the bad meters ---


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("silent", "no answer in 0.5 s"),
        ("slow", "no answer in 0.5 s"),
        ("late", "no answer in 0.5 s"),
        ("hang_up", "no answer in 0.5 s"),
        ("garbage", "no answer in 0.5 s"),
        ("busy", "exception 6 (device busy)"),
        ("short", "75 words instead of 76"),
        ("nan", "voltage_l1 has no value"),
        ("ones", "voltage_l1 has no value"),
    ],
)
@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_a_bad_poll_is_reported_and_the_next_good_one_is_read(fault, reason, framing):
    async def scene(bench):
        bench.device.slow_s = 0.8
        await bench.reading()
        bench.device.fail_next(fault)
        assert reason in await bench.failure()
        assert bench.recorder.log[-1][0] == "meter_failed"
        bench.device.set_point("energy_import", 1_234_500.0 + STEP_WH)
        assert (await bench.reading()).energy_import_wh == 1_234_500.0 + STEP_WH
        assert not bench.recorder.faults

    played(scene, framing=framing)


def test_late_answers_never_shift_the_readings_of_a_serial_line():
    async def scene(bench):
        bench.device.slow_s = 0.7
        for step in range(50):
            energy_wh = 1_234_500.0 + STEP_WH * step
            bench.device.set_point("energy_import", energy_wh)
            if step % 3 == 0:
                bench.device.fail_next("slow")
                await bench.failure()
            assert (await bench.reading()).energy_import_wh == energy_wh

    played(scene, framing="rtu")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("energy_import", 1_234_499.0, "energy_import fell from 1234500.0 to 1234499.0"),
        ("energy_import", 0.0, "energy_import fell from 1234500.0 to 0.0 Wh"),
        ("energy_import", 1_235_500.0, "energy_import rose by 1000 Wh; possible are 4"),
        ("energy_import", None, "energy_import has no value"),
        ("voltage_l2", 400.0, "voltage_l2 is 400 V; plausible is 0 to 300"),
        ("voltage_l2", None, "voltage_l2 has no value"),
        ("current_l3", 1000.0, "current_l3 is 1000 A; plausible is -120 to 120"),
        ("power_total", 60_001.0, "power_total is 60001 W; plausible is -60000 to 60000"),
    ],
)
def test_a_value_that_cannot_be_spoils_the_whole_reading(name, value, reason):
    async def scene(bench):
        await bench.reading()
        bench.device.set_point(name, value)
        assert reason in await bench.failure()
        bench.device.set_point(name, FEED[name])
        await bench.reading()
        assert all(
            reading.energy_import_wh == 1_234_500.0 for reading in bench.recorder.readings
        )

    played(scene)


@pytest.mark.parametrize("value", [None, 99.0])
def test_an_optional_value_that_cannot_be_is_left_out(value):
    async def scene(bench):
        await bench.reading()
        bench.device.set_point("frequency", value)
        await bench.recorder.until(lambda now: now.readings[-1].frequency_hz is None)
        assert bench.failures == []

    played(scene)


def test_an_optional_energy_register_that_falls_is_left_out_until_it_is_back():
    async def scene(bench):
        bench.device.set_point("energy_export", 500.0)
        await bench.recorder.until(
            lambda now: now.readings and now.readings[-1].energy_export_wh
        )
        bench.device.set_point("energy_export", 400.0)
        await bench.recorder.until(lambda now: now.readings[-1].energy_export_wh is None)
        bench.device.set_point("energy_export", 500.0 + STEP_WH)
        await bench.recorder.until(
            lambda now: now.readings[-1].energy_export_wh == 500.0 + STEP_WH
        )

    played(scene)


def test_a_register_that_stays_lower_is_refused_for_good():
    async def scene(bench):
        await bench.reading()
        bench.device.set_point("energy_import", 1000.0)
        await asyncio.sleep(3600)
        assert len(bench.recorder.readings) == 1
        assert Fault.POWER_METER_FAILURE in bench.recorder.faults
        bench.device.set_point("energy_import", 1_234_500.0)
        await bench.reading()
        assert not bench.recorder.faults

    played(scene)


def test_the_last_accepted_energy_survives_another_run():
    async def scene(bench):
        await bench.reading()
        bench.device.set_point("energy_import", 1000.0)
        async with served(bench.meter) as again:
            assert "fell from 1234500.0" in (await again.next("meter_failed"))[1]

    played(scene)


def test_what_was_drawn_during_a_gap_is_accepted():
    async def scene(bench):
        await bench.reading()
        bench.device.mode = "down"
        await asyncio.sleep(600)
        bench.device.set_point("energy_import", 1_234_500.0 + 22_000 / 6)
        bench.device.mode = "up"
        assert (await bench.reading()).energy_import_wh == pytest.approx(1_238_166.67, abs=0.1)

    played(scene)


def test_a_coarse_register_may_move_by_one_step(single_phase):
    async def scene(bench):
        assert (await bench.reading()).energy_import_wh == 1_234_000.0
        bench.device.set_point("energy_import", 1_235_000.0)
        assert (await bench.reading()).energy_import_wh == 1_235_000.0
        bench.device.set_point("energy_import", 1_237_000.0)
        assert "rose by 2000 Wh" in await bench.failure()

    played(scene, single_phase)


def test_everything_but_energy_may_fall():
    async def scene(bench):
        await bench.reading()
        bench.device.set_point("power_total", 0.0)
        bench.device.set_point("current_l1", 0.0)
        reading = await bench.reading()
        assert (reading.power_w, reading.current_a.l1) == (0.0, 0.0)

    played(scene)


# --- every shipped meter ---


@pytest.mark.parametrize("path", METERS, ids=lambda path: path.stem)
def test_every_shipped_meter_is_read_over_the_wire(path):
    register_map = load_map(path)

    async def scene(bench):
        reading = await bench.reading()
        assert reading.energy_import_wh == pytest.approx(1_234_500.0, abs=1.0)
        assert reading.power_w == pytest.approx(10_740.0, abs=10.0)
        assert (reading.dc is not None) is is_dc({point.name for point in register_map.points})
        if reading.dc is not None:
            assert reading.dc == DcReading(400.0, pytest.approx(26.85, abs=0.01))
            return
        assert reading.voltage_v.l1 == pytest.approx(230.0, abs=0.1)
        assert reading.current_a.l1 == pytest.approx(16.0, abs=0.1)
        if register_map.phases == 3:
            assert reading.current_a.l3 == pytest.approx(15.0, abs=0.1)
        assert reading.frequency_hz in (None, pytest.approx(50.0, abs=0.1))
        assert bench.failures == []

    played(scene, register_map)


def test_a_turned_meter_reports_what_it_exports():
    async def scene(bench):
        bench.device.set_point("energy_export", 77_000.0)
        bench.device.set_point("power_total", -3680.0)
        await bench.recorder.until(
            lambda now: now.readings and now.readings[-1].power_w == 3680.0
        )
        assert bench.recorder.readings[-1].energy_import_wh == 77_000.0

    played(scene, turned(SDM630), device_map=SDM630)


# --- faults ---


def test_a_meter_is_faulty_after_ten_seconds_without_a_good_reading():
    async def scene(bench):
        await bench.reading()
        bench.recorder.log.clear()
        bench.device.mode = "down"
        await asyncio.sleep(9)
        assert not bench.recorder.faults
        assert len(bench.failures) >= 8
        await asyncio.sleep(3)
        assert bench.recorder.faults == {Fault.POWER_METER_FAILURE}
        await asyncio.sleep(60)
        assert bench.recorder.kinds().count("raised") == 1
        bench.recorder.log.clear()
        bench.device.mode = "up"
        await bench.reading()
        assert bench.recorder.kinds()[-2:] == ["cleared", "meter"]

    played(scene)


def test_a_meter_that_is_not_there_is_faulty_after_as_long_as_was_set():
    async def main():
        async with ModbusDeviceServer(SDM630) as gone:
            number = gone.port
        meter = ModbusMeter(TcpPort("127.0.0.1", number), 1, SDM630, fail_after_s=3.0)
        async with served(meter) as recorder:
            await asyncio.sleep(2.5)
            assert not recorder.faults
            await recorder.until(lambda now: now.faults)
            assert recorder.kinds()[-1] == "raised"
            assert not recorder.readings

    vloop.run(main())


def test_the_fault_is_told_again_to_the_listener_of_another_run():
    async def scene(bench):
        bench.device.mode = "down"
        await bench.recorder.until(lambda now: now.faults)
        async with served(bench.meter) as again:
            await again.until(lambda now: now.faults)

    played(scene, fail_after_s=2.0)


def test_polls_that_take_longer_than_their_interval_do_not_pile_up():
    async def scene(bench):
        bench.device.mode = "slow"
        bench.device.slow_s = 0.3
        for _ in range(10):
            await bench.reading()
        bench.device.mode = "up"
        await bench.reading()
        before = bench.port.counters.requests
        await asyncio.sleep(1.0)
        most = 2 * 10  # what is expected to be held up begins in half of the time at most
        assert bench.port.counters.requests <= before + most

    played(scene, poll_s=0.1)


@pytest.mark.parametrize("times", [{"poll_s": 0}, {"fail_after_s": -1}])
def test_times_that_cannot_be_are_refused(times):
    with pytest.raises(ValueError, match="must be above 0"):
        ModbusMeter(TcpPort("127.0.0.1", 1), 1, SDM630, **times)


# --- maps of all kinds ---


def test_conductors_that_the_meter_does_not_have_are_zero(single_phase):
    async def scene(bench):
        reading = await bench.reading()
        assert reading.voltage_v == Phases(230.0, 0.0, 0.0)
        assert reading.current_a == Phases(16.0, 0.0, 0.0)
        assert reading.frequency_hz is None

    played(scene, single_phase)


def test_the_powers_of_the_conductors_stand_in_for_a_total(single_phase):
    async def scene(bench):
        assert (await bench.reading()).power_w == 10_740.0
        bench.device.set_point("power_total", None)
        await bench.recorder.until(lambda now: now.readings[-1].power_w == 3680.0)
        bench.device.set_point("power_l1", None)
        assert "power_total has no value, and no conductor has one" in await bench.failure()

    played(scene, single_phase)


def test_a_device_that_refuses_holes_is_read_around_them(single_phase):
    async def scene(bench):
        assert (await bench.reading()).energy_import_wh == 1_234_000.0
        requests = bench.port.counters.requests
        await bench.reading()
        assert bench.port.counters.requests - requests == 3
        assert bench.failures == []

    played(scene, single_phase, refuses_holes=True)


def test_an_optional_point_that_the_device_does_not_have_is_left_out(single_phase, tmp_path):
    path = tmp_path / "without.toml"
    path.write_text(SINGLE_PHASE.replace("addr = 22,", "addr = 32,"))

    async def scene(bench):
        assert (await bench.reading()).energy_export_wh is None
        requests = bench.port.counters.requests
        await bench.reading()
        assert bench.port.counters.requests - requests == 3
        assert bench.failures == []

    played(scene, single_phase, device_map=load_map(path), refuses_holes=True)


def test_a_needed_point_that_the_device_does_not_have_fails_every_poll(single_phase, tmp_path):
    path = tmp_path / "without.toml"
    path.write_text(SINGLE_PHASE.replace("addr = 0,", "addr = 50,"))

    async def scene(bench):
        for _ in range(3):
            assert "address 0x0000: exception 2" in await bench.failure()
        assert not bench.recorder.readings

    played(scene, single_phase, device_map=load_map(path), refuses_holes=True)
