"""Payloads in: accept fast, explain slowly.

A payload that fits its Struct costs one typed decode. Only what msgspec refuses is parsed a
second time: harmless differences that CSMSs in the field make are mended (`5.0` or `"5"` for
an integer, `"true"` for a boolean, a list around an object, on request a literal in another
case), and what still does
not fit is explained as an `RpcError` with the code that OCPP gives to that kind of mistake
(OCPP-J 1.6 chapter 4.2.3; OCPP 2.0.1 part 4, chapter 4.3).

Members that a Struct does not know are ignored. Optional members are declared `T | None =
None`, so that `null` counts as absent.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.quirks import Quirk, noted, tentative
from hal.schema import Kind, Violation, path_text, violations

T = TypeVar("T")

_CODES: Mapping[Kind, RpcErrorCode] = {
    Kind.MISSING: RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    Kind.CARDINALITY: RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
    Kind.TYPE: RpcErrorCode.TYPE_CONSTRAINT_VIOLATION,
    Kind.CONSTRAINT: RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION,
    Kind.UNKNOWN: RpcErrorCode.FORMAT_VIOLATION,
}

_INTEGER_TEXT = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER_TEXT = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?", re.ASCII)

# One decoder per Struct, built when the first payload of its kind arrives.
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode(payload: msgspec.Raw | bytes, type_: type[T], *, any_case: bool = False) -> T:
    """Return a payload as its Struct.

    Args:
        payload: JSON text of the payload.
        any_case: also take literals in another case than the declared one; for answers,
            whose loss would cost more than their tolerance.

    Raises:
        RpcError: the payload does not fit; code and description name the first mistake in
            the order of the document.
    """
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    try:
        value: T = decoder.decode(payload)
    except msgspec.ValidationError:
        return _mended(payload, type_, any_case=any_case)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _unreadable() from None
    return value


def _mended(payload: msgspec.Raw | bytes, type_: type[T], *, any_case: bool) -> T:
    try:
        tree = msgspec.json.decode(payload)
    except msgspec.ValidationError:
        code = RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
        raise RpcError(code, "$ holds a number that is out of range") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise _unreadable() from None
    with tentative():
        tree = _relaxed(tree, inspect.type_info(type_), any_case=any_case)
        found = next(violations(tree, type_), None)
        if found is not None:
            raise explained(found)
    return msgspec.convert(tree, type_)


def explained(found: Violation) -> RpcError:
    """Return the error to answer for a violation."""
    if not found.path and found.kind is Kind.TYPE:
        return RpcError(RpcErrorCode.FORMAT_VIOLATION, f"the payload {found.message}")
    return RpcError(_CODES[found.kind], f"{path_text(found.path)} {found.message}")


def _unreadable() -> RpcError:
    return RpcError(RpcErrorCode.FORMAT_VIOLATION, "the payload is not readable JSON")


def _relaxed(value: Any, type_: inspect.Type, *, any_case: bool) -> Any:
    """Return `value` with the harmless differences to its type mended."""
    match type_:
        case inspect.UnionType(types=types):
            real = [one for one in types if not isinstance(one, inspect.NoneType)]
            if value is None or len(real) != 1:
                return value
            return _relaxed(value, real[0], any_case=any_case)
        case inspect.StructType(fields=fields) if isinstance(value, dict):
            by_name = {field.encode_name: field.type for field in fields}
            return {
                name: _relaxed_member(member, by_name[name], any_case=any_case)
                if name in by_name
                else member
                for name, member in value.items()
            }
        case inspect.VarTupleType(item_type=item) if isinstance(value, list):
            return [_relaxed(member, item, any_case=any_case) for member in value]
        case inspect.LiteralType(values=values) if any_case and isinstance(value, str):
            return _in_case(value, values)
        case _:
            return _relaxed_scalar(value, type_)


def _relaxed_member(value: Any, type_: inspect.Type, *, any_case: bool) -> Any:
    return _relaxed(_unwrapped(value, type_), type_, any_case=any_case)


def _unwrapped(value: Any, type_: inspect.Type) -> Any:
    """Return the only member of a list that stands where an object belongs.

    1.6 reference, chapter 11, number 50: csChargingProfiles sounds like several.
    """
    real = [type_]
    if isinstance(type_, inspect.UnionType):
        real = [one for one in type_.types if not isinstance(one, inspect.NoneType)]
    is_object = len(real) == 1 and isinstance(real[0], inspect.StructType)
    if not is_object or not isinstance(value, list) or len(value) != 1:
        return value
    noted(Quirk.LIST_FOR_OBJECT)
    return value[0]


def _in_case(value: str, values: tuple[Any, ...]) -> Any:
    """Return the declared word that differs from a value in case only, else the value."""
    folded = value.casefold()
    meant = next((one for one in values if str(one).casefold() == folded), value)
    if meant != value:
        noted(Quirk.OTHER_CASE)
    return meant


def _relaxed_scalar(value: Any, type_: inspect.Type) -> Any:
    match type_, value:
        case inspect.IntType(), float() if value.is_integer():
            noted(Quirk.WHOLE_DECIMAL)
            return int(value)
        case inspect.IntType(), str() if _INTEGER_TEXT.fullmatch(value.strip()):
            noted(Quirk.NUMBER_AS_TEXT)
            return int(value)
        case inspect.FloatType(), str() if _NUMBER_TEXT.fullmatch(value.strip()):
            noted(Quirk.NUMBER_AS_TEXT)
            return float(value)
        case inspect.BoolType(), str() if value.strip().casefold() in {"true", "false"}:
            noted(Quirk.BOOLEAN_AS_TEXT)
            return value.strip().casefold() == "true"
        case _:
            return value
