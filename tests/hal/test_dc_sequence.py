"""The sequence of a DC charge: stage after stage, every rule that ends it, and what never is."""

from itertools import product

import pytest
from msgspec import structs

from hal.dc import rules
from hal.dc.seen import Seen
from hal.dc.sequence import (
    CLOSED,
    CUTTING_S,
    DISCHARGE_S,
    ENDING_S,
    GUARDED,
    LIVE,
    PRE_CHARGE_S,
    RISE_S,
    SELF_TEST_S,
    SETTLE_S,
    SWITCH_S,
    Output,
    Outputs,
    Sequence,
    Stage,
    check_v,
    outputs,
    step,
)
from hal.dc_types import (
    DcRating,
    Halt,
    Isolation,
    IsolationReading,
    VehicleStage,
    VehicleState,
)
from hal.types import NO_OUTPUT, READY_STATES, ConverterLimits, Fault, PilotState

RATING = DcRating(max_v=1000.0, max_a=200.0, max_w=60_000.0)
GIVEN = ConverterLimits(min_v=150.0, max_v=1000.0, max_a=180.0, max_w=60_000.0)
GOOD = IsolationReading(2e6)
WAITING = VehicleState(PilotState.B, VehicleStage.SESSION, max_v=450.0, max_a=150.0)
TICK_S = 0.125
"""A binary fraction: instants add up exactly."""


class Life:
    """One output and its vehicle: looked at eight times a second, with well devices."""

    def __init__(self, **seen) -> None:
        self.seen = Seen(now_s=100.0, rating=RATING, given=GIVEN, is_closed=False)
        self.sequence = Sequence()
        self.freezes: set[str] = set()
        self.look(vehicle=WAITING, offer_w=60_000.0, is_wanted=True, isolation=GOOD, **seen)

    @property
    def stage(self) -> Stage:
        return self.sequence.stage

    @property
    def out(self) -> Outputs:
        return outputs(self.sequence, self.seen)

    def look(self, after_s: float = TICK_S, **changes) -> "Life":
        now_s = self.seen.now_s + after_s
        fresh = {
            name: now_s
            for name in ("heard_s", "output_s", "meter_s", "isolation_s")
            if name not in self.freezes
        }
        opened = {} if self.stage in CLOSED else {"is_closed": False}
        if not self.out.tests:
            opened["is_tested"] = None
        self.seen = structs.replace(self.seen, now_s=now_s, **{**fresh, **opened, **changes})
        self.sequence = step(self.sequence, self.seen)
        return self

    def vehicle(self, **changes) -> "Life":
        state = self.seen.vehicle
        assert state is not None
        return self.look(vehicle=structs.replace(state, **changes))

    def volts(self, volts: float, amps: float = 0.0) -> "Life":
        return self.look(output_v=volts, meter_v=volts, output_a=amps)

    def lasting(self, seconds: float, **changes) -> "Life":
        for _ in range(round(seconds / TICK_S)):
            self.look(**changes)
        return self

    def until(self, stage: Stage) -> "Life":
        """Go through a well session to a stage."""
        for reached in _STEPS:
            if self.stage is stage:
                return self
            reached(self)
        assert self.stage is stage
        return self


_STEPS = (
    lambda life: life.vehicle(stage=VehicleStage.CABLE_CHECK, pilot=PilotState.C),
    lambda life: life.look(is_tested=True),
    lambda life: life.look(is_closed=True).volts(500.0).lasting(SETTLE_S + TICK_S),
    lambda life: life.volts(20.0),
    lambda life: life.vehicle(stage=VehicleStage.PRE_CHARGE, voltage_v=400.0),
    lambda life: life.volts(395.0).vehicle(stage=VehicleStage.CHARGE, current_a=100.0),
    lambda life: life.volts(400.0, 100.0).vehicle(stage=VehicleStage.STOP),
    lambda life: life.volts(400.0, 1.0),
)


# --- the way of a session ---


def test_nothing_is_offered_to_a_vehicle_without_permission():
    life = Life().look(offer_w=0.0)
    assert (life.stage, life.out.told.is_offered) == (Stage.IDLE, False)


def test_an_offer_lets_the_vehicle_begin_with_everything_off():
    life = Life()
    assert life.stage is Stage.OFFERED
    assert life.out.told.is_offered
    assert (life.out.closes, life.out.output, life.out.tests) == (False, None, False)


@pytest.mark.parametrize(
    "change",
    [
        {"faults": frozenset({Fault.OVER_VOLTAGE})},
        {"given": NO_OUTPUT},
        {"is_closed": True},
        {"is_closed": None},
        {"output_s": 0.0},
        {"heard_s": 0.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_vehicle_is_offered_nothing_while_a_device_is_not_well(change):
    assert Life().look(**change).stage is Stage.IDLE
    life = Life().until(Stage.SELF_TEST).look(**change)
    assert not life.out.closes
    assert life.stage is Stage.IDLE


def test_a_session_goes_through_every_stage_in_order():
    life, seen = Life(), []
    for reached in (lambda _: None, *_STEPS):
        reached(life)
        seen.append((life.stage, life.out.closes, life.out.output is not None))
    assert seen == [
        (Stage.OFFERED, False, False),
        (Stage.SELF_TEST, False, False),
        (Stage.CABLE_CHECK, True, False),  # the contactor has not said yet that it is closed
        (Stage.DISCHARGE, True, False),
        (Stage.CHECKED, True, False),
        (Stage.PRE_CHARGE, True, True),
        (Stage.CHARGE, True, True),
        (Stage.ENDING, True, False),
        (Stage.ENDED, False, False),
    ]
    assert life.vehicle(stage=VehicleStage.WELDING_CHECK).stage is Stage.ENDED
    life.vehicle(stage=VehicleStage.NONE, pilot=PilotState.B)
    assert life.stage is Stage.OFFERED


@pytest.mark.parametrize(
    "stage", [VehicleStage.PRE_CHARGE, VehicleStage.CHARGE, VehicleStage.WELDING_CHECK]
)
def test_a_vehicle_that_leaves_out_the_cable_check_gets_nothing(stage):
    life = Life().vehicle(stage=stage, pilot=PilotState.C)
    assert (life.stage, life.out.closes) == (Stage.OFFERED, False)


def test_a_cable_is_checked_in_state_c_only_and_with_less_than_60_v():
    life = Life().vehicle(stage=VehicleStage.CABLE_CHECK)
    assert life.stage is Stage.OFFERED  # still in state B
    life.look(output_v=60.0).vehicle(pilot=PilotState.C)
    assert life.stage is Stage.OFFERED
    assert life.look(output_v=59.9).stage is Stage.SELF_TEST


def test_a_vehicle_that_changes_its_mind_during_the_self_test_is_back_at_the_beginning():
    life = Life().until(Stage.SELF_TEST).vehicle(stage=VehicleStage.SESSION)
    assert (life.stage, life.out.tests) == (Stage.OFFERED, False)


@pytest.mark.parametrize("result", [False, None], ids=["failed", "no result within 30 s"])
def test_a_monitor_that_does_not_prove_itself_ends_it_until_the_next_start(result):
    life = Life().until(Stage.SELF_TEST)
    life.lasting(SELF_TEST_S + 2 * TICK_S, is_tested=result)
    assert life.stage is Stage.CUT
    assert life.sequence.cut.fault is Fault.GROUND_FAILURE
    life.vehicle(stage=VehicleStage.NONE, pilot=PilotState.A)
    assert life.stage is Stage.CUT


@pytest.mark.parametrize(
    ("vehicle_v", "rated_v", "expected"),
    [
        (400.0, 1000.0, 450.0),
        (460.0, 1000.0, 500.0),
        (500.0, 1000.0, 500.0),
        (400.0, 420.0, 420.0),
        (800.0, 1000.0, 880.0),
        (800.0, 850.0, 850.0),
        (None, 920.0, 920.0),
    ],
)
def test_the_voltage_of_a_cable_check_follows_the_standard(vehicle_v, rated_v, expected):
    state = VehicleState(PilotState.C, max_v=vehicle_v)
    assert check_v(state, rated_v) == pytest.approx(expected)


def test_a_cable_check_gives_at_most_2_a_and_only_once_the_contactor_is_closed():
    life = Life().until(Stage.CABLE_CHECK)
    assert life.out.output is None
    assert life.look(is_closed=True).out.output == Output(500.0, 2.0)


def test_a_cable_check_passes_on_a_reading_taken_after_the_voltage_has_settled():
    life = Life().until(Stage.CABLE_CHECK).look(is_closed=True).volts(485.0)
    life.freezes.add("isolation_s")
    life.lasting(SETTLE_S + 1.0)
    assert life.stage is Stage.CABLE_CHECK
    life.freezes.clear()
    life.look()
    assert (life.stage, life.out.output) == (Stage.DISCHARGE, None)


def test_a_cable_check_is_told_as_passed_below_60_v_only():
    life = Life().until(Stage.DISCHARGE)
    assert life.volts(60.0).stage is Stage.DISCHARGE
    assert life.out.told.stage is VehicleStage.NONE
    assert life.look(output_v=10.0).stage is Stage.DISCHARGE  # the meter still shows 60 V
    life.volts(59.0)
    assert life.out.told.stage is VehicleStage.CABLE_CHECK


@pytest.mark.parametrize(
    "stage", [Stage.CABLE_CHECK, Stage.DISCHARGE, Stage.CHECKED, Stage.PRE_CHARGE, Stage.CHARGE]
)
def test_a_vehicle_that_stops_at_any_stage_is_switched_off_and_opened(stage):
    life = Life().until(stage).look(is_closed=True).vehicle(stage=VehicleStage.STOP)
    assert life.out.output is None
    assert life.lasting(ENDING_S + TICK_S).stage is Stage.ENDED


@pytest.mark.parametrize(
    "stage", [Stage.CABLE_CHECK, Stage.DISCHARGE, Stage.CHECKED, Stage.PRE_CHARGE, Stage.CHARGE]
)
def test_when_the_contactor_may_not_be_closed_any_more_it_opens(stage):
    life = Life().until(stage).look(is_closed=True, is_wanted=False)
    assert life.out.output is None
    assert life.lasting(ENDING_S + TICK_S).out.closes is False


def test_a_pre_charge_makes_the_vehicles_voltage_with_at_most_2_a():
    life = Life().until(Stage.PRE_CHARGE)
    assert life.out.output == Output(400.0, 2.0)
    assert life.out.told.stage is VehicleStage.CABLE_CHECK
    life.volts(380.0)
    assert life.out.told.stage is VehicleStage.PRE_CHARGE


def test_current_flows_only_after_the_vehicles_voltage_was_reached():
    life = Life().until(Stage.PRE_CHARGE).volts(379.0)
    life.vehicle(stage=VehicleStage.CHARGE, current_a=100.0)
    assert life.stage is Stage.PRE_CHARGE
    assert life.out.output.current_a == 2.0
    assert life.volts(381.0).stage is Stage.CHARGE


def test_a_vehicle_that_asks_for_another_voltage_gets_its_time_anew():
    life = Life().until(Stage.PRE_CHARGE).lasting(PRE_CHARGE_S - 1).volts(400.0)
    life.lasting(5.0).vehicle(voltage_v=440.0)
    assert life.stage is Stage.PRE_CHARGE
    assert life.lasting(5.0).stage is Stage.PRE_CHARGE
    assert life.lasting(6.0).stage is Stage.CUT


@pytest.mark.parametrize(
    ("change", "current_a"),
    [
        ({}, 100.0),
        ({"offer_w": 20_000.0}, 50.0),
        ({"offer_w": 0.0}, 0.0),
        ({"given": structs.replace(GIVEN, max_a=30.0)}, 30.0),
        ({"given": structs.replace(GIVEN, max_w=4_000.0)}, 10.0),
        ({"rating": structs.replace(RATING, max_a=80.0)}, 80.0),
        ({"rating": structs.replace(RATING, max_w=8_000.0)}, 20.0),
        ({"meter_v": 408.0, "offer_w": 20_400.0}, 50.0),
    ],
)
def test_the_current_is_the_least_of_all_limits(change, current_a):
    life = Life().until(Stage.CHARGE).volts(400.0, 100.0).look(**change)
    assert life.out.output == Output(400.0, pytest.approx(current_a))


def test_a_vehicle_is_given_no_more_than_it_bears():
    life = Life().until(Stage.CHARGE).volts(400.0, 100.0)
    life.vehicle(current_a=500.0, voltage_v=460.0)
    assert life.out.output == Output(450.0, pytest.approx(60_000 / 450))
    assert life.vehicle(max_w=9_000.0).out.output == Output(450.0, pytest.approx(20.0))
    assert life.vehicle(max_a=10.0).out.output == Output(450.0, 10.0)
    assert life.vehicle(max_a=None).out.output == Output(450.0, pytest.approx(20.0))


def test_without_a_meter_the_converters_voltage_counts(charge):
    charge.freezes.add("meter_s")
    charge.lasting(6.0, offer_w=20_000.0)
    assert charge.out.output == Output(400.0, pytest.approx(50.0))


def test_a_voltage_that_the_converter_cannot_make_is_not_made():
    life = Life().until(Stage.CHARGE).volts(400.0, 100.0).vehicle(voltage_v=149.0)
    assert (life.stage, life.out.output) == (Stage.CHARGE, None)


def test_an_end_of_the_offer_asks_the_vehicle_to_end_and_gives_no_current():
    life = Life().until(Stage.CHARGE).volts(400.0, 100.0).look(offer_w=0.0)
    assert life.stage is Stage.CHARGE
    assert life.out.told.halt is Halt.NORMAL
    assert life.out.told.max_w == 0.0
    assert life.out.output.current_a == 0.0


def test_a_vehicle_that_has_not_noticed_the_end_is_asked_to_end():
    life = Life().until(Stage.CHARGE).volts(400.0, 1.0).look(is_wanted=False)
    assert (life.stage, life.out.told.halt) == (Stage.ENDED, Halt.NORMAL)
    assert life.vehicle(stage=VehicleStage.WELDING_CHECK).out.told.halt is Halt.NONE


def test_an_ending_waits_for_less_than_5_a_and_not_for_long():
    life = Life().until(Stage.CHARGE).volts(400.0, 100.0).vehicle(stage=VehicleStage.STOP)
    assert life.out.closes
    assert life.volts(400.0, 4.9).stage is Stage.ENDED
    life = Life().until(Stage.CHARGE).volts(400.0, 100.0).vehicle(stage=VehicleStage.STOP)
    assert life.lasting(ENDING_S - TICK_S).out.closes
    assert life.look().stage is Stage.ENDED


# --- what ends it at once: rule 10 ---


def cut(life: Life, fault: Fault | None) -> None:
    """Check that a charge is switched off in this look, and opened soon."""
    assert life.stage in {Stage.CUTTING, Stage.CUT}
    assert life.out.output is None
    assert life.sequence.cut.fault is fault
    assert life.out.told.halt is Halt.EMERGENCY
    life.lasting(CUTTING_S + TICK_S)
    assert life.stage in {Stage.CUT, Stage.IDLE, Stage.OFFERED}
    assert not life.out.closes


@pytest.fixture
def charge() -> Life:
    return Life().until(Stage.CHARGE).volts(400.0, 100.0)


@pytest.mark.parametrize("source", ["output_v", "meter_v"])
def test_rule_10_a_voltage_above_the_limit_for_400_ms_is_cut(charge, source):
    charge.volts(430.0, 100.0).look(**{source: 451.0}).look(0.375)
    assert charge.stage is Stage.CHARGE
    charge.look(0.025)
    cut(charge, Fault.OVER_VOLTAGE)


def test_rule_10_the_monitors_voltage_counts_as_well(charge):
    charge.lasting(0.625, isolation=IsolationReading(2e6, 451.0))
    cut(charge, Fault.OVER_VOLTAGE)


def test_rule_10_a_voltage_that_comes_back_within_400_ms_is_none(charge):
    for _ in range(3):
        charge.look(output_v=451.0).look(0.375).volts(449.0)
    assert charge.stage is Stage.CHARGE


def test_rule_10_in_a_cable_check_the_limit_is_its_own_voltage():
    life = Life().until(Stage.CABLE_CHECK).look(is_closed=True)
    life.volts(524.0).lasting(1.0)
    assert life.stage is Stage.CABLE_CHECK
    life.volts(526.0).look(0.4)
    cut(life, Fault.OVER_VOLTAGE)


def test_rule_10_a_vehicle_that_says_no_limit_is_held_to_ours():
    life = Life().vehicle(max_v=None).until(Stage.CABLE_CHECK).look(is_closed=True)
    assert life.out.output == Output(1000.0, 2.0)
    life.volts(1001.0).look(0.4)
    cut(life, Fault.OVER_VOLTAGE)


def test_rule_10_a_meter_that_does_not_fit_the_converter_twice_in_a_row_cuts(charge):
    charge.look(meter_v=330.0)
    assert charge.stage is Stage.CHARGE
    charge.look(meter_v=330.0)
    cut(charge, Fault.OVER_VOLTAGE)


def test_rule_10_a_meter_is_compared_with_what_the_converter_gave_since_its_last_reading(
    charge,
):
    charge.freezes.add("meter_s")
    charge.look(output_v=300.0).look(output_v=200.0)
    charge.freezes.clear()
    charge.look(meter_v=300.0).look(meter_v=200.0)
    assert charge.stage is Stage.CHARGE


def test_rule_10_one_odd_reading_between_good_ones_cuts_nothing(charge):
    for _ in range(3):
        charge.look(meter_v=330.0).look(meter_v=398.0)
    assert charge.stage is Stage.CHARGE


@pytest.mark.parametrize(
    "reading",
    [
        IsolationReading(100_000.0),
        IsolationReading(float("nan")),
        IsolationReading(2e6, None, True),
    ],
    ids=["100 kΩ", "no number", "alarm"],
)
def test_rule_10_bad_isolation_cuts_a_charge_and_a_cable_check(charge, reading):
    cut(charge.look(isolation=reading), Fault.GROUND_FAILURE)
    life = Life().until(Stage.CABLE_CHECK).look(is_closed=True, isolation=reading).volts(500.0)
    life.lasting(SETTLE_S - TICK_S)
    assert life.stage is Stage.CABLE_CHECK
    cut(life.look(), Fault.GROUND_FAILURE)


def test_isolation_must_be_100_ohm_per_volt_above_1000_v():
    assert rules.least_ohm(500.0) == 100_000.0
    assert rules.least_ohm(1500.0) == 150_000.0


def test_rule_10_a_silent_monitor_cuts(charge):
    charge.freezes.add("isolation_s")
    charge.lasting(4.875)
    assert charge.stage is Stage.CHARGE
    cut(charge.look(), Fault.COMMUNICATION_FAULT)


def test_rule_10_a_fault_of_any_device_cuts_and_is_left_to_the_device(charge):
    cut(charge.look(faults=frozenset({Fault.HIGH_TEMPERATURE})), None)


@pytest.mark.parametrize("pilot", sorted(set(PilotState) - READY_STATES, key=str))
def test_rule_10_a_pilot_that_leaves_c_and_d_cuts(charge, pilot):
    cut(charge.vehicle(pilot=pilot), None)


def test_a_vehicle_in_state_d_is_charged():
    assert Life().until(Stage.CHARGE).vehicle(pilot=PilotState.D).stage is Stage.CHARGE


def test_rule_10_a_vehicles_side_that_is_silent_for_2_s_cuts(charge):
    charge.freezes.add("heard_s")
    charge.lasting(1.875)
    assert charge.stage is Stage.CHARGE
    cut(charge.look(), None)
    assert charge.lasting(60.0).stage is Stage.CUT


def test_rule_11_a_converter_that_is_not_heard_is_off_and_counts_as_giving(charge):
    charge.freezes.add("output_s")
    charge.lasting(2.875)
    assert charge.stage is Stage.CHARGE
    cut(charge.look(), Fault.COMMUNICATION_FAULT)
    charge.vehicle(stage=VehicleStage.NONE, pilot=PilotState.A)
    assert charge.stage is Stage.IDLE  # and nothing is offered until it is heard again
    charge.freezes.clear()
    charge.volts(400.0).vehicle(stage=VehicleStage.CABLE_CHECK, pilot=PilotState.C)
    assert charge.stage is Stage.OFFERED  # it still gives
    assert charge.volts(30.0).stage is Stage.SELF_TEST


def test_a_contactor_that_opens_by_itself_cuts(charge):
    charge.look(is_closed=False)
    cut(charge, Fault.CONTACTOR_FAULT)


def test_a_contactor_that_does_not_close_cuts_after_its_time():
    life = Life().until(Stage.CABLE_CHECK).lasting(SWITCH_S - TICK_S)
    assert life.stage is Stage.CABLE_CHECK
    cut(life.look(), Fault.CONTACTOR_FAULT)


@pytest.mark.parametrize(
    ("stage", "time_s"),
    [
        (Stage.CABLE_CHECK, RISE_S),
        (Stage.DISCHARGE, DISCHARGE_S),
        (Stage.PRE_CHARGE, PRE_CHARGE_S),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
def test_a_voltage_that_does_not_come_or_go_in_time_cuts(stage, time_s):
    life = Life().until(stage).look(is_closed=True).volts(100.0)
    while life.seen.now_s - life.sequence.since_s < time_s - TICK_S:
        life.look()
    assert life.stage is stage
    cut(life.look(), Fault.OTHER_ERROR)


def test_a_cut_without_a_fault_is_over_when_the_conversation_is(charge):
    charge.vehicle(pilot=PilotState.B).lasting(1.0)
    assert charge.stage is Stage.CUT
    assert charge.vehicle(stage=VehicleStage.NONE).stage is Stage.OFFERED


def test_a_cut_with_a_fault_is_over_when_the_vehicle_is_gone(charge):
    charge.look(isolation=IsolationReading(1.0)).lasting(1.0)
    charge.vehicle(stage=VehicleStage.NONE, pilot=PilotState.B)
    assert charge.stage is Stage.CUT
    charge.look(isolation=GOOD).vehicle(pilot=PilotState.A)
    assert charge.stage is Stage.OFFERED


def test_a_cut_breaks_a_current_that_does_not_end(charge):
    charge.vehicle(pilot=PilotState.A)
    assert charge.look(CUTTING_S - TICK_S).out.closes
    assert not charge.look().out.closes


# --- what is told ---


def test_the_vehicle_is_told_how_good_the_isolation_is():
    life = Life()
    assert life.out.told.isolation is Isolation.INVALID
    life.until(Stage.CHARGE)
    assert life.out.told.isolation is Isolation.VALID
    assert life.look(isolation=IsolationReading(499e3)).out.told.isolation is Isolation.WARNING
    told = outputs(life.sequence, structs.replace(life.seen, isolation=IsolationReading(9e4)))
    assert told.told.isolation is Isolation.FAULT
    told = outputs(life.sequence, structs.replace(life.seen, isolation=None))
    assert told.told.isolation is Isolation.INVALID


def test_the_vehicle_is_told_the_least_of_what_we_can_give():
    told = Life(rating=DcRating(900.0, 150.0, 50_000.0)).look(offer_w=40_000.0).out.told
    assert (told.min_v, told.max_v, told.max_a, told.max_w) == (150.0, 900.0, 150.0, 40_000.0)
    told = Life().look(given=NO_OUTPUT, output_s=0.0).out.told
    assert (told.max_v, told.max_a, told.max_w, told.voltage_v) == (0.0, 0.0, 0.0, 0.0)


# --- what never is, whatever the order ---

PILOTS = (PilotState.A, PilotState.B, PilotState.C)
VEHICLES = (
    None,
    *(
        VehicleState(pilot, stage, 400.0, 100.0, 450.0, 150.0)
        for pilot, stage in product(PILOTS, VehicleStage)
    ),
)
DEVICES = [
    {"faults": faults, "given": given, "is_tested": is_tested, "isolation": isolation}
    for faults in (frozenset(), frozenset({Fault.OVER_VOLTAGE}))
    for given in (GIVEN, NO_OUTPUT)
    for is_tested in (True, None, False)
    for isolation in (GOOD, IsolationReading(1.0))
]


def every_seen(now_s: float):
    """Yield every combination of what matters; freshness rides with the voltages."""
    volts = (
        {"output_v": 0.0, "output_s": now_s, "meter_v": 0.0, "meter_s": now_s},
        {"output_v": 400.0, "output_s": now_s, "meter_v": 400.0, "meter_s": now_s},
        {"output_v": 0.0, "output_s": now_s - 10, "meter_v": 400.0, "meter_s": now_s},
    )
    for vehicle, is_closed, is_wanted, offer_w, devices, measured in product(
        VEHICLES, (True, False, None), (True, False), (0.0, 6e4), DEVICES, volts
    ):
        yield Seen(
            now_s=now_s,
            rating=RATING,
            offer_w=offer_w,
            is_wanted=is_wanted,
            vehicle=vehicle,
            heard_s=now_s,
            isolation_s=now_s,
            is_closed=is_closed,
            **devices,
            **measured,
        )


ALLOWED = {
    Stage.IDLE: {Stage.IDLE, Stage.OFFERED, Stage.SELF_TEST, Stage.CABLE_CHECK, Stage.CUT},
    Stage.CABLE_CHECK: {Stage.CABLE_CHECK, Stage.DISCHARGE, Stage.CHECKED},
    Stage.DISCHARGE: {Stage.DISCHARGE, Stage.CHECKED},
    Stage.CHECKED: {Stage.CHECKED, Stage.PRE_CHARGE},
    Stage.PRE_CHARGE: {Stage.PRE_CHARGE, Stage.CHARGE},
    Stage.CHARGE: {Stage.CHARGE},
    Stage.ENDING: {Stage.ENDING},
    Stage.CUTTING: {Stage.CUTTING, Stage.CUT},
}
OFF = {Stage.IDLE, Stage.OFFERED, Stage.SELF_TEST, Stage.CUT}
_ENDS = {Stage.ENDING, Stage.ENDED, Stage.CUTTING, Stage.CUT} | OFF | {Stage.CABLE_CHECK}


def follows(stage: Stage) -> set[Stage]:
    """Return every stage that one look may lead to; after an opening everything begins anew."""
    if stage in {Stage.OFFERED, Stage.SELF_TEST, Stage.ENDED, Stage.CUT}:
        return ALLOWED[Stage.IDLE] | {stage}
    return ALLOWED[stage] | (_ENDS if stage in CLOSED else set())


@pytest.mark.parametrize("stage", Stage, ids=lambda stage: stage.value)
def test_whatever_comes_nothing_is_closed_or_on_where_it_must_not_be(stage):
    """An invariant proved by induction: from every stage, by every look, whatever came before."""
    since_s, now_s = 100.0, 101.0
    start = Sequence(stage, since_s, risen_s=since_s)
    for seen in every_seen(now_s):
        after = step(start, seen)
        out = outputs(after, seen)
        assert after.stage in follows(stage), (seen, after)
        assert out.closes is (after.stage in CLOSED)
        vehicle = seen.vehicle
        if after.stage in GUARDED:
            assert vehicle is not None
            assert vehicle.pilot in READY_STATES
            assert seen.is_wanted
            assert not seen.faults
            assert seen.output_s == now_s
        if after.stage in {Stage.PRE_CHARGE, Stage.CHARGE} and stage in LIVE:
            assert seen.isolation is GOOD
        if out.output is not None:
            assert after.stage in LIVE
            assert seen.is_closed
            assert out.output.current_a * out.output.voltage_v <= max(seen.offer_w, 2 * 1000.0)
        if stage not in CLOSED and out.closes:
            assert seen.output_v < 60.0
            assert seen.is_tested
            assert seen.is_closed is False


@pytest.mark.parametrize("stage", [Stage.ENDING, Stage.CUTTING])
def test_no_end_keeps_the_contactor_closed_for_longer_than_a_second(stage):
    start = Sequence(stage, 100.0)
    for seen in every_seen(100.0 + max(ENDING_S, CUTTING_S)):
        live = structs.replace(seen, output_a=100.0)
        after = step(start, live)
        assert after.stage not in GUARDED - {Stage.CABLE_CHECK}
        assert after.stage not in {Stage.ENDING, Stage.CUTTING}
