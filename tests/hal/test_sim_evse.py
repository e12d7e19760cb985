"""The simulated EVSE in virtual time: the contract's clauses, then what only it does."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from hal.errors import BusError, DeviceError
from hal.sim.evse import HARMLESS_FAULTS, SimulatedEvse
from hal.sim.vehicle import SimRefused, Vehicle
from hal.types import Fault, IdToken, Phases, PilotState
from tests.support.contract_hal import CLAUSES, Recorder, charging, clause_name, served
from tests.support.vloop import run

QUICK = Vehicle(reaction_s=0.0, adapt_s=0.0)


class InProcessRig:
    closes_by_itself = False

    def __init__(self, evse: SimulatedEvse) -> None:
        self.controller = self.evse = evse

    async def plug(self) -> None:
        self.evse.plug(1, QUICK)

    async def unplug(self) -> None:
        self.evse.unplug()

    async def lose(self) -> None:
        self.evse.fault(Fault.COMMUNICATION_FAULT)

    async def restore(self) -> None:
        self.evse.clear(Fault.COMMUNICATION_FAULT)


@pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
def test_contract(clause):
    run(clause(InProcessRig(SimulatedEvse())))


@asynccontextmanager
async def charging_evse(vehicle: Vehicle = QUICK, offer_a: float = 16.0, **properties):
    evse = SimulatedEvse(**properties)
    async with served(evse) as recorder:
        await recorder.until(lambda now: now.readings)
        evse.plug(1, vehicle)
        await evse.offer(offer_a, valid_s=1e6)
        await recorder.until(lambda now: now.pilot in (PilotState.C, PilotState.D))
        await evse.energize(closed=True)
        await recorder.until(lambda now: now.outlet_closed)
        yield evse, recorder


async def passed(seconds: float) -> None:
    await asyncio.sleep(seconds)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_vehicle_that_is_not_ready_stays_in_b():
    async def main():
        evse = SimulatedEvse()
        evse.plug(1, Vehicle(ready=False))
        await evse.offer(16.0, valid_s=60.0)
        await passed(59.0)
        assert evse.pilot is PilotState.B
        evse.set_ready(True)
        await passed(0.6)
        assert evse.pilot is PilotState.C

    run(main())


def test_s2_closes_after_the_reaction_time_and_not_before():
    async def main():
        evse = SimulatedEvse()
        evse.plug(1, Vehicle(reaction_s=2.0))
        await evse.offer(6.0, valid_s=60.0)
        await passed(1.9)
        assert evse.pilot is PilotState.B
        await passed(0.2)
        assert evse.pilot is PilotState.C

    run(main())


def test_an_offer_withdrawn_before_the_reaction_leaves_s2_open():
    async def main():
        evse = SimulatedEvse()
        evse.plug(1, Vehicle(reaction_s=2.0))
        await evse.offer(6.0, valid_s=60.0)
        await passed(1.0)
        await evse.offer(0.0, valid_s=60.0)
        await passed(10.0)
        assert evse.pilot is PilotState.B

    run(main())


def test_s2_opens_within_three_seconds_of_the_end_of_pwm_however_slow_the_vehicle():
    async def main():
        async with charging_evse(Vehicle(reaction_s=10.0)) as (evse, recorder):
            await evse.offer(0.0, valid_s=60.0)
            await passed(2.9)
            assert evse.pilot is PilotState.C
            await passed(0.2)
            assert evse.pilot is PilotState.B
            await passed(0.1)
            assert recorder.outlet_closed is False

    run(main())


def test_ventilation_is_state_d():
    async def main():
        async with charging_evse(Vehicle(needs_ventilation=True)) as (_, recorder):
            assert recorder.pilot is PilotState.D
            assert recorder.outlet_closed

    run(main())


def test_opening_s2_is_b_at_once_and_opens_the_contactor_within_a_tenth_of_a_second():
    async def main():
        async with charging_evse() as (evse, recorder):
            evse.set_ready(False)
            assert recorder.pilot is PilotState.B
            assert evse.reading().power_w == 0.0
            await passed(0.1)
            assert recorder.outlet_closed is False

    run(main())


def test_unplugging_under_load_is_a_at_once_and_opens_the_contactor_by_itself():
    async def main():
        async with charging_evse() as (evse, recorder):
            evse.unplug()
            assert recorder.pilot is PilotState.A
            assert evse.reading().power_w == 0.0
            await passed(0.1)
            assert recorder.outlet_closed is False

    run(main())


def test_the_contactor_does_not_close_again_by_itself():
    async def main():
        async with charging_evse() as (evse, recorder):
            evse.set_ready(False)
            await passed(1.0)
            evse.set_ready(True)
            await passed(10.0)
            assert recorder.pilot is PilotState.C
            assert recorder.outlet_closed is False

    run(main())


def test_a_close_command_that_meets_an_unplug_never_closes():
    async def main():
        async with charging_evse() as (evse, recorder):
            await evse.energize(closed=False)
            await passed(1.0)
            recorder.log.clear()
            await evse.energize(closed=True)
            evse.unplug()
            await passed(1.0)
            assert ("outlet", True) not in recorder.log

    run(main())


def test_a_close_command_is_refused_for_good_without_a_ready_vehicle_and_pwm():
    async def main():
        async with served(evse := SimulatedEvse()) as recorder:
            await recorder.until(lambda now: now.readings)
            await evse.offer(16.0, valid_s=60.0)
            await evse.energize(closed=True)
            await passed(1.0)
            evse.plug(1, Vehicle(reaction_s=2.0))
            await evse.energize(closed=True)
            await passed(3.0)
            assert recorder.pilot is PilotState.C
            await evse.offer(0.0, valid_s=60.0)
            await evse.energize(closed=True)
            await passed(1.0)
            assert recorder.pilot is PilotState.C
            assert ("outlet", True) not in recorder.log

    run(main())


def test_an_open_command_that_is_taken_back_in_time_changes_nothing():
    async def main():
        async with charging_evse() as (evse, recorder):
            recorder.log.clear()
            await evse.energize(closed=False)
            await evse.energize(closed=True)
            await passed(1.0)
            assert ("outlet", False) not in recorder.log
            assert evse.outlet_closed

    run(main())


@pytest.mark.parametrize(
    ("offer_a", "made_a"), [(16.4, 16.4), (16.39, 16.3), (32.0, 32.0), (40.0, 32.0), (6.0, 6.0)]
)
def test_an_offer_is_rounded_down_to_a_tenth_and_to_what_the_hardware_carries(offer_a, made_a):
    async def main():
        evse = SimulatedEvse(max_a=32.0)
        await evse.offer(offer_a, valid_s=60.0)
        assert evse.offer_a == made_a

    run(main())


def test_the_draw_slopes_to_a_new_offer_within_the_vehicle_s_time():
    async def main():
        async with charging_evse(Vehicle(adapt_s=4.0), offer_a=16.0) as (evse, _):
            await passed(5.0)
            assert evse.reading().current_a == Phases(16.0, 16.0, 16.0)
            await evse.offer(8.0, valid_s=60.0)
            assert evse.reading().current_a.l1 == 16.0
            await passed(2.0)
            assert evse.reading().current_a.l1 == pytest.approx(12.0, abs=0.01)
            await passed(2.0)
            assert evse.reading().current_a.l1 == 8.0

    run(main())


def test_renewing_the_same_offer_does_not_restart_the_slope():
    async def main():
        async with charging_evse(Vehicle(adapt_s=4.0)) as (evse, _):
            for _ in range(4):
                await passed(1.0)
                await evse.offer(16.0, valid_s=60.0)
            assert evse.reading().current_a.l1 == 16.0

    run(main())


def test_six_hours_of_charging_are_counted_to_the_milliwatt_hour():
    async def main():
        async with charging_evse(QUICK, offer_a=32.0, energy_wh=500.0) as (evse, recorder):
            before_wh = evse.reading().energy_import_wh
            await passed(6 * 3_600.0)
            counted_wh = evse.reading().energy_import_wh - before_wh
            assert counted_wh == pytest.approx(6 * 3 * 230.0 * 32.0, abs=0.001)
            shown = [reading.energy_import_wh for reading in recorder.readings]
            assert shown == sorted(shown)

    run(main())


@pytest.mark.parametrize(
    ("vehicle_phases", "evse_phases", "drawn"), [(1, 3, 1), (2, 3, 2), (3, 1, 1)]
)
def test_the_current_flows_on_the_phases_that_both_have(vehicle_phases, evse_phases, drawn):
    async def main():
        vehicle = Vehicle(phases=vehicle_phases, reaction_s=0.0, adapt_s=0.0)
        async with charging_evse(vehicle, phases=evse_phases) as (evse, _):
            current_a = evse.reading().current_a
            assert (current_a.l1, current_a.l2, current_a.l3) == tuple(
                16.0 if n < drawn else 0.0 for n in range(3)
            )

    run(main())


def test_the_meter_reports_every_second_under_load_and_every_five_seconds_idle():
    async def main():
        async with charging_evse() as (evse, recorder):
            recorder.readings.clear()
            await passed(10.5)
            assert len(recorder.readings) == 10
            evse.unplug()
            recorder.readings.clear()
            await passed(10.5)
            assert len(recorder.readings) == 2

    run(main())


def test_the_end_of_the_current_is_reported_at_once():
    async def main():
        async with charging_evse() as (evse, recorder):
            await passed(0.5)
            evse.unplug()
            assert recorder.readings[-1].power_w == 0.0
            assert recorder.readings[-1].energy_import_wh == evse.reading().energy_import_wh

    run(main())


def test_nothing_is_reported_after_the_listener_has_gone():
    async def main():
        evse = SimulatedEvse()
        async with served(evse) as recorder:
            await recorder.until(lambda now: now.readings)
        recorder.log.clear()
        evse.plug()
        evse.present(IdToken("04AB"))
        evse.fault(Fault.GROUND_FAILURE)
        evse.clear(Fault.GROUND_FAILURE)
        evse.fault(Fault.POWER_METER_FAILURE)
        await passed(60.0)
        assert not recorder.log

    run(main())


@pytest.mark.parametrize("fault", sorted(set(Fault) - HARMLESS_FAULTS, key=lambda f: f.value))
def test_a_fault_opens_the_contactor_and_stops_the_offer(fault):
    async def main():
        async with charging_evse(Vehicle(reaction_s=2.0)) as (evse, recorder):
            evse.fault(fault)
            assert recorder.faults == {fault}
            assert evse.offer_a == 0.0
            await passed(0.1)
            assert evse.outlet_closed is (fault is Fault.CONTACTOR_FAULT)
            await evse.energize(closed=True)
            evse.clear(fault)
            await passed(1.0)
            assert recorder.faults == set()
            assert recorder.outlet_closed is False
            assert recorder.pilot is PilotState.C

    run(main())


@pytest.mark.parametrize("fault", sorted(HARMLESS_FAULTS, key=lambda f: f.value))
def test_a_fault_beside_the_power_path_leaves_the_contactor_closed(fault):
    async def main():
        async with charging_evse() as (evse, recorder):
            evse.fault(fault)
            await passed(1.0)
            assert recorder.faults == {fault}
            assert evse.outlet_closed

    run(main())


def test_a_welded_contactor_stays_closed_and_carries_current_while_s2_is_closed():
    async def main():
        async with charging_evse(Vehicle(reaction_s=2.0, adapt_s=3.0)) as (evse, recorder):
            await passed(5.0)
            evse.fault(Fault.CONTACTOR_FAULT)
            await evse.energize(closed=False)
            await passed(1.0)
            assert recorder.outlet_closed is True
            assert evse.reading().power_w > 0.0
            evse.unplug()
            await passed(10.0)
            assert recorder.outlet_closed is True
            assert evse.reading().power_w == 0.0

    run(main())


def test_a_contactor_jammed_open_never_closes():
    async def main():
        evse = SimulatedEvse()
        evse.fault(Fault.CONTACTOR_FAULT)
        evse.plug(1, QUICK)
        await evse.offer(16.0, valid_s=60.0)
        await evse.energize(closed=True)
        await passed(5.0)
        assert not evse.outlet_closed

    run(main())


def test_a_pilot_fault_is_state_e():
    async def main():
        async with charging_evse() as (evse, recorder):
            evse.fault(Fault.PILOT_FAULT)
            assert recorder.pilot is PilotState.E

    run(main())


def test_a_failed_meter_says_so_until_it_is_mended_and_has_counted_meanwhile():
    async def main():
        async with charging_evse() as (evse, recorder):
            evse.fault(Fault.POWER_METER_FAILURE)
            recorder.readings.clear()
            recorder.log.clear()
            await passed(3.5)
            assert recorder.kinds() == ["meter_failed"] * 3
            evse.clear(Fault.POWER_METER_FAILURE)
            assert recorder.readings[-1].energy_import_wh == pytest.approx(
                3 * 230.0 * 16.0 * 3.5 / 3600, rel=0.05
            )

    run(main())


def test_a_fault_that_came_and_one_that_went_unseen_are_told_when_the_controller_answers():
    async def main():
        async with served(evse := SimulatedEvse()) as recorder:
            await recorder.until(lambda now: now.readings)
            evse.fault(Fault.GROUND_FAILURE)
            evse.fault(Fault.COMMUNICATION_FAULT)
            evse.clear(Fault.GROUND_FAILURE)
            evse.fault(Fault.OVER_CURRENT)
            assert recorder.faults == {Fault.GROUND_FAILURE, Fault.COMMUNICATION_FAULT}
            evse.clear(Fault.COMMUNICATION_FAULT)
            assert recorder.faults == {Fault.OVER_CURRENT}

    run(main())


def test_a_fault_is_told_once_and_a_well_part_cannot_be_mended():
    async def main():
        async with served(evse := SimulatedEvse()) as recorder:
            await recorder.until(lambda now: now.readings)
            evse.fault(Fault.GROUND_FAILURE)
            evse.fault(Fault.GROUND_FAILURE)
            evse.clear(Fault.OVER_CURRENT)
            assert recorder.kinds().count("raised") == 1
            assert "cleared" not in recorder.kinds()
            assert evse.faults == {Fault.GROUND_FAILURE}

    run(main())


def test_a_fault_that_went_while_nobody_listened_is_told_to_be_gone():
    async def main():
        evse, recorder = SimulatedEvse(), Recorder()
        for is_broken in (True, False):
            async with asyncio.TaskGroup() as group:
                role = group.create_task(evse.run(recorder))
                await passed(1.0)
                if is_broken:
                    evse.fault(Fault.GROUND_FAILURE)
                role.cancel()
            evse.clear(Fault.GROUND_FAILURE)
        assert recorder.faults == set()

    run(main())


def test_faults_from_before_are_told_to_a_new_listener():
    async def main():
        evse = SimulatedEvse()
        evse.fault(Fault.GROUND_FAILURE)
        async with served(evse) as recorder:
            await recorder.until(lambda now: now.faults == {Fault.GROUND_FAILURE})

    run(main())


def test_a_socket_reports_the_cable_and_a_tethered_station_does_not():
    async def main():
        for is_tethered, cable_a in ((False, 20.0), (True, None)):
            async with served(evse := SimulatedEvse(is_tethered=is_tethered)) as recorder:
                await recorder.until(lambda now: now.readings)
                evse.plug(1, Vehicle(ampacity_a=20.0))
                assert recorder.cable_a == cable_a
                evse.unplug()
                assert recorder.cable_a is None
                assert recorder.capabilities.is_tethered is is_tethered
                assert recorder.capabilities.has_lock is not is_tethered

    run(main())


def test_the_lock_follows_where_there_is_one_and_it_is_well():
    async def main():
        socket, tethered = SimulatedEvse(), SimulatedEvse(is_tethered=True)
        await socket.lock(locked=True)
        await tethered.lock(locked=True)
        assert (socket.locked, tethered.locked) == (True, False)
        socket.fault(Fault.CONNECTOR_LOCK_FAILURE)
        await socket.lock(locked=False)
        assert socket.locked

    run(main())


def test_the_pilot_is_reported_on_the_connector_that_is_plugged():
    async def main():
        async with served(evse := SimulatedEvse(connectors=2)) as recorder:
            evse.plug(2)
            await recorder.until(lambda now: now.pilot is PilotState.B)
            assert recorder.connector_id == 2
            evse.unplug(2)
            assert (recorder.pilot, recorder.connector_id) == (PilotState.A, 2)

    run(main())


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda evse: evse.plug(3), "there are 1 to 2"),
        (lambda evse: evse.plug(0), "there are 1 to 2"),
        (lambda evse: evse.plug(2), "connector 1 already"),
        (lambda evse: evse.unplug(2), "nothing is plugged into connector 2"),
        (lambda evse: evse.set("draw", 101.0), "0 to 100 A"),
        (lambda evse: evse.set("colour", 1.0), "voltage_l1"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(act, says):
    async def main():
        evse = SimulatedEvse(connectors=2)
        evse.plug(1)
        with pytest.raises(SimRefused, match=says):
            act(evse)

    run(main())


def test_readiness_needs_a_vehicle():
    async def main():
        evse = SimulatedEvse()
        with pytest.raises(SimRefused, match="no vehicle"):
            evse.set_ready(True)
        with pytest.raises(SimRefused, match="nothing is plugged"):
            evse.unplug()

    run(main())


def test_a_token_is_one_report_and_a_failed_reader_reads_none():
    async def main():
        async with served(evse := SimulatedEvse()) as recorder:
            await recorder.until(lambda now: now.readings)
            evse.present(IdToken("04AB"))
            evse.fault(Fault.READER_FAILURE)
            evse.present(IdToken("04CD"))
            assert recorder.tokens == [IdToken("04AB")]

    run(main())


def test_a_disobedient_vehicle_draws_what_it_likes_until_it_obeys_again():
    async def main():
        async with charging_evse() as (evse, recorder):
            evse.set("draw", 25.0)
            assert recorder.readings[-1].current_a.l1 == 25.0
            await evse.offer(6.0, valid_s=60.0)
            assert evse.reading().current_a.l1 == 25.0
            evse.set("draw", None)
            assert evse.reading().current_a.l1 == 6.0

    run(main())


def test_a_set_voltage_is_reported():
    async def main():
        async with served(evse := SimulatedEvse()) as recorder:
            await recorder.until(lambda now: now.readings)
            evse.set("voltage_l2", 253.0)
            assert recorder.readings[-1].voltage_v == Phases(230.0, 253.0, 230.0)

    run(main())


def test_a_temperature_is_reported_at_once_and_again_after_a_restart():
    async def main():
        evse = SimulatedEvse()
        async with served(evse) as recorder:
            await recorder.until(lambda now: now.pilot is not None)
            assert recorder.temperature_c is None
            evse.set("temperature", 65.0)
            assert recorder.temperature_c == 65.0
            for value in (None, 151.0):
                with pytest.raises(SimRefused, match="-50 to 150 °C"):
                    evse.set("temperature", value)
        async with served(evse) as recorder:
            await recorder.until(lambda now: now.temperature_c == 65.0)

    run(main())


def test_phases_are_switched_without_load_and_refused_under_it():
    async def main():
        async with charging_evse(QUICK, offer_a=16.0) as (evse, recorder):
            with pytest.raises(BusError, match="under load"):
                await evse.switch(1)
            assert recorder.capabilities.can_switch_phases
            await evse.energize(closed=False)
            await recorder.until(lambda now: now.outlet_closed is False)
            await evse.switch(1)
            await evse.offer(16.0, valid_s=60.0)
            await evse.energize(closed=True)
            await recorder.until(lambda now: now.outlet_closed)
            assert evse.reading().current_a == Phases(16.0, 0.0, 0.0)

    run(main())


def test_the_ceiling_holds_whatever_happens_within_its_time():
    async def main():
        async with charging_evse(QUICK, offer_a=6.0) as (evse, _):
            ceiling_wh = evse.ceiling_wh(3.0)
            evse.set("draw", 32.0)
            await passed(3.0)
            assert evse.reading().energy_import_wh <= ceiling_wh
            evse.unplug()
            await passed(1.0)
            assert evse.ceiling_wh(3.0) == evse.reading().energy_import_wh

    run(main())


def test_three_roles_of_one_device_report_once():
    async def main():
        evse, recorder = SimulatedEvse(), Recorder()
        async with asyncio.TaskGroup() as group:
            roles = [group.create_task(evse.run(recorder)) for _ in range(3)]
            await recorder.until(lambda now: now.readings)
            evse.plug()
            assert recorder.kinds().count("pilot") == 2
            roles[0].cancel()
            await passed(1.0)
            evse.unplug()
            assert recorder.pilot is PilotState.A
            for role in roles:
                role.cancel()

    run(main())


def test_a_second_listener_is_refused():
    async def main():
        async with served(evse := SimulatedEvse()) as recorder:
            await recorder.until(lambda now: now.readings)
            with pytest.raises(DeviceError, match="another listener"):
                await evse.run(Recorder())

    run(main())


def test_an_idle_hour_needs_no_timer_but_the_meter_s():
    async def main():
        async with charging_evse() as (evse, _):
            evse.unplug()
            await passed(1.0)
            loop = asyncio.get_running_loop()
            waiting = [handle for handle in loop._scheduled if not handle.cancelled()]
            assert len(waiting) == 2, "the meter's next report and the offer's expiry"

    run(main())


def test_charging_helper_of_the_contract_reaches_a_closed_contactor():
    async def main():
        rig = InProcessRig(SimulatedEvse())
        async with served(rig.controller) as recorder:
            await charging(rig, recorder)
            assert rig.evse.outlet_closed

    run(main())


# --- the lock, and cables without a vehicle ---


def test_the_lock_tells_what_it_is_and_not_what_it_was_told():
    async def main():
        evse = SimulatedEvse()
        async with served(evse) as recorder:
            await recorder.until(lambda now: now.locked is False)
            await evse.lock(locked=True)
            assert recorder.locked is True
            evse.set("lock_jam", 1.0)
            await evse.lock(locked=False)
            assert (recorder.locked, evse.locked) == (True, True)
            evse.set("lock_jam", 0.0)
            await evse.lock(locked=False)
            assert recorder.locked is False

    run(main())


@pytest.mark.parametrize("value", [None, 0.5, 2.0])
def test_a_lock_jams_or_does_not(value):
    async def main():
        with pytest.raises(SimRefused, match="lock_jam"):
            SimulatedEvse().set("lock_jam", value)

    run(main())


def test_a_tethered_cable_has_no_lock_to_speak_of():
    async def main():
        async with served(SimulatedEvse(is_tethered=True)) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.A)
            assert recorder.locked is None

    run(main())


def test_a_cable_that_its_vehicle_has_left_is_told_before_the_pilot():
    async def main():
        evse = SimulatedEvse()
        evse.plug(1, Vehicle(ampacity_a=20.0))
        async with served(evse) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.B)
            evse.unplug(leaves_cable=True)
            assert (recorder.pilot, recorder.cable_a) == (PilotState.A, 20.0)
            kinds = [item[0] for item in recorder.log]
            assert kinds.index("cable") < kinds.index("pilot")
            with pytest.raises(SimRefused, match="connector 2"):
                evse.unplug(2)
            evse.plug(1, Vehicle(ampacity_a=32.0))  # at the end of the same cable
            assert recorder.cable_a == 20.0
            evse.unplug()
            assert recorder.cable_a is None
            with pytest.raises(SimRefused, match="nothing is plugged"):
                evse.unplug()

    run(main())


def test_a_cable_of_unknown_rating_is_an_ordinary_one_once_it_is_left():
    async def main():
        evse = SimulatedEvse(connectors=2)
        evse.plug(2)
        async with served(evse) as recorder:
            await recorder.until(lambda now: now.pilot is PilotState.B)
            evse.unplug(2, leaves_cable=True)
            assert recorder.cable_a == 32.0
            with pytest.raises(SimRefused, match="a cable is plugged into connector 2"):
                evse.plug(1)
            evse.unplug(2)  # the cable
            assert recorder.cable_a is None

    run(main())


def test_a_tethered_cable_stays_where_it_is():
    async def main():
        evse = SimulatedEvse(is_tethered=True)
        evse.plug()
        evse.unplug(leaves_cable=True)
        with pytest.raises(SimRefused, match="nothing is plugged"):
            evse.unplug()

    run(main())
