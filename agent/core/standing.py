"""What the station itself knows of a token: from the local list, else from the cache.

An entry of the local list wins over one of the cache (1.6 reference 4.3, 2.0.1 C13.FR.01):
the CSMS sent it to be used. Both are found by a digest, because values of cards are not kept
in clear (2.0.1 C10.FR.12). What has expired says Expired from then on.
"""

import hashlib
from collections.abc import Mapping

from msgspec.structs import replace

from agent.core import variables
from agent.core.turn import Context
from agent.core.values import AuthorizationStatus, IdToken, Stamp, TokenInfo, Value
from hal.types import TokenType

CACHE_CAPACITY = 1000
"""Entries; about 100 bytes each in memory and on disk."""

UNASKED = frozenset({TokenType.CENTRAL, TokenType.NO_AUTHORIZATION})
"""Kinds of token that the CSMS is never asked about, and that the cache never keeps (2.0.1
C02.FR.01, C02.FR.03, C03.FR.01, C05.FR.01)."""


class CacheEntry(Value, frozen=True):
    """What the CSMS last said of a token, and when."""

    info: TokenInfo
    updated: Stamp


Cache = Mapping[str, CacheEntry]
"""By digest of the token."""


class Standing(Value, frozen=True):
    """What is known of a token, and whether the local list or the cache says so."""

    info: TokenInfo
    is_listed: bool

    @property
    def is_good(self) -> bool:
        """Whether it may charge somewhere."""
        return self.info.status is AuthorizationStatus.ACCEPTED


def digest(id_token: IdToken) -> str:
    """Return the key under which a token is kept."""
    return hashlib.sha256(id_token.key.encode()).hexdigest()[:32]


def known(cache: Cache, id_token: IdToken, context: Context) -> Standing | None:
    """Return what is known of a token now, None for an unknown one."""
    key = digest(id_token)
    listed = context.listed.get(key)
    if listed is not None:
        return Standing(current(listed, context.now), is_listed=True)
    entry = cache.get(key)
    if entry is None or not context.settings.flag(variables.CACHE_ENABLED):
        return None
    info = current(entry.info, context.now)
    lifetime = context.settings.integer(variables.CACHE_LIFETIME)
    if _is_old(entry, lifetime, context.now):
        info = replace(info, status=AuthorizationStatus.EXPIRED)
    return Standing(info, is_listed=False)


def current(info: TokenInfo, now: Stamp) -> TokenInfo:
    """Return a verdict as it is now; without a clock nothing with an expiry is good."""
    if info.expires_wall_s is None:
        return info
    if now.wall_s is None or now.wall_s >= info.expires_wall_s:
        return replace(info, status=AuthorizationStatus.EXPIRED)
    return info


def _is_old(entry: CacheEntry, lifetime_s: int, now: Stamp) -> bool:
    """Tell whether an entry outlived its time; one whose age is unknown did."""
    if not lifetime_s:
        return False
    if entry.updated.boot == now.boot:
        return now.monotonic_s >= entry.updated.monotonic_s + lifetime_s
    if now.wall_s is None or entry.updated.wall_s is None:
        return True
    return now.wall_s >= entry.updated.wall_s + lifetime_s


def cached(cache: Cache, id_token: IdToken, info: TokenInfo, context: Context) -> Cache:
    """Keep the CSMS's latest word, whatever it is (1.6 4.7, 2.0.1 C10.FR.01).

    A token of the local list is not kept twice.
    """
    if id_token.type in UNASKED or not context.settings.flag(variables.CACHE_ENABLED):
        return cache
    key = digest(id_token)
    if key in context.listed:
        return cache
    entry = cache.get(key)
    lifetime = context.settings.integer(variables.CACHE_LIFETIME)
    if entry is not None and entry.info == info and not lifetime:
        return cache  # nothing new: no write to flash
    cache = {**cache, key: CacheEntry(info, context.now)}
    if len(cache) > CACHE_CAPACITY:
        cache.pop(_least_useful(cache, key))
    return cache


def _least_useful(cache: Cache, fresh: str) -> str:
    """Return the entry to evict: a bad one before a good one, then the oldest (C10.FR.07)."""
    others = (key for key in cache if key != fresh)
    return min(
        others,
        key=lambda key: (
            cache[key].info.status is AuthorizationStatus.ACCEPTED,
            cache[key].updated.boot,
            cache[key].updated.monotonic_s,
        ),
    )
