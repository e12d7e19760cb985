"""The sequence of a charge with direct current (hardware reference 1.4).

`step` moves on as far as what is seen allows, `outputs` says what everything should be doing
then. Both are pure, and outputs are levels: whatever was lost on a wire is put right by
the next look.

                 offered                    the vehicle asks for a cable check
        IDLE ──────────────► OFFERED ──────────────────────────────► SELF_TEST
          ▲                                                              │ passed
          │ gone                                                         ▼
        ENDED ◄── ENDING ◄── CHARGE ◄── PRE_CHARGE ◄── CHECKED ◄── DISCHARGE ◄── CABLE_CHECK

                     contactor   converter                          leaves when
        IDLE         open        off
        OFFERED      open        off
        SELF_TEST    open        off                                its self test has passed
        CABLE_CHECK  closed      test voltage, 2 A                  the isolation is good
        DISCHARGE    closed      off                                there are less than 60 V
        CHECKED      closed      off                                a voltage is wanted
        PRE_CHARGE   closed      the vehicle's voltage, 2 A         it wants current
        CHARGE       closed      what it asks for, within limits    it, or we, want no more
        ENDING       closed      off                                less than 5 A flow
        ENDED        open        off                                the vehicle has said goodbye
        CUTTING      closed      off                                less than 5 A, or at once
        CUT          open        off                                the vehicle is gone

Rules:

1. There is no way to CHARGE but through every stage before it, since the last opening.
2. From CABLE_CHECK to CHARGE every rule of `hal.dc.rules` holds at every look; one that is
   broken leads to CUTTING in the same look.
3. The converter is on only in CABLE_CHECK, PRE_CHARGE and CHARGE, and only behind a contactor
   that says it is closed.
4. A contactor that has to break a current may: waiting for less than 5 A ends after
   `ENDING_S` or `CUTTING_S`.
5. The contactor closes only onto a converter that shows less than 60 V: one that was lost
   may still be giving (hardware reference 1.5, rule 11).

A vehicle that wants to go on after an end begins with a conversation anew: DIN 70121 has no
pause, and we make none.
"""

import enum
from typing import Final

from msgspec.structs import replace

from hal.dc import rules
from hal.dc.rules import Cut, Watch
from hal.dc.seen import Seen
from hal.dc_types import Halt, Isolation, SupplyState, VehicleStage, VehicleState
from hal.types import READY_STATES, Fault, PilotState, Value

SAFE_V: Final = 60.0
"""Below this the output may be touched (hardware reference 1.4)."""

CHECK_A: Final = 2.0
"""The most current of cable check and pre-charge (hardware reference 1.4)."""

NEAR_V: Final = 20.0
"""A voltage is there when it is no further away (hardware reference 1.4, pre-charge)."""

LITTLE_A: Final = 5.0
"""Less than this is broken without harm (hardware reference 1.4, emergency)."""

SELF_TEST_S: Final = 30.0
RISE_S: Final = 10.0
SETTLE_S: Final = 2.0
DISCHARGE_S: Final = 10.0
PRE_CHARGE_S: Final = 10.0
"""How long each may take; SETTLE_S is how long the test voltage stands before a reading of the
monitor counts. Only self test and pre-charge have a source (hardware reference 1.4); with the
others a cable check stays below the 40 s that a vehicle waits."""

ENDING_S: Final = 0.5
CUTTING_S: Final = 0.25
"""How long a current may hold up the opening. Both leave time within the second after which a
contactor that was told to open counts as welded."""

SWITCH_S: Final = 1.0
"""How long the contactor may take to say that it has closed (hardware reference 1.3)."""

MIDDLE_V: Final = 500.0
TEST_ABOVE_V: Final = 50.0
TEST_FACTOR: Final = 1.1
"""Of the cable check's voltage (IEC 61851-23:2023 CC.4.1.2, hardware reference 1.4)."""

TEST_ROOM: Final = 1.05
"""How far above its set point a test voltage may overshoot before it is too much."""


class Stage(enum.Enum):
    """Where a charge stands; see the module."""

    IDLE = "idle"
    OFFERED = "offered"
    SELF_TEST = "self test"
    CABLE_CHECK = "cable check"
    DISCHARGE = "discharge"
    CHECKED = "checked"
    PRE_CHARGE = "pre-charge"
    CHARGE = "charge"
    ENDING = "ending"
    ENDED = "ended"
    CUTTING = "cutting"
    CUT = "cut"


GUARDED: Final = frozenset(
    {Stage.CABLE_CHECK, Stage.DISCHARGE, Stage.CHECKED, Stage.PRE_CHARGE, Stage.CHARGE}
)
"""The stages in which every rule holds at every look."""

CLOSED: Final = GUARDED | {Stage.ENDING, Stage.CUTTING}
LIVE: Final = frozenset({Stage.CABLE_CHECK, Stage.PRE_CHARGE, Stage.CHARGE})
MEASURED: Final = frozenset({Stage.PRE_CHARGE, Stage.CHARGE})
"""The stages in which the contactor closes, the converter gives, isolation is told."""

UNWATCHED: Final = Watch()
_ASKING: Final = frozenset(
    {VehicleStage.CABLE_CHECK, VehicleStage.PRE_CHARGE, VehicleStage.CHARGE}
)
_EARLY: Final = frozenset({VehicleStage.NONE, VehicleStage.SESSION})


class Sequence(Value, frozen=True):
    """Where a charge stands.

    Attributes:
        since_s: when the stage began.
        risen_s: since when the test voltage, or the vehicle's, is there; None while it is not.
        watch: what the rules remember.
        cut: why it was cut; None when it was not.
    """

    stage: Stage = Stage.IDLE
    since_s: float = 0.0
    risen_s: float | None = None
    watch: Watch = UNWATCHED
    cut: Cut | None = None


class Output(Value, frozen=True):
    """What the converter is to give; both more than 0, or a current of 0."""

    voltage_v: float
    current_a: float


class Outputs(Value, frozen=True):
    """What everything should be doing.

    Attributes:
        closes: the contactor.
        output: None for off.
        tests: the monitor is to prove itself; what it proved before does not count.
        told: to the vehicle's side.
    """

    closes: bool
    output: Output | None
    tests: bool
    told: SupplyState


def step(sequence: Sequence, seen: Seen) -> Sequence:
    """Return where the charge stands after a look; a stage that is over costs no second one."""
    if sequence.stage in GUARDED:
        watch = rules.watched(sequence.watch, seen, _limit_v(sequence, seen))
        sequence = replace(sequence, watch=watch)
        cut = _why_cut(sequence, seen)
        if cut is not None:
            sequence = _at(Stage.CUTTING, seen, cut=cut)
    while (then := _next(sequence, seen)) is not sequence:
        sequence = then
    return sequence


def outputs(sequence: Sequence, seen: Seen) -> Outputs:
    """Return what everything should be doing, at the look that led to this stage."""
    stage = sequence.stage
    return Outputs(
        closes=stage in CLOSED,
        output=_output(sequence, seen),
        tests=stage in GUARDED or stage is Stage.SELF_TEST,
        told=_told(sequence, seen),
    )


def check_v(vehicle: VehicleState, rated_v: float) -> float:
    """Return the voltage of a cable check, of an output that can give `rated_v`.

    A vehicle that has not said what it bears is tested with what the output can give.
    """
    if vehicle.max_v is None:
        return rated_v
    if vehicle.max_v <= MIDDLE_V:
        return min(MIDDLE_V, vehicle.max_v + TEST_ABOVE_V, rated_v)
    return min(TEST_FACTOR * vehicle.max_v, rated_v)


# --- one stage after the other ---


def _next(sequence: Sequence, seen: Seen) -> Sequence:
    """Return the stage that follows in this look; the same object while this one lasts."""
    match sequence.stage:
        case Stage.IDLE | Stage.OFFERED | Stage.SELF_TEST:
            return _before(sequence, seen)
        case Stage.CABLE_CHECK | Stage.DISCHARGE | Stage.CHECKED | Stage.PRE_CHARGE:
            return _checking(sequence, seen)
        case Stage.CHARGE:
            return sequence if _asks(seen, VehicleStage.CHARGE) else _at(Stage.ENDING, seen)
        case Stage.ENDING | Stage.CUTTING:
            limit_s = ENDING_S if sequence.stage is Stage.ENDING else CUTTING_S
            is_little = seen.has_output and seen.output_a < LITTLE_A
            if not is_little and seen.now_s - sequence.since_s < limit_s:
                return sequence
            then = Stage.ENDED if sequence.stage is Stage.ENDING else Stage.CUT
            return _at(then, seen, cut=sequence.cut)
        case _:
            return _after(sequence, seen)


def _before(sequence: Sequence, seen: Seen) -> Sequence:
    """Return what follows while nothing is closed yet."""
    if sequence.stage is Stage.IDLE:
        return _at(Stage.OFFERED, seen) if _can_begin(seen) else sequence
    if not _can_begin(seen):
        return _at(Stage.IDLE, seen)
    if sequence.stage is Stage.OFFERED:
        return _at(Stage.SELF_TEST, seen) if _asks_for_check(seen) else sequence
    if not _asks_for_check(seen):
        return _at(Stage.OFFERED, seen)
    if seen.is_tested:
        return _at(Stage.CABLE_CHECK, seen)
    if seen.is_tested is False or seen.now_s - sequence.since_s >= SELF_TEST_S:
        text = "the isolation monitor has not passed its self test"
        return _at(Stage.CUT, seen, cut=Cut(text, Fault.GROUND_FAILURE, stays=True))
    return sequence


def _checking(sequence: Sequence, seen: Seen) -> Sequence:
    """Return what follows while the cable is checked and the vehicle's voltage made."""
    match sequence.stage:
        case Stage.CABLE_CHECK:
            if not _asks(seen, VehicleStage.CABLE_CHECK):
                return _at(Stage.ENDING, seen)
            sequence = _risen(sequence, seen)
            is_told = sequence.risen_s is not None and (
                seen.isolation_s >= sequence.risen_s + SETTLE_S
            )
            return _at(Stage.DISCHARGE, seen) if is_told else sequence
        case Stage.DISCHARGE:
            if not _asks(seen, VehicleStage.CABLE_CHECK):
                return _at(Stage.ENDING, seen)
            return _at(Stage.CHECKED, seen) if seen.highest_v < SAFE_V else sequence
        case Stage.CHECKED:
            if _asks(seen, VehicleStage.PRE_CHARGE):
                return _at(Stage.PRE_CHARGE, seen)
            return (
                sequence if _asks(seen, VehicleStage.CABLE_CHECK) else _at(Stage.ENDING, seen)
            )
        case _:
            if _asks(seen, VehicleStage.CHARGE) and sequence.risen_s is not None:
                return _at(Stage.CHARGE, seen, watch=sequence.watch)
            if _asks(seen, VehicleStage.CHARGE) or _asks(seen, VehicleStage.PRE_CHARGE):
                return _risen(sequence, seen)
            return _at(Stage.ENDING, seen)


def _after(sequence: Sequence, seen: Seen) -> Sequence:
    """Return what follows when everything is off again."""
    cut, vehicle = sequence.cut, seen.present
    if vehicle is None or (cut is not None and cut.stays):
        return sequence
    is_gone = vehicle.pilot is PilotState.A
    may_stay = cut is None or cut.fault is None
    is_over = vehicle.stage in _EARLY and vehicle.pilot not in READY_STATES
    return _at(Stage.IDLE, seen) if is_gone or (may_stay and is_over) else sequence


def _risen(sequence: Sequence, seen: Seen) -> Sequence:
    """Return the same stage, with since when its voltage is there."""
    output = _output(sequence, seen)
    is_there = (
        output is not None
        and seen.output_s > sequence.since_s
        and abs(seen.output_v - output.voltage_v) <= NEAR_V
    )
    if is_there is (sequence.risen_s is not None):
        return sequence
    if not is_there:
        return replace(sequence, risen_s=None, since_s=seen.now_s)  # it gets its time anew
    return replace(sequence, risen_s=seen.now_s)


def _at(
    stage: Stage, seen: Seen, *, cut: Cut | None = None, watch: Watch = UNWATCHED
) -> Sequence:
    return Sequence(stage, seen.now_s, watch=watch, cut=cut)


# --- what is allowed ---


def _can_begin(seen: Seen) -> bool:
    """Tell whether a vehicle may be offered a session, or its cable be checked."""
    return (
        seen.offer_w > 0
        and seen.present is not None
        and not seen.faults
        and seen.has_output
        and seen.given.max_w > 0
        and seen.is_closed is False
    )


def _asks_for_check(seen: Seen) -> bool:
    """Tell whether the vehicle wants its cable checked, and everything is at rest for it."""
    vehicle = seen.present
    return (
        _asks(seen, VehicleStage.CABLE_CHECK)
        and vehicle is not None
        and vehicle.pilot in READY_STATES
        and seen.highest_v < SAFE_V
    )


def _asks(seen: Seen, stage: VehicleStage) -> bool:
    """Tell whether the vehicle is at a stage, and the contactor may be closed for it."""
    vehicle = seen.present
    return vehicle is not None and vehicle.stage is stage and seen.is_wanted


def _why_cut(sequence: Sequence, seen: Seen) -> Cut | None:
    """Return why the output has to be cut, None while all is well."""
    stage, age_s = sequence.stage, seen.now_s - sequence.since_s
    cut = rules.cut_at_once(seen) or rules.cut_by(sequence.watch, seen)
    if cut is not None:
        return cut
    if not seen.is_closed and (stage is not Stage.CABLE_CHECK or age_s >= SWITCH_S):
        return Cut("the contactor does not say that it is closed", Fault.CONTACTOR_FAULT)
    is_judged = stage in MEASURED or (
        sequence.risen_s is not None and seen.now_s >= sequence.risen_s + SETTLE_S
    )
    if is_judged and (cut := rules.cut_by_isolation(seen)) is not None:
        return cut
    is_late = {
        Stage.CABLE_CHECK: sequence.risen_s is None and age_s >= RISE_S,
        Stage.DISCHARGE: age_s >= DISCHARGE_S,
        Stage.PRE_CHARGE: sequence.risen_s is None and age_s >= PRE_CHARGE_S,
    }
    if is_late.get(stage, False):
        text = f"{seen.output_v:.0f} V at the end of the {stage.value}"
        return Cut(text, Fault.OTHER_ERROR)
    return None


def _limit_v(sequence: Sequence, seen: Seen) -> float:
    """Return the most that may be at the output in this stage."""
    vehicle = seen.vehicle
    if vehicle is None or vehicle.max_v is None:
        return seen.rating.max_v
    if sequence.stage in {Stage.CABLE_CHECK, Stage.DISCHARGE}:
        return min(TEST_ROOM * check_v(vehicle, seen.rating.max_v), seen.rating.max_v)
    return min(vehicle.max_v, seen.rating.max_v)


# --- what to do ---


def _output(sequence: Sequence, seen: Seen) -> Output | None:
    """Return what the converter is to give; the current is rounded down by `PowerConverter`."""
    vehicle, given = seen.vehicle, seen.given
    is_live = sequence.stage in LIVE and seen.is_closed is True
    if not is_live or vehicle is None:
        return None
    most_v = min(given.max_v, seen.rating.max_v)
    if sequence.stage is Stage.CABLE_CHECK:
        voltage_v = check_v(vehicle, most_v)
    else:
        voltage_v = min(vehicle.voltage_v, most_v, vehicle.max_v or most_v)
    if voltage_v < given.min_v or voltage_v <= 0:
        return None
    most_a, most_w = min(given.max_a, seen.rating.max_a), min(given.max_w, seen.rating.max_w)
    if sequence.stage is not Stage.CHARGE:
        return Output(voltage_v, min(CHECK_A, most_a, most_w / voltage_v))
    most_w = min(most_w, seen.offer_w)
    if vehicle.max_w is not None:
        most_w = min(most_w, vehicle.max_w)
    if vehicle.max_a is not None:
        most_a = min(most_a, vehicle.max_a)
    current_a = min(vehicle.current_a, most_a, most_w / max(voltage_v, seen.highest_v))
    return Output(voltage_v, max(current_a, 0.0))


def _told(sequence: Sequence, seen: Seen) -> SupplyState:
    """Return what the vehicle's side has to know."""
    stage, given, rating = sequence.stage, seen.given, seen.rating
    is_cut = stage in {Stage.CUTTING, Stage.CUT}
    is_ending = stage in CLOSED and not (seen.offer_w > 0 and seen.is_wanted)
    if stage is Stage.ENDED and seen.vehicle is not None:  # it may not have noticed yet
        is_ending = seen.vehicle.stage in _ASKING
    done = {
        Stage.CHECKED: VehicleStage.CABLE_CHECK,
        Stage.PRE_CHARGE: VehicleStage.PRE_CHARGE,
        Stage.CHARGE: VehicleStage.CHARGE,
        Stage.ENDED: VehicleStage.STOP,
    }.get(stage, VehicleStage.NONE)
    if stage is Stage.PRE_CHARGE and sequence.risen_s is None:
        done = VehicleStage.CABLE_CHECK
    return SupplyState(
        is_offered=stage is not Stage.IDLE and not is_cut,
        stage=done,
        voltage_v=seen.output_v if seen.has_output else 0.0,
        current_a=seen.output_a if seen.has_output else 0.0,
        min_v=given.min_v,
        max_v=min(given.max_v, rating.max_v),
        max_a=min(given.max_a, rating.max_a),
        max_w=min(given.max_w, rating.max_w, seen.offer_w),
        isolation=rules.isolation(seen) if stage in GUARDED else Isolation.INVALID,
        halt=Halt.EMERGENCY if is_cut else Halt.NORMAL if is_ending else Halt.NONE,
    )
