"""One phase or three, with the pauses that vehicles need."""

import pytest
from msgspec.structs import replace

from agent.core.phase_switching import EVERY_S, IDLE_S, REST_S
from agent.core.states import ActiveFault, Lines
from agent.core.targets import evse_target
from agent.core.values import Bound, Bounds, EvseCapabilities, EvseSpec, Stamp
from hal.types import Fault, PilotState
from tests.core.test_supply import World

ABLE = EvseCapabilities(32.0, 3, can_switch_phases=True)


def power(power_w: float) -> Bounds:
    return Bounds(evses={1: (Bound("ems", limit_w=power_w),)})


def a_world(*, switches: bool = True, can: bool = True) -> World:
    world = World()
    found = ABLE if can else EvseCapabilities(32.0, 3)
    inputs = replace(world.evses[1].inputs, capabilities=found, pilot=PilotState.B)
    world.set(1, spec=EvseSpec(1, 1, 32.0, 3, switches_phases=switches), inputs=inputs)
    return world


def settled(bounds: Bounds | None = None) -> World:
    """Return a world whose phases are known, with an offer."""
    world = a_world()
    world.bounds = bounds or Bounds()
    world.start().draws(int(IDLE_S + REST_S) + 2, 0.0)
    assert world.offers != [0.0]
    return world


def phases(world: World) -> int | None:
    return evse_target(world.evses[1], storage_ok=True).phases


def test_before_the_first_offer_the_phases_are_made_known_with_both_pauses() -> None:
    world = a_world().start()
    world.read(0.0)
    assert (phases(world), world.offers) == (None, [0.0])
    assert world.origins()["phases"] == 0.0
    world.draws(int(IDLE_S) - 1, 0.0)
    assert phases(world) is None
    world.draws(1, 0.0)
    assert (phases(world), world.offers) == (3, [0.0])
    world.draws(int(REST_S) - 1, 0.0)
    assert world.offers == [0.0]
    assert world.draws(1, 0.0).offers == [32.0]
    assert "phases" not in world.origins()


def test_power_for_less_than_three_phases_is_offered_on_one_without_load_and_after_pauses() -> (
    None
):
    world = settled()
    world.wait(EVERY_S)
    world.hear(pilot=PilotState.C)
    world.read(16.0)
    world.bounds = power(3_680.0)
    world.read(16.0)
    assert (phases(world), world.offers) == (3, [0.0])
    world.draws(20, 16.0)
    assert phases(world) == 3, "it still draws"
    world.hear(pilot=PilotState.B)
    world.draws(int(IDLE_S), 0.0)
    assert phases(world) == 3
    world.draws(1, 0.0)
    assert (phases(world), world.offers) == (1, [0.0])
    world.draws(60, 0.0)
    assert world.offers == [16.0]
    assert world.origins()["ems"] == 16.0


def test_there_and_back_takes_at_least_the_shortest_time_between_two_switches() -> None:
    world = settled(power(3_680.0))
    assert (phases(world), world.offers) == (1, [16.0])
    world.bounds = power(11_040.0)
    world.draws(int(EVERY_S) - 30, 0.0)
    assert (phases(world), world.offers) == (1, [32.0])
    world.draws(int(EVERY_S), 0.0)
    assert (phases(world), world.offers) == (3, [16.0])


def test_power_for_nobody_leaves_the_phases_as_they_are() -> None:
    world = settled(power(3_680.0))
    world.wait(EVERY_S)
    world.bounds = power(1_000.0)
    world.draws(30, 0.0)
    assert (phases(world), world.offers) == (1, [0.0])


def test_a_silent_meter_keeps_the_phases_as_they_are() -> None:
    world = settled()
    world.wait(EVERY_S)
    world.bounds = power(3_680.0)
    world.wait(100.0)
    assert phases(world) == 3


def test_a_controller_that_was_out_of_reach_has_to_be_told_anew() -> None:
    world = settled()
    world.hear(faults=(ActiveFault(Fault.COMMUNICATION_FAULT, Stamp(1, 0.0)),))
    assert world.evses[1].supply.lines == Lines()
    world.hear(faults=())
    assert (phases(world), world.offers) == (None, [0.0])


@pytest.mark.parametrize(("switches", "can"), [(False, True), (True, False)])
def test_nothing_is_switched_unless_board_file_and_hardware_say_so(switches, can) -> None:
    world = a_world(switches=switches, can=can)
    world.bounds = power(3_680.0)
    world.start().draws(100, 0.0)
    assert (phases(world), world.offers) == (None, [0.0])


def test_on_one_phase_only_its_conductor_counts() -> None:
    bounds = Bounds((Bound("fuse", limit_a=32.0),), {1: (Bound("ems", limit_w=3_680.0),)})
    world = World(2, bounds)
    inputs = replace(world.evses[1].inputs, capabilities=ABLE, pilot=PilotState.B)
    world.set(1, spec=EvseSpec(1, 1, 32.0, 3, (1, 2, 0), switches_phases=True), inputs=inputs)
    world.set(2, spec=EvseSpec(2, 1, 32.0, 1, (0,)))
    world.start().draws(60, 0.0)
    assert world.offers == [16.0, 32.0]


@pytest.mark.parametrize(("is_site", "phases_used"), [(False, 1), (True, 3)])
def test_the_stations_power_is_that_of_its_only_evse(is_site: bool, phases_used: int) -> None:
    world = a_world()
    world.rules = replace(world.rules, is_site=is_site)
    world.bounds = Bounds((Bound("ems", limit_w=3_680.0),))
    world.start().draws(30, 0.0)
    assert phases(world) == phases_used
    assert world.offers == ([16.0] if phases_used == 1 else [0.0])


def for_one_phase(limit_a: float) -> Bounds:
    return Bounds(evses={1: (Bound("profile", limit_a=limit_a, phases=1),)})


def test_a_limit_for_one_phase_is_kept_by_connecting_one() -> None:
    world = settled()
    world.wait(EVERY_S)
    world.bounds = for_one_phase(16.0)
    world.read(0.0)
    assert (phases(world), world.offers) == (3, [0.0])
    world.draws(70, 0.0)
    assert (phases(world), world.offers) == (1, [16.0])


def test_until_the_phases_may_be_switched_it_is_spread_over_all_of_them() -> None:
    world = settled()
    world.bounds = for_one_phase(16.0)
    world.read(0.0)
    assert (phases(world), world.offers) == (3, [0.0])
    world.bounds = for_one_phase(24.0)
    world.draws(70, 0.0)
    assert (phases(world), world.offers) == (3, [8.0])
