"""Reading and writing settings (OCPP 1.6 Get/ChangeConfiguration, 2.0.1 B05, B06)."""

from collections.abc import Callable

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Reply, SettingResult, SettingsAnswer, SettingStatus
from agent.core.events import (
    CredentialOffered,
    Event,
    IntervalLearned,
    Origin,
    SettingChanged,
    SettingsReadRequested,
    SettingsWriteRequested,
)
from agent.core.turn import Turn
from agent.core.variables import Access, Refusal, Settings, Variable

Guard = Callable[[Variable, str], Refusal | None]
"""Returns why a canonical value cannot be taken in the present state of the station."""


def step(settings: Settings, event: Event, guard: Guard) -> Turn[Settings]:
    """Answer a request about settings; items of one request do not depend on each other."""
    match event:
        case SettingsReadRequested(request_id=request_id, names=names):
            asked = names or tuple(
                item.name for item in settings.table if item.access is not Access.WRITE_ONLY
            )
            results = tuple(_named(settings, name) for name in asked)
            return Turn(settings, (Reply(request_id, SettingsAnswer(results)),))
        case SettingsWriteRequested():
            return _written(settings, event, guard)
        case IntervalLearned(interval_s=interval_s):
            return _learned(settings, variables.HEARTBEAT_INTERVAL, str(interval_s))
        case _:
            return Turn(settings)


def read(settings: Settings, variable: Variable) -> SettingResult:
    """Return the value of a setting, unless it may only be written."""
    if variable.access is Access.WRITE_ONLY:
        return SettingResult(variable.name, SettingStatus.REJECTED, reason="WriteOnly")
    return SettingResult(variable.name, SettingStatus.ACCEPTED, value=settings.text(variable))


def accepted(variable: Variable) -> SettingStatus:
    """Return what becomes of a new value that was taken."""
    return SettingStatus.REBOOT_REQUIRED if variable.needs_reboot else SettingStatus.ACCEPTED


def _named(settings: Settings, name: str) -> SettingResult:
    variable = settings.find(name)
    if variable is None:
        return SettingResult(name, SettingStatus.UNKNOWN)
    return read(settings, variable)


def _written(settings: Settings, event: SettingsWriteRequested, guard: Guard) -> Turn[Settings]:
    results: list[SettingResult] = []
    raised: list[Event] = []
    for name, text in event.items:
        variable = settings.find(name)
        if variable is None:
            results.append(SettingResult(name, SettingStatus.UNKNOWN))
            continue
        if variable.access is Access.READ_ONLY:
            results.append(_rejected(variable, "ReadOnly"))
            continue
        value = variables.checked(variable, text)
        if isinstance(value, Refusal):
            results.append(_rejected(variable, value.reason))
            continue
        refusal = guard(variable, value)
        if refusal is not None:
            results.append(_rejected(variable, refusal.reason))
            continue
        if variable.is_credential:
            raised.append(CredentialOffered(variable.name, value))
            results.append(SettingResult(variable.name, SettingStatus.ACCEPTED))
            continue
        turn = _learned(settings, variable, value, event.origin)
        settings, raised = turn.state, [*raised, *turn.raised]
        results.append(SettingResult(variable.name, accepted(variable), value=value))
    answer = Reply(event.request_id, SettingsAnswer(tuple(results)))
    return Turn(settings, (answer,), tuple(raised))


def _rejected(variable: Variable, reason: str) -> SettingResult:
    return SettingResult(variable.name, SettingStatus.REJECTED, reason=reason)


def _learned(
    settings: Settings, variable: Variable, value: str, origin: Origin = Origin.CSMS
) -> Turn[Settings]:
    """Keep a value; one that is in force already costs no write."""
    if settings.text(variable) == value:
        return Turn(settings)
    changed = {**settings.changed, variable.name: (value, origin.value)}
    return Turn(replace(settings, changed=changed), (), (SettingChanged(variable.name),))
