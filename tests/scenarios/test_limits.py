"""How much may be offered, and what happens when the hardware is not well."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from agent.bench.desk import ProfileWish
from agent.core.bounds import Site
from agent.core.events import ExternalLimitSet, GridInputChanged
from agent.core.phase_switching import EVERY_S
from hal.types import Fault, Phases
from tests.support.lab import IDENTITY, OTHER_TAG, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)

OFFERED = "Current.Offered"


async def charging(lab: Lab, **vehicle: float) -> None:
    await lab.start()
    await lab.online()
    await lab.charging(**vehicle)
    await asyncio.sleep(30)


@pytest.mark.parametrize(
    ("cable_a", "hardware_a", "offer_a"),
    [(13.0, 32.0, 13.0), (20.0, 32.0, 20.0), (63.0, 32.0, 32.0), (32.0, 16.0, 16.0)],
)
def test_the_least_of_cable_hardware_and_board_is_offered(
    version: str, cable_a: float, hardware_a: float, offer_a: float
) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab, ampacity_a=cable_a)
        assert lab.evse().offer_a == offer_a
        assert lab.evse().reading().current_a.l1 == offer_a
        assert lab.status()["evses"][0]["setpoint_a"] == offer_a
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version, max_a=hardware_a), story))


def test_a_cable_below_six_ampere_pauses(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.plug(ampacity_a=5.0)
        await asyncio.sleep(1)
        lab.tap()
        await lab.until(lambda: lab.connector() == "SuspendedEVSE")
        await asyncio.sleep(60)
        assert lab.evse().offer_a == 0.0
        assert not lab.evse().outlet_closed
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert lab.flowed_wh == 0.0


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        (Fault.GROUND_FAILURE, {"Other", "GroundFault"}),
        (Fault.OVER_CURRENT, {"Other", "OvercurrentFault"}),
        (Fault.EMERGENCY_STOP, {"EmergencyStop"}),
        (Fault.PILOT_FAULT, {"Other"}),
        (Fault.CONNECTOR_LOCK_FAILURE, {"Other"}),
    ],
)
def test_a_fault_ends_the_session_and_nobody_charges_until_it_is_over(
    version: str, fault: Fault, reasons: set[str]
) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(fault)
        await lab.until(lambda: lab.connector() == "Faulted")
        await lab.delivered()
        assert lab.evse().reading().power_w == 0.0
        lab.tap(OTHER_TAG)
        assert await lab.csms.remote_start(IDENTITY, OTHER_TAG) == "Rejected"
        await asyncio.sleep(30)
        assert lab.evse().offer_a == 0.0
        lab.evse().clear(fault)
        await lab.until(lambda: lab.connector() != "Faulted")
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")
        await lab.charging(token=OTHER_TAG)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert [bill.id_token for bill in lab.bills] == [TAG, OTHER_TAG]
    assert lab.bills[0].reason in reasons
    assert "Faulted" in lab.told_statuses()


def test_a_welded_contactor_is_never_closed_again_before_the_next_start(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(Fault.CONTACTOR_FAULT)
        await lab.until(lambda: lab.connector() == "Faulted")
        await lab.delivered()
        assert lab.evse().outlet_closed
        assert lab.evse().reading().power_w == 0.0
        lab.evse().clear(Fault.CONTACTOR_FAULT)
        lab.unplug()
        await asyncio.sleep(60)
        assert lab.connector() == "Faulted"
        assert await lab.csms.remote_start(IDENTITY, TAG) == "Rejected"
        await lab.cut()
        await lab.start()
        await lab.online()
        await lab.charging()
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert len(lab.bills) == 2


@pytest.mark.parametrize("fault", [Fault.OVER_VOLTAGE, Fault.HIGH_TEMPERATURE])
def test_a_passing_fault_only_pauses(version: str, fault: Fault) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(fault)
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=1)
        await asyncio.sleep(40)
        lab.evse().clear(fault)
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(30)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert [bill.reason for bill in lab.bills] == ["EVDisconnected"]


def test_one_that_stays_longer_ends_the_session(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(Fault.UNDER_VOLTAGE)
        await asyncio.sleep(55)
        assert lab.station.evses[1].transaction is not None
        await asyncio.sleep(20)
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert lab.bills[0].reason in {"Other", "PowerQuality"}


def test_a_broken_reader_is_told_and_does_not_stop_anybody(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(Fault.READER_FAILURE)
        await asyncio.sleep(60)
        assert lab.connector() == "Charging"
        assert await lab.csms.remote_stop(IDENTITY) == "Accepted"
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_a_controller_that_falls_silent_is_off_by_itself_and_comes_back(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(Fault.COMMUNICATION_FAULT)
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=15)
        assert lab.connector() == "Faulted"
        await asyncio.sleep(20)
        lab.evse().clear(Fault.COMMUNICATION_FAULT)
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(30)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert len(lab.bills) == 1


def test_a_silent_meter_ends_the_session_at_its_last_word(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(Fault.POWER_METER_FAILURE)
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=8)
        await lab.delivered()
        lab.tap(OTHER_TAG)
        await asyncio.sleep(30)
        assert not lab.evse().outlet_closed

    lab = run(Lab(version), story)
    [bill] = lab.bills
    assert bill.complete
    assert bill.energy_wh is not None
    # What flowed after the last reading is not guessed: at most a few seconds of 22 kW.
    assert lab.flowed_wh - 30.0 <= bill.energy_wh <= lab.flowed_wh


def test_or_pauses_it_until_the_meter_speaks_again(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().fault(Fault.POWER_METER_FAILURE)
        await lab.until(lambda: not lab.evse().outlet_closed, limit_s=8)
        await asyncio.sleep(600)
        assert lab.station.evses[1].transaction is not None
        lab.evse().clear(Fault.POWER_METER_FAILURE)
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(30)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version, settings={"TxCtrlr.StopTxOnMeterFailure": False}), story)
    check_bills(lab)
    assert len(lab.bills) == 1


def test_without_a_meter_no_session_begins(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.evse().fault(Fault.POWER_METER_FAILURE)
        await asyncio.sleep(15)
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await asyncio.sleep(30)
        assert not lab.evse().outlet_closed

    assert not run(Lab(version), story).bills


def test_heat_lowers_the_offer_and_ends_in_a_pause(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.evse().set("temperature", 70.0)
        await asyncio.sleep(1)
        assert lab.evse().offer_a == 19.0
        lab.evse().set("temperature", 81.0)
        await lab.until(lambda: lab.connector() == "SuspendedEVSE")
        lab.evse().set("temperature", 76.0)
        await asyncio.sleep(60)
        assert lab.evse().offer_a == 7.3  # 3 K behind: as if it had 79 °C
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version, derates_c=(60.0, 80.0)), story))


def test_a_vehicle_that_draws_too_much_is_stopped_with_the_reason(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab, ampacity_a=16.0)
        lab.evse().set("draw", 20.0)
        await lab.until(lambda: lab.connector() == "Faulted", limit_s=12)
        await asyncio.sleep(60)
        assert not lab.evse().outlet_closed
        assert lab.connector() == "Faulted"
        lab.unplug()
        await lab.until(lambda: lab.connector() == "Available")
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    expected = "Other" if version == "ocpp1.6" else "OvercurrentFault"
    assert lab.bills[0].reason == expected


def test_the_grid_operator_reduces_the_power_of_the_whole_station(version: str) -> None:
    """From the contact to the offer within a second; the vehicle takes 5 s at the most."""

    async def story(lab: Lab) -> None:
        await lab.start()
        lab.post(GridInputChanged(active=False))
        await lab.online()
        for evse_id in (1, 2):
            await lab.charging(evse_id, token=f"TAG-{evse_id}")
        await asyncio.sleep(30)
        lab.post(GridInputChanged(active=True))
        await asyncio.sleep(1)
        assert [sim.offer_a for sim in lab.hardware] == [8.0, 8.0]
        await asyncio.sleep(5)
        assert sum(sim.reading().power_w for sim in lab.hardware) <= 11_040.0
        lab.post(GridInputChanged(active=False))
        await asyncio.sleep(10)
        assert [sim.offer_a for sim in lab.hardware] == [32.0, 32.0]
        for evse_id in (1, 2):
            lab.unplug(evse_id)
        await lab.delivered()

    check_bills(run(Lab(version, evses=2, site=Site(grid_w=11_040.0)), story))


async def managed(lab: Lab, power_w: float) -> None:
    lab.post(ExternalLimitSet(0, "ems", 36_000.0, 1, limit_w=power_w))


async def profiled(lab: Lab, power_w: float) -> None:
    wish = ProfileWish(1, "default", 1, ((0, power_w),), "W")
    assert await lab.csms.set_profile(IDENTITY, wish) == "Accepted"


@pytest.mark.parametrize("limited", [managed, profiled])
def test_little_power_is_drawn_on_one_phase_and_much_on_three_again(
    version: str, limited: Callable[[Lab, float], Awaitable[None]]
) -> None:
    """The phases change without load, with pauses; the transaction goes on all the while."""

    async def story(lab: Lab) -> None:
        await charging(lab)
        sim = lab.evse()
        assert sim.reading().current_a == Phases(32.0, 32.0, 32.0)
        await asyncio.sleep(EVERY_S)
        for power_w, current in (
            (3_680.0, Phases(16.0, 0.0, 0.0)),
            (11_040.0, Phases(16.0, 16.0, 16.0)),
        ):
            await limited(lab, power_w)
            await lab.until(lambda: lab.connector() == "SuspendedEVSE", limit_s=2 * EVERY_S)
            await lab.until(lambda: lab.connector() == "Charging")
            await asyncio.sleep(10)
            assert sim.reading().current_a == current
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version, switches_phases=True), story)
    check_bills(lab)
    assert len(lab.bills) == 1


def test_a_profile_for_one_phase_connects_one(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        await asyncio.sleep(EVERY_S)
        wish = ProfileWish(1, "default", 1, ((0, 16.0),), phases=1)
        assert await lab.csms.set_profile(IDENTITY, wish) == "Accepted"
        await lab.until(lambda: lab.connector() == "SuspendedEVSE")
        await lab.until(lambda: lab.connector() == "Charging")
        await asyncio.sleep(10)
        assert lab.evse().reading().current_a == Phases(16.0, 0.0, 0.0)
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version, switches_phases=True), story))


def test_without_a_switch_a_profile_for_one_phase_is_refused_or_spread_over_all(
    version: str,
) -> None:
    """2.0.1 can say why it cannot be guaranteed; 1.6 keeps at least to its power."""

    async def story(lab: Lab) -> None:
        await charging(lab)
        wish = ProfileWish(1, "default", 1, ((0, 24.0),), phases=1)
        answer = await lab.csms.set_profile(IDENTITY, wish)
        assert answer == ("Accepted" if version == "ocpp1.6" else "Rejected")
        await asyncio.sleep(10)
        current_a = 8.0 if version == "ocpp1.6" else 32.0
        assert lab.evse().reading().current_a == Phases(current_a, current_a, current_a)
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_the_composite_schedule_is_what_the_site_leaves(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        lab.post(ExternalLimitSet(0, "ems", 36_000.0, limit_a=10.0))
        await asyncio.sleep(10)
        assert await lab.csms.composite(IDENTITY, 300) == ((0, 10.0),)
        assert await lab.csms.composite(IDENTITY, 300, evse_id=0) == ((0, 10.0),)
        assert lab.evse().reading().current_a == Phases(10.0, 10.0, 10.0)
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


@pytest.mark.parametrize("switches", [True, False])
def test_whether_phases_can_be_switched_is_told(version: str, switches: bool) -> None:
    key = "ConnectorSwitch3to1PhaseSupported"
    name = key if version == "ocpp1.6" else "SmartChargingCtrlr.Phases3to1"

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await asyncio.sleep(1)
        assert await lab.csms.get_setting(IDENTITY, name) == str(switches).lower()
        assert await lab.csms.set_setting(IDENTITY, name, "true") == "Rejected"
        if version == "ocpp2.0.1":
            for other, value in (
                ("ACPhaseSwitching", "false"),
                ("ExternalControlSignals", "true"),
            ):
                ending = "Supported" if other.startswith("AC") else "Enabled"
                name_of = f"SmartChargingCtrlr.{other}{ending}"
                assert await lab.csms.get_setting(IDENTITY, name_of) == value

    run(Lab(version, switches_phases=switches), story)


def test_watts_and_amperes_of_profiles_hold_together_on_one_phase(version: str) -> None:
    async def story(lab: Lab) -> None:
        await charging(lab)
        await asyncio.sleep(EVERY_S)
        await profiled(lab, 3_680.0)
        await lab.until(lambda: lab.connector() == "SuspendedEVSE", limit_s=2 * EVERY_S)
        await lab.until(lambda: lab.connector() == "Charging")
        station = ProfileWish(2, "station", 0, ((0, 10.0),), starts_at="2020-01-01T00:00:00Z")
        assert await lab.csms.set_profile(IDENTITY, station) == "Accepted"
        await asyncio.sleep(10)
        assert lab.evse().reading().current_a == Phases(10.0, 0.0, 0.0)
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version, switches_phases=True), story))


def test_a_rate_that_the_site_has_changed_is_told_with_what_is_left(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(20)
        lab.post(ExternalLimitSet(0, "ems", 600.0, 1, limit_a=10.0))
        await asyncio.sleep(10)
        told = [text for way, text in lab.csms.wire if way == "received" and OFFERED in text]
        assert len(told) == 1
        assert ("ChargingRateChanged" in told[0]) is (version == "ocpp2.0.1")
        assert '"Other"' in told[0]
        lab.tap()
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))


def test_what_a_profile_of_the_csms_leaves_is_told_before_the_next_sample(version: str) -> None:
    """Where its samples contain what is offered; once a minute at most (2.0.1 5.3, K11)."""
    is_16 = version == "ocpp1.6"
    measurands = "Energy.Active.Import.Register,Current.Offered"
    name = "MeterValuesSampledData" if is_16 else "SampledDataCtrlr.TxUpdatedMeasurands"

    def told(lab: Lab) -> list[float]:
        """Return the currents that were told as offered, by arrival."""
        frames = [json.loads(text) for way, text in lab.csms.wire if way == "received"]
        values = [item for frame in frames for item in dict(frame[-1]).get("meterValue", ())]
        samples = [sample for value in values for sample in value["sampledValue"]]
        return [float(one["value"]) for one in samples if one.get("measurand") == OFFERED]

    async def story(lab: Lab) -> None:
        await charging(lab)
        assert await lab.csms.set_setting(IDENTITY, name, measurands) == "Accepted"
        await asyncio.sleep(70)
        for limit_a, expected in ((10.0, [10.0]), (8.0, [10.0]), (12.0, [10.0])):
            wish = ProfileWish(1, "default", 1, ((0, limit_a),))
            assert await lab.csms.set_profile(IDENTITY, wish) == "Accepted"
            await asyncio.sleep(10)
            assert told(lab) == expected
        await asyncio.sleep(60)
        assert told(lab) == [10.0, 12.0], "as it is after a minute"
        lab.unplug()
        await lab.delivered()

    intervals = {"MeterValueSampleInterval": 3600}
    check_bills(run(Lab(version, settings=intervals), story))
