"""The nine statuses: projection, error codes, allowed steps (1.6 reference 3)."""

import itertools
from typing import get_args

import pytest
from msgspec.structs import replace

from agent.core.availability import LIST_CONFLICT
from agent.core.values import ConnectorStatus, SessionPhase
from agent.ocpp.v16.messages import ErrorWord, StatusWord
from agent.ocpp.v16.statuses import ERRORS, STEPS, error_code, project, via
from hal.types import Fault

FREE = ConnectorStatus(1, 1, is_plugged=False, phase=SessionPhase.FREE, is_operative=True)
PLUGGED = replace(FREE, is_plugged=True)

PROJECTED = {
    "Available": FREE,
    "Preparing": replace(PLUGGED, phase=SessionPhase.PREPARING),
    "Charging": replace(PLUGGED, phase=SessionPhase.CHARGING),
    "SuspendedEV": replace(PLUGGED, phase=SessionPhase.SUSPENDED_EV),
    "SuspendedEVSE": replace(PLUGGED, phase=SessionPhase.SUSPENDED_EVSE),
    "Finishing": replace(PLUGGED, phase=SessionPhase.FINISHING),
    "Reserved": replace(FREE, is_reserved=True),
    "Unavailable": replace(FREE, is_operative=False),
    "Faulted": replace(FREE, fault="GroundFailure"),
}

# The table of 3.2, typed in again row by row; x marks a step that may be reported.
COLUMNS = [
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEV",
    "SuspendedEVSE",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
]
TABLE_3_2 = {
    "Available": ". x x x x . x x x",
    "Preparing": "x . x x x x . x x",
    "Charging": "x . . x x x . x x",
    "SuspendedEV": "x . x . x x . x x",
    "SuspendedEVSE": "x . x x . x . x x",
    "Finishing": "x x . . . . . x x",
    "Reserved": "x x . . . . . x x",
    "Unavailable": "x x x x x . . . x",
    "Faulted": "x x x x x x x x .",
}


def test_the_steps_are_those_of_the_table():
    assert set(STEPS) == set(get_args(StatusWord))
    for before, row in TABLE_3_2.items():
        allowed = {word for word, mark in zip(COLUMNS, row.split(), strict=True) if mark == "x"}
        assert STEPS[before] == allowed, before


@pytest.mark.parametrize(("word", "status"), list(PROJECTED.items()))
def test_a_neutral_status_is_projected(word, status):
    assert project(status) == word


def test_a_vehicle_at_a_reserved_connector_changes_nothing():
    assert project(replace(PLUGGED, is_reserved=True)) == "Reserved"
    assert project(replace(FREE, is_reserved=True, is_operative=False)) == "Unavailable"


def test_a_token_without_a_cable_is_preparing():
    assert project(replace(FREE, phase=SessionPhase.PREPARING)) == "Preparing"


def test_a_cable_without_a_session_is_preparing():
    assert project(PLUGGED) == "Preparing"


@pytest.mark.parametrize("phase", list(SessionPhase))
def test_inoperative_shows_unless_a_transaction_runs(phase):
    word = project(replace(PLUGGED, phase=phase, is_operative=False))
    running = {
        SessionPhase.CHARGING: "Charging",
        SessionPhase.SUSPENDED_EV: "SuspendedEV",
        SessionPhase.SUSPENDED_EVSE: "SuspendedEVSE",
    }
    assert word == running.get(phase, "Unavailable")


@pytest.mark.parametrize("phase", list(SessionPhase))
@pytest.mark.parametrize("operative", [True, False])
def test_a_fault_shows_before_everything_else(phase, operative):
    status = replace(PLUGGED, phase=phase, is_operative=operative, fault="OverCurrent")
    assert (project(status), error_code(status)) == ("Faulted", "OverCurrentFailure")


def test_without_a_fault_there_is_no_error():
    assert error_code(FREE) == "NoError"


def test_every_fault_of_the_hardware_has_an_error_code():
    assert set(ERRORS) == {fault.value for fault in Fault} | {LIST_CONFLICT}
    assert set(ERRORS.values()) <= set(get_args(ErrorWord))


def test_a_warning_has_its_code_beside_the_status_and_a_fault_goes_before_it():
    warned = replace(FREE, warning=LIST_CONFLICT)
    assert (project(warned), error_code(warned)) == ("Available", "LocalListConflict")
    assert error_code(replace(warned, fault="OverCurrent")) == "OverCurrentFailure"


def test_a_fault_nobody_listed_is_another_error():
    assert error_code(replace(FREE, fault="WaterIngress")) == "OtherError"


def test_a_vehicle_communication_error_never_comes_with_faulted():
    assert "EVCommunicationError" not in ERRORS.values()


@pytest.mark.parametrize(("before", "after"), list(itertools.product(PROJECTED, repeat=2)))
def test_every_step_is_allowed_or_told_in_two_allowed_ones(before, after):
    between = via(PROJECTED[before], PROJECTED[after])
    if before == after or after in STEPS[before]:
        assert between is None
    else:
        assert project(between) in STEPS[before]
        assert after in STEPS[project(between)]
        assert (between.evse_id, between.connector_id, between.info) == (1, 1, "")


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        ("Finishing", "Preparing", "Charging"),
        ("Finishing", "Preparing", "SuspendedEVSE"),
        ("Charging", "Finishing", "Preparing"),
        ("SuspendedEV", "Finishing", "Preparing"),
        ("Available", "Preparing", "Finishing"),
        ("Unavailable", "Preparing", "Finishing"),
        ("Preparing", "Available", "Reserved"),
        ("Finishing", "Available", "Reserved"),
        ("Reserved", "Preparing", "Charging"),
    ],
)
def test_the_status_between_is_the_one_the_reference_names(before, between, after):
    assert project(via(PROJECTED[before], PROJECTED[after])) == between


def test_a_first_report_needs_no_step_before_it():
    assert via(None, PROJECTED["Charging"]) is None


def test_a_new_info_alone_needs_no_step_before_it():
    assert via(FREE, replace(FREE, info="EV side disconnected")) is None
