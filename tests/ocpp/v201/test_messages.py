from pathlib import Path

import msgspec
import ocpp.v201
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from agent.ocpp.v201 import messages
from agent.ocpp.v201.messages import CSMS_REQUESTS, RESPONSES, STATION_REQUESTS, UNSUPPORTED
from tests.support.schemas import schema, validate

SCHEMAS = Path(ocpp.v201.__file__).parent / "schemas"
DATES = {
    "cacheExpiryDateTime",
    "currentTime",
    "expiryDateTime",
    "installDateTime",
    "latestTimestamp",
    "oldestTimestamp",
    "retrieveDateTime",
    "startSchedule",
    "scheduleStart",
    "departureTime",
    "timeBase",
    "timestamp",
    "validFrom",
    "validTo",
}
# A word that nobody knows has an answer of its own, so that no refusal of the payload is due.
FREE_WORDS = {"TriggerMessage.requestedMessage"}
MESSAGES = [
    *((action, "Request", kind) for action, kind in STATION_REQUESTS.items()),
    *((action, "Request", kind) for action, kind in CSMS_REQUESTS.items()),
    *((action, "Response", kind) for action, kind in RESPONSES.items()),
]


def differences(type_, official, root, path):
    """Yield where a Struct and an official schema disagree."""
    if "$ref" in official:
        official = root["definitions"][official["$ref"].rpartition("/")[2]]
    match type_:
        case inspect.UnionType(types=types):
            real = [one for one in types if not isinstance(one, inspect.NoneType)]
            yield from differences(real[0], official, root, path)
        case inspect.StructType(fields=fields):
            yield from struct_differences(fields, official, root, path)
        case inspect.VarTupleType(item_type=item):
            if (type_.min_length, type_.max_length) != (
                official.get("minItems"),
                official.get("maxItems"),
            ):
                yield f"{path}: number of items"
            yield from differences(item, official["items"], root, f"{path}[]")
        case inspect.StrType():
            if official["type"] != "string" or ("enum" in official and path not in FREE_WORDS):
                yield f"{path}: no text"
            if type_.max_length != official.get("maxLength"):
                yield f"{path}: length"
        case inspect.LiteralType():
            if set(type_.values) != set(official["enum"]):
                yield f"{path}: words"
        case inspect.IntType():
            if official["type"] != "integer" or type_.ge != official.get("minimum", -(2**63)):
                yield f"{path}: no integer"
        case inspect.FloatType():
            if official["type"] != "number":
                yield f"{path}: no number"
        case inspect.BoolType():
            if official["type"] != "boolean":
                yield f"{path}: no boolean"
        case inspect.AnyType():
            if "type" in official:
                yield f"{path}: not any"
        case _:
            yield f"{path}: {type_}"


def struct_differences(fields, official, root, path):
    properties = official.get("properties", {})
    if {field.encode_name for field in fields} != set(properties) - {"customData"}:
        yield f"{path}: names"
    if {field.encode_name for field in fields if field.required} != set(
        official.get("required", [])
    ):
        yield f"{path}: required"
    for field in fields:
        yield from differences(
            field.type, properties[field.encode_name], root, f"{path}.{field.encode_name}"
        )
        if not field.required and field.default is not None:
            yield f"{path}.{field.encode_name}: default"


@pytest.mark.parametrize(("action", "direction", "kind"), MESSAGES)
def test_structs_say_what_the_official_schemas_say(action, direction, kind):
    official = schema("ocpp2.0.1", action, response=direction == "Response")
    assert not list(differences(inspect.type_info(kind), official, official, action))


def test_every_action_of_the_specification_is_either_here_or_unsupported():
    known = {path.stem.removesuffix("Request") for path in SCHEMAS.glob("*Request.json")}
    here = set(STATION_REQUESTS) | set(CSMS_REQUESTS)
    assert known == here | UNSUPPORTED
    assert not here & UNSUPPORTED
    assert set(RESPONSES) == here


def payloads(type_, name=""):
    """Return a strategy for JSON values that a type takes."""
    match type_:
        case inspect.UnionType(types=types):
            real = [one for one in types if not isinstance(one, inspect.NoneType)]
            return payloads(real[0], name)
        case inspect.StructType(fields=fields):
            return st.fixed_dictionaries(
                {one.encode_name: member(one) for one in fields if one.required},
                optional={one.encode_name: member(one) for one in fields if not one.required},
            )
        case inspect.VarTupleType(item_type=item):
            return st.lists(payloads(item), min_size=type_.min_length or 0, max_size=3)
        case inspect.StrType() if name in DATES:
            return st.sampled_from(["2025-01-01T12:00:00.000Z", "2025-06-01T12:00:00Z"])
        case inspect.StrType() if name == "requestedMessage":
            return st.sampled_from(["Heartbeat", "MeterValues"])
        case inspect.StrType():
            return st.text(max_size=min(type_.max_length or 60, 60))
        case inspect.LiteralType(values=values):
            return st.sampled_from(sorted(values))
        case inspect.IntType():
            return st.integers(min_value=type_.ge, max_value=type_.le)
        case inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=False)
        case inspect.BoolType():
            return st.booleans()
        case _:
            return st.sampled_from(["text", 1, 2.5, True, ["a"], {"a": None}])


def member(field):
    return payloads(field.type, field.encode_name)


@pytest.mark.parametrize(("action", "direction", "kind"), MESSAGES)
@settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_valid_payloads_are_read_and_written_again_unchanged(action, direction, kind, data):
    payload = data.draw(payloads(inspect.type_info(kind)))
    text = msgspec.json.encode(payload)
    validate("ocpp2.0.1", action, text, response=direction == "Response")
    wire = msgspec.json.decode(text, type=kind)
    assert msgspec.json.decode(msgspec.json.encode(wire)) == payload


@pytest.mark.parametrize(("action", "direction", "kind"), MESSAGES)
@settings(max_examples=5, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_null_custom_data_and_unknown_members_change_nothing(action, direction, kind, data):
    payload = data.draw(payloads(inspect.type_info(kind)))
    plain = msgspec.json.decode(msgspec.json.encode(payload), type=kind)
    odd = with_oddities(payload, inspect.type_info(kind))
    assert msgspec.json.decode(msgspec.json.encode(odd), type=kind) == plain


def with_oddities(value, type_):
    """Return a payload with null for every absent member, customData and unknown members."""
    match type_, value:
        case inspect.UnionType(types=types), _:
            real = [one for one in types if not isinstance(one, inspect.NoneType)]
            return with_oddities(value, real[0])
        case inspect.StructType(fields=fields), dict():
            odd = {
                one.encode_name: with_oddities(value[one.encode_name], one.type)
                if one.encode_name in value
                else None
                for one in fields
            }
            return {**odd, "customData": {"vendorId": "x", "y": 1}, "unheardOf": [1]}
        case inspect.VarTupleType(item_type=item), list():
            return [with_oddities(one, item) for one in value]
        case _:
            return value


@pytest.mark.parametrize("name", ["validFrom", "validTo", "startSchedule"])
def test_a_charging_profile_with_an_unreadable_date_is_refused(name):
    profile = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [
            {
                "id": 1,
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
            }
        ],
    }
    holder = profile["chargingSchedule"][0] if name == "startSchedule" else profile
    holder[name] = "tomorrow"
    text = msgspec.json.encode({"evseId": 1, "chargingProfile": profile})
    with pytest.raises(msgspec.ValidationError, match="no date and time"):
        msgspec.json.decode(text, type=messages.SetChargingProfileRequest)
    holder[name] = "2025-01-01T12:00:00Z"
    text = msgspec.json.encode({"evseId": 1, "chargingProfile": profile})
    assert msgspec.json.decode(text, type=messages.SetChargingProfileRequest).evse_id == 1
