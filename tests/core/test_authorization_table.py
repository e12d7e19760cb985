"""Every combination of what may decide about a token that is presented (1.6 reference 4.3).

`ROWS` is the truth table, read from the top: the first row that fits decides. Each row is the
reference's, in its words; "ask" sends Authorize, and then the answer counts, or without one
the rows for a station that is offline (4.3, number 5).
"""

import itertools
from typing import NamedTuple

import pytest

from agent.core.effects import AuthorizationWanted
from agent.core.events import (
    AuthorizationAnswered,
    LinkDown,
    ListedToken,
    LocalListSent,
    MessageFailed,
)
from agent.core.states import Authorized
from agent.core.values import AuthorizationStatus, TokenInfo
from tests.support.core import TAG, WALL_S, Bench

GOOD = TokenInfo(AuthorizationStatus.ACCEPTED)
FUTURE = TokenInfo(AuthorizationStatus.ACCEPTED, WALL_S + 1e6)
PAST = TokenInfo(AuthorizationStatus.ACCEPTED, WALL_S - 60)
BLOCKED = TokenInfo(AuthorizationStatus.BLOCKED)
CONCURRENT = TokenInfo(AuthorizationStatus.CONCURRENT_TX)

KINDS = {"good": (GOOD, FUTURE), "bad": (BLOCKED, PAST), "concurrent": (CONCURRENT,)}
SOURCES = {
    "unknown": (None, None),
    **{f"listed {kind}": (kind, None) for kind in KINDS},
    **{f"cached {kind}": (None, kind) for kind in KINDS},
    # The list wins over the cache.
    "listed good, cached bad": ("good", "bad"),
    "listed bad, cached good": ("bad", "good"),
}


class Flags(NamedTuple):
    """The settings that have a say."""

    pre: bool
    offline: bool
    unknown: bool
    list_final: bool
    cache_final: bool


ALL_FLAGS = [Flags(*values) for values in itertools.product((False, True), repeat=5)]

# online, listed or cached, standing, a setting that must be on (its name) or "" -> result
ROWS = [
    (True, "any", "good", "pre", "start"),
    (True, "any", "good", "", "ask"),
    (True, "listed", "bad", "list_final", "refuse"),
    (True, "cached", "bad", "cache_final", "refuse"),
    (True, "listed", "concurrent", "list_final", "refuse"),
    (True, "cached", "concurrent", "cache_final", "refuse"),
    (True, "any", "bad", "", "ask"),
    (True, "any", "concurrent", "", "ask"),
    (True, "any", "unknown", "", "ask"),
    (False, "any", "good", "offline", "start"),
    (False, "any", "concurrent", "offline", "start"),
    (False, "any", "unknown", "unknown", "start"),
    (False, "any", "any", "", "refuse"),
]


def expected(source: str, flags: Flags, *, online: bool) -> tuple[int, str]:
    """Return number and result of the row that decides."""
    listed, cached = SOURCES[source]
    where = "listed" if listed else "cached"
    standing = listed or cached or "unknown"
    for number, (is_online, place, kind, setting, result) in enumerate(ROWS):
        fits = is_online is online and place in ("any", where) and kind in ("any", standing)
        if fits and (not setting or getattr(flags, setting)):
            return number, result
    raise AssertionError("no row fits")


def a_bench(source: str, flags: Flags, variant: int) -> Bench:
    settings = {
        "AuthCtrlr__LocalPreAuthorize": flags.pre,
        "AuthCtrlr__LocalAuthorizeOffline": flags.offline,
        "AuthCtrlr__OfflineTxForUnknownIdEnabled": flags.unknown,
        "LocalAuthListCtrlr__DisablePostAuthorize": flags.list_final,
        "AuthCacheCtrlr__DisablePostAuthorize": flags.cache_final,
    }
    bench = Bench(**{key: str(on).lower() for key, on in settings.items()}).ready()
    listed, cached = SOURCES[source]
    if listed:
        # Another token is listed first, so that this one can still be cached.
        info = KINDS[listed][variant % len(KINDS[listed])]
        if cached:
            bench.post(AuthorizationAnswered(1, TAG, KINDS[cached][0]))
        bench.post(LocalListSent(900, 1, is_full=True, items=(ListedToken(TAG, info),)))
    elif cached:
        info = KINDS[cached][variant % len(KINDS[cached])]
        bench.post(AuthorizationAnswered(1, TAG, info))
    return bench


def outcome(bench: Bench) -> str:
    """Present the token, and return what became of it at once."""
    effects = bench.tap()
    if any(isinstance(effect, AuthorizationWanted) for effect in effects):
        return "ask"
    return "start" if isinstance(bench.session(), Authorized) else "refuse"


@pytest.mark.parametrize("online", [True, False])
@pytest.mark.parametrize("source", SOURCES)
def test_every_combination_is_decided_by_its_row(source: str, online: bool) -> None:
    for flags, variant in itertools.product(ALL_FLAGS, (0, 1)):
        bench = a_bench(source, flags, variant)
        if not online:
            bench.post(LinkDown("gone"))
        _, result = expected(source, flags, online=online)
        assert outcome(bench) == result, (source, flags, variant)
        if result != "ask":
            continue
        for info, charges in ((GOOD, True), (BLOCKED, False), (CONCURRENT, False)):
            asked = a_bench(source, flags, variant)
            asked.tap()
            asked.post(AuthorizationAnswered(1, TAG, info))
            assert isinstance(asked.session(), Authorized) is charges
        _, without = expected(source, flags, online=False)
        bench.post(MessageFailed(AuthorizationWanted(1, TAG), "no answer"))
        assert isinstance(bench.session(), Authorized) is (without == "start")


def test_every_row_decides_something() -> None:
    reached = {
        expected(source, flags, online=online)[0]
        for source in SOURCES
        for flags in ALL_FLAGS
        for online in (True, False)
    }
    assert reached == set(range(len(ROWS)))
