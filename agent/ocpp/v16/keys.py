"""Configuration keys: GetConfiguration and ChangeConfiguration (1.6 reference 2.2 and 7).

A key is the 1.6 name of a setting in agent.core.variables; settings without one do not exist
in 1.6. Keys are compared without regard to case and answered as the table spells them.
"""

from collections.abc import Iterable, Mapping

import msgspec

from agent.core.effects import Outcome, SettingResult, SettingsAnswer, SettingStatus
from agent.core.events import SettingsReadRequested, SettingsWriteRequested
from agent.core.values import Value
from agent.core.variables import (
    PASSWORD,
    RATE_UNIT,
    TABLE,
    Access,
    Kind,
    Settings,
    Variable,
    is_key,
    password_text,
)
from agent.ocpp.adapter import Answered, Incoming, View
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import (
    ChangeConfigurationRequest,
    ChangeConfigurationResponse,
    ConfigurationWord,
    GetConfigurationRequest,
    GetConfigurationResponse,
    KeyValue,
)
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import decode
from agent.ocppj.quirks import Quirk, noted

LONGEST_VALUE = 500
"""Characters of a value that GetConfiguration can show (1.6 CiString500Type)."""

_WORDS: Mapping[SettingStatus, ConfigurationWord] = {
    SettingStatus.ACCEPTED: "Accepted",
    SettingStatus.REJECTED: "Rejected",
    SettingStatus.REBOOT_REQUIRED: "RebootRequired",
    SettingStatus.UNKNOWN: "NotSupported",
}

_QUANTITIES = {"A": "Current", "W": "Power"}
"""What 1.6 calls the units of charging profiles (1.6 reference 7.4)."""
PASSWORD_LENGTHS = (16, 20)
"""Characters of an AuthorizationKey that is no hex (OCTT 2025-06)."""

_FLAGS = {"1": "true", "0": "false"}


def all_keys(table: Iterable[Variable] = TABLE) -> tuple[str, ...]:
    """Return the keys that are shown when the CSMS names none; secrets are not."""
    return tuple(one.key for one in table if one.key and one.access is not Access.WRITE_ONLY)


class _Asked(Value, frozen=True):
    """Keys as asked for, and the settings among them by casefolded key."""

    keys: tuple[str, ...]
    known: Mapping[str, Variable]


def decode_get(payload: msgspec.Raw, request_id: int, view: View) -> Incoming | Answered:
    """Decode GetConfiguration; what only names unknown keys is answered at once."""
    request = decode(payload, GetConfigurationRequest)
    asked = _once(request.key or all_keys(view.settings.table))
    found = ((key.casefold(), by_key(view.settings, key)) for key in asked)
    known = {key: variable for key, variable in found if variable is not None}
    if not known:
        return Answered(wire.encoded(GetConfigurationResponse(unknown_key=asked)))
    names = tuple(variable.name for variable in known.values())
    wanted = SettingsReadRequested(request_id, names)
    return Incoming("GetConfiguration", wanted, _Asked(asked, known))


def respond_get(incoming: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to GetConfiguration: known keys in the order asked, then the rest.

    Raises:
        RpcError: InternalError, because the settings could not be read.
    """
    if not isinstance(outcome, SettingsAnswer):
        raise RpcError(RpcErrorCode.INTERNAL_ERROR, "the configuration could not be read")
    results = {
        result.name.casefold(): result
        for result in outcome.results
        if result.status is not SettingStatus.UNKNOWN
    }
    known, unknown = [], []
    asked = incoming.wire if isinstance(incoming.wire, _Asked) else _Asked((), {})
    for key in asked.keys:
        variable = asked.known.get(key.casefold())
        result = results.get(variable.name.casefold()) if variable else None
        if variable is None or result is None:
            unknown.append(key)
        else:
            known.append(shown(variable, result))
    response = GetConfigurationResponse(
        configuration_key=tuple(known), unknown_key=tuple(unknown)
    )
    return wire.encoded(response)


def shown(variable: Variable, result: SettingResult) -> KeyValue:
    """Return a key with its value; a secret never has one."""
    is_secret = variable.access is Access.WRITE_ONLY
    value = result.value
    if variable is RATE_UNIT and value is not None:
        value = ",".join(_QUANTITIES.get(unit, unit) for unit in value.split(","))
    return KeyValue(
        key=variable.key or variable.name,
        readonly=variable.access is Access.READ_ONLY,
        value=None if is_secret or value is None else value[:LONGEST_VALUE],
    )


def decode_change(payload: msgspec.Raw, request_id: int, view: View) -> Incoming | Answered:
    """Decode ChangeConfiguration; an unknown key is answered at once."""
    request = decode(payload, ChangeConfigurationRequest)
    variable = by_key(view.settings, request.key)
    if variable is None:
        return Answered(wire.encoded(ChangeConfigurationResponse(status="NotSupported")))
    value = request.value
    if variable.kind is Kind.BOOLEAN:
        # Some CSMSs write booleans as digits (1.6 reference 11, number 29).
        digit, value = value, _FLAGS.get(value.strip(), value)
        if value is not digit:
            noted(Quirk.BOOLEAN_AS_DIGIT)
    if variable is PASSWORD:
        value = _password(value)
    wanted = SettingsWriteRequested(request_id, ((variable.name, value),))
    return Incoming("ChangeConfiguration", wanted, request)


def _password(value: str) -> str:
    """Return what an AuthorizationKey stands for; what 1.6 does not know stays too short.

    32 to 40 hex digits are 16 to 20 bytes, 16 to 20 characters are themselves (1.6 1.11).
    """
    if is_key(value):
        return value
    low, high = PASSWORD_LENGTHS
    return password_text(value.encode()) if low <= len(value) <= high else ""


def respond_change(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to ChangeConfiguration."""
    word: ConfigurationWord = "Rejected"
    if isinstance(outcome, SettingsAnswer) and outcome.results:
        word = _WORDS[outcome.results[0].status]
    return wire.encoded(ChangeConfigurationResponse(status=word))


def by_key(settings: Settings, key: str) -> Variable | None:
    """Return the setting of a 1.6 key; by its 2.0.1 name nobody may ask for one here."""
    found = settings.find(key)
    if found is None or found.key is None or found.key.casefold() != key.casefold():
        return None
    return found


def _once(keys: Iterable[str]) -> tuple[str, ...]:
    """Return keys in their order, each once without regard to case."""
    first: dict[str, str] = {}
    for key in keys:
        first.setdefault(key.casefold(), key)
    return tuple(first.values())
