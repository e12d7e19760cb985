"""What blocks are told of their surroundings."""

from agent.core.states import ActiveFault, Evse, Inputs
from agent.core.turn import Context, Turn
from agent.core.values import EvseSpec, Stamp
from agent.core.variables import Settings
from hal.types import Fault

NOW = Stamp(1, 0.0)


def a_context(*, may_start: bool = True, faults: tuple[Fault, ...] = ()) -> Context:
    active = tuple(ActiveFault(fault, NOW) for fault in faults)
    spec = EvseSpec(1, 1, 32.0, 3)
    evses = {1: Evse(spec, Inputs(faults=active)), 2: Evse(spec)}
    return Context(
        now=NOW,
        fresh_id="id-1",
        jitter=0.0,
        settings=Settings(),
        is_online=True,
        may_start=may_start,
        evses=evses,
        operative=frozenset({1}),
        remote_ids={},
        undelivered=0,
    )


def test_an_evse_that_is_fit_refuses_nobody() -> None:
    assert a_context().refusal(1) is None
    assert a_context(faults=(Fault.READER_FAILURE,)).refusal(1) is None


def test_the_first_reason_to_refuse_is_named() -> None:
    assert a_context(may_start=False).refusal(9) == "UnknownEvse"
    assert a_context(may_start=False).refusal(2) == "NotEnabled"
    assert a_context().refusal(2) == "Unavailable"
    assert a_context(faults=(Fault.OVER_CURRENT,)).refusal(1) == "Faulted"


def test_a_turn_tells_and_raises_nothing_unless_it_says_so() -> None:
    assert Turn("state") == ("state", (), ())
