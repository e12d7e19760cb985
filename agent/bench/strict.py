"""Payloads of a station, checked without any of the tolerance that the field needs.

A station's agent has to bear what CSMSs send. The bench is the opposite: it refuses what the
official schemas refuse (wrong types, words, lengths, missing and unknown members, null), and
beyond them instants that are none.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from agent.ocpp.wire_time import from_text
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import explained
from hal.schema import path_text, violations

T = TypeVar("T", bound=msgspec.Struct)

_EXTENSION = "customData"
"""Allowed in every object of 2.0.1; it means nothing here."""

_FREE = "data"
"""Member of 2.0.1's DataTransfer that may be anything; in 1.6 it is text."""


def decode(payload: msgspec.Raw | bytes, type_: type[T], *, extensible: bool) -> T:
    """Return a payload as its Struct.

    Args:
        extensible: the version allows `customData` (2.0.1).

    Raises:
        RpcError: the first mistake, with the code to answer.
    """
    try:
        tree = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise RpcError(RpcErrorCode.FORMAT_VIOLATION, "the payload is no JSON") from None
    if extensible:
        tree = _plain(tree)
    found = next(violations(tree, type_, forbid_unknown=True), None)
    if found is not None:
        raise explained(found)
    free = _FREE if extensible else None
    for path, text in _flaws(tree, (), free):
        raise RpcError(RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION, f"{path_text(path)} {text}")
    return msgspec.convert(tree, type_)


def _plain(tree: Any) -> Any:
    match tree:
        case dict():
            return {name: _plain(one) for name, one in tree.items() if name != _EXTENSION}
        case list():
            return [_plain(one) for one in tree]
        case _:
            return tree


def _flaws(
    tree: Any, path: tuple[str | int, ...], free: str | None
) -> Iterator[tuple[Any, str]]:
    """Yield what the types let pass: members that are null, and unreadable instants."""
    if isinstance(tree, list):
        for index, one in enumerate(tree):
            yield from _flaws(one, (*path, index), free)
    elif isinstance(tree, dict):
        for name, member in tree.items():
            where = (*path, name)
            if name == free:
                continue
            if member is None:
                yield where, "is null: a member without a value is left out"
            elif name == "timestamp":
                yield from ((where, why) for why in _unreadable(member))
            else:
                yield from _flaws(member, where, free)


def _unreadable(text: str) -> Iterator[str]:
    try:
        from_text(text)
    except ValueError as error:
        yield str(error)
