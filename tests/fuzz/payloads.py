"""Payloads that fit the official 1.6 schemas, and payloads that just do not.

`payloads` draws what fits. `flawed` spoils one place of a payload that fits, and says which
error code that kind of mistake deserves (1.6 reference 1.8, rows 9 to 12). Nothing here
knows the station's own types: the schemas of the `ocpp` package are the only source.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.support import schemas

V16 = "ocpp1.6"

ACTIONS = (
    "CancelReservation",
    "CertificateSigned",
    "ChangeAvailability",
    "ChangeConfiguration",
    "ClearCache",
    "ClearChargingProfile",
    "DataTransfer",
    "DeleteCertificate",
    "ExtendedTriggerMessage",
    "GetCompositeSchedule",
    "GetConfiguration",
    "GetDiagnostics",
    "GetInstalledCertificateIds",
    "GetLocalListVersion",
    "GetLog",
    "InstallCertificate",
    "RemoteStartTransaction",
    "RemoteStopTransaction",
    "ReserveNow",
    "Reset",
    "SendLocalList",
    "SetChargingProfile",
    "SignedUpdateFirmware",
    "TriggerMessage",
    "UnlockConnector",
    "UpdateFirmware",
)
"""Every request of the CSMS."""

MISSING = "OccurenceConstraintViolation"
TYPE = "TypeConstraintViolation"
VALUE = "PropertyConstraintViolation"
SHAPE = "FormationViolation"

LENIENT = frozenset(
    {
        ("TriggerMessage", "requestedMessage"),  # an unknown word has its own status
        ("ExtendedTriggerMessage", "requestedMessage"),
        ("DataTransfer", "data"),  # an object is handed over as text
    }
)
"""Members of which the reference wants more to be taken than the schema does."""

INSTANTS = (
    "2027-01-15T08:00:00Z",
    "2027-01-15T09:00:00.123Z",
    "2027-01-15T08:30:00+02:00",
    "2099-12-31T23:59:59Z",
    "9999-12-31T23:59:59Z",
    "1970-01-01T00:00:00Z",
)
WORDS = {
    "connectorId": (0, 1, 1, 1, 2, 99, -1),
    "idTag": ("04A1B2C3", "0BADCAFE", "", "x" * 20),
    "parentIdTag": ("FLEET7",),
    "key": ("HeartbeatInterval", "MeterValueSampleInterval", "NumberOfConnectors", "Coffee"),
    "value": ("0", "7", "-1", "true", "Voltage", "1600000000", "x" * 500),
    "transactionId": (1, 0, -1, 4711),
    "reservationId": (1, 2, -7),
    "listVersion": (1, 2, 3, 0, -1),
    "stackLevel": (0, 1, 9, 10, -1),
    "startPeriod": (0, 0, 60, 10),
    "vendorId": ("nobody.example",),
}
NUMBERS = (0, 1, 2, 7, 60, -1, 86_400, 2**31 - 1, -(2**31), 1_600_000_000)


NEVER_EMPTY = frozenset({"chargingSchedulePeriod"})
"""Lists that the text of the specification wants filled, though the schema does not."""


class Flaw(NamedTuple):
    """A payload with one mistake, where it is, and the codes that it deserves."""

    where: str
    payload: Any
    codes: frozenset[str]


def payloads(action: str) -> st.SearchStrategy[dict[str, Any]]:
    """Return payloads of an action that fit its schema."""
    official = schemas.schema(V16, action, response=False)
    return _drawn(official, official, action)


def whole(action: str) -> dict[str, Any]:
    """Return a payload with every member that an action may have, two of every list."""
    official = schemas.schema(V16, action, response=False)
    payload: dict[str, Any] = _whole(official, official, action)
    return payload


def flaws(action: str, payload: dict[str, Any]) -> Iterator[Flaw]:
    """Yield every way to spoil one place of a payload."""
    official = schemas.schema(V16, action, response=False)
    for where, spoilt, codes in _spoilt(official, official, payload, ""):
        if (action, where.rpartition(".")[2].partition(" ")[0]) not in LENIENT:
            yield Flaw(where, spoilt, frozenset(codes))
    for shape in ("text", 7, [], True):
        yield Flaw(f"is {shape!r}", shape, frozenset({SHAPE}))


def _resolved(node: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = root["definitions"][node["$ref"].rpartition("/")[2]]
    return node


def _drawn(node: dict[str, Any], root: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
    node = _resolved(node, root)
    match node:
        case {"enum": words}:
            return st.sampled_from(words)
        case {"type": "object"}:
            members = node.get("properties", {})
            drawn = {key: _drawn(one, root, key) for key, one in members.items()}
            required = {key: drawn.pop(key) for key in node.get("required", ())}
            return st.fixed_dictionaries(required, optional=drawn)
        case {"type": "array"}:
            least = max(node.get("minItems", 0), int(name in NEVER_EMPTY))
            return st.lists(_drawn(node["items"], root, name), min_size=least, max_size=4)
        case _:
            return st.sampled_from(_values(node, name))


def _values(node: dict[str, Any], name: str) -> tuple[Any, ...]:
    match node:
        case {"type": "string", "format": "date-time"}:
            return INSTANTS
        case {"type": "string", "format": "uri"}:
            return ("ftp://127.0.0.1:1/logs", "nonsense://x")
        case {"type": "string"}:
            most = node.get("maxLength", 600)
            return WORDS.get(name, ("", "a", "Ωß\u0000", "x" * most))
        case {"type": "integer"}:
            return WORDS.get(name, NUMBERS)
        case {"type": "number"}:
            return (0, 6, 16.0, 8.1, 32, -1, 1e9)
        case _:
            raise AssertionError(f"{name}: no values for {node}")


def _whole(node: dict[str, Any], root: dict[str, Any], name: str) -> Any:
    node = _resolved(node, root)
    match node:
        case {"enum": [first, *_]}:
            return first
        case {"type": "object"}:
            members = node.get("properties", {})
            return {key: _whole(one, root, key) for key, one in members.items()}
        case {"type": "array"}:
            return [_whole(node["items"], root, name) for _ in range(2)]
        case _:
            return _values(node, name)[0]


def _spoilt(
    node: dict[str, Any], root: dict[str, Any], value: Any, where: str
) -> Iterator[tuple[str, Any, set[str]]]:
    node = _resolved(node, root)
    match node:
        case {"type": "object"}:
            yield from _spoilt_object(node, root, value, where)
        case {"type": "array"}:
            if node.get("minItems"):
                yield f"{where} is empty", [], {MISSING}
            for at, one in enumerate(value):
                for inner, spoilt, codes in _spoilt(node["items"], root, one, f"{where}.{at}"):
                    yield inner, [*value[:at], spoilt, *value[at + 1 :]], codes
        case _:
            for spoilt, codes in _spoilt_scalar(node):
                yield f"{where} is {str(spoilt)[:20]!r}", spoilt, codes
    if where:
        for wrong in ([1, 2], {"a": 1}, True):
            if _is_another_type(node, wrong):
                yield f"{where} is {wrong!r}", wrong, {TYPE}


def _spoilt_object(
    node: dict[str, Any], root: dict[str, Any], value: dict[str, Any], where: str
) -> Iterator[tuple[str, Any, set[str]]]:
    for key, member in node.get("properties", {}).items():
        if key not in value:
            continue
        if key in node.get("required", ()):
            rest = {other: one for other, one in value.items() if other != key}
            yield f"{where}.{key} is missing", rest, {MISSING}
            yield f"{where}.{key} is null", {**value, key: None}, {MISSING, TYPE}
        for inner, spoilt, codes in _spoilt(member, root, value[key], f"{where}.{key}"):
            yield inner, {**value, key: spoilt}, codes


def _spoilt_scalar(node: dict[str, Any]) -> Iterator[tuple[Any, set[str]]]:
    match node:
        case {"type": "integer"} | {"type": "number"}:
            yield "seven", {TYPE}
            yield "", {TYPE}
            if node["type"] == "integer":
                yield 1.5, {TYPE}
        case {"type": "string"}:
            yield 7, {TYPE}
            if "enum" in node:
                yield "Nonsense", {VALUE}
            if "maxLength" in node:
                yield "x" * (node["maxLength"] + 1), {VALUE}
            if node.get("format") == "date-time":
                yield "tomorrow", {VALUE}


def _is_another_type(node: dict[str, Any], wrong: Any) -> bool:
    names = {"object": dict, "array": list}
    return not isinstance(wrong, names.get(node.get("type", ""), ()))
