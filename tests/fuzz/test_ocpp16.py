"""Whatever a CSMS of 1.6 sends, in whatever state: answered right, harmless, bounded.

`make test` draws the same examples every time; `make fuzz` draws new ones, and many.
"""

import gc
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agent
from tests.fuzz.payloads import ACTIONS, Flaw, flaws, payloads, whole
from tests.fuzz.station import ERROR, REFUSALS, RESULT, STATES, V16, Victim
from tests.support import schemas
from tests.support.vloop import run

AGENT = Path(agent.__file__).parent

ABSENT = frozenset({"NotSupported"})
"""Of actions that a station may lack (1.6 reference 1.9)."""

SEMANTIC = frozenset({"PropertyConstraintViolation", "OccurenceConstraintViolation"})
"""Codes for payloads that fit the schema and still cannot be meant (1.6 reference 6.4)."""

UNWRITABLE = frozenset({"InternalError"})
"""Of a station whose disk refuses (docs/adr/0005)."""

lives = settings(suppress_health_check=[HealthCheck.too_slow])


@st.composite
def thrown(draw: Any) -> tuple[str, Flaw]:
    """Draw an action, and a payload that fits it or just does not."""
    action = draw(st.sampled_from(ACTIONS))
    payload = draw(payloads(action))
    if draw(st.booleans()):
        return action, Flaw("fits", payload, frozenset())
    flaw = draw(st.sampled_from(list(flaws(action, payload))))
    # What fits the schema may still hold a number that cannot be meant, and be refused for it.
    return action, flaw._replace(codes=flaw.codes | SEMANTIC)


@pytest.mark.parametrize("state", STATES)
def test_whatever_arrives_is_answered_right_and_a_refusal_changes_nothing(state: str) -> None:
    @lives
    @given(st.lists(thrown(), min_size=1, max_size=8))
    def lived(frames: list[tuple[str, Flaw]]) -> None:
        async def life() -> None:
            async with Victim() as victim:
                await victim.settled(0.1)
                await STATES[state](victim)
                for action, flaw in frames:
                    await judged(victim, action, flaw)
                    if victim.is_gone:
                        return
                await alive(victim)

        run(life())

    lived()


@pytest.mark.parametrize("boot", ["", "Pending", "Rejected"])
def test_before_it_is_accepted_as_well(boot: str) -> None:
    @lives
    @given(st.lists(thrown(), min_size=1, max_size=8))
    def lived(frames: list[tuple[str, Flaw]]) -> None:
        async def life() -> None:
            async with Victim(boot) as victim:
                await victim.settled(0.1)
                for action, flaw in frames:
                    if boot == "Rejected":
                        await ignored(victim, action, flaw)
                    else:
                        await judged(victim, action, flaw)
                    if victim.is_gone:
                        return

        run(life())

    lived()


@pytest.mark.parametrize("action", ACTIONS)
def test_every_single_mistake_gets_its_code(action: str) -> None:
    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            for flaw in flaws(action, whole(action)):
                await judged(victim, action, flaw)
            await alive(victim)

    run(life())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
NOISE = st.one_of(
    st.binary(max_size=64),
    st.text(max_size=64).map(str.encode),
    JSON.map(lambda tree: json.dumps(tree).encode()),
    st.lists(JSON, max_size=6).map(lambda tree: json.dumps(tree).encode()),
    st.tuples(st.sampled_from((2, 3, 4)), JSON, st.sampled_from(ACTIONS) | JSON, JSON).map(
        lambda tree: json.dumps(tree).encode()
    ),
    st.integers(1, 200_000).map(lambda depth: b"[" * depth),
)


@lives
@given(st.lists(NOISE, min_size=1, max_size=20))
def test_noise_hurts_nobody(noise: list[bytes]) -> None:
    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            before = victim.kept()
            for raw in noise:
                await victim.link.send(raw)
                await quiet(victim)
            assert victim.kept() == before or any(b'"Clear' in raw for raw in noise)
            await alive(victim)

    run(life())


def test_a_flood_leaves_nothing_behind() -> None:
    def flood() -> list[tuple[str, Any]]:
        return [
            (action, flaw.payload)
            for action in ACTIONS
            for flaw in list(flaws(action, whole(action)))[:6]
        ]

    async def poured(victim: Victim) -> None:
        for number, (action, payload) in enumerate(flood()):
            await victim.throw([2, f"{number}", action, payload], f"{number}")
        await victim.settled()
        victim.heard.clear()
        victim.disk.log.clear()
        victim.disk.writes.clear()

    async def life() -> None:
        async with Victim() as victim:
            await victim.settled(0.1)
            await poured(victim)
            tracemalloc.start()
            try:
                await poured(victim)
                before = held()
                for _ in range(4):
                    await poured(victim)
                after = held()
            finally:
                tracemalloc.stop()
            assert after - before < 50_000
            await alive(victim)

    run(life())


def held() -> int:
    """Return what the agent's own code holds, in bytes; a test runner holds things as well."""
    gc.collect()
    ours = tracemalloc.Filter(True, f"{AGENT}/*")
    found = tracemalloc.take_snapshot().filter_traces([ours]).statistics("filename")
    return sum(one.size for one in found)


async def quiet(victim: Victim) -> None:
    """Take what the station says to noise: refusals, and answers to what was a call."""
    try:
        while True:
            heard = await victim.hear(0.01)
            if heard[0] == 2:
                await victim.attend(heard)
    except TimeoutError:
        return


async def judged(victim: Victim, action: str, flaw: Flaw) -> None:
    """Throw one frame, and hold the answer to the rules."""
    message_id = f"fuzz-{victim.sent}"
    await victim.settled()
    before = victim.kept()
    frame = json.dumps([2, message_id, action, flaw.payload])
    answer = await victim.throw(frame, message_id)
    if answer is None:
        return
    context = f"{action}: {flaw.where}: {answer}"
    is_writable = victim.disk.refusal is None
    if answer[0] == ERROR:
        meant = SEMANTIC if is_writable else SEMANTIC | UNWRITABLE
        allowed = ABSENT | (flaw.codes or meant)
        assert answer[2] in allowed, context
        assert len(answer[3]) <= 255
    else:
        assert answer[0] == RESULT
        assert not flaw.codes, context
        schemas.validate(V16, action, json.dumps(answer[2]), response=True)
    is_refused = answer[0] == ERROR or answer[2].get("status") in REFUSALS
    if is_refused:
        assert victim.kept() == before, context


async def ignored(victim: Victim, action: str, flaw: Flaw) -> None:
    """Throw one frame at a station that must not answer."""
    before = victim.kept()
    await victim.say([2, "fuzz", action, flaw.payload])
    await victim.silent(1.0)
    assert victim.kept() == before


async def alive(victim: Victim) -> None:
    """Find that the station still answers, unless it restarts as it was asked to."""
    await victim.settled()
    read = [2, "alive", "GetConfiguration", {"key": ["HeartbeatInterval"]}]
    answer = await victim.throw(read, "alive")
    assert victim.is_gone or answer[0] == RESULT, answer
