"""A DC EVSE on its wires: whole charges, and everything that ends one."""

import asyncio
from itertools import pairwise

import pytest

from hal.dc.sequence import Stage
from hal.drivers import dc_evse
from hal.errors import BusError
from hal.types import Fault, PilotState
from tests.support import vloop
from tests.support.contract_hal import CLAUSES, clause_name, served
from tests.support.dc_rig import DcRig, played, rigged

OWN = {
    "clause_4_a_lost_device_is_a_communication_fault_until_it_answers",  # it opens even then
    "clause_5_a_renewed_offer_keeps_it_closed",
    "clause_5_without_a_renewed_offer_the_contactor_opens",  # half a second is no session
    "clause_p1_an_offer_that_pwm_cannot_make_is_an_error",  # its supply is larger
}
"""Clauses that this controller keeps in its own way; tests below tell how."""


@pytest.mark.parametrize(
    "clause", [clause for clause in CLAUSES if clause.__name__ not in OWN], ids=clause_name
)
def test_contract(clause):
    async def main():
        async with rigged() as rig:
            await clause(rig)

    vloop.run(main())


async def cut(rig: DcRig, *, within_s: float) -> None:
    """Check that nothing flows any more, and the contactor opens."""
    await rig.until(
        lambda: not (rig.outlet.is_on or rig.outlet.contactor_closed), within_s=within_s
    )


def test_a_whole_charge_goes_through_every_stage_and_ends_open():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        assert rig.outlet.output().current_a == pytest.approx(100.0)
        assert recorder.outlet_closed
        assert recorder.pilot is PilotState.C
        assert (recorder.capabilities.max_a, recorder.capabilities.phases) == (96.0, 3)
        await rig.evse.offer(0.0, valid_s=10.0)
        await rig.until(lambda: not rig.outlet.contactor_closed)
        await recorder.until(lambda now: now.outlet_closed is False)
        await recorder.until(lambda now: now.pilot is PilotState.B)
        assert not rig.outlet.is_on
        rig.vehicle.is_plugged = False
        await recorder.until(lambda now: now.pilot is PilotState.A)
        assert not recorder.faults

    played(scene)


def test_a_vehicle_that_is_full_ends_it_and_may_begin_anew():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.vehicle.is_full = True
        await recorder.until(lambda now: now.pilot is PilotState.B)
        assert not rig.outlet.contactor_closed
        rig.vehicle.is_full = False
        await rig.until(lambda: rig.evse.stage is Stage.CHARGE)

    played(scene)


def test_what_leaves_the_converter_is_never_more_than_the_offer_leaves_after_its_losses():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        for limit_a in (20.0, 10.03, 6.0, 50.0):
            await rig.offered(limit_a)
            await asyncio.sleep(2.0)
            reading = rig.outlet.reading()
            assert reading.power_w <= limit_a * 230.0 * 3 * 0.94
            assert reading.power_w == pytest.approx(limit_a * 230.0 * 3 * 0.94, rel=0.15)
            seen = recorder.readings[-1]
            assert seen.current_a.l1 <= limit_a + 1e-6
            assert seen.current_a.l1 == seen.current_a.l3

    played(scene)


def test_a_reading_tells_the_outlet_the_supply_and_the_battery():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        await asyncio.sleep(1.0)
        reading = recorder.readings[-1]
        assert reading.dc.voltage_v == pytest.approx(405.0)
        assert reading.dc.current_a == pytest.approx(100.0)
        assert reading.current_a.l2 == pytest.approx(40_500.0 / (230.0 * 3 * 0.94))
        assert reading.voltage_v.l3 == 230.0
        assert reading.soc_pct == 40.0
        rig.vehicle.is_frozen = True
        await asyncio.sleep(4.0)
        assert recorder.readings[-1].soc_pct is None

    played(scene)


def test_a_contactor_does_not_close_without_permission():
    async def scene(rig, recorder):
        await recorder.until(lambda now: now.pilot is not None)
        rig.vehicle.is_plugged = True
        await rig.offered(32.0, closed=False)
        await recorder.until(lambda now: now.pilot is PilotState.C)
        await asyncio.sleep(10.0)
        assert not rig.outlet.contactor_closed
        await rig.evse.energize(closed=True)
        await rig.until(lambda: rig.evse.stage is Stage.CHARGE)
        await rig.evse.energize(closed=False)
        await cut(rig, within_s=0.8)

    played(scene)


def test_an_offer_that_is_not_renewed_ends_the_charge():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        await rig.evse.offer(32.0, valid_s=3.0)
        await asyncio.sleep(2.5)
        assert rig.outlet.is_on
        await asyncio.sleep(0.5)
        await cut(rig, within_s=1.0)

    played(scene)


def test_offers_are_checked_and_need_a_vehicles_side():
    async def main():
        async with rigged() as rig:
            with pytest.raises(BusError):
                await rig.evse.offer(16.0, valid_s=10.0)
            await rig.evse.energize(closed=False)  # opening is never refused
            async with served(rig.evse) as recorder:
                await recorder.until(lambda now: now.pilot is PilotState.A)
                for limit_a, valid_s in ((5.9, 10.0), (96.1, 10.0), (16.0, 0.0)):
                    with pytest.raises(ValueError, match="6 to 96 A"):
                        await rig.evse.offer(limit_a, valid_s=valid_s)
                await rig.evse.lock(locked=True)
            with pytest.raises(BusError):
                await rig.evse.energize(closed=True)

    vloop.run(main())


def test_the_end_of_the_driver_leaves_everything_off():
    async def main():
        async with rigged() as rig:
            async with served(rig.evse) as recorder:
                await rig.charging(recorder)
            assert not rig.outlet.is_on
            assert not rig.outlet.contactor_closed
            async with served(rig.evse) as recorder:
                await recorder.until(lambda now: now.outlet_closed is False)

    vloop.run(main())


# --- rule 10, on the wire ---


def test_rule_10_an_output_is_told_again_within_a_second():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        await asyncio.sleep(3.0)
        rig.converter.told_s.clear()
        await asyncio.sleep(20.0)
        pauses = [after - before for before, after in pairwise(rig.converter.told_s)]
        assert len(pauses) >= 19
        assert max(pauses) <= 1.0

    played(scene)


def test_rule_10_an_isolation_fault_cuts_and_is_reported():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.outlet.isolation_ohm = 90_000.0
        await cut(rig, within_s=1.5)
        await recorder.until(lambda now: Fault.GROUND_FAILURE in now.faults)
        rig.outlet.isolation_ohm = 1e6
        rig.vehicle.is_plugged = False
        await recorder.until(lambda now: not now.faults)

    played(scene)


def test_rule_10_a_voltage_above_the_vehicles_limit_cuts():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.vehicle.max_v = 399.0
        await cut(rig, within_s=1.5)
        await recorder.until(lambda now: Fault.OVER_VOLTAGE in now.faults)

    played(scene)


def test_rule_10_a_converter_that_shows_what_the_meter_does_not_cuts():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.converter.skew_v = -60.0
        await cut(rig, within_s=4.0)
        await recorder.until(lambda now: Fault.OVER_VOLTAGE in now.faults)

    played(scene)


@pytest.mark.parametrize("pilot", ["A", "B", "E"])
def test_rule_10_a_pilot_that_leaves_c_cuts(pilot):
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.vehicle.pilot = pilot
        await cut(rig, within_s=0.6)
        await recorder.until(lambda now: now.pilot is PilotState(pilot))

    played(scene)


def test_rule_10_a_process_that_hangs_cuts_and_the_evse_is_lost_until_it_is_back():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.vehicle.is_frozen = True
        await cut(rig, within_s=2.8)
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        with pytest.raises(BusError):
            await rig.evse.offer(16.0, valid_s=10.0)
        recorder.pilot = None
        rig.vehicle.is_frozen = False
        await recorder.until(lambda now: not now.faults and now.pilot is not None)

    played(scene)


def test_rule_10_a_process_that_dies_cuts_at_once():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.evse._parts.vehicle._writer.transport.abort()
        await cut(rig, within_s=0.5)

    played(scene)


def test_rule_11_a_converter_that_is_lost_is_cut_and_its_output_waited_for():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.converter.is_silent = True
        await rig.until(lambda: not rig.outlet.contactor_closed, within_s=1.5)
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        assert rig.outlet.is_on  # nobody could tell it, until its own watchdog ends it
        rig.converter.is_silent = False
        await recorder.until(lambda now: not now.faults)
        assert not rig.outlet.is_on
        assert not rig.outlet.contactor_closed

    played(scene)


def test_a_monitor_that_does_not_test_itself_lets_nothing_begin():
    async def scene(rig, recorder):
        rig.monitor.is_deaf = True
        await recorder.until(lambda now: now.pilot is not None)
        rig.vehicle.is_plugged = True
        await rig.offered(32.0)
        await rig.until(lambda: rig.evse.stage is Stage.CUT)
        assert not rig.outlet.contactor_closed
        assert Fault.GROUND_FAILURE in recorder.faults
        rig.vehicle.is_plugged = False
        await asyncio.sleep(5.0)
        assert Fault.GROUND_FAILURE in recorder.faults  # until the next start

    played(scene)


def test_a_defect_of_the_monitor_stays_until_the_next_start():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.monitor.alarm = 2
        await cut(rig, within_s=1.5)
        rig.monitor.alarm = 0
        await asyncio.sleep(5.0)
        assert Fault.INTERNAL_ERROR in recorder.faults

    played(scene)


def test_a_contactor_that_is_welded_is_told_as_closed():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        rig.outlet.welded = True
        await rig.evse.energize(closed=False)
        await rig.until(lambda: not rig.outlet.is_on, within_s=1.0)
        await asyncio.sleep(3.0)
        assert recorder.outlet_closed
        assert rig.evse.stage is not Stage.CHARGE

    played(scene)


@pytest.mark.parametrize("lost", ["monitor", "contactor"])
def test_a_line_that_is_lost_cuts_and_comes_back(lost):
    async def scene(rig, recorder):
        await rig.charging(recorder)
        server = getattr(rig, lost).server
        server.mode = "down"
        await rig.until(lambda: not rig.outlet.is_on, within_s=6.0)
        await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        server.mode = "up"
        await recorder.until(lambda now: not now.faults)
        await rig.until(lambda: not rig.outlet.contactor_closed)

    played(scene)


def test_a_contactor_stays_closed_through_lost_frames():
    async def scene(rig, recorder):
        await rig.charging(recorder)
        for device in (rig.monitor, rig.contactor):
            device.server.fail_next("garbage")
        await asyncio.sleep(3.0)
        assert rig.evse.stage is Stage.CHARGE

    played(scene)


def test_a_device_that_cannot_be_served_is_a_fault_and_tried_again():
    async def main():
        async with rigged() as rig:
            good = rig.path.parent
            rig.evse._parts.vehicle._path = good / "missing" / "vehicle.sock"
            async with served(rig.evse) as recorder:
                await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
                rig.evse._parts.vehicle._path = rig.path
                await recorder.until(lambda now: now.pilot is PilotState.A)

    vloop.run(main())


def test_without_a_vehicles_side_an_evse_is_lost_after_a_while():
    async def main():
        async with rigged() as rig:
            rig.vehicle.is_frozen = True
            async with served(rig.evse) as recorder:
                await asyncio.sleep(dc_evse.GRACE_S - 1.0)
                assert not recorder.faults
                await asyncio.sleep(2.0)
                assert recorder.faults == {Fault.COMMUNICATION_FAULT}

    vloop.run(main())


def test_a_renewed_offer_keeps_it_closed_and_one_that_is_not_renewed_opens_it():
    """Clause 5 of `hal.api`, with the times of a charge."""

    async def scene(rig, recorder):
        await rig.charging(recorder)
        for _ in range(10):
            await rig.evse.offer(50.0, valid_s=12.0)
            await asyncio.sleep(6.0)
            assert rig.evse.stage is Stage.CHARGE
            assert rig.outlet.contactor_closed
        await asyncio.sleep(5.0)
        assert rig.outlet.contactor_closed
        await cut(rig, within_s=3.0)

    played(scene)
