"""GetVariables and SetVariables over the table of settings (reference 4.3).

A request is taken apart when it comes in. Items whose address no setting has are decided
here and now: unknown component, unknown variable, an attribute other than Actual. The core
is asked only for the rest, by canonical name, and answers in order; the answer to the CSMS
then puts both together in the order of the request. When nothing is left to ask for, the
core is not bothered.

Addresses compare without regard to case, and an empty instance is no instance
(B06.FR.14, B06.FR.15). The settings have no component instances and live at the station's
tier, but for what a connector is (agent.core.plugs): any other address with an instance or an
EVSE names nothing here. Results echo the caller's spelling.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from agent.core import plugs
from agent.core.effects import (
    Done,
    Outcome,
    SettingResult,
    SettingsAnswer,
    SettingStatus,
)
from agent.core.events import SettingsReadRequested, SettingsWriteRequested
from agent.core.values import Value
from agent.core.variables import (
    MAX_KEYS,
    MAX_SET_ITEMS,
    PASSWORD,
    SECURITY_PROFILE,
    TABLE,
    Settings,
    Variable,
    password_text,
)
from agent.ocpp.v201 import status
from agent.ocpp.v201.datatypes import (
    Attribute,
    Component,
    GetVariableData,
    GetVariableResult,
    GetVariableStatus,
    SetVariableData,
    SetVariableResult,
    SetVariableStatus,
    WireVariable,
)
from agent.ocpp.v201.messages import (
    GetVariablesRequest,
    GetVariablesResponse,
    SetVariablesRequest,
    SetVariablesResponse,
)
from agent.ocppj.errors import RpcError, RpcErrorCode

Unresolved: TypeAlias = Literal[
    "UnknownComponent", "UnknownVariable", "NotSupportedAttributeType", "Rejected"
]

NOTHING = SettingsAnswer(())
"""The core's answer to a plan that asks it for nothing."""

_LONGEST_VALUE = 2500  # GetVariableResultType.attributeValue

_READ: Mapping[SettingStatus, GetVariableStatus] = {
    SettingStatus.ACCEPTED: "Accepted",
    SettingStatus.REBOOT_REQUIRED: "Accepted",
    SettingStatus.REJECTED: "Rejected",
    SettingStatus.UNKNOWN: "UnknownVariable",
}
_WRITTEN: Mapping[SettingStatus, SetVariableStatus] = {
    SettingStatus.ACCEPTED: "Accepted",
    SettingStatus.REBOOT_REQUIRED: "RebootRequired",
    SettingStatus.REJECTED: "Rejected",
    SettingStatus.UNKNOWN: "UnknownVariable",
}


def _indexed(table: tuple[Variable, ...]) -> Mapping[str, Mapping[tuple[str, str], Variable]]:
    """Return settings by component, then by variable and instance, all casefolded."""
    index: dict[str, dict[tuple[str, str], Variable]] = {}
    for item in table:
        variables = index.setdefault(item.component.casefold(), {})
        variables[item.variable.casefold(), (item.instance or "").casefold()] = item
    return index


_INDEX = _indexed(TABLE)


class ReadPlan(Value, frozen=True):
    """A GetVariables, with what each item addresses; as long as the request."""

    items: tuple[GetVariableData, ...]
    found: tuple[Variable | Unresolved, ...]


class WritePlan(Value, frozen=True):
    """A SetVariables, with what each item addresses; as long as the request."""

    items: tuple[SetVariableData, ...]
    found: tuple[Variable | Unresolved, ...]


def resolved(
    component: Component,
    variable: WireVariable,
    attribute: Attribute | None,
    custom: tuple[Variable, ...] = (),
) -> Variable | Unresolved:
    """Return the setting at an address, or the status that says why there is none.

    Args:
        custom: settings of this station alone, beside the table.
    """
    name = component.name.casefold()
    variables = _INDEX.get(name) or _indexed(custom).get(name)
    if variables is None or component.instance:
        return "UnknownComponent"
    instance = (variable.instance or "").casefold()
    if name == plugs.COMPONENT.casefold() or component.evse is not None:
        place = _connector(component)
        if place not in {known for _, known in variables}:
            return "UnknownComponent"
        if instance:
            return "UnknownVariable"
        instance = place
    setting = variables.get((variable.name.casefold(), instance))
    if setting is None:
        return "UnknownVariable"
    if attribute not in {None, "Actual"}:
        return "NotSupportedAttributeType"
    return setting


def _connector(component: Component) -> str:
    """Return how the table writes the connector of an address; nothing has it without one."""
    evse = component.evse
    if evse is None or evse.connector_id is None:
        return "nowhere"
    return f"{evse.id}.{evse.connector_id}"


def read_plan(wire: GetVariablesRequest, settings: Settings) -> ReadPlan:
    """Return what a GetVariables addresses.

    Raises:
        RpcError: it has more items than ItemsPerMessage[GetVariables] (B06.FR.16).
    """
    items = wire.get_variable_data
    _limit(len(items), settings.integer(MAX_KEYS), "getVariableData")
    return ReadPlan(items, tuple(_found(item, settings) for item in items))


def write_plan(wire: SetVariablesRequest, settings: Settings) -> WritePlan:
    """Return what a SetVariables addresses.

    Raises:
        RpcError: it has more items than ItemsPerMessage[SetVariables].
    """
    items = wire.set_variable_data
    _limit(len(items), settings.integer(MAX_SET_ITEMS), "setVariableData")
    found = (_found(item, settings) for item in items)
    # Read-only here: it changes with the network profile that is dialed (A05).
    return WritePlan(
        items, tuple("Rejected" if one is SECURITY_PROFILE else one for one in found)
    )


def read_request(plan: ReadPlan, request_id: int) -> SettingsReadRequested | None:
    """Return what to ask the core; None when no item names a setting."""
    names = tuple(item.name for item in plan.found if isinstance(item, Variable))
    return SettingsReadRequested(request_id, names) if names else None


def write_request(plan: WritePlan, request_id: int) -> SettingsWriteRequested | None:
    """Return what to ask the core; None when no item names a setting."""
    items = tuple(
        (found.name, _value(found, item.attribute_value))
        for item, found in zip(plan.items, plan.found, strict=True)
        if isinstance(found, Variable)
    )
    return SettingsWriteRequested(request_id, items) if items else None


def _value(setting: Variable, text: str) -> str:
    """Return a value as the core takes it; a password is text here, and hex only in 1.6."""
    return password_text(text.encode()) if setting is PASSWORD else text


def read_answer(plan: ReadPlan, outcome: Outcome) -> GetVariablesResponse:
    """Return the answer to a GetVariables, in the order of its items."""
    results = _results(plan, outcome)
    return GetVariablesResponse(
        tuple(_read(item, result) for item, result in zip(plan.items, results, strict=True))
    )


def write_answer(plan: WritePlan, outcome: Outcome) -> SetVariablesResponse:
    """Return the answer to a SetVariables, in the order of its items."""
    results = _results(plan, outcome)
    return SetVariablesResponse(
        tuple(_written(item, result) for item, result in zip(plan.items, results, strict=True))
    )


def _found(
    item: GetVariableData | SetVariableData, settings: Settings
) -> Variable | Unresolved:
    return resolved(item.component, item.variable, item.attribute_type, settings.custom)


def _limit(count: int, most: int, member: str) -> None:
    if count > most:
        raise RpcError(
            RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION,
            f"$.{member} has {count} items; ItemsPerMessage allows {most}",
        )


def _results(
    plan: ReadPlan | WritePlan, outcome: Outcome
) -> Iterator[SettingResult | Unresolved]:
    """Yield, item by item, what the core said or what was clear without it."""
    names = [item.name for item in plan.found if isinstance(item, Variable)]
    answers = iter(_answers(names, outcome))
    for item in plan.found:
        yield next(answers) if isinstance(item, Variable) else item


def _answers(names: list[str], outcome: Outcome) -> tuple[SettingResult, ...]:
    """Return one result per name; a verdict on the whole request counts for each."""
    if isinstance(outcome, Done):
        return tuple(
            SettingResult(name, SettingStatus.REJECTED, reason=outcome.reason) for name in names
        )
    if not isinstance(outcome, SettingsAnswer) or len(outcome.results) != len(names):
        raise AssertionError(f"{len(names)} results for settings were expected: {outcome}")
    return outcome.results


def _read(item: GetVariableData, result: SettingResult | Unresolved) -> GetVariableResult:
    attribute = item.attribute_type or "Actual"
    if not isinstance(result, SettingResult):
        return GetVariableResult(result, item.component, item.variable, attribute)
    word = _READ[result.status]
    # B06.FR.13: a value that was never set is the empty string.
    value = (result.value or "")[:_LONGEST_VALUE] if word == "Accepted" else None
    info = status.info(result.reason)
    return GetVariableResult(word, item.component, item.variable, attribute, value, info)


def _written(item: SetVariableData, result: SettingResult | Unresolved) -> SetVariableResult:
    attribute = item.attribute_type or "Actual"
    if not isinstance(result, SettingResult):
        return SetVariableResult(result, item.component, item.variable, attribute)
    word, info = _WRITTEN[result.status], status.info(result.reason)
    return SetVariableResult(word, item.component, item.variable, attribute, info)
