"""The safety rules of a charging station (hardware reference 1.5), each as a whole story.

The number in a test's name is that of the rule. Rules 10 and 11 are those of direct current.
Where a rule is about what a device is told, real drivers talk to simulated devices on the wire.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from agent.core.events import ExternalLimitSet, TokenPresented
from agent.core.supply import RAISE_EVERY_S
from agent.runtime.hardware import SOFT_STOP_S, VALID_S
from hal.sim.evse import SimulatedEvse
from hal.sim.modbus_device import ModbusDeviceServer
from hal.types import Fault, IdToken, PilotState
from tests.support.lab import TAG, VERSIONS, WALL_S, Lab, check_bills, run
from tests.support.wire_board import on_the_wire

pytestmark = pytest.mark.parametrize("version", VERSIONS)

BOARDS = Path(__file__).parents[2] / "config/boards"
HEIDELBERG = BOARDS / "heidelberg-energy-control.toml"
EVSE_DIN = BOARDS / "raspberry-pi-evse-din.toml"
CURRENT, FALLBACK, TIMEOUT = 261, 262, 257
"""Registers of the Heidelberg Energy Control (hardware reference 3.3)."""

Story = Callable[[Lab], Awaitable[None]]


async def charging(lab: Lab, **vehicle: float) -> None:
    await lab.start()
    await lab.online()
    await lab.charging(**vehicle)
    await asyncio.sleep(30)


async def charging_on_the_wire(lab: Lab, **vehicle: float) -> None:
    await lab.start()
    await lab.online()
    await lab.until(lambda: lab.connector() == "Available")
    lab.plug(**vehicle)
    await lab.until(lambda: lab.connector() == "Preparing")
    lab.post(TokenPresented(IdToken(TAG), 1))
    await lab.until(lambda: lab.connector() == "Charging")
    await asyncio.sleep(30)


async def left(lab: Lab) -> None:
    lab.unplug()
    await lab.until(lambda: lab.connector() == "Available")
    await lab.delivered()


def wired(version: str, path: Path, directory: Path, story: Story) -> Lab:
    """Live a story on the wires of a board."""

    async def whole(lab: Lab) -> None:
        async with on_the_wire(lab, path, directory):
            await story(lab)

    lab = run(Lab(version), whole)
    assert all(bill.complete for bill in lab.bills)
    billed_wh = sum(bill.energy_wh for bill in lab.bills)
    assert billed_wh == pytest.approx(lab.flowed_wh, abs=30.0)  # some seconds of 11 kW
    assert billed_wh <= lab.flowed_wh + 1.0
    return lab


def ems(limit_a: float, valid_s: float = 600.0) -> ExternalLimitSet:
    return ExternalLimitSet(1, "ems", valid_s, limit_a=limit_a)


def heard(server: ModbusDeviceServer) -> list[tuple[int, int]]:
    """Return the list to which every write to a device will add its address and first word."""
    written: list[tuple[int, int]] = []
    act = server.on_write

    def wrote(table: int, address: int, words: Sequence[int]) -> None:
        written.append((address, words[0]))
        if act is not None:
            act(table, address, words)

    server.on_write = wrote
    return written


class Commands:
    """What a simulated EVSE is told, with instants; put in front of it before the start."""

    def __init__(self, evse: SimulatedEvse) -> None:
        self.log: list[tuple[float, str, float | bool]] = []
        offer, energize = evse.offer, evse.energize

        async def offered(limit_a: float, *, valid_s: float) -> None:
            self._note("offer", limit_a)
            await offer(limit_a, valid_s=valid_s)

        async def energized(*, closed: bool) -> None:
            self._note("energize", closed)
            await energize(closed=closed)

        evse.offer, evse.energize = offered, energized  # type: ignore[method-assign]

    def _note(self, name: str, value: float | bool) -> None:
        self.log.append((asyncio.get_running_loop().time(), name, value))

    def of(self, name: str) -> list[tuple[float, float | bool]]:
        return [(at, value) for at, one, value in self.log if one == name]


# --- 1: the offer ---


@pytest.mark.parametrize("limit_a", [31.0, 15.9, 6.0, 5.9, 0.0])
def test_rule_1_the_offer_is_nothing_or_six_ampere_up_to_the_least_cap(version, limit_a):
    async def story(lab: Lab) -> None:
        commands = Commands(lab.evse())
        await charging(lab, ampacity_a=20.0)
        lab.post(ems(limit_a))
        await asyncio.sleep(10)
        offers = [value for _, value in commands.of("offer")]
        assert all(value == 0.0 or 6.0 <= value <= 20.0 for value in offers)
        expected_a = min(20.0, limit_a) if limit_a >= 6.0 else 0.0
        assert lab.evse().offer_a == expected_a
        await left(lab)

    check_bills(run(Lab(version), story))


def test_rule_1_the_cap_of_the_cable_holds_in_the_register_of_the_device(version, tmp_path):
    async def story(lab: Lab) -> None:
        written = heard(lab.devices["bus", 1])
        await charging_on_the_wire(lab, ampacity_a=13.0)
        assert max(word for address, word in written if address == 1000) == 13
        await left(lab)

    wired(version, EVSE_DIN, tmp_path, story)


# --- 2: fail-safe ---


def test_rule_2_the_fail_safe_current_is_in_the_device_and_its_watchdog_armed_at_the_start(
    version, tmp_path
):
    async def story(lab: Lab) -> None:
        written = heard(lab.devices["bus", 1])
        await charging_on_the_wire(lab)
        addresses = [address for address, _ in written]
        offering = next(i for i, (at, word) in enumerate(written) if at == CURRENT and word)
        assert (FALLBACK, 0) in written[:offering]
        assert (TIMEOUT, 15_000) in written[:offering]
        assert addresses.index(FALLBACK) < addresses.index(TIMEOUT)
        await left(lab)

    wired(version, HEIDELBERG, tmp_path, story)


def test_rule_2_a_device_that_hears_nothing_any_more_ends_the_charge_by_itself(
    version, tmp_path
):
    async def story(lab: Lab) -> None:
        await charging_on_the_wire(lab)
        box = lab.devices["bus", 1]
        box.mode = "down"
        await asyncio.sleep(13.0)
        assert lab.evse().outlet_closed  # nobody could tell it anything
        await asyncio.sleep(3.0)
        assert not lab.evse().outlet_closed
        box.mode = "up"
        await left(lab)

    wired(version, HEIDELBERG, tmp_path, story)


def test_rule_2_an_offer_is_refreshed_well_within_its_validity(version):
    async def story(lab: Lab) -> None:
        commands = Commands(lab.evse())
        await charging(lab)
        await asyncio.sleep(120)
        instants = [at for at, value in commands.of("offer") if value]
        pauses = [after - before for before, after in pairwise(instants)]
        assert len(pauses) > 20
        assert max(pauses) <= VALID_S / 2
        await left(lab)

    check_bills(run(Lab(version), story))


def test_rule_2_a_source_that_falls_silent_leaves_the_safe_current(version):
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.post(ems(20.0, valid_s=30.0))
        await asyncio.sleep(20)
        assert lab.evse().offer_a == 20.0
        await asyncio.sleep(11)
        assert lab.evse().offer_a == 6.0
        await left(lab)

    check_bills(run(Lab(version), story))


# --- 3: a stale meter ---


def test_rule_3_a_stale_meter_ends_the_offer_and_its_gap_is_marked_and_not_filled(
    version, tmp_path
):
    async def story(lab: Lab) -> None:
        await charging_on_the_wire(lab)
        meter = lab.devices["bus", 2]
        meter.mode = "down"
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=20)
        await lab.until(lambda: "Faulted" in lab.told_statuses())
        gone_s, gone_wh = lab.now_s, lab.energy_wh()
        await asyncio.sleep(300)
        assert lab.energy_wh() == gone_wh  # worst case: nobody may draw unmetered
        meter.mode = "up"
        await lab.until(lambda: lab.connector() == "Charging")
        back_s = lab.now_s
        await asyncio.sleep(60)
        await left(lab)
        (bill,) = lab.bills
        told = [
            datetime.fromisoformat(sample.at).timestamp() - WALL_S
            for sample in bill.samples
            if sample.energy_wh is not None
        ]
        assert any(at < gone_s for at in told)
        assert not [at for at in told if gone_s + 1.0 < at < back_s - 15.0]

    async def whole(lab: Lab) -> None:
        async with on_the_wire(lab, EVSE_DIN, tmp_path):
            await story(lab)

    settings = {"TxCtrlr.StopTxOnMeterFailure": False, "MeterValueSampleInterval": 10}
    lab = run(Lab(version, settings=settings), whole)
    assert lab.bills[0].energy_wh == pytest.approx(lab.flowed_wh, abs=1.5)


# --- 4: a lost controller ---


def test_rule_4_a_lost_controller_is_a_fault_and_read_again_before_it_is_told_anything(
    version, tmp_path
):
    async def story(lab: Lab) -> None:
        await charging_on_the_wire(lab)
        box = lab.devices["bus", 1]
        box.mode = "down"
        await lab.until(lambda: lab.connector() == "Faulted", limit_s=10)
        faults = {item.fault for item in lab.station.evses[1].inputs.faults}
        assert faults == {Fault.COMMUNICATION_FAULT}
        assert lab.station.evses[1].inputs.pilot is not PilotState.A  # nobody has left
        written = heard(box)
        await asyncio.sleep(20)
        lab.evse().set_ready(False)
        box.mode = "up"
        await lab.until(lambda: lab.connector() != "Faulted")
        assert written[0] == (CURRENT, 0)  # safe first, whatever was wanted before
        await lab.until(lambda: lab.connector() == "SuspendedEV")
        await left(lab)

    wired(version, HEIDELBERG, tmp_path, story)


# --- 5: ramp ---


def test_rule_5_lowering_is_immediate_and_raising_slow(version):
    async def story(lab: Lab) -> None:
        commands = Commands(lab.evse())
        await charging(lab)
        for limit_a in (20.0, 8.0, 12.0, 16.0, 20.0):
            lab.post(ems(limit_a))
            await asyncio.sleep(1.0)
            assert lab.evse().offer_a <= limit_a
        await asyncio.sleep(60)
        changes: list[tuple[float, float]] = []
        for at, value in commands.of("offer"):
            if not changes or changes[-1][1] != value:
                changes.append((at, float(value)))
        raised = [
            after[0] - before[0]
            for before, after in pairwise(changes)
            if after[1] > before[1] > 0.0
        ]
        assert raised
        assert min(raised) >= RAISE_EVERY_S - 0.1
        await left(lab)

    check_bills(run(Lab(version), story))


def test_rule_5_a_pause_lasts_at_least_a_minute(version):
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.post(ems(0.0))
        await asyncio.sleep(5)
        lab.post(ems(16.0))
        await asyncio.sleep(50)
        assert lab.evse().offer_a == 0.0
        await lab.until(lambda: lab.connector() == "Charging", limit_s=20)
        await left(lab)

    check_bills(run(Lab(version), story))


# --- 6: the contactor ---


def test_rule_6_the_pwm_ends_first_and_the_contactor_follows_within_six_seconds(version):
    async def story(lab: Lab) -> None:
        commands = Commands(lab.evse())
        await charging(lab)
        lab.evse().set("draw", 16.0)  # it does not let go
        begun_s = lab.now_s
        lab.tap()
        await lab.until(lambda: not lab.evse().outlet_closed)
        told = [entry for entry in commands.log if entry[0] >= begun_s]
        ended_s = next(at for at, name, value in told if name == "offer" and value == 0.0)
        opened_s = next(at for at, name, value in told if name == "energize" and not value)
        assert ended_s < opened_s <= ended_s + SOFT_STOP_S + 0.1
        await left(lab)

    run(Lab(version), story)


@pytest.mark.parametrize(
    "spoiled",
    [
        *(
            pytest.param(lambda lab, one=fault: lab.evse().fault(one), id=fault.value)
            for fault in Fault
            if fault is not Fault.READER_FAILURE
        ),
        pytest.param(lambda lab: lab.evse().set("lock_jam", 1.0), id="lock not confirmed"),
        pytest.param(lambda lab: lab.evse().set("rcd_broken", 1.0), id="self test failed"),
        pytest.param(lambda lab: lab.evse().set("temperature", 90.0), id="too hot"),
    ],
)
def test_rule_6_the_contactor_closes_only_when_everything_is_well(version, spoiled):
    async def story(lab: Lab) -> None:
        commands = Commands(lab.evse())
        await lab.start()
        await lab.online()
        spoiled(lab)
        await asyncio.sleep(1)
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await asyncio.sleep(60)
        assert not [value for _, value in commands.of("offer") if value]
        assert not [value for _, value in commands.of("energize") if value]
        assert not lab.evse().outlet_closed

    lab = run(Lab(version, derates_c=(60.0, 80.0)), story)
    assert lab.flowed_wh == 0.0


@pytest.mark.parametrize(
    "fault",
    [
        fault
        for fault in Fault
        # A controller out of reach opens by itself, a welded contactor cannot, a meter alone
        # opens softly; each has its own test.
        if fault
        not in {
            Fault.READER_FAILURE,
            Fault.COMMUNICATION_FAULT,
            Fault.CONTACTOR_FAULT,
        }
    ],
    ids=lambda fault: fault.value,
)
def test_rule_6_whatever_is_no_longer_well_opens_it(version, fault):
    async def story(lab: Lab) -> None:
        commands = Commands(lab.evse())
        await charging(lab)
        begun_s = lab.now_s
        lab.evse().fault(fault)
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=2)
        opened = [at for at, value in commands.of("energize") if at >= begun_s and not value]
        assert opened[0] <= begun_s + 0.1  # the device may not be the only one that opens
        assert lab.evse().offer_a == 0.0

    run(Lab(version), story)


# --- 7: what hardware trips by itself ---


@pytest.mark.parametrize("fault", [Fault.EMERGENCY_STOP, Fault.GROUND_FAILURE])
def test_rule_7_emergency_stop_and_residual_current_are_observed_and_never_reset(
    version, fault
):
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(fault)
        await lab.delivered()
        begun = Commands(lab.evse())
        await asyncio.sleep(3600)
        assert lab.connector() == "Faulted"
        assert all(value == 0.0 for _, value in begun.of("offer"))
        assert not [value for _, value in begun.of("energize") if value]

    check_bills(run(Lab(version), story))


# --- 8: latching ---


def test_rule_8_a_failed_self_test_stays_until_the_next_start(version):
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.evse().set("rcd_broken", 1.0)
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Faulted")
        lab.evse().set("rcd_broken", 0.0)
        lab.evse().fault(Fault.GROUND_FAILURE)
        lab.evse().clear(Fault.GROUND_FAILURE)  # the device says that all is well
        lab.unplug()
        await asyncio.sleep(3600)
        assert lab.connector() == "Faulted"
        await lab.cut()
        await lab.start()
        await lab.online()
        await lab.charging()
        await left(lab)

    lab = run(Lab(version), story)
    assert "Faulted" in lab.told_statuses()


def test_rule_8_a_welded_contactor_stays_so_until_the_next_start(version):
    async def story(lab: Lab) -> None:
        await charging(lab)
        for _ in range(2):
            lab.evse().fault(Fault.CONTACTOR_FAULT)
            await asyncio.sleep(10)
            lab.evse().clear(Fault.CONTACTOR_FAULT)  # the device says that all is well
            await asyncio.sleep(1)
        lab.unplug()
        await asyncio.sleep(3600)
        assert lab.connector() == "Faulted"
        await lab.cut()
        await lab.start()
        await lab.until(lambda: lab.connector() == "Available")

    run(Lab(version), story)


def test_rule_8_a_trip_is_retried_ever_later_and_not_for_ever(version):
    async def story(lab: Lab) -> None:
        await charging(lab)
        waited_s = []
        for _ in range(7):
            lab.evse().fault(Fault.GROUND_FAILURE)
            await asyncio.sleep(1)
            lab.evse().clear(Fault.GROUND_FAILURE)
            begun_s = lab.now_s
            for _ in range(700):
                await asyncio.sleep(1)
                if lab.connector() != "Faulted":
                    break
            waited_s.append(lab.now_s - begun_s)
        assert waited_s[0] <= 2.0
        assert all(299.0 <= pause_s <= 302.0 for pause_s in waited_s[1:6])
        assert lab.connector() == "Faulted"  # the seventh time: until it is unplugged
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")
        await lab.delivered()

    check_bills(run(Lab(version), story))


# --- 9: starting ---


def test_rule_9_at_a_start_every_output_is_safe_before_a_session_is_resumed(version, tmp_path):
    async def story(lab: Lab) -> None:
        await charging_on_the_wire(lab)
        box = lab.devices["bus", 1]
        await lab.cut()
        await lab.evse().offer(16.0, valid_s=600.0)  # as it was left
        await asyncio.sleep(3)
        await lab.evse().energize(closed=True)
        await asyncio.sleep(1)
        assert lab.evse().outlet_closed
        written = heard(box)
        await lab.start()
        await lab.online()
        await lab.until(lambda: lab.connector() == "Charging")
        assert written[0] == (CURRENT, 0)
        offering = next(i for i, (at, word) in enumerate(written) if at == CURRENT and word)
        assert offering > 0
        await asyncio.sleep(30)
        await left(lab)

    async def whole(lab: Lab) -> None:
        async with on_the_wire(lab, HEIDELBERG, tmp_path):
            await story(lab)

    settings = {"TxCtrlr.ResumeAfterPowerLoss": True}
    lab = run(Lab(version, settings=settings), whole)
    assert len(lab.bills) == 1
    assert lab.bills[0].energy_wh == pytest.approx(lab.flowed_wh, abs=2.0)


# --- 12: readings ---


@pytest.mark.parametrize(
    ("point", "value"),
    [
        ("voltage_l1", 999.0),
        ("voltage_l2", None),
        ("current_l3", 5000.0),
        ("power_total", None),
        ("frequency", 400.0),
        ("energy_import", 0.0),
        ("energy_import", 5_000_000.0),
        ("energy_import", None),
    ],
)
def test_rule_12_a_reading_that_cannot_be_is_never_used(version, tmp_path, point, value):
    async def story(lab: Lab) -> None:
        await charging_on_the_wire(lab)
        meter = lab.devices["bus", 2]
        meter.set_point(point, value)
        await asyncio.sleep(4)
        seen = lab.station.evses[1].inputs.reading
        assert seen is not None
        assert abs(seen.energy_import_wh - lab.energy_wh()) < 30.0
        assert seen.voltage_v.l1 == pytest.approx(230.0)
        meter.release_point(point)
        await asyncio.sleep(30)
        assert lab.connector() == "Charging"
        await left(lab)

    lab = wired(version, EVSE_DIN, tmp_path, story)
    assert lab.bills[0].energy_wh == pytest.approx(lab.flowed_wh, abs=1.5)


# --- what the item list adds to them ---


def test_a_meter_that_shows_current_through_an_open_contactor_is_a_fault(version, tmp_path):
    async def story(lab: Lab) -> None:
        await charging_on_the_wire(lab)
        meter = lab.devices["bus", 2]
        lab.post(TokenPresented(IdToken(TAG), 1))
        await lab.until(lambda: not lab.evse().outlet_closed)
        await lab.delivered()
        for name in ("l1", "l2", "l3"):
            meter.set_point(f"current_{name}", 10.0)
        await lab.until(lambda: lab.connector() == "Faulted", limit_s=20)
        faults = {item.fault for item in lab.station.evses[1].inputs.faults}
        assert faults == {Fault.CONTACTOR_FAULT}
        lab.post(TokenPresented(IdToken(TAG), 1))
        await asyncio.sleep(30)
        assert lab.evse().offer_a == 0.0
        for name in ("l1", "l2", "l3"):
            meter.release_point(f"current_{name}")
        await left(lab)

    wired(version, EVSE_DIN, tmp_path, story)


def test_a_lock_that_does_not_hold_the_plug_stops_everything(version):
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.evse().set("lock_jam", 1.0)
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await lab.until(lambda: lab.connector() == "Faulted")
        assert not lab.evse().outlet_closed
        lab.evse().set("lock_jam", 0.0)
        await lab.until(lambda: lab.connector() == "Charging")
        await left(lab)

    check_bills(run(Lab(version), story))


def test_an_over_current_ends_the_session_until_the_vehicle_is_gone(version):
    async def story(lab: Lab) -> None:
        await charging(lab, ampacity_a=16.0)
        lab.evse().set("draw", 18.0)
        begun_s = lab.now_s
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=12)
        assert lab.now_s - begun_s >= 6.0  # not before a vehicle could have followed
        await asyncio.sleep(600)
        assert lab.connector() == "Faulted"
        await left(lab)

    check_bills(run(Lab(version), story))


def test_heat_lowers_the_offer_before_it_ends_it(version):
    async def story(lab: Lab) -> None:
        await charging(lab)
        offers = []
        for hot_c in (55.0, 65.0, 75.0, 79.0, 81.0):
            lab.evse().set("temperature", hot_c)
            await asyncio.sleep(2)
            offers.append(lab.evse().offer_a)
        assert offers == [32.0, 25.5, 12.5, 7.3, 0.0]
        await left(lab)

    check_bills(run(Lab(version, derates_c=(60.0, 80.0)), story))
