"""The local authorization list: versions, updates that are whole or not at all, conflicts."""

import pytest

from agent.core import variables
from agent.core.effects import Done, ListVersion, StatusReported, Verdict
from agent.core.events import (
    AuthorizationAnswered,
    ListedToken,
    LocalListSent,
    LocalListVersionRequested,
    SettingsWriteRequested,
    TransactionAcknowledged,
)
from agent.core.local_list import LARGEST_VERSION
from agent.core.standing import digest
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from hal.types import PilotState
from tests.support.core import OTHER, TAG, WALL_S, Bench

GOOD = TokenInfo(AuthorizationStatus.ACCEPTED)
BAD = TokenInfo(AuthorizationStatus.BLOCKED)
CONCURRENT = TokenInfo(AuthorizationStatus.CONCURRENT_TX)


def send(
    bench: Bench, version: int, *items: tuple[IdToken, TokenInfo | None], full: bool = False
) -> Verdict:
    bench.ids += 1
    listed = tuple(ListedToken(*item) for item in items)
    bench.post(LocalListSent(bench.ids, version, full, listed))
    done = bench.reply(bench.ids - 1)
    assert isinstance(done, Done)
    return done.verdict


def shown(bench: Bench) -> ListVersion:
    bench.ids += 1
    bench.post(LocalListVersionRequested(bench.ids))
    version = bench.reply(bench.ids - 1)
    assert isinstance(version, ListVersion)
    return version


def entries(bench: Bench) -> dict[str, TokenInfo]:
    return dict(bench.station.local_list.entries)


def numbered(count: int, start: int = 0) -> list[tuple[IdToken, TokenInfo]]:
    return [(IdToken(f"N{start + index}"), GOOD) for index in range(count)]


def switch(bench: Bench, on: bool) -> None:
    item = (variables.LIST_ENABLED.name, "true" if on else "false")
    bench.post(SettingsWriteRequested(900 + bench.ids, (item,)))


# --- versions ---


def test_there_is_no_list_at_first() -> None:
    assert shown(Bench().ready()) == ListVersion(0, 0, is_enabled=True)


def test_a_full_update_replaces_everything_whatever_its_version() -> None:
    bench = Bench().ready()
    assert send(bench, 9, (TAG, GOOD), full=True) is Verdict.ACCEPTED
    assert send(bench, 3, (OTHER, BAD), full=True) is Verdict.ACCEPTED
    assert entries(bench) == {digest(OTHER): BAD}
    assert shown(bench) == ListVersion(3, 1, is_enabled=True)


def test_an_empty_full_update_empties_the_list_and_keeps_its_version_in_mind() -> None:
    bench = Bench().ready()
    send(bench, 4, (TAG, GOOD), full=True)
    assert send(bench, 5, full=True) is Verdict.ACCEPTED
    assert shown(bench) == ListVersion(5, 0, is_enabled=True)
    assert send(bench, 5, (TAG, GOOD)) is Verdict.VERSION_MISMATCH


def test_a_difference_adds_changes_and_removes() -> None:
    bench = Bench().ready()
    send(bench, 1, (TAG, GOOD), (OTHER, GOOD), full=True)
    third = IdToken("THIRD")
    assert send(bench, 5, (TAG, BAD), (OTHER, None), (third, GOOD)) is Verdict.ACCEPTED
    assert entries(bench) == {digest(TAG): BAD, digest(third): GOOD}
    assert send(bench, 6, (OTHER, None)) is Verdict.ACCEPTED  # absent already
    assert shown(bench) == ListVersion(6, 2, is_enabled=True)


def test_an_empty_difference_changes_the_version_only() -> None:
    bench = Bench().ready()
    send(bench, 1, (TAG, GOOD), full=True)
    assert send(bench, 2) is Verdict.ACCEPTED
    assert shown(bench) == ListVersion(2, 1, is_enabled=True)


@pytest.mark.parametrize("version", [4, 5])
def test_a_difference_to_a_version_that_is_not_below_it_is_a_mismatch(version: int) -> None:
    bench = Bench().ready()
    send(bench, 5, (TAG, GOOD), full=True)
    assert send(bench, version, (OTHER, GOOD)) is Verdict.VERSION_MISMATCH
    assert shown(bench) == ListVersion(5, 1, is_enabled=True)


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("version", [0, -1, LARGEST_VERSION + 1])
def test_a_version_that_is_none_fails(version: int, full: bool) -> None:
    bench = Bench().ready()
    assert send(bench, version, (TAG, GOOD), full=full) is Verdict.REJECTED
    assert shown(bench) == ListVersion(0, 0, is_enabled=True)
    assert send(bench, LARGEST_VERSION, (TAG, GOOD), full=full) is Verdict.ACCEPTED


# --- whole or not at all ---


def test_a_token_named_twice_in_any_case_fails() -> None:
    bench = Bench().ready()
    twice = ((IdToken("AbC"), GOOD), (TAG, GOOD), (IdToken("aBc"), BAD))
    for full in (True, False):
        assert send(bench, 2, *twice, full=full) is Verdict.REJECTED
    assert not entries(bench)


def test_an_entry_without_standing_fails_in_a_full_list() -> None:
    bench = Bench().ready()
    send(bench, 1, (TAG, GOOD), full=True)
    assert send(bench, 2, (OTHER, GOOD), (TAG, None), full=True) is Verdict.REJECTED
    assert entries(bench) == {digest(TAG): GOOD}
    assert shown(bench).version == 1


def test_an_update_or_a_list_that_is_too_long_fails_and_changes_nothing() -> None:
    limits = {"LocalAuthListCtrlr__ItemsPerMessage": "3", "LocalAuthListCtrlr__Capacity": "5"}
    bench = Bench(**limits).ready()
    assert send(bench, 1, *numbered(4), full=True) is Verdict.REJECTED
    assert send(bench, 1, *numbered(3), full=True) is Verdict.ACCEPTED
    assert send(bench, 2, *numbered(3, start=3)) is Verdict.REJECTED
    assert shown(bench) == ListVersion(1, 3, is_enabled=True)
    assert send(bench, 2, *numbered(3, start=2)) is Verdict.ACCEPTED
    assert shown(bench) == ListVersion(2, 5, is_enabled=True)
    assert send(bench, 3, *numbered(3)) is Verdict.ACCEPTED  # nothing new: still five


def test_a_list_that_is_switched_off_is_kept_and_neither_shown_nor_changed_nor_used() -> None:
    bench = Bench(AuthCtrlr__LocalPreAuthorize="true").ready()
    send(bench, 1, (TAG, GOOD), full=True)
    switch(bench, on=False)
    assert send(bench, 2, full=True) is Verdict.NOT_SUPPORTED
    assert shown(bench) == ListVersion(1, 1, is_enabled=False)
    bench.pilot(PilotState.B)
    assert bench.tap()  # the CSMS is asked
    switch(bench, on=True)
    assert shown(bench) == ListVersion(1, 1, is_enabled=True)


# --- beside the cache ---


def test_listed_tokens_leave_the_cache_and_do_not_come_back() -> None:
    bench = Bench().ready()
    for token in (TAG, OTHER):
        bench.post(AuthorizationAnswered(1, token, GOOD))
    send(bench, 1, (TAG, GOOD), full=True)
    assert set(bench.station.authorization.cache) == {digest(OTHER)}
    bench.post(AuthorizationAnswered(1, TAG, BAD))
    assert set(bench.station.authorization.cache) == {digest(OTHER)}


# --- power cuts ---


def test_the_list_survives_a_power_cut_with_its_version() -> None:
    bench = Bench().ready()
    info = TokenInfo(AuthorizationStatus.ACCEPTED, WALL_S + 9e6, "FLEET", (1,))
    send(bench, 7, (TAG, info), (OTHER, BAD), full=True)
    bench.power_cut()
    assert entries(bench) == {digest(TAG): info, digest(OTHER): BAD}
    assert shown(bench) == ListVersion(7, 2, is_enabled=True)


def test_an_emptied_list_survives_as_empty() -> None:
    bench = Bench().ready()
    send(bench, 7, (TAG, GOOD), full=True)
    send(bench, 8, full=True)
    bench.power_cut()
    assert shown(bench) == ListVersion(8, 0, is_enabled=True)


# --- conflicts ---


def warnings(bench: Bench) -> list[tuple[str | None, str]]:
    """Return warning and info of the station's statuses that were told since."""
    told = [item for item in bench.effects if isinstance(item, StatusReported)]
    bench.effects.clear()
    return [(item.status.warning, item.status.info) for item in told if not item.status.evse_id]


def refused(bench: Bench, token: IdToken, info: TokenInfo = BAD) -> None:
    bench.post(AuthorizationAnswered(1, token, info))


def test_a_refusal_of_an_accepted_entry_is_told_once_for_each_token_and_version() -> None:
    bench = Bench().ready()
    send(bench, 1, (TAG, GOOD), (OTHER, GOOD), full=True)
    bench.effects.clear()
    refused(bench, TAG)
    assert warnings(bench) == [("LocalListConflict", "1 listed tokens are refused")]
    refused(bench, TAG)
    assert warnings(bench) == []
    refused(bench, OTHER)
    assert warnings(bench) == [("LocalListConflict", "2 listed tokens are refused")]
    send(bench, 2, (TAG, BAD))
    assert warnings(bench) == [(None, "")]
    refused(bench, OTHER)
    assert warnings(bench) == [("LocalListConflict", "1 listed tokens are refused")]


def test_the_answer_to_a_transaction_contradicts_as_well() -> None:
    bench = Bench(AuthCtrlr__LocalPreAuthorize="true").ready()
    send(bench, 1, (TAG, GOOD), full=True)
    bench.pilot(PilotState.C)
    bench.tap()
    transaction = bench.station.evses[1].transaction
    assert transaction is not None
    bench.post(TransactionAcknowledged(transaction.transaction_id, 5, info=BAD))
    assert bench.station.local_list.conflicts == {digest(TAG)}


@pytest.mark.parametrize(
    ("entry", "answer"),
    [
        (GOOD, GOOD),
        (GOOD, CONCURRENT),
        (BAD, BAD),
        (BAD, GOOD),
        (CONCURRENT, BAD),
        (TokenInfo(AuthorizationStatus.ACCEPTED, WALL_S), BAD),
    ],
)
def test_what_does_not_contradict_is_no_conflict(entry: TokenInfo, answer: TokenInfo) -> None:
    bench = Bench().ready()
    send(bench, 1, (TAG, entry), full=True)
    refused(bench, TAG, answer)
    assert not bench.station.local_list.conflicts


def test_a_token_that_is_not_listed_or_a_list_that_is_off_contradicts_nothing() -> None:
    bench = Bench().ready()
    send(bench, 1, (TAG, GOOD), full=True)
    refused(bench, OTHER)
    switch(bench, on=False)
    refused(bench, TAG)
    assert not bench.station.local_list.conflicts
