"""Connector statuses of 1.6: how the neutral status is told, and which steps are allowed.

`project` computes one of nine words from the neutral facts; nothing is stored. The CSMS may
only see the steps of `STEPS` (1.6 reference 3.2). A step that is not in the table, such as
Finishing to Charging when a driver starts again without unplugging, is told in two: `via`
gives the status to tell first. For every forbidden step one of Preparing, Finishing and
Available lies between, which is tried in this order, so that a transaction that ended is
seen to end before the next one is prepared.
"""

from collections.abc import Mapping

from agent.core.values import ConnectorStatus, SessionPhase
from agent.ocpp.v16.messages import ErrorWord, StatusWord

STEPS: Mapping[StatusWord, frozenset[StatusWord]] = {
    "Available": frozenset(
        {
            "Preparing",
            "Charging",
            "SuspendedEV",
            "SuspendedEVSE",
            "Reserved",
            "Unavailable",
            "Faulted",
        }
    ),
    "Preparing": frozenset(
        {
            "Available",
            "Charging",
            "SuspendedEV",
            "SuspendedEVSE",
            "Finishing",
            "Unavailable",
            "Faulted",
        }
    ),
    "Charging": frozenset(
        {"Available", "SuspendedEV", "SuspendedEVSE", "Finishing", "Unavailable", "Faulted"}
    ),
    "SuspendedEV": frozenset(
        {"Available", "Charging", "SuspendedEVSE", "Finishing", "Unavailable", "Faulted"}
    ),
    "SuspendedEVSE": frozenset(
        {"Available", "Charging", "SuspendedEV", "Finishing", "Unavailable", "Faulted"}
    ),
    "Finishing": frozenset({"Available", "Preparing", "Unavailable", "Faulted"}),
    "Reserved": frozenset({"Available", "Preparing", "Unavailable", "Faulted"}),
    "Unavailable": frozenset(
        {"Available", "Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Faulted"}
    ),
    "Faulted": frozenset(
        {
            "Available",
            "Preparing",
            "Charging",
            "SuspendedEV",
            "SuspendedEVSE",
            "Finishing",
            "Reserved",
            "Unavailable",
        }
    ),
}
"""From a status to those that may follow it (1.6 reference 3.2, table and transition B8)."""

ERRORS: Mapping[str, ErrorWord] = {
    "ConnectorLockFailure": "ConnectorLockFailure",
    "GroundFailure": "GroundFailure",
    "HighTemperature": "HighTemperature",
    "OverCurrent": "OverCurrentFailure",
    "OverVoltage": "OverVoltage",
    "UnderVoltage": "UnderVoltage",
    "EmergencyStop": "OtherError",
    # EVCommunicationError is a warning that must not come with Faulted (1.6 reference 3.2).
    "PilotFault": "OtherError",
    "DiodeFault": "OtherError",
    "ProximityFault": "OtherError",
    "EVSEContactorFault": "PowerSwitchFailure",
    "PowerMeterFailure": "PowerMeterFailure",
    "ReaderFailure": "ReaderFailure",
    "CommunicationFault": "InternalError",
    "InternalError": "InternalError",
    "LocalListConflict": "LocalListConflict",
    "OtherError": "OtherError",
}
"""From the MREC name of a fault, or a warning, to the errorCode (hardware reference 1.1)."""

_PHASES: Mapping[SessionPhase, StatusWord] = {
    SessionPhase.FREE: "Available",
    SessionPhase.PREPARING: "Preparing",
    SessionPhase.CHARGING: "Charging",
    SessionPhase.SUSPENDED_EV: "SuspendedEV",
    SessionPhase.SUSPENDED_EVSE: "SuspendedEVSE",
    SessionPhase.FINISHING: "Finishing",
}

_RUNNING = frozenset(
    {SessionPhase.CHARGING, SessionPhase.SUSPENDED_EV, SessionPhase.SUSPENDED_EVSE}
)

_BETWEEN = (SessionPhase.PREPARING, SessionPhase.FINISHING, SessionPhase.FREE)


def project(status: ConnectorStatus) -> StatusWord:
    """Return the 1.6 status: Faulted, else a running transaction, else Unavailable.

    The order is that of the 1.6 reference, appendix C, "effective availability".
    """
    if status.fault is not None:
        return "Faulted"
    if not status.is_operative and status.phase not in _RUNNING:
        return "Unavailable"
    if status.is_reserved:
        return "Reserved"
    if status.phase is SessionPhase.FREE and status.is_plugged:
        return "Preparing"
    return _PHASES[status.phase]


def error_code(status: ConnectorStatus) -> ErrorWord:
    """Return the errorCode of a fault, else of a warning; OtherError if it has none."""
    cause = status.fault or status.warning
    return "NoError" if cause is None else ERRORS.get(cause, "OtherError")


def via(previous: ConnectorStatus | None, status: ConnectorStatus) -> ConnectorStatus | None:
    """Return the status to tell between two, None when the direct step is allowed.

    Args:
        previous: what the CSMS last acknowledged for this connector, None when nothing.
        status: what it shall know next.
    """
    if previous is None:
        return None
    before, after = project(previous), project(status)
    if after == before or after in STEPS[before]:
        return None
    between = (_passing(status, phase) for phase in _BETWEEN)
    return next(
        (
            one
            for one in between
            if project(one) in STEPS[before] and after in STEPS[project(one)]
        ),
        None,
    )


def _passing(status: ConnectorStatus, phase: SessionPhase) -> ConnectorStatus:
    """Return the status of a connector that only passes through a phase."""
    is_plugged = status.is_plugged and phase is not SessionPhase.FREE
    return ConnectorStatus(
        status.evse_id, status.connector_id, is_plugged, phase, is_operative=True
    )
