"""StatusNotification and ChangeAvailability."""

import pytest
from msgspec.structs import replace

from agent.core.effects import Done, HeartbeatSent, StatusReported, Verdict
from agent.core.events import AvailabilityRequested, StatusAcknowledged
from agent.core.values import ConnectorStatus, SessionPhase, StationInfo
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16.facts import ADAPTER, TWO, FixedView, answer, asked, raw, said, stamp

FREE = ConnectorStatus(1, 1, is_plugged=False, phase=SessionPhase.FREE, is_operative=True)
STATION = replace(FREE, evse_id=0, connector_id=0)


def reported(status, previous=None, **options):
    return said(StatusReported(status, previous, stamp()), **options)


def test_a_status_carries_connector_error_and_time():
    assert reported(FREE) == (
        "StatusNotification",
        {
            "connectorId": 1,
            "errorCode": "NoError",
            "status": "Available",
            "timestamp": "2026-01-15T10:00:00.000Z",
        },
    )


def test_the_station_is_connector_zero():
    found = reported(replace(STATION, is_operative=False))[1]
    assert (found["connectorId"], found["status"]) == (0, "Unavailable")


def test_a_connector_is_numbered_over_all_evses():
    assert reported(replace(FREE, evse_id=2), view=TWO)[1]["connectorId"] == 3


@pytest.mark.parametrize("phase", list(SessionPhase))
def test_every_phase_validates(phase):
    assert reported(replace(FREE, is_plugged=True, phase=phase))[1]["status"]


def test_the_same_projection_is_not_told_again():
    preparing = replace(FREE, phase=SessionPhase.PREPARING)
    assert reported(preparing, replace(preparing, is_plugged=True)) is None
    assert reported(FREE, FREE) is None


@pytest.mark.parametrize(
    "changed",
    [
        replace(FREE, phase=SessionPhase.PREPARING),
        replace(FREE, fault="GroundFailure"),
        replace(FREE, info="EV side disconnected"),
        replace(FREE, is_operative=False),
    ],
)
def test_a_change_of_status_error_or_info_is_told(changed):
    assert reported(changed, FREE) is not None
    assert reported(FREE, changed) is not None


def test_another_fault_under_the_same_error_code_is_told():
    pilot, diode = replace(FREE, fault="PilotFault"), replace(FREE, fault="DiodeFault")
    assert reported(diode, pilot)[1]["errorCode"] == "OtherError"


def test_a_fault_with_a_code_of_its_own_needs_no_vendor_code():
    found = reported(replace(FREE, fault="GroundFailure", info="RCD tripped"))[1]
    assert (found["status"], found["errorCode"], found["info"]) == (
        "Faulted",
        "GroundFailure",
        "RCD tripped",
    )
    assert "vendorErrorCode" not in found
    assert "vendorId" not in found


def test_a_fault_without_one_is_named_in_the_vendor_code():
    found = reported(replace(FREE, fault="DiodeFault"))[1]
    assert (found["errorCode"], found["vendorErrorCode"], found["vendorId"]) == (
        "OtherError",
        "DiodeFault",
        "Acme",
    )


def test_a_station_without_a_vendor_has_no_vendor_id():
    view = FixedView(info=StationInfo("CP001", "", "EV22"))
    assert "vendorId" not in reported(replace(FREE, fault="DiodeFault"), view=view)[1]


def test_long_texts_are_cut():
    found = reported(replace(FREE, fault="F" * 60, info="i" * 60))[1]
    assert (found["vendorErrorCode"], found["info"]) == ("F" * 50, "i" * 50)


def test_a_forbidden_step_is_told_in_two_reports_that_follow_each_other():
    finishing = replace(FREE, is_plugged=True, phase=SessionPhase.FINISHING)
    charging = replace(finishing, phase=SessionPhase.CHARGING)
    first, second = ADAPTER.expand(StatusReported(charging, finishing, stamp(5)))
    assert [said(one)[1]["status"] for one in (first, second)] == ["Preparing", "Charging"]
    assert (first.previous, second.previous, second.status) == (
        finishing,
        first.status,
        charging,
    )
    assert first.at == second.at == stamp(5)
    assert ADAPTER.expand(second) == (second,)


def test_an_allowed_step_and_a_first_report_stay_one_report():
    preparing = replace(FREE, phase=SessionPhase.PREPARING)
    for message in (
        StatusReported(preparing, FREE, stamp()),
        StatusReported(FREE, None, stamp()),
    ):
        assert ADAPTER.expand(message) == (message,)


def test_only_statuses_are_expanded():
    assert ADAPTER.expand(HeartbeatSent()) == (HeartbeatSent(),)


@pytest.mark.parametrize("payload", ["{}", "null", "[]", '{"status":"x"}'])
def test_any_answer_acknowledges_the_status(payload):
    message = StatusReported(FREE, None, stamp())
    assert ADAPTER.message_accepted(message, raw(payload)) == (StatusAcknowledged(FREE),)


@pytest.mark.parametrize(
    ("connector", "places"),
    [(0, (None, None)), (1, (1, 1)), (2, (1, 2)), (3, (2, 1)), (4, (3, 1)), (10**30, (3, 1))],
)
def test_change_availability_names_the_place(connector, places):
    incoming = asked(
        "ChangeAvailability", f'{{"connectorId":{connector},"type":"Inoperative"}}', TWO
    )
    assert incoming.request == AvailabilityRequested(9, False, *places)


def test_operative_is_the_other_word():
    assert asked("ChangeAvailability", '{"connectorId":1,"type":"Operative"}').request.operative


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.SCHEDULED, "Scheduled"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.UNKNOWN_EVSE, "Rejected"),
        (Verdict.NOT_SUPPORTED, "Rejected"),
        (Verdict.FAILED, "Rejected"),
    ],
)
def test_change_availability_is_answered(verdict, word):
    incoming = asked("ChangeAvailability", '{"connectorId":1,"type":"Operative"}')
    assert answer(incoming, Done(verdict)) == {"status": word}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ('{"connectorId":1}', RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"connectorId":-1,"type":"Operative"}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ('{"connectorId":1,"type":"operative"}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ('{"connectorId":"one","type":"Operative"}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ('"Operative"', RpcErrorCode.FORMAT_VIOLATION),
    ],
)
def test_a_broken_change_is_refused(payload, code):
    with pytest.raises(RpcError) as caught:
        asked("ChangeAvailability", payload)
    assert caught.value.code is code
