import datetime as dt
import enum
import math
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from hal.schema import Kind, path_text, violations


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Lenient(enum.Enum):
    KNOWN = "known"

    @classmethod
    def _missing_(cls, value):
        return cls.KNOWN if value == "alias" else None


Name = Annotated[str, Meta(min_length=1, max_length=4, pattern="^[a-z]+$")]
Share = Annotated[float, Meta(ge=0, lt=1)]
Tenth = Annotated[float, Meta(multiple_of=0.5)]
Even = Annotated[int, Meta(gt=0, le=100, multiple_of=2)]


# Two ways to write the same choices that msgspec also accepts.
OrNull = Literal["x", 3, None]  # noqa: PYI061 - null inside the Literal is what is tried
TwoLiterals = Literal["a"] | Literal["b"]  # noqa: PYI030 - two Literals are what is tried


class Leaf(Struct, rename="camel"):
    some_name: Name
    is_on: bool = False
    level: Level = Level.LOW


class Circle(Struct, tag="circle"):
    radius: Share


class Square(Struct, tag="square", forbid_unknown_fields=True):
    side: Even


class Numbered(Struct, tag=7, tag_field="no"):
    text: str = ""


class Pair(Struct, array_like=True):
    first: int
    second: str = ""


class StrictPair(Struct, array_like=True, tag="pair", forbid_unknown_fields=True):
    first: int
    second: str = ""


class StrictOther(Struct, array_like=True, tag="other"):
    third: int


class Ordered(Struct):
    low: int
    high: int

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("low is above high")


class Tree(Struct):
    label: Literal["x", "y", 3] | None = None
    left: "Tree | None" = None
    leaves: Annotated[list["Tree"], Meta(max_length=2)] = msgspec.field(default_factory=list)


class Everything(Struct, omit_defaults=True):
    leaf: Leaf
    colour: Colour
    shape: Circle | Square | None = None
    share: Share | None = None
    tenth: Tenth = 0.0
    even: Even | UnsetType = UNSET
    number: int | float | None = None
    whole_or_word: Annotated[int, Meta(ge=0)] | Literal["auto"] = 0
    colours: Annotated[list[Colour], Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=list
    )
    point: tuple[int, str] = (0, "")
    pairs: tuple[Pair, ...] = ()
    tagged_pair: StrictPair | StrictOther | None = None
    one_pair: StrictPair | None = None
    names: set[Name] = msgspec.field(default_factory=set)
    frozen: Annotated[frozenset[int], Meta(min_length=2)] = frozenset()
    by_name: Annotated[dict[Name, int], Meta(min_length=1, max_length=2)] = msgspec.field(
        default_factory=dict
    )
    at: Annotated[dt.datetime, Meta(tz=True)] | None = None
    local: Annotated[dt.datetime, Meta(tz=False)] | None = None
    day: dt.date | None = None
    hour: dt.time | None = None
    anything: Any = None
    bare: dict | list | None = None
    numbered: Numbered | None = None
    circle: Circle | None = None
    ordered: Ordered | None = None
    tree: Tree | None = None
    lenient: Lenient = Lenient.KNOWN
    thing: object = None


scalars = st.one_of(
    st.sampled_from(
        [None, True, False, 0, 1, 2, 3, 7, 100, 101, -1, 10**400, 0.0, 0.5, 0.3, 1.0, -0.5]
    ),
    st.sampled_from([math.nan, math.inf, "", "a", "abcde", "A", "red", "green", "auto", "x"]),
    st.sampled_from(["circle", "square", "pair", "other", "known", "alias", "2025-01-31"]),
    st.sampled_from(["2025-01-31T12:00:00Z", "2025-01-31T12:00:00", "12:00:00", "ä\n😀"]),
    st.sampled_from(
        [
            dt.datetime(2025, 1, 31, tzinfo=dt.UTC),
            dt.datetime(2025, 1, 31),  # noqa: DTZ001 - TOML has local date-times
            dt.date(2025, 1, 31),
            dt.time(12),
        ]
    ),
    st.integers(),
    st.text(max_size=5),
)
keys = st.one_of(
    st.sampled_from(
        [
            "someName",
            "some_name",
            "isOn",
            "level",
            "type",
            "no",
            "radius",
            "side",
            "low",
            "high",
        ]
    ),
    st.sampled_from(["label", "left", "leaves", "text"]),
    st.text(max_size=5),
)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)
near = st.fixed_dictionaries(
    {
        "leaf": st.fixed_dictionaries({"someName": st.just("ab")}, optional={"isOn": scalars})
        | junk,
        "colour": st.just("red") | scalars,
    },
    optional={
        "shape": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["circle", "square"]) | scalars,
                "radius": st.just(0.5) | scalars,
                "side": st.just(2) | scalars,
            },
        )
        | junk,
        "by_name": st.dictionaries(st.sampled_from(["a", "b", "c", "D"]), scalars, max_size=3),
        "pairs": st.lists(st.tuples(st.just(1) | scalars, st.just("a") | scalars), max_size=2),
        "point": st.tuples(st.integers(), st.text()) | junk,
        "colours": st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3),
        "tagged_pair": st.lists(st.sampled_from(["pair", "other", 1, 2, "x"]), max_size=4),
        "one_pair": st.lists(st.sampled_from(["pair", 1, 2, "x"]), max_size=4),
        "ordered": st.fixed_dictionaries({"low": st.integers(0, 3), "high": st.integers(0, 3)}),
        **{
            field.name: junk
            for field in msgspec.structs.fields(Everything)
            if not field.required
            and field.name
            not in {
                "shape",
                "by_name",
                "pairs",
                "point",
                "colours",
                "tagged_pair",
                "one_pair",
                "ordered",
            }
        },
    },
)


def is_refused(value, type_):
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return True
    return False


def found(value, type_, **options):
    return [(one.kind, one.path, one.message) for one in violations(value, type_, **options)]


@settings(max_examples=300, deadline=None)
@given(near | junk)
@example({"leaf": {"someName": "a"}, "colour": "red"})
def test_a_value_is_refused_exactly_when_msgspec_refuses_it(value):
    assert bool(found(value, Everything)) == is_refused(value, Everything)


FIELDS = [field for field in msgspec.structs.fields(Everything) if not field.required]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@settings(max_examples=40, deadline=None)
@given(value=junk)
def test_every_kind_of_type_agrees_with_msgspec_on_its_own(field, value):
    assert bool(found(value, field.type)) == is_refused(value, field.type)


@pytest.mark.parametrize(
    "type_",
    [
        TwoLiterals | None,
        Annotated[int, Meta(ge=6)] | float,
        float | Annotated[int, Meta(ge=6)],
        float | Literal[6],
        int | str,
        bool | None,
        Level | float,
        list | None,
        StrictOther | dict[str, int],
        dict[Colour, int] | None,
    ],
    ids=str,
)
@settings(max_examples=60, deadline=None)
@given(value=junk | st.sampled_from(["b", 5, 6, 5.5, [1], {"red": 1}, {"type": "circle"}]))
def test_unions_agree_with_msgspec(type_, value):
    assert bool(found(value, type_)) == is_refused(value, type_)


@settings(max_examples=60, deadline=None)
@given(value=near)
def test_unknown_members_are_refused_like_a_type_that_forbids_them(value):
    strict = msgspec.defstruct(
        "Strict", [("leaf", Any), ("colour", Any)], forbid_unknown_fields=True
    )
    loose = msgspec.defstruct("Loose", [("leaf", Any), ("colour", Any)])
    assert bool(found(value, loose, forbid_unknown=True)) == is_refused(value, strict)


def test_every_mistake_is_reported_in_the_order_of_the_document():
    value = {"isOn": 1, "extra": 0, "level": 9}
    assert found(value, Leaf, forbid_unknown=True) == [
        (Kind.TYPE, ("isOn",), "must be true or false, not an integer"),
        (Kind.UNKNOWN, ("extra",), "is not known here (known: someName, isOn, level)"),
        (Kind.CONSTRAINT, ("level",), "must be one of 1, 2"),
        (Kind.MISSING, ("someName",), "is missing (a string)"),
    ]


def test_unknown_members_are_silent_unless_forbidden():
    assert found({"someName": "a", "extra": 0}, Leaf) == []
    assert found({"side": 2, "extra": 0}, Square) == [
        (Kind.UNKNOWN, ("extra",), "is not known here (known: type, side)")
    ]


def test_an_unknown_member_is_told_its_nearest_neighbour():
    [(_, _, message)] = found({"someName": "a", "levle": 1}, Leaf, forbid_unknown=True)
    assert message == "is not known here; did you mean level? (known: someName, isOn, level)"


@pytest.mark.parametrize(
    ("value", "type_", "kind", "path", "message"),
    [
        ({}, Circle | Square, Kind.MISSING, ("type",), 'is missing (one of "circle", "square")'),
        ({"type": 1}, Circle | Square, Kind.TYPE, ("type",), 'must be one of "circle", "square"'),
        ({"type": None, "radius": 0.5}, Circle, Kind.TYPE, ("type",), 'must be "circle"'),
        ({"type": "z"}, Circle | Square, Kind.CONSTRAINT, ("type",),
         'must be one of "circle", "square"'),
        ({"type": "circle", "radius": 2}, Circle | Square, Kind.CONSTRAINT, ("radius",),
         "must be a number (at least 0, less than 1)"),
        ([], StrictPair | StrictOther, Kind.MISSING, (0,), 'is missing (one of "pair", "other")'),
        (["pair", 1, "", 2], StrictPair, Kind.CARDINALITY, (), "must have at most 3 members"),
        ([], Pair, Kind.CARDINALITY, (), "must have at least 1 members"),
        ([1], tuple[int, int], Kind.CARDINALITY, (), "must have exactly 2 members"),
        ([], Annotated[list[int], Meta(min_length=1)], Kind.CARDINALITY, (),
         "must have at least 1 members"),
        ([1, 2], Annotated[list[int], Meta(max_length=1)], Kind.CARDINALITY, (),
         "must have at most 1 members"),
        ([1, "a"], list[int], Kind.TYPE, (1,), "must be an integer, not a string"),
        ({"abcde": 1}, dict[Name, int], Kind.CONSTRAINT, ("abcde",),
         "as a name must have at most 4 characters"),
        ({"a": None}, dict[str, int], Kind.TYPE, ("a",), "must be an integer, not null"),
        ("abcde", Name, Kind.CONSTRAINT, (), "must have at most 4 characters"),
        ("A", Name, Kind.CONSTRAINT, (), "must match ^[a-z]+$"),
        ("blue", Colour, Kind.CONSTRAINT, (), 'must be one of "red", "green"'),
        (4, OrNull, Kind.CONSTRAINT, (), 'must be one of null, 3, "x"'),
        (1.5, int | None, Kind.TYPE, (), "must be an integer, not a number with a fraction"),
        (10**400, float, Kind.CONSTRAINT, (), "must be a number"),
        (3, Even, Kind.CONSTRAINT, (),
         "must be an integer (greater than 0, at most 100, a multiple of 2)"),
        ("now", Annotated[dt.datetime, Meta(tz=True)], Kind.CONSTRAINT, (),
         "must be a date-time with a time zone (2025-01-31T12:00:00Z)"),
        (1, dt.datetime, Kind.TYPE, (),
         "must be a date-time (2025-01-31T12:00:00), not an integer"),
        ("x", dt.date, Kind.CONSTRAINT, (), "must be a date (2025-01-31)"),
        ("x", Annotated[dt.time, Meta(tz=False)], Kind.CONSTRAINT, (),
         "must be a time without a time zone (12:00:00)"),
        (dt.date(2025, 1, 31), str, Kind.TYPE, (), "must be a string, not a date"),
        ({"low": 2, "high": 1}, Ordered, Kind.CONSTRAINT, (), "low is above high"),
        ({}, msgspec.defstruct("Any_", [("a", Any)]), Kind.MISSING, ("a",),
         "is missing (any value)"),
        ({}, msgspec.defstruct("Nested", [("a", Pair | dict)]), Kind.MISSING, ("a",),
         "is missing (an array or an object)"),
        ({}, msgspec.defstruct("Lists", [("a", dict | list)]), Kind.MISSING, ("a",),
         "is missing (an object or an array)"),
        (1, None, Kind.TYPE, (), "must be null, not an integer"),
        (1, Exception, Kind.TYPE, (), "must be a Exception, not an integer"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_kind_its_place_and_what_is_allowed(
    value, type_, kind, path, message
):
    assert found(value, type_) == [(kind, path, message)]


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ([1], Pair),
        ([1, "a", 0], Pair),
        (["pair", 1], StrictPair),
        ({"radius": 0}, Circle),
        ({"no": 7}, Numbered),
        ("alias", Lenient),
        (1, float),
    ],
)
def test_what_msgspec_tolerates_is_no_violation(value, type_):
    assert found(value, type_) == []
    assert not is_refused(value, type_)


def test_raw_takes_any_json_value_as_decoding_does():
    class Envelope(Struct):
        body: Raw

    assert found({"body": {"a": [1]}}, Envelope) == []
    assert [kind for kind, _, _ in found({}, Envelope)] == [Kind.MISSING]


def test_a_mistake_deep_inside_a_recursive_type_has_its_whole_path():
    value = {"left": {"leaves": [{}, {"label": "z"}]}}
    [(kind, path, _)] = found(value, Tree)
    assert (kind, path_text(path)) == (Kind.CONSTRAINT, "$.left.leaves[1].label")


@given(secret=st.text(min_size=5, alphabet="0123456789"))
def test_a_message_never_repeats_the_value(secret):
    for type_ in (Name, Colour, int, dt.datetime, Literal["a"]):
        assert all(secret not in message for _, _, message in found(secret, type_))


def test_a_type_without_a_rule_is_refused_by_name():
    with pytest.raises(TypeError, match="no rule for BytesType"):
        found("aGk=", bytes)


def test_a_path_reads_like_code_and_stays_short():
    assert path_text(()) == "$"
    assert path_text(("csms", 0, "url")) == "$.csms[0].url"
    assert path_text(("settings", "A.B")) == '$.settings["A.B"]'
    assert path_text(("line\nbreak",)) == '$["line?break"]'
    assert path_text(("x" * 100,)) == "$." + "x" * 63 + "…"
