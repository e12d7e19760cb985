"""Who may charge: presentation, decision online and offline, answers, the cache."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core import authorization
from agent.core.authorization import ANSWER_WAIT_S, Purpose
from agent.core.effects import (
    AuthorizationWanted,
    Done,
    Effect,
    HeartbeatSent,
    Note,
    TransactionStarted,
    Verdict,
)
from agent.core.events import (
    AuthorizationAnswered,
    AvailabilityRequested,
    BootAnswered,
    CacheClearRequested,
    FaultCleared,
    FaultRaised,
    LinkDown,
    LinkUp,
    MessageFailed,
    RemoteStartRequested,
    ReservationRequested,
    SettingsWriteRequested,
    TokenLearned,
    TransactionAcknowledged,
)
from agent.core.standing import CACHE_CAPACITY, digest
from agent.core.states import Active, Authorized, Ending, Finished, Idle
from agent.core.values import AuthorizationStatus, IdToken, RegistrationStatus, TokenInfo
from hal.types import Fault, PilotState, TokenType
from tests.support.core import OTHER, TAG, WALL_S, Bench

ACCEPTED = TokenInfo(AuthorizationStatus.ACCEPTED)
FAMILY = TokenInfo(AuthorizationStatus.ACCEPTED, group="FAMILY")
INVALID = TokenInfo(AuthorizationStatus.INVALID)
REFUSALS = [item for item in AuthorizationStatus if item is not AuthorizationStatus.ACCEPTED]
THIRD = IdToken("0C0FFEE0")
BUTTON = IdToken("", TokenType.NO_AUTHORIZATION)

PRE = "AuthCtrlr__LocalPreAuthorize"
OFFLINE = "AuthCtrlr__LocalAuthorizeOffline"
UNKNOWN = "AuthCtrlr__OfflineTxForUnknownIdEnabled"
CACHE = "AuthCacheCtrlr__Enabled"
LIFETIME = "AuthCacheCtrlr__LifeTime"
REMOTE = "AuthCtrlr__AuthorizeRemoteStart"


def answer(
    bench: Bench, info: TokenInfo, id_token: IdToken = TAG, evse_id: int = 1
) -> list[Effect]:
    return bench.post(AuthorizationAnswered(evse_id, id_token, info))


def asked(effects: list[Effect]) -> bool:
    return any(isinstance(effect, AuthorizationWanted) for effect in effects)


def notes(effects: list[Effect]) -> list[str]:
    return [effect.kind for effect in effects if isinstance(effect, Note)]


def knowing(info: TokenInfo, **settings: str) -> Bench:
    """Return an online station that the CSMS has told about a token."""
    bench = Bench(2, **settings).ready(2)
    answer(bench, info)
    return bench


def offline(bench: Bench) -> Bench:
    bench.post(LinkDown("lost"))
    return bench


def write(bench: Bench, name: str, value: str) -> None:
    bench.post(SettingsWriteRequested(99, ((name.replace("__", "."), value),)))
    bench.effects.clear()


def may_charge(bench: Bench, evse_id: int = 1) -> bool:
    return isinstance(bench.session(evse_id), Authorized)


# --- presentation ---


def test_an_unknown_token_is_asked_about_and_the_answer_decides() -> None:
    for info, granted in ((ACCEPTED, True), (INVALID, False)):
        bench = Bench().ready()
        assert bench.tap() == [AuthorizationWanted(1, TAG)]
        assert not may_charge(bench)
        effects = answer(bench, info)
        assert may_charge(bench) is granted
        assert notes(effects) == ([] if granted else ["token.refused"])


@pytest.mark.parametrize("status", REFUSALS)
def test_only_accepted_charges(status: AuthorizationStatus) -> None:
    bench = Bench().ready()
    bench.tap()
    answer(bench, TokenInfo(status))
    assert isinstance(bench.session(), Idle)


def test_a_token_that_waits_for_a_vehicle_is_withdrawn_by_presenting_it_again() -> None:
    bench = Bench().ready()
    bench.tap()
    bench.grant()
    assert not asked(bench.tap(IdToken(TAG.value.lower())))
    assert isinstance(bench.session(), Idle)


def test_another_token_is_ignored_while_one_waits() -> None:
    bench = Bench().ready()
    bench.tap()
    bench.grant()
    assert notes(bench.tap(OTHER)) == ["token.ignored"]
    assert bench.session().id_token == TAG


def test_another_token_is_ignored_while_one_is_checked() -> None:
    bench = Bench().ready()
    bench.tap()
    assert notes(bench.tap(OTHER)) == ["token.ignored"]
    answer(bench, ACCEPTED, OTHER)
    assert not may_charge(bench)
    answer(bench, ACCEPTED)
    assert may_charge(bench)


def test_the_token_that_began_stops_without_a_question() -> None:
    bench = Bench().ready()
    bench.charge()
    assert not asked(bench.tap())
    assert isinstance(bench.session(), Ending)
    assert bench.session().id_token == TAG


def test_a_token_is_ignored_while_a_transaction_ends() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.tap()
    assert notes(bench.tap()) == ["token.ignored"]


def test_a_token_is_refused_where_nobody_may_begin() -> None:
    bench = Bench().ready()
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE))
    assert notes(bench.tap()) == ["token.refused"]
    bench = Bench().ready()
    bench.post(AvailabilityRequested(1, operative=False))
    assert notes(bench.tap()) == ["token.refused"]


def test_a_token_for_an_evse_that_does_not_exist_is_refused() -> None:
    assert notes(Bench().ready().tap(evse_id=9)) == ["token.refused"]


def test_after_a_transaction_the_vehicle_that_stayed_may_charge_again() -> None:
    bench = Bench().ready()
    bench.charge()
    bench.tap()
    bench.obey()
    bench.meter(1100.0)
    assert isinstance(bench.session(), Finished)
    bench.tap(OTHER)
    bench.grant(id_token=OTHER)
    assert isinstance(bench.session(), Active)


# --- tokens that nobody is asked about ---


@pytest.mark.parametrize("online", [True, False])
def test_a_start_button_needs_nobodys_word(online: bool) -> None:
    bench = Bench().ready()
    if not online:
        offline(bench)
    assert not asked(bench.tap(BUTTON))
    assert may_charge(bench)


@pytest.mark.parametrize("online", [True, False])
def test_a_token_of_the_csms_cannot_be_presented(online: bool) -> None:
    bench = Bench(**{UNKNOWN: "true"}).ready()
    if not online:
        offline(bench)
    assert notes(bench.tap(IdToken("C-1", TokenType.CENTRAL))) == ["token.refused"]
    assert not may_charge(bench)


def test_a_start_button_does_not_stop_what_a_token_of_a_group_began() -> None:
    bench = Bench().ready()
    bench.charge(group="FAMILY")
    assert notes(bench.tap(BUTTON)) == ["token.ignored"]
    assert isinstance(bench.session(), Active)


@pytest.mark.parametrize("kind", [TokenType.CENTRAL, TokenType.NO_AUTHORIZATION])
def test_the_cache_keeps_no_token_that_is_none(kind: TokenType) -> None:
    bench = Bench().ready()
    answer(bench, ACCEPTED, IdToken("x", kind))
    assert bench.station.authorization.cache == {}


# --- which EVSE is meant ---


def shared() -> Bench:
    return Bench(3).ready(3)


def pending(bench: Bench) -> set[int]:
    return set(bench.station.authorization.pending)


def test_a_reader_of_the_whole_station_means_the_vehicle_that_came_last() -> None:
    bench = shared()
    bench.pilot(PilotState.B, 3)
    bench.now_s += 5.0
    bench.pilot(PilotState.B, 2)
    bench.tap(evse_id=None)
    assert pending(bench) == {2}


def test_without_a_vehicle_it_means_the_first_free_evse() -> None:
    bench = shared()
    bench.post(FaultRaised(1, Fault.GROUND_FAILURE))
    bench.tap(evse_id=None)
    assert pending(bench) == {2}
    bench.tap(OTHER, evse_id=None)
    assert pending(bench) == {2, 3}


def test_it_does_not_mean_a_vehicle_whose_transaction_is_over_as_long_as_another_is_free() -> (
    None
):
    bench = Bench(2).ready(2)
    bench.charge(1)
    bench.tap(evse_id=1)
    bench.obey(1)
    bench.meter(1100.0)
    assert isinstance(bench.session(1), Finished)
    bench.tap(OTHER, evse_id=None)
    assert pending(bench) == {2}
    bench.tap(TAG, evse_id=None)
    assert pending(bench) == {1, 2}


def test_with_no_free_evse_a_token_is_refused() -> None:
    bench = Bench(2).ready(2)
    bench.tap(evse_id=1)
    bench.tap(OTHER, evse_id=2)
    assert notes(bench.tap(IdToken("third"), evse_id=None)) == ["token.refused"]


def test_the_token_of_a_transaction_means_its_evse() -> None:
    bench = shared()
    bench.charge(2)
    bench.pilot(PilotState.B, 3)
    bench.tap(evse_id=None)
    assert isinstance(bench.session(2), Ending)


def test_a_token_of_the_same_group_means_the_evse_of_that_transaction() -> None:
    bench = shared()
    bench.charge(1, IdToken("third"), group="OTHERS")
    bench.charge(2, group="FAMILY")
    answer(bench, FAMILY, OTHER)
    bench.tap(OTHER, evse_id=None)
    assert [type(bench.session(evse_id)) for evse_id in (1, 2)] == [Active, Ending]


def test_a_cache_that_is_switched_off_names_no_group() -> None:
    bench = shared()
    bench.charge(2, group="FAMILY")
    answer(bench, FAMILY, OTHER)
    write(bench, CACHE, "false")
    bench.tap(OTHER, evse_id=None)
    assert isinstance(bench.session(2), Active)
    assert pending(bench) == {1}


def test_a_token_that_waits_means_the_evse_where_it_waits() -> None:
    bench = shared()
    bench.tap(OTHER, evse_id=1)
    bench.grant(1, OTHER)
    bench.tap(evse_id=2)
    bench.grant(2)
    bench.tap(evse_id=None)
    assert [type(bench.session(evse_id)) for evse_id in (1, 2)] == [Authorized, Idle]


def test_a_station_with_one_evse_means_that() -> None:
    bench = Bench().ready()
    bench.tap(evse_id=None)
    assert pending(bench) == {1}


# --- the truth tables: a token that the cache knows ---


@pytest.mark.parametrize("local_offline", ["true", "false"])
@pytest.mark.parametrize("pre_authorize", ["true", "false"])
@pytest.mark.parametrize("online", [True, False])
def test_an_accepted_token_in_the_cache(
    online: bool, pre_authorize: str, local_offline: str
) -> None:
    bench = knowing(ACCEPTED, **{PRE: pre_authorize, OFFLINE: local_offline})
    if not online:
        offline(bench)
    effects = bench.tap()
    if online:
        assert asked(effects) is (pre_authorize == "false")
        assert may_charge(bench) is (pre_authorize == "true")
    else:
        assert not asked(effects)
        assert may_charge(bench) is (local_offline == "true")


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("pre_authorize", ["true", "false"])
def test_a_refused_token_in_the_cache_is_asked_about_again(
    pre_authorize: str, status: AuthorizationStatus
) -> None:
    bench = knowing(TokenInfo(status), **{PRE: pre_authorize})
    assert asked(bench.tap())
    assert not may_charge(bench)


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("unknown", ["true", "false"])
def test_a_refused_token_in_the_cache_never_charges_offline(
    unknown: str, status: AuthorizationStatus
) -> None:
    bench = offline(knowing(TokenInfo(status), **{UNKNOWN: unknown}))
    bench.tap()
    assert may_charge(bench) is (status is AuthorizationStatus.CONCURRENT_TX)


@pytest.mark.parametrize("unknown", ["true", "false"])
@pytest.mark.parametrize("online", [True, False])
def test_an_unknown_token(online: bool, unknown: str) -> None:
    bench = Bench(**{UNKNOWN: unknown}).ready()
    if not online:
        offline(bench)
    effects = bench.tap()
    assert asked(effects) is online
    assert may_charge(bench) is (not online and unknown == "true")
    assert notes(effects) == ([] if online or unknown == "true" else ["token.refused"])
    assert bench.station.authorization.cache == {}


def test_a_token_is_good_only_at_its_evses() -> None:
    here = TokenInfo(AuthorizationStatus.ACCEPTED, evse_ids=(2,))
    for online in (True, False):
        bench = knowing(here, **{PRE: "true"})
        if not online:
            offline(bench)
        assert asked(bench.tap(evse_id=1)) is online
        bench.tap(evse_id=2)
        assert [may_charge(bench, evse_id) for evse_id in (1, 2)] == [False, True]


def test_an_answer_is_good_only_at_its_evses() -> None:
    here = TokenInfo(AuthorizationStatus.ACCEPTED, evse_ids=(2,))
    bench = Bench(2).ready(2)
    bench.tap(evse_id=1)
    bench.tap(evse_id=2)
    answer(bench, here, evse_id=1)
    answer(bench, here, evse_id=2)
    assert [may_charge(bench, evse_id) for evse_id in (1, 2)] == [False, True]


def test_the_group_in_the_cache_goes_with_the_token() -> None:
    bench = knowing(FAMILY, **{PRE: "true"})
    bench.tap()
    assert bench.session().group == "FAMILY"


# --- expiry and lifetime ---


def expiring(after_s: float, **settings: str) -> Bench:
    info = TokenInfo(AuthorizationStatus.ACCEPTED, expires_wall_s=WALL_S + after_s)
    return knowing(info, **{PRE: "true", **settings})


def test_an_entry_is_good_until_its_expiry() -> None:
    bench = expiring(100.0)
    bench.wait(99.0 - bench.now_s)
    assert not asked(bench.tap())
    bench.tap()
    bench.wait(1.0)
    assert asked(bench.tap())


def test_an_expired_entry_never_charges_offline() -> None:
    bench = offline(expiring(-1.0, **{UNKNOWN: "true"}))
    assert notes(bench.tap()) == ["token.refused"]


def test_without_a_clock_no_entry_with_an_expiry_is_good() -> None:
    bench = expiring(1e6, **{UNKNOWN: "true"})
    bench.power_cut()
    bench.wall_s = None
    bench.power_cut()
    bench.hardware()
    write(bench, "TxCtrlr__TxBeforeAcceptedEnabled", "true")
    assert notes(bench.tap()) == ["token.refused"]


def test_the_csms_is_believed_when_it_accepts_a_token_that_our_clock_calls_expired() -> None:
    bench = Bench().ready()
    bench.tap()
    answer(bench, TokenInfo(AuthorizationStatus.ACCEPTED, expires_wall_s=WALL_S - 1.0))
    assert may_charge(bench)


def test_an_entry_outlives_its_lifetime_only_by_news() -> None:
    bench = knowing(ACCEPTED, **{PRE: "true", LIFETIME: "100"})
    learned_s = bench.now_s
    bench.wait(60.0)
    answer(bench, ACCEPTED)
    bench.wait(learned_s + 159.0 - bench.now_s)
    assert not asked(bench.tap())
    bench.tap()
    bench.wait(2.0)
    assert asked(bench.tap())


def test_the_lifetime_counts_over_power_cuts() -> None:
    for off_s, fresh in ((50.0, True), (150.0, False)):
        bench = knowing(ACCEPTED, **{PRE: "true", LIFETIME: "100"})
        bench.power_cut(off_s=off_s)
        bench.ready()
        assert asked(bench.tap()) is not fresh


@pytest.mark.parametrize("knows_then", [True, False])
def test_an_entry_of_unknown_age_is_too_old(knows_then: bool) -> None:
    bench = knowing(ACCEPTED, **{PRE: "true", LIFETIME: "100"})
    if not knows_then:
        cache = bench.station.authorization.cache
        entry = cache[digest(TAG)]
        assert entry.updated.wall_s is not None
        bench.wall_s = None
        bench.power_cut()
        bench.ready()
        assert asked(bench.tap())
        return
    bench = Bench(wall_s=None, **{PRE: "true", LIFETIME: "100"}).ready()
    answer(bench, ACCEPTED)
    bench.wall_s = WALL_S
    bench.power_cut()
    bench.ready()
    assert asked(bench.tap())


def test_without_a_clock_the_lifetime_still_counts_within_a_boot() -> None:
    bench = Bench(wall_s=None, **{PRE: "true", LIFETIME: "100"}).ready()
    answer(bench, ACCEPTED)
    bench.wait(50.0)
    assert not asked(bench.tap())


# --- no answer ---


def test_a_question_that_the_csms_does_not_answer_is_decided_as_offline() -> None:
    for known, granted in ((ACCEPTED, True), (INVALID, False)):
        bench = knowing(known)
        bench.tap()
        due = authorization.deadline_s(bench.station.authorization)
        assert due == bench.now_s + ANSWER_WAIT_S
        bench.wait(ANSWER_WAIT_S - 0.1)
        assert not may_charge(bench)
        bench.wait(0.1)
        assert may_charge(bench) is granted
        assert authorization.deadline_s(bench.station.authorization) is None


def test_a_question_that_fails_is_decided_as_offline() -> None:
    bench = knowing(ACCEPTED)
    bench.tap()
    bench.post(MessageFailed(AuthorizationWanted(1, OTHER), "error"))
    bench.post(MessageFailed(AuthorizationWanted(2, TAG), "error"))
    bench.post(MessageFailed(HeartbeatSent(), "error"))
    assert not may_charge(bench)
    bench.post(MessageFailed(AuthorizationWanted(1, TAG), "error"))
    assert may_charge(bench)


def test_a_question_that_the_link_took_along_is_decided_as_offline() -> None:
    bench = knowing(ACCEPTED)
    bench.tap(evse_id=1)
    bench.tap(OTHER, evse_id=2)
    effects = bench.post(LinkDown("lost"))
    assert [may_charge(bench, evse_id) for evse_id in (1, 2)] == [True, False]
    assert notes(effects) == ["token.refused"]


def test_a_late_answer_only_teaches_the_cache() -> None:
    bench = Bench().ready()
    bench.tap()
    bench.wait(ANSWER_WAIT_S)
    answer(bench, ACCEPTED)
    assert not may_charge(bench)
    assert digest(TAG) in bench.station.authorization.cache


def test_a_question_does_not_survive_a_power_cut() -> None:
    bench = Bench().ready()
    bench.tap()
    bench.power_cut()
    assert pending(bench) == set()


# --- stopping with another token ---


def test_without_a_group_nobody_is_asked_about_another_token() -> None:
    bench = Bench().ready()
    bench.charge()
    effects = bench.tap(OTHER)
    assert not asked(effects)
    assert notes(effects) == ["token.ignored"]
    assert isinstance(bench.session(), Active)


def test_a_token_that_the_cache_knows_to_be_of_the_group_stops() -> None:
    bench = Bench().ready()
    bench.charge(group="FAMILY")
    answer(bench, FAMILY, OTHER)
    assert not asked(bench.tap(OTHER))
    assert isinstance(bench.session(), Ending)
    assert bench.session().id_token == OTHER


def test_a_token_that_the_cache_knows_to_be_of_another_group_is_ignored() -> None:
    bench = Bench().ready()
    bench.charge(group="FAMILY")
    answer(bench, TokenInfo(AuthorizationStatus.ACCEPTED, group="OTHERS"), OTHER)
    effects = bench.tap(OTHER)
    assert not asked(effects)
    assert notes(effects) == ["token.ignored"]


@pytest.mark.parametrize(
    ("info", "stops"),
    [
        (FAMILY, True),
        (ACCEPTED, False),
        (TokenInfo(AuthorizationStatus.ACCEPTED, group="OTHERS"), False),
        (TokenInfo(AuthorizationStatus.BLOCKED, group="FAMILY"), False),
    ],
)
def test_the_csms_is_asked_about_an_unknown_token_and_its_group_decides(
    info: TokenInfo, stops: bool
) -> None:
    bench = Bench().ready()
    bench.charge(group="FAMILY")
    assert asked(bench.tap(OTHER))
    assert bench.station.authorization.pending[1].purpose is Purpose.STOP
    effects = answer(bench, info, OTHER)
    assert isinstance(bench.session(), Ending if stops else Active)
    assert notes(effects) == ([] if stops else ["token.ignored"])


def test_a_blocked_token_of_the_group_does_not_stop() -> None:
    bench = Bench().ready()
    bench.charge(group="FAMILY")
    answer(bench, TokenInfo(AuthorizationStatus.BLOCKED, group="FAMILY"), OTHER)
    assert asked(bench.tap(OTHER))


def test_offline_an_unknown_token_does_not_stop() -> None:
    bench = Bench(**{UNKNOWN: "true"}).ready()
    bench.charge(group="FAMILY")
    offline(bench)
    assert notes(bench.tap(OTHER)) == ["token.ignored"]
    assert isinstance(bench.session(), Active)


def test_without_an_answer_another_token_does_not_stop() -> None:
    bench = Bench(**{UNKNOWN: "true"}).ready()
    bench.charge(group="FAMILY")
    bench.tap(OTHER)
    effects = offline(bench).effects
    assert "token.ignored" in notes(effects)
    assert isinstance(bench.session(), Active)


def test_an_answer_for_a_transaction_that_is_over_meanwhile_stops_nothing() -> None:
    bench = Bench().ready()
    bench.charge(group="FAMILY")
    bench.tap(OTHER)
    bench.pilot(PilotState.A)
    bench.obey()
    bench.meter(1100.0)
    assert notes(answer(bench, FAMILY, OTHER)) == ["token.ignored"]


# --- remote starts that are authorized ---


def remote(
    bench: Bench, id_token: IdToken = TAG, group: str | None = None, start_id: int = 7
) -> list[Effect]:
    bench.ids += 1
    return bench.post(RemoteStartRequested(bench.ids, id_token, 1, start_id, group))


def test_a_remote_start_is_authorized_where_the_setting_wants_it() -> None:
    bench = Bench(**{REMOTE: "true"}).ready()
    assert asked(remote(bench, group="FAMILY"))
    answer(bench, ACCEPTED)
    session = bench.session()
    assert isinstance(session, Authorized)
    assert (session.remote_start_id, session.is_remote, session.group) == (7, True, "FAMILY")


def test_the_group_that_the_verdict_names_is_the_later_word() -> None:
    bench = Bench(**{REMOTE: "true"}).ready()
    remote(bench, group="OTHERS")
    answer(bench, FAMILY)
    assert bench.session().group == "FAMILY"


def test_a_remote_start_is_decided_like_a_local_one() -> None:
    bench = knowing(ACCEPTED, **{REMOTE: "true", PRE: "true"})
    assert not asked(remote(bench))
    assert may_charge(bench)


def test_a_token_that_is_being_checked_is_not_asked_about_twice() -> None:
    bench = Bench(**{REMOTE: "true"}).ready()
    bench.tap()
    due = authorization.deadline_s(bench.station.authorization)
    bench.now_s += 3.0
    assert not asked(remote(bench))
    assert not asked(remote(bench, start_id=8))
    assert authorization.deadline_s(bench.station.authorization) == due
    answer(bench, ACCEPTED)
    assert bench.session().remote_start_id == 8


# --- the cache ---


def cached(bench: Bench, id_token: IdToken = TAG) -> TokenInfo | None:
    entry = bench.station.authorization.cache.get(digest(id_token))
    return entry.info if entry else None


def test_the_cache_keeps_the_latest_word_whatever_it_is() -> None:
    bench = Bench().ready()
    for info in (ACCEPTED, INVALID, FAMILY):
        answer(bench, info)
        assert cached(bench) == info


def test_the_cache_learns_from_the_answers_to_a_transaction() -> None:
    bench = Bench().ready()
    bench.charge()
    (started,) = bench.told_records(TransactionStarted)
    bench.post(TransactionAcknowledged(started.transaction_id, info=INVALID))
    assert cached(bench) == INVALID


def test_the_same_word_again_costs_no_write() -> None:
    bench = Bench().ready()
    answer(bench, ACCEPTED)
    before = bench.station.authorization
    bench.now_s += 5.0
    answer(bench, ACCEPTED)
    assert bench.station.authorization is before


def test_the_cache_survives_a_power_cut_and_holds_no_card_in_clear() -> None:
    bench = Bench().ready()
    answer(bench, FAMILY)
    bench.power_cut()
    assert cached(bench) == FAMILY
    assert TAG.value not in str(bench.station.authorization.cache)


def test_the_cache_may_be_cleared() -> None:
    bench = knowing(ACCEPTED, **{PRE: "true"})
    bench.post(CacheClearRequested(5))
    assert bench.reply(5) == Done(Verdict.ACCEPTED)
    assert asked(bench.tap())


def test_a_cache_that_is_switched_off_is_neither_read_nor_written_nor_cleared() -> None:
    bench = knowing(ACCEPTED, **{PRE: "true"})
    write(bench, CACHE, "false")
    assert asked(bench.tap())
    answer(bench, INVALID)
    answer(bench, ACCEPTED, OTHER)
    bench.post(CacheClearRequested(5))
    assert bench.reply(5).verdict is Verdict.REJECTED
    assert cached(bench) == ACCEPTED
    assert cached(bench, OTHER) is None


def test_or_it_is_cleared_all_the_same_when_the_version_has_it_so() -> None:
    bench = knowing(ACCEPTED, **{PRE: "true"})
    write(bench, CACHE, "false")
    bench.post(CacheClearRequested(5, even_if_off=True))
    assert bench.reply(5) == Done(Verdict.ACCEPTED)
    assert cached(bench) is None


def full(bench: Bench, bad: int = -1) -> list[IdToken]:
    tokens = [IdToken(f"T{n}") for n in range(CACHE_CAPACITY)]
    for n, id_token in enumerate(tokens):
        bench.now_s += 0.01
        info = TokenInfo(AuthorizationStatus.BLOCKED) if n == bad else ACCEPTED
        answer(bench, info, id_token)
    return tokens


@pytest.mark.parametrize(("bad", "evicted"), [(-1, 0), (500, 500)])
def test_a_full_cache_gives_up_a_bad_entry_first_and_then_the_oldest(
    bad: int, evicted: int
) -> None:
    bench = Bench()
    tokens = full(bench, bad)
    answer(bench, INVALID, OTHER)
    cache = bench.station.authorization.cache
    assert len(cache) == CACHE_CAPACITY
    assert cached(bench, OTHER) == INVALID
    assert [token for token in tokens if cached(bench, token) is None] == [tokens[evicted]]


def test_an_entry_of_an_earlier_boot_is_older() -> None:
    bench = Bench()
    bench.now_s = 1000.0
    answer(bench, ACCEPTED)
    bench.power_cut()
    tokens = full(bench)
    assert cached(bench) is None
    assert cached(bench, tokens[0]) == ACCEPTED


@settings(deadline=None)
@given(
    online=st.booleans(),
    known=st.none() | st.sampled_from(AuthorizationStatus),
    flags=st.fixed_dictionaries(
        {name: st.sampled_from(("true", "false")) for name in (PRE, OFFLINE, UNKNOWN, CACHE)}
    ),
)
def test_a_decision_is_a_start_a_question_or_a_refusal_and_only_one_of_them(
    online: bool, known: AuthorizationStatus | None, flags: dict[str, str]
) -> None:
    bench = Bench(**flags).ready()
    if known:
        answer(bench, TokenInfo(known))
    if not online:
        offline(bench)
    effects = bench.tap()
    outcomes = [may_charge(bench), asked(effects), "token.refused" in notes(effects)]
    assert outcomes.count(True) == 1
    assert not (asked(effects) and not online)


def test_a_station_that_is_not_accepted_yet_decides_as_offline() -> None:
    bench = Bench(TxCtrlr__TxBeforeAcceptedEnabled="true", **{UNKNOWN: "true"})
    bench.hardware()
    bench.post(LinkUp(0, "ocpp2.0.1", "ws://csms", 0))
    bench.post(BootAnswered(RegistrationStatus.PENDING, 30, None))
    assert not asked(bench.tap())
    assert may_charge(bench)


# --- reserved places ---


def reserve(bench: Bench, evse_id: int | None = 1, group: str | None = None) -> None:
    bench.post(ReservationRequested(800, 11, TAG, WALL_S + 1e6, evse_id, group))


def test_a_foreign_token_at_a_reserved_evse_is_refused_without_a_question() -> None:
    bench = Bench().ready()
    reserve(bench)
    assert notes(bench.tap(OTHER)) == ["token.refused"]
    assert asked(bench.tap(TAG))
    bench.grant()
    assert may_charge(bench)


@pytest.mark.parametrize(
    ("group", "comes"), [("FLEET", True), ("OTHERS", False), (None, False)]
)
def test_a_reservation_for_a_group_has_the_group_of_a_foreign_token_asked_for(
    group: str | None, comes: bool
) -> None:
    bench = Bench().ready()
    reserve(bench, group="FLEET")
    assert asked(bench.tap(OTHER))
    answer(bench, TokenInfo(AuthorizationStatus.ACCEPTED, group=group), OTHER)
    assert may_charge(bench) is comes


def test_a_group_that_is_known_already_decides_at_once() -> None:
    bench = Bench(**{PRE: "true"}).ready()
    for token, group in ((OTHER, "FLEET"), (THIRD, "OTHERS")):
        bench.post(
            AuthorizationAnswered(
                9, token, TokenInfo(AuthorizationStatus.ACCEPTED, group=group)
            )
        )
    reserve(bench, group="FLEET")
    assert notes(bench.tap(THIRD)) == ["token.refused"]
    bench.tap(OTHER)
    assert may_charge(bench)


def test_offline_nobody_but_the_holder_comes_to_a_reserved_evse() -> None:
    bench = Bench(**{UNKNOWN: "true"}).ready()
    reserve(bench, group="FLEET")
    bench.post(LinkDown("gone"))
    assert notes(bench.tap(OTHER)) == ["token.refused"]
    bench.tap(TAG)
    assert may_charge(bench)


def test_a_place_that_was_promised_while_a_token_was_checked_is_not_given_away() -> None:
    bench = Bench().ready()
    bench.tap(OTHER)
    reserve(bench)
    assert notes(answer(bench, ACCEPTED, OTHER)) == ["token.refused"]
    assert not may_charge(bench)


def test_a_start_button_at_a_reserved_evse_starts_nothing() -> None:
    bench = Bench().ready()
    reserve(bench)
    assert notes(bench.tap(BUTTON)) == ["token.refused"]


# --- a token without a place ---


def test_a_token_without_a_place_means_the_evse_reserved_for_it_before_a_free_one() -> None:
    bench = Bench(3).ready(3)
    reserve(bench, 2)
    bench.tap(TAG, None)
    bench.grant(2)
    assert may_charge(bench, 2)


def test_a_vehicle_at_the_reserved_evse_goes_before_one_that_came_later() -> None:
    bench = Bench(3).ready(3)
    reserve(bench, 2)
    bench.pilot(PilotState.B, 2)
    bench.wait(1)
    bench.pilot(PilotState.B, 3)
    assert bench.tap(TAG, None) == [AuthorizationWanted(2, TAG)]


def test_a_foreign_token_without_a_place_passes_the_reserved_evse_by() -> None:
    bench = Bench(2).ready(2)
    reserve(bench, 1)
    assert bench.tap(OTHER, None) == [AuthorizationWanted(2, OTHER)]


def test_an_authorization_without_a_place_follows_its_vehicle() -> None:
    bench = Bench(3).ready(3)
    bench.tap(TAG, None)
    bench.grant(1)
    assert may_charge(bench, 1)
    bench.wait(5)
    bench.meter(1000.0, 3)
    bench.pilot(PilotState.C, 3)
    assert isinstance(bench.session(1), Idle)
    assert isinstance(bench.session(3), Active)


def test_a_vehicle_that_came_while_the_token_was_checked_is_the_one_that_is_meant() -> None:
    bench = Bench(2).ready(2)
    bench.tap(TAG, None)
    bench.wait(1)
    bench.pilot(PilotState.B, 2)
    bench.grant(1)
    assert isinstance(bench.session(1), Idle)
    assert isinstance(bench.session(2), Active)


@pytest.mark.parametrize("evse_id", [1, 2])
def test_an_authorization_of_one_reader_stays_at_its_evse(evse_id: int) -> None:
    bench = Bench(2).ready(2)
    bench.tap(TAG, evse_id)
    bench.grant(evse_id)
    bench.pilot(PilotState.B, 3 - evse_id)
    assert may_charge(bench, evse_id)


def test_a_vehicle_that_was_there_before_or_may_not_charge_draws_no_authorization() -> None:
    bench = Bench(3).ready(3)
    bench.post(FaultRaised(2, Fault.GROUND_FAILURE))
    bench.pilot(PilotState.B, 2)
    bench.wait(1)
    bench.tap(TAG, None)
    bench.grant(1)
    bench.wait(1)
    bench.post(FaultCleared(2, Fault.GROUND_FAILURE))
    bench.pilot(PilotState.C, 2)  # it came before the token
    assert may_charge(bench, 1)
    bench.post(FaultRaised(3, Fault.GROUND_FAILURE))
    bench.pilot(PilotState.B, 3)
    assert may_charge(bench, 1)
    bench.pilot(PilotState.B, 9)  # no such EVSE
    assert may_charge(bench, 1)


def test_k03_fr_05_the_priority_of_one_transaction_is_not_kept_for_its_token() -> None:
    usual = TokenInfo(AuthorizationStatus.ACCEPTED, priority=2)
    bench = knowing(usual)
    for key, info in ((TAG, usual), (OTHER, None)):
        told = TokenInfo(AuthorizationStatus.ACCEPTED, group="G", priority=9)
        bench.post(TokenLearned(key, told, "any"))
        cached = bench.station.authorization.cache[digest(key)].info
        assert (cached.group, cached.priority) == ("G", None if info is None else 2)
