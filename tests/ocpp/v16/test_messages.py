"""Every Struct says the same as the official schema of its message, or more exactly."""

import itertools
import typing
from importlib import resources

import msgspec
import pytest
from msgspec import inspect

from agent.core.values import Measurand, ReadingContext
from agent.ocpp.v16 import messages
from agent.ocpp.v16.messages import CSMS_REQUESTS, RESPONSES, STATION_REQUESTS
from tests.support.schemas import inlined, schema, validate

CASES = [
    *(
        (action, type_, False)
        for action, type_ in {**STATION_REQUESTS, **CSMS_REQUESTS}.items()
    ),
    *((action, type_, True) for action, type_ in RESPONSES.items()),
]

# The edition of the schemas in use knows one unit more than all others, and only here.
EXTRA_WORDS = {("MeterValues", "unit"): {"Hertz"}}

# A word that nobody knows has an answer of its own, so that no refusal of the payload is due.
FREE_WORDS = {
    "TriggerMessage.requestedMessage",
    "ExtendedTriggerMessage.requestedMessage",
}

FREE = {"requested_message"}

JSON_TYPES = {
    inspect.StrType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.LiteralType: "string",
    inspect.StructType: "object",
    inspect.VarTupleType: "array",
}


def plain(type_):
    if isinstance(type_, inspect.UnionType):
        (type_,) = (one for one in type_.types if not isinstance(one, inspect.NoneType))
    return type_


def differences(type_, official, action, path):
    """Yield where a type and its schema disagree."""
    type_ = plain(type_)
    if JSON_TYPES[type(type_)] != official["type"]:
        yield path, "type"
    match type_:
        case inspect.StructType(fields=fields):
            names = {field.encode_name for field in fields}
            if names != set(official.get("properties", {})):
                yield path, "members", names ^ set(official.get("properties", {}))
            required = {field.encode_name for field in fields if field.required}
            if required != set(official.get("required", [])):
                yield path, "required", required ^ set(official.get("required", []))
            for field in fields:
                member = official["properties"][field.encode_name]
                yield from differences(
                    field.type, member, action, f"{path}.{field.encode_name}"
                )
        case inspect.VarTupleType(item_type=item):
            if (type_.min_length or 0) < official.get("minItems", 0) or "maxItems" in official:
                yield path, "number of items"
            yield from differences(item, official["items"], action, f"{path}[]")
        case inspect.StrType():
            if type_.max_length != official.get("maxLength"):
                yield path, "maxLength"
            if "enum" in official and path not in FREE_WORDS:
                yield path, "enum"
        case inspect.LiteralType(values=values):
            extra = EXTRA_WORDS.get((action, path.rpartition(".")[2]), set())
            if set(values) != set(official["enum"]) - extra:
                yield path, "enum", set(values) ^ set(official["enum"])
        case inspect.IntType() | inspect.FloatType():
            if set(official) - {"type", "multipleOf", "title", "description"}:
                yield path, "limits"


@pytest.mark.parametrize(("action", "type_", "response"), CASES)
def test_a_struct_agrees_with_the_official_schema(action, type_, response):
    official = inlined(schema("ocpp1.6", action, response=response))
    assert list(differences(inspect.type_info(type_), official, action, action)) == []


def test_the_comparison_notices_every_kind_of_difference():
    class Wrong(msgspec.Struct, rename="camel"):
        connector_id: str
        type: str
        extra: int = 0

    official = schema("ocpp1.6", "ChangeAvailability", response=False)
    del official["properties"]["type"]["enum"]
    official["properties"]["extra"] = {"type": "integer", "maximum": 5}
    official["required"].append("extra")
    found = {kind for _, kind, *_ in differences(inspect.type_info(Wrong), official, "X", "$")}
    assert found == {"required", "type", "limits"}


def test_every_request_has_its_answer():
    assert set(RESPONSES) == set(STATION_REQUESTS) | set(CSMS_REQUESTS)


def test_every_action_of_the_official_schemas_is_known():
    names = {
        path.name.removesuffix(".json")
        for path in resources.files("ocpp").joinpath("v16/schemas").iterdir()
    }
    actions = {
        name for name in names if not name.endswith("Response") and not name.startswith("_")
    }
    assert actions == set(RESPONSES)


def example(type_, *, full):
    """Return a value of a type: the longest texts, all members or only the required ones."""
    type_ = plain(type_)
    match type_:
        case inspect.StructType(cls=cls, fields=fields):
            chosen = [field for field in fields if full or field.required]
            values = {field.name: example(field.type, full=full) for field in chosen}
            return cls(**{**values, **{name: "Heartbeat" for name in values if name in FREE}})
        case inspect.VarTupleType(item_type=item):
            return (example(item, full=full),)
        case inspect.StrType(max_length=longest):
            return "x" * longest if longest else "2026-01-15T10:00:00.000Z"
        case inspect.LiteralType(values=values):
            return values[-1]
        case inspect.IntType():
            return 1
        case inspect.FloatType():
            return 8.1
        case _:
            return True


@pytest.mark.parametrize(("case", "full"), list(itertools.product(CASES, [False, True])))
def test_what_a_struct_writes_validates_and_reads_back(case, full):
    action, type_, response = case
    value = example(inspect.type_info(type_), full=full)
    payload = msgspec.json.encode(value)
    validate("ocpp1.6", action, payload, response=response)
    assert b"null" not in payload
    assert msgspec.json.decode(payload, type=type_) == value


def test_words_are_the_enums_that_the_domain_uses():
    assert {one.value for one in ReadingContext} <= set(typing.get_args(messages.ContextWord))
    assert {one.value for one in Measurand} <= set(typing.get_args(messages.MeasurandWord))
