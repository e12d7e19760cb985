"""How offers move: lowered at once, raised into room that is surely free."""

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.core.events import FaultCleared, FaultRaised, OffersChanged
from agent.core.setpoint import limits
from agent.core.states import Active, ActiveFault, Evse, Idle, Inputs, Transaction
from agent.core.supply import (
    RAISE_EVERY_S,
    Division,
    Outcome,
    Rules,
    booted,
    governed,
)
from agent.core.values import (
    Bound,
    Bounds,
    ChargingState,
    EvseCapabilities,
    EvseSpec,
    MeterReading,
    Sharing,
    Stamp,
    Terms,
)
from agent.core.watching import OVER_S, SETTLED_S, SILENT_S, WINDOW_S
from hal.types import Fault, Phases, PilotState
from tests.support.core import TAG

AT = Stamp(1, 0.0)
NO_BOUNDS = Bounds()
NO_RULES = Rules(pause_s=60.0)


def fuse(limit_a: float) -> Bounds:
    return Bounds((Bound("fuse", limit_a=limit_a),))


class World:
    """EVSEs whose inputs a test sets, and the offers that follow."""

    def __init__(
        self, evses: int = 1, bounds: Bounds = NO_BOUNDS, rules: Rules = NO_RULES, **spec
    ):
        self.now_s, self.bounds, self.rules, self.storage_ok = 100.0, bounds, rules, True
        self.division, self.told = Division(), []
        self.says_open = False  # its contactor, whatever flows
        self.evses: dict[int, Evse] = {}
        for evse_id in range(1, evses + 1):
            inputs = Inputs(
                pilot=PilotState.C, is_closed=False, capabilities=EvseCapabilities(32.0, 3)
            )
            self.evses[evse_id] = Evse(EvseSpec(evse_id, 1, 32.0, 3, **spec), inputs)

    def go(self) -> "World":
        outcome: Outcome = governed(
            self.evses,
            self.division,
            self.bounds,
            self.rules,
            self.now_s,
            storage_ok=self.storage_ok,
        )
        self.evses, self.division = dict(outcome.evses), outcome.division
        self.told += outcome.raised
        return self

    def start(self, *evse_ids: int) -> "World":
        for evse_id in evse_ids or tuple(self.evses):
            at = Stamp(1, self.now_s)
            begun = Transaction(
                "id", evse_id, 1, TAG, at, at, 0.0, 0.0, at, ChargingState.CHARGING
            )
            self.set(evse_id, session=Active(begun))
        return self.go()

    def stop(self, evse_id: int) -> "World":
        self.set(evse_id, session=Idle())
        return self.go()

    def set(self, evse_id: int, **fields) -> None:
        self.evses[evse_id] = replace(self.evses[evse_id], **fields)

    def hear(self, evse_id: int = 1, **fields) -> "World":
        self.set(evse_id, inputs=replace(self.evses[evse_id].inputs, **fields))
        return self.go()

    def read(self, *amps: float, evse_id: int = 1) -> "World":
        phases = amps if len(amps) == 3 else (amps[0],) * 3
        reading = MeterReading(0.0, 0.0, Phases(*phases), Phases(230.0, 230.0, 230.0))
        closed = any(phases) and not self.says_open
        return self.hear(
            evse_id, reading=reading, reading_at=Stamp(1, self.now_s), is_closed=closed
        )

    def wait(self, seconds: float) -> "World":
        """Let time pass; wake whenever it is wanted."""
        end_s = self.now_s + seconds
        while (wake_s := self.division.wake_s) is not None and wake_s <= end_s:
            assert wake_s > self.now_s, "an instant that has passed is still waited for"
            self.now_s = wake_s
            self.go()
        self.now_s = end_s
        return self.go()

    def draws(self, seconds: int, *amps: float, evse_id: int = 1) -> "World":
        """Let a vehicle draw the same for a while, and its meter be read each second."""
        for _ in range(seconds):
            self.wait(1.0)
            self.read(*amps, evse_id=evse_id)
        return self

    @property
    def offers(self) -> list[float]:
        return [evse.supply.offer_ma / 1000 for evse in self.evses.values()]

    def origins(self, evse_id: int = 1) -> dict[str, float]:
        return {limit.origin: limit.limit_a for limit in limits(self.evses[evse_id])}


# --- one EVSE ---


def test_an_offer_begins_with_the_transaction_and_ends_with_it() -> None:
    world = World().go()
    assert world.offers == [0.0]
    assert world.start().offers == [32.0]
    assert world.go().told == [OffersChanged()]
    assert world.stop(1).offers == [0.0]


def test_nothing_is_offered_while_the_disk_cannot_write_and_then_at_once_again() -> None:
    world = World().start()
    world.storage_ok = False
    assert world.go().offers == [0.0]
    world.storage_ok = True
    assert world.go().offers == [32.0]


def test_a_limit_lowers_at_once_and_raises_five_seconds_later() -> None:
    world = World().start()
    assert world.hear(cable_a=20.0).offers == [20.0]
    assert world.hear(cable_a=13.0).offers == [13.0]
    assert world.hear(cable_a=32.0).offers == [13.0]
    assert world.origins()["ramp"] == 13.0
    assert world.wait(RAISE_EVERY_S - 0.1).offers == [13.0]
    assert world.wait(0.1).offers == [32.0]
    assert "ramp" not in world.origins()


def test_a_pause_lasts_a_while_and_keeps_its_reason() -> None:
    world = World().start()
    assert world.hear(cable_a=5.0).offers == [0.0]
    world.wait(1.0).hear(cable_a=32.0)
    assert world.origins()["pause"] == 0.0
    assert world.wait(58.9).offers == [0.0]
    assert world.wait(0.1).offers == [32.0]


def test_a_pause_ends_with_the_transaction() -> None:
    world = World().start()
    world.hear(cable_a=5.0).stop(1)
    world.hear(cable_a=32.0)
    assert world.start().offers == [32.0]


def test_a_fault_is_no_pause() -> None:
    world = World().start()
    assert world.hear(faults=(ActiveFault(Fault.OVER_VOLTAGE, AT),)).offers == [0.0]
    assert world.hear(faults=()).offers == [32.0]


def test_a_bound_on_an_evse_is_told_with_its_origin_and_power_in_amperes() -> None:
    world = World(bounds=Bounds(evses={1: (Bound("ems", limit_w=6_900.0), Bound("x", 12.0))}))
    world.start()
    assert world.origins() == {"hardware": 32.0, "board": 32.0, "ems": 10.0, "x": 12.0}
    assert world.offers == [10.0]


def test_what_flows_where_nothing_may_flow_counts_all_the_same() -> None:
    world = World(2, fuse(32.0)).start(2)
    world.wait(SETTLED_S)
    assert world.offers == [0.0, 32.0]
    world.read(12.0)  # a welded contactor
    assert world.offers == [0.0, 20.0]
    world.read(0.0)
    assert world.wait(RAISE_EVERY_S).offers == [0.0, 32.0]


def test_nothing_new_leaves_the_evses_the_objects_they_are() -> None:
    world = World(2).start().go()
    before = world.evses
    after = governed(
        before, world.division, world.bounds, world.rules, world.now_s, storage_ok=True
    )
    assert after.evses is before
    assert after.raised == ()
    assert after.division is world.division


# --- drawing too much ---


def test_a_vehicle_that_draws_too_much_for_too_long_trips() -> None:
    world = World().start()
    world.read(32.0).hear(cable_a=16.0)
    world.told.clear()
    world.draws(7, 20.0)
    assert world.told == []
    tripped = FaultRaised(1, Fault.OVER_CURRENT, "draws 20 A, offered 16 A")
    assert world.draws(3, 20.0).told == [tripped]
    assert world.hear(pilot=PilotState.A).told == [tripped, FaultCleared(1, Fault.OVER_CURRENT)]


@pytest.mark.parametrize(("offer_a", "drawn_a"), [(32.0, 35.2), (6.0, 7.0)])
def test_within_the_tolerance_nobody_trips(offer_a: float, drawn_a: float) -> None:
    world = World().start()
    world.hear(cable_a=offer_a)
    world.draws(20, drawn_a)
    assert not world.evses[1].supply.is_tripped


def test_every_lowering_gives_the_vehicle_its_time_again() -> None:
    world = World().start()
    for limit_a in (28.0, 24.0, 20.0, 16.0):
        world.hear(cable_a=limit_a)
        world.draws(int(OVER_S) - 1, limit_a + 4.0)
    assert not world.evses[1].supply.is_tripped


def test_current_through_an_open_contactor_is_a_fault_until_the_unplug() -> None:
    world = World()
    world.says_open = True
    world.draws(7, 12.0)
    assert world.told == []
    text = "the meter shows 12 A, and the contactor that it is open"
    raised = FaultRaised(1, Fault.CONTACTOR_FAULT, text)
    assert world.draws(3, 12.0).told == [raised]
    world.draws(10, 0.0)
    assert world.told == [raised]
    cleared = FaultCleared(1, Fault.CONTACTOR_FAULT)
    assert world.hear(pilot=PilotState.A).told == [raised, cleared]


@pytest.mark.parametrize(
    ("amps", "pilot", "says_open"),
    [(1.0, PilotState.C, True), (12.0, PilotState.A, True), (12.0, PilotState.C, False)],
    ids=["noise", "nobody is plugged in", "not open yet"],
)
def test_what_may_flow_or_is_noise_is_no_dispute(
    amps: float, pilot: PilotState, says_open: bool
) -> None:
    world = World().hear(pilot=pilot)
    world.says_open = says_open
    world.draws(20, amps)
    assert not world.evses[1].supply.is_disputed
    assert not [event for event in world.told if isinstance(event, FaultRaised)]


def test_a_stale_meter_judges_nobody() -> None:
    world = World().start()
    world.hear(cable_a=16.0).read(20.0)
    world.wait(60.0)
    assert not world.evses[1].supply.is_tripped


# --- sharing ---


def test_who_comes_later_gets_its_share_once_the_first_has_let_go_of_it() -> None:
    world = World(2, fuse(32.0)).start(1)
    world.read(32.0)
    world.wait(1.0).start(2)
    assert world.offers == [16.0, 0.0]
    assert world.origins(2)["share"] == 16.0
    world.draws(2, 25.0)
    assert world.offers == [16.0, 0.0]
    assert world.draws(1, 16.0).offers == [16.0, 16.0]


def test_room_counts_as_free_without_a_reading_once_the_vehicle_has_had_its_time() -> None:
    world = World(2, fuse(32.0)).start(1)
    world.start(2)
    assert world.wait(SETTLED_S - 0.1).offers == [16.0, 0.0]
    assert world.wait(0.1).offers == [16.0, 16.0]


def test_a_vehicle_that_took_little_anyway_has_not_shown_that_it_has_followed() -> None:
    world = World(2, fuse(32.0)).start(1)
    world.read(10.0)
    world.wait(1.0).start(2)
    world.draws(5, 10.0)
    assert world.offers == [16.0, 0.0]
    assert world.draws(1, 10.0).offers == [16.0, 16.0]


def test_who_stops_counts_until_its_contactor_is_open() -> None:
    world = World(2, fuse(32.0)).start()
    world.wait(SETTLED_S)
    world.read(16.0)
    world.stop(1)
    assert world.offers == [0.0, 16.0]
    assert world.wait(RAISE_EVERY_S).offers == [0.0, 16.0]
    assert world.hear(is_closed=False).offers == [0.0, 16.0], "it may be about to close"
    assert world.hear(pilot=PilotState.B).offers == [0.0, 32.0]


def test_a_contactor_that_opens_for_a_vehicle_that_still_asks_counts_for_its_time() -> None:
    world = World(2, fuse(32.0)).start()
    world.wait(SETTLED_S)
    world.stop(1)
    assert world.wait(SETTLED_S - 0.1).offers == [0.0, 16.0]
    assert world.wait(0.1).offers == [0.0, 32.0]


def test_a_contactor_that_stays_closed_counts_what_flows_or_could() -> None:
    world = World(2, fuse(32.0)).start()
    world.wait(SETTLED_S)
    world.read(16.0)
    world.stop(1)
    world.wait(20.0)  # its meter is silent
    assert world.offers == [0.0, 16.0]
    world.read(10.0)
    assert world.wait(RAISE_EVERY_S).offers == [0.0, 22.0]


def test_a_controller_out_of_reach_counts_until_its_offer_has_run_out() -> None:
    world = World(2, fuse(32.0)).start()
    world.wait(SETTLED_S)
    world.hear(faults=(ActiveFault(Fault.COMMUNICATION_FAULT, AT),))
    assert world.wait(SILENT_S - 0.1).offers == [0.0, 16.0]
    assert world.wait(0.1).offers == [0.0, 32.0]


def test_after_a_boot_everybody_counts_until_its_controller_has_spoken() -> None:
    world = World(2, fuse(32.0))
    world.evses = {evse_id: booted(evse, 100.0) for evse_id, evse in world.evses.items()}
    world.set(1, inputs=replace(world.evses[1].inputs, is_closed=None))
    world.start(2)
    assert world.offers == [0.0, 0.0]
    assert world.hear(1, is_closed=False, pilot=PilotState.A).offers == [0.0, 32.0]


def test_a_vehicle_that_draws_more_than_its_offer_takes_it_from_the_others() -> None:
    world = World(2, fuse(32.0)).start()
    world.wait(SETTLED_S)
    world.draws(1, 19.9)
    assert world.offers[1] == 12.0
    assert sum(world.offers) <= 32.0 - 3.9


def test_what_a_vehicle_does_not_take_is_given_to_others_after_a_while() -> None:
    world = World(2, fuse(32.0)).start()
    world.draws(int(SETTLED_S), 8.0)
    assert world.offers == [16.0, 16.0]
    world.draws(int(WINDOW_S) + 1, 8.0)
    assert world.offers == [9.0, 23.0]
    world.draws(10, 8.9)
    assert world.offers[0] > 9.0, "it takes nearly all, so it may want more"


def test_a_vehicle_alone_keeps_its_whole_offer_whatever_it_takes() -> None:
    world = World(1, fuse(32.0)).start()
    assert world.draws(100, 8.0).offers == [32.0]


def test_a_vehicle_on_one_phase_leaves_the_other_conductors_to_others() -> None:
    world = World(2, fuse(32.0), weight=1).start()
    world.set(2, spec=EvseSpec(2, 1, 32.0, 1, conductors=(1,)))
    world.draws(int(WINDOW_S) + 12, 16.0, 0.0, 0.0)
    assert world.evses[1].supply.habit.loaded == (True, False, False)
    assert world.offers == [32.0, 32.0]


def test_a_phase_that_is_loaded_after_all_counts_at_once() -> None:
    world = World(2, fuse(32.0)).start()
    world.set(2, spec=EvseSpec(2, 1, 32.0, 1, conductors=(1,)))
    world.draws(int(WINDOW_S) + 12, 16.0, 0.0, 0.0)
    world.draws(1, 16.0, 16.0, 16.0)
    assert world.offers == [16.0, 16.0]


def test_without_a_fresh_reading_a_vehicle_counts_with_its_whole_offer_on_all_phases() -> None:
    world = World(2, fuse(32.0)).start()
    world.set(2, spec=EvseSpec(2, 1, 32.0, 1, conductors=(1,)))
    world.draws(int(WINDOW_S) + 12, 16.0, 0.0, 0.0)
    assert world.wait(10.0).offers == [16.0, 16.0]


def test_power_of_the_whole_station_is_divided_too() -> None:
    world = World(2, Bounds((Bound("grid", limit_w=11_040.0),))).start()
    assert world.wait(SETTLED_S).offers == [8.0, 8.0]


def test_turns_go_round_when_there_is_not_enough_for_all() -> None:
    rules = Rules(Terms(rotate_s=300.0))
    world = World(2, fuse(10.0), rules).start()
    assert world.offers == [10.0, 0.0]
    assert world.wait(299.0).offers == [10.0, 0.0]
    world.wait(1.0)
    assert world.offers == [0.0, 0.0], "the first one has its time to let go"
    assert world.wait(SETTLED_S).offers == [0.0, 10.0]
    assert world.origins(1)["share"] == 0.0


def test_a_vehicle_that_takes_nothing_gives_its_turn_away() -> None:
    world = World(2, fuse(10.0)).start()
    world.hear(pilot=PilotState.B)
    world.draws(int(WINDOW_S) + 1, 0.0)
    assert world.offers == [0.0, 10.0]


# --- a fleet that behaves as badly as it may ---


class Fleet(World):
    """Vehicles that follow a lower offer as late as they may, and meters that are read late.

    Attributes:
        dropped_s: when a bound was last lowered: from then on vehicles have their time.
    """

    def __init__(self, chance: random.Random, rules: Rules) -> None:
        super().__init__(chance.randrange(2, 9), fuse(63.0), rules)
        self.chance = chance
        self.dropped_s = -math.inf
        self.drawn = dict.fromkeys(self.evses, 0.0)
        self.lags = {evse_id: chance.uniform(0.0, 5.0) for evse_id in self.evses}
        self.wishes = dict.fromkeys(self.evses, 32.0)
        self.follows: dict[int, list[tuple[float, float]]] = {key: [] for key in self.evses}
        self.phases = {evse_id: chance.choice((1, 3)) for evse_id in self.evses}
        self.waits = dict.fromkeys(self.evses, 0)
        for evse_id in self.evses:
            wiring = tuple(chance.sample((0, 1, 2), 3))
            self.set(
                evse_id, spec=EvseSpec(evse_id, 1, 32.0, 3, wiring, chance.randrange(1, 5))
            )

    def pass_a_second(self) -> None:
        self.wait(1.0)
        chance = self.chance
        for evse_id, evse in self.evses.items():
            if chance.random() < 0.002:
                self.set(evse_id, session=Idle())
            elif not isinstance(evse.session, Active) and chance.random() < 0.02:
                self.start(evse_id)
            if chance.random() < 0.003:
                self.wishes[evse_id] = chance.choice((0.0, 6.0, 10.0, 16.0, 32.0))
        if chance.random() < 0.004:
            limit_a = chance.choice((5.0, 13.0, 25.0, 40.0, 63.0, 80.0))
            if limit_a < (self.bounds.station[0].limit_a or 0.0):
                self.dropped_s = self.now_s
            self.bounds = fuse(limit_a)
        self.go()
        for evse_id in self.evses:
            self.follow(evse_id)
            if chance.random() < 0.6:
                self.measure(evse_id)
        self.check()

    def follow(self, evse_id: int) -> None:
        """Let the vehicle draw what it may at the most: the highest offer of its lag."""
        offer_a = self.evses[evse_id].supply.offer_ma / 1000
        offers = self.follows[evse_id]
        offers.append((self.now_s, offer_a))
        since_s = self.now_s - self.lags[evse_id]
        while len(offers) > 1 and offers[1][0] <= since_s:
            offers.pop(0)
        may_a = max(amps for _, amps in offers)
        # A contactor closes only while there is an offer.
        flows = may_a >= 6.0 and (self.drawn[evse_id] > 0.0 or offer_a > 0.0)
        self.drawn[evse_id] = min(self.wishes[evse_id], may_a) if flows else 0.0
        is_closed = self.drawn[evse_id] > 0.0
        if self.evses[evse_id].inputs.is_closed is not is_closed:
            pilot = PilotState.C if is_closed else PilotState.B
            inputs = replace(self.evses[evse_id].inputs, is_closed=is_closed, pilot=pilot)
            self.set(evse_id, inputs=inputs)

    def amps(self, evse_id: int) -> tuple[float, float, float]:
        drawn_a = self.drawn[evse_id]
        return (drawn_a, drawn_a, drawn_a) if self.phases[evse_id] == 3 else (drawn_a, 0.0, 0.0)

    def measure(self, evse_id: int) -> None:
        reading = MeterReading(0.0, 0.0, Phases(*self.amps(evse_id)), Phases(230, 230, 230))
        inputs = self.evses[evse_id].inputs
        at = Stamp(1, self.now_s)
        self.set(evse_id, inputs=replace(inputs, reading=reading, reading_at=at))

    def check(self) -> None:
        limit_a = self.bounds.station[0].limit_a or 0.0
        sums = [0.0, 0.0, 0.0]
        for evse_id, evse in self.evses.items():
            for at, amps in zip(evse.spec.wiring, self.amps(evse_id), strict=True):
                sums[at] += amps
            offer_ma = evse.supply.offer_ma
            assert offer_ma == 0 or 6_000 <= offer_ma <= 32_000
            is_hungry = isinstance(evse.session, Active) and self.wishes[evse_id] > 0.0
            has_room = limit_a >= 6.0
            idle = self.waits[evse_id] + 1 if is_hungry and not offer_ma and has_room else 0
            self.waits[evse_id] = idle
        if self.now_s > self.dropped_s + 5.0:
            assert max(sums) <= limit_a + 1e-9, (self.now_s, sums, limit_a)


@settings(max_examples=20, deadline=None)
@example(seed=2**32, sharing=Sharing.WEIGHTED)
@given(seed=st.integers(0, 2**32), sharing=st.sampled_from(Sharing))
def test_no_conductor_is_ever_overloaded_and_nobody_starves(
    seed: int, sharing: Sharing
) -> None:
    terms = Terms(sharing, rotate_s=120.0)
    fleet = Fleet(random.Random(seed), Rules(terms, pause_s=60.0))
    for _ in range(1500):
        fleet.pass_a_second()
        if sharing is not Sharing.FIRST_COME:
            assert max(fleet.waits.values()) < 8 * (120 + 60 + WINDOW_S)
