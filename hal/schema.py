"""Why a plain value does not fit a msgspec type: every reason, with its kind and place.

msgspec stops at the first mistake and says it in one sentence. That is not enough to
choose an OCPP error code, and not enough for a person who repairs a file. `violations`
walks a parsed JSON or TOML value beside `msgspec.inspect.type_info` and reports all of
them. It agrees with `msgspec.convert` in strict mode: a value is refused by one exactly
when it is refused by the other. `msgspec.Raw` is the exception: it takes any JSON value
here, as it does when JSON text is decoded; a Struct with `__post_init__` cannot hold it.

Members are visited in the order of the document; members that are missing from an object
follow after those that are there. Texts say what is allowed and never repeat the value
itself, because it may be a secret.

Not supported, and refused with TypeError: bytes, decimals, durations, UUIDs, typed
dictionaries, dataclasses and named tuples. Neither OCPP nor our files need them.
"""

import datetime as dt
import difflib
import enum
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import inspect

from hal.types import Value

Path: TypeAlias = tuple[str | int, ...]
"""Where in the value: member names as they are written, and array indices from 0."""

_LONGEST_NAME_SHOWN = 64
"""A name comes from outside; an honest one is far shorter than this."""

_DateLike: TypeAlias = inspect.DateTimeType | inspect.DateType | inspect.TimeType
_ArrayLike: TypeAlias = (
    inspect.ListType | inspect.SetType | inspect.FrozenSetType | inspect.VarTupleType
)


class Kind(enum.Enum):
    """What is wrong with a value."""

    MISSING = enum.auto()  # a required member is absent
    UNKNOWN = enum.auto()  # a member that the type does not have, where that is forbidden
    TYPE = enum.auto()  # another JSON type than the allowed ones
    CONSTRAINT = enum.auto()  # right type, but not an allowed value, length, range or format
    CARDINALITY = enum.auto()  # an array or a table with too few or too many members


class Violation(Value, frozen=True):
    """One reason why a value does not fit.

    Attributes:
        path: the member concerned; for MISSING, where it should be.
        message: what is allowed there, as the rest of a sentence that names the path.
    """

    kind: Kind
    path: Path
    message: str


def violations(
    value: object, type_: Any, *, forbid_unknown: bool = False
) -> Iterator[Violation]:
    """Yield every reason why `msgspec.convert(value, type_)` would refuse a value.

    Args:
        value: what `msgspec.json.decode` or `tomllib` returned.
        type_: any annotation that msgspec accepts, within the limits named above.
        forbid_unknown: report unknown members of every Struct, not only of those that
            forbid them themselves.

    Raises:
        TypeError: the type uses something that this module does not know.
    """
    return _Walk(forbid_unknown=forbid_unknown).check(value, _described(type_), ())


def path_text(path: Path) -> str:
    """Return a path as people write it: `$.csms[0].url`, `$.settings["A.B"]`."""
    parts = ["$"]
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step):
            parts.append(f".{_shown(step)}")
        else:
            parts.append(f'["{_shown(step)}"]')
    return "".join(parts)


@lru_cache(maxsize=512)
def _described(type_: Any) -> inspect.Type:
    return inspect.type_info(type_)


class _Walk:
    """One pass over a value; holds what is the same at every depth."""

    def __init__(self, *, forbid_unknown: bool) -> None:
        self.forbid_unknown = forbid_unknown

    def check(self, value: object, type_: inspect.Type, path: Path) -> Iterator[Violation]:
        """Yield what is wrong with a value and everything below it."""
        if isinstance(type_, inspect.UnionType):
            yield from self.union(value, type_, path)
        elif not _takes(type_, value):
            message = f"must be {_name(type_)}, not {_name_of(value)}"
            yield Violation(Kind.TYPE, path, message)
        elif isinstance(value, dict):
            yield from self.table(value, type_, path)
        elif isinstance(value, list | tuple):
            yield from self.array(value, type_, path)
        else:
            for message in _scalar(value, type_):
                yield Violation(Kind.CONSTRAINT, path, message)

    def union(self, value: object, type_: inspect.UnionType, path: Path) -> Iterator[Violation]:
        fitting = [member for member in type_.types if _takes(member, value)]
        # An integer is also a number: the type that names integers has the say.
        if len(fitting) > 1:
            fitting = [
                member for member in fitting if not isinstance(member, inspect.FloatType)
            ]
        structs = [member for member in fitting if isinstance(member, inspect.StructType)]
        literals = [member for member in fitting if isinstance(member, inspect.LiteralType)]
        if not fitting:
            message = f"must be {_union_name(type_)}, not {_name_of(value)}"
            yield Violation(Kind.TYPE, path, message)
        elif len(structs) > 1:
            yield from self.tagged(value, structs, path)
        elif len(literals) > 1:
            merged = tuple(one for literal in literals for one in literal.values)
            yield from self.check(value, inspect.LiteralType(merged), path)
        else:
            yield from self.check(value, fitting[0], path)

    def tagged(
        self, value: Any, structs: Sequence[inspect.StructType], path: Path
    ) -> Iterator[Violation]:
        """Choose among Structs by their tag, and go on with the chosen one."""
        first = structs[0]
        by_tag = {struct.tag: struct for struct in structs}
        at: str | int = 0 if first.array_like else first.tag_field or ""
        try:
            found = value[at]
        except LookupError:
            message = f"is missing ({_listed(by_tag)})"
            yield Violation(Kind.MISSING, (*path, at), message)
            return
        if type(found) is not type(first.tag):
            yield self._tag_violation(Kind.TYPE, (*path, at), by_tag)
        elif found not in by_tag:
            yield self._tag_violation(Kind.CONSTRAINT, (*path, at), by_tag)
        else:
            yield from self.check(value, by_tag[found], path)

    def table(
        self, value: Mapping[Any, Any], type_: inspect.Type, path: Path
    ) -> Iterator[Violation]:
        if isinstance(type_, inspect.StructType):
            yield from self._with_hook(value, type_, path, self.members(value, type_, path))
        elif isinstance(type_, inspect.DictType):
            yield from _length(value, type_, path)
            for key, member in value.items():
                for found in self.check(key, type_.key_type, (*path, key)):
                    yield Violation(found.kind, found.path, f"as a name {found.message}")
                yield from self.check(member, type_.value_type, (*path, key))

    def members(
        self, value: Mapping[Any, Any], type_: inspect.StructType, path: Path
    ) -> Iterator[Violation]:
        fields = {field.encode_name: field for field in type_.fields}
        known = [*([type_.tag_field] if type_.tag_field else []), *fields]
        for key, member in value.items():
            if key in fields:
                yield from self.check(member, fields[key].type, (*path, key))
            elif key == type_.tag_field:
                yield from self._own_tag(member, type_, (*path, key))
            elif self.forbid_unknown or type_.forbid_unknown_fields:
                yield Violation(Kind.UNKNOWN, (*path, key), _unknown(key, known))
        for name, field in fields.items():
            if field.required and name not in value:
                message = f"is missing ({_name(field.type)})"
                yield Violation(Kind.MISSING, (*path, name), message)

    def array(
        self, value: Sequence[Any], type_: inspect.Type, path: Path
    ) -> Iterator[Violation]:
        if isinstance(type_, inspect.StructType):
            yield from self._with_hook(value, type_, path, self.positions(value, type_, path))
        elif isinstance(type_, inspect.TupleType):
            if len(value) != len(type_.item_types):
                message = f"must have exactly {len(type_.item_types)} members"
                yield Violation(Kind.CARDINALITY, path, message)
            for index, (item, item_type) in enumerate(
                zip(value, type_.item_types, strict=False)
            ):
                yield from self.check(item, item_type, (*path, index))
        elif isinstance(type_, _ArrayLike):
            yield from _length(value, type_, path)
            for index, item in enumerate(value):
                yield from self.check(item, type_.item_type, (*path, index))

    def positions(
        self, value: Sequence[Any], type_: inspect.StructType, path: Path
    ) -> Iterator[Violation]:
        """Check a Struct that is written as an array: a tag first, then its fields."""
        first = 0 if type_.tag_field is None else 1
        needed = first + sum(field.required for field in type_.fields)
        allowed = first + len(type_.fields)
        if len(value) < needed:
            message = f"must have at least {needed} members"
            yield Violation(Kind.CARDINALITY, path, message)
        if len(value) > allowed and (self.forbid_unknown or type_.forbid_unknown_fields):
            message = f"must have at most {allowed} members"
            yield Violation(Kind.CARDINALITY, path, message)
        if first and value:
            yield from self._own_tag(value[0], type_, (*path, 0))
        for index, (item, field) in enumerate(
            zip(value[first:], type_.fields, strict=False), start=first
        ):
            yield from self.check(item, field.type, (*path, index))

    def _own_tag(
        self, found: object, type_: inspect.StructType, path: Path
    ) -> Iterator[Violation]:
        if type(found) is not type(type_.tag):
            yield self._tag_violation(Kind.TYPE, path, [type_.tag])
        elif found != type_.tag:
            yield self._tag_violation(Kind.CONSTRAINT, path, [type_.tag])

    def _tag_violation(self, kind: Kind, path: Path, tags: Collection[Any]) -> Violation:
        return Violation(kind, path, f"must be {_listed(tags)}")

    def _with_hook(
        self,
        value: object,
        type_: inspect.StructType,
        path: Path,
        found: Iterator[Violation],
    ) -> Iterator[Violation]:
        """Yield what was found; if that is nothing, ask the Struct's `__post_init__`."""
        is_clean = True
        for violation in found:
            is_clean = False
            yield violation
        if is_clean and hasattr(type_.cls, "__post_init__"):
            try:
                msgspec.convert(value, type_.cls)
            except msgspec.ValidationError as error:
                yield Violation(Kind.CONSTRAINT, path, str(error))


def _takes(type_: inspect.Type, value: object) -> bool:
    """Tell whether a type accepts the JSON type of a value at all."""
    match type_:
        case inspect.AnyType() | inspect.RawType():
            return True
        case inspect.NoneType():
            return value is None
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return type(value) is int
        case inspect.FloatType():
            return type(value) in (int, float)
        case inspect.StrType():
            return type(value) is str
        case inspect.EnumType() | inspect.LiteralType():
            return type(value) in {type(one) for one in _choices(type_)}
        case inspect.DateTimeType() | inspect.DateType() | inspect.TimeType():
            return type(value) in (str, _python_type(type_))
        case inspect.DictType():
            return isinstance(value, dict)
        case inspect.StructType():
            return isinstance(value, list | tuple if type_.array_like else dict)
        case inspect.CustomType():
            return isinstance(value, type_.cls)
        case _ if isinstance(type_, _ArrayLike | inspect.TupleType):
            return isinstance(value, list | tuple)
        case _:
            raise TypeError(f"hal.schema has no rule for {type(type_).__name__}")


def _name(type_: inspect.Type) -> str:
    """Say what a type accepts, for the middle of a sentence."""
    match type_:
        case inspect.NoneType():
            return "null"
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return " ".join(["an integer", *_limits(type_)])
        case inspect.FloatType():
            return " ".join(["a number", *_limits(type_)])
        case inspect.StrType():
            return "a string"
        case inspect.EnumType() | inspect.LiteralType():
            return _listed(_choices(type_))
        case inspect.DateTimeType() | inspect.DateType() | inspect.TimeType():
            return _date_name(type_)
        case inspect.DictType():
            return "an object"
        case inspect.StructType():
            return "an array" if type_.array_like else "an object"
        case inspect.UnionType():
            return _union_name(type_)
        case inspect.CustomType():
            return f"a {type_.cls.__name__}"
        case inspect.AnyType() | inspect.RawType():
            return "any value"
        case _:
            return "an array"


def _union_name(type_: inspect.UnionType) -> str:
    """Name the members; of an optional value, only what it is when it is there."""
    names = [_name(one) for one in type_.types if not isinstance(one, inspect.NoneType)]
    return " or ".join(dict.fromkeys(names))


def _name_of(value: object) -> str:
    names: dict[type, str] = {
        type(None): "null",
        bool: "a boolean",
        int: "an integer",
        float: "a number with a fraction",
        str: "a string",
        list: "an array",
        tuple: "an array",
        dict: "an object",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _scalar(value: Any, type_: inspect.Type) -> Iterator[str]:
    """Yield what is wrong with a value that has the right JSON type and no members."""
    match type_:
        case inspect.IntType() | inspect.FloatType():
            if not _is_within(value, type_):
                yield f"must be {_name(type_)}"
        case inspect.StrType():
            yield from _text(value, type_)
        case inspect.LiteralType():
            if value not in type_.values:
                yield f"must be {_name(type_)}"
        case inspect.EnumType():
            if not _converts(value, type_.cls):
                yield f"must be {_name(type_)}"
        case inspect.DateTimeType() | inspect.DateType() | inspect.TimeType():
            if not _converts(value, _annotation(type_)):
                yield f"must be {_name(type_)}"
        case _:
            pass


def _converts(value: object, annotation: Any) -> bool:
    try:
        msgspec.convert(value, annotation)
    except msgspec.ValidationError:
        return False
    return True


def _is_within(value: float, type_: inspect.IntType | inspect.FloatType) -> bool:
    if isinstance(type_, inspect.FloatType):
        try:
            value = float(value)
        except OverflowError:
            return False
    # NaN satisfies no comparison, so it must fail where the others pass.
    return (
        (type_.ge is None or value >= type_.ge)
        and (type_.gt is None or value > type_.gt)
        and (type_.le is None or value <= type_.le)
        and (type_.lt is None or value < type_.lt)
        and (type_.multiple_of is None or _is_multiple(value, type_.multiple_of))
    )


def _is_multiple(value: float, of: float) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    return math.isfinite(value) and math.fmod(value, of) == 0


def _limits(type_: inspect.IntType | inspect.FloatType) -> Iterator[str]:
    limits = [
        (type_.ge, "at least"),
        (type_.gt, "greater than"),
        (type_.le, "at most"),
        (type_.lt, "less than"),
        (type_.multiple_of, "a multiple of"),
    ]
    texts = [f"{words} {_number(limit)}" for limit, words in limits if limit is not None]
    if texts:
        yield f"({', '.join(texts)})"


def _number(limit: float) -> float:
    """Return 6 for 6.0: equal bounds share one type, and whichever came first its notation."""
    return int(limit) if limit == int(limit) else limit


def _text(value: str, type_: inspect.StrType) -> Iterator[str]:
    if type_.min_length is not None and len(value) < type_.min_length:
        yield f"must have at least {type_.min_length} characters"
    if type_.max_length is not None and len(value) > type_.max_length:
        yield f"must have at most {type_.max_length} characters"
    if type_.pattern is not None and re.search(type_.pattern, value) is None:
        yield f"must match {type_.pattern}"


def _length(
    value: Collection[Any], type_: _ArrayLike | inspect.DictType, path: Path
) -> Iterator[Violation]:
    if type_.min_length is not None and len(value) < type_.min_length:
        message = f"must have at least {type_.min_length} members"
        yield Violation(Kind.CARDINALITY, path, message)
    if type_.max_length is not None and len(value) > type_.max_length:
        message = f"must have at most {type_.max_length} members"
        yield Violation(Kind.CARDINALITY, path, message)


def _choices(type_: inspect.EnumType | inspect.LiteralType) -> tuple[Any, ...]:
    if isinstance(type_, inspect.LiteralType):
        return type_.values
    return tuple(member.value for member in type_.cls)


def _listed(choices: Collection[Any]) -> str:
    texts = [
        "null" if one is None else f'"{one}"' if isinstance(one, str) else str(one)
        for one in choices
    ]
    return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"


def _unknown(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key[:_LONGEST_NAME_SHOWN], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"is not known here{hint} (known: {', '.join(known) or 'nothing'})"


def _shown(name: str) -> str:
    printable = "".join(one if one.isprintable() else "?" for one in name)
    if len(printable) <= _LONGEST_NAME_SHOWN:
        return printable
    return printable[: _LONGEST_NAME_SHOWN - 1] + "…"


def _python_type(type_: _DateLike) -> type:
    match type_:
        case inspect.DateTimeType():
            return dt.datetime
        case inspect.DateType():
            return dt.date
        case inspect.TimeType():
            return dt.time


def _annotation(type_: _DateLike) -> Any:
    tz = None if isinstance(type_, inspect.DateType) else type_.tz
    python_type = _python_type(type_)
    return python_type if tz is None else Annotated[python_type, msgspec.Meta(tz=tz)]


def _date_name(type_: _DateLike) -> str:
    if isinstance(type_, inspect.DateType):
        return "a date (2025-01-31)"
    zone = {None: "", True: " with a time zone", False: " without a time zone"}[type_.tz]
    suffix = "Z" if type_.tz else ""
    if isinstance(type_, inspect.TimeType):
        return f"a time{zone} (12:00:00{suffix})"
    return f"a date-time{zone} (2025-01-31T12:00:00{suffix})"
