import pytest

from agent.core.effects import BootReported, Done, HeartbeatSent, Verdict
from agent.core.events import BootAnswered, HeartbeatAnswered, ResetKind, ResetRequested
from agent.core.values import BootReason, RegistrationStatus, StationInfo
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError
from tests.ocpp.v201.facts import NOON, NOON_S, Facts, answer, asked, raw, sent

BOOT = BootReported(BootReason.POWER_UP)


def booted(payload):
    (event,) = Adapter201().message_accepted(BOOT, raw(payload))
    return event


def test_the_station_introduces_itself():
    """B01.FR.01."""
    info = StationInfo("CP001", "Example", "Wallbox One", "EX-0001", "1.0.0")
    call = Adapter201().encode_message(BOOT, Facts(info=info))
    assert sent(call, "BootNotification") == {
        "chargingStation": {
            "model": "Wallbox One",
            "vendorName": "Example",
            "serialNumber": "EX-0001",
            "firmwareVersion": "1.0.0",
        },
        "reason": "PowerUp",
    }


@pytest.mark.parametrize("reason", list(BootReason))
def test_every_boot_reason_is_told_as_it_is(reason):
    """B01.FR.09."""
    call = Adapter201().encode_message(BootReported(reason), Facts())
    assert sent(call, "BootNotification")["reason"] == reason.value


def test_what_the_station_does_not_know_of_itself_is_left_out():
    station = sent(Adapter201().encode_message(BOOT, Facts()), "BootNotification")
    assert station["chargingStation"] == {"model": "One", "vendorName": "Example"}


def test_long_names_are_cut_to_what_the_schema_holds():
    info = StationInfo("CP001", "v" * 60, "m" * 60, "s" * 60, "f" * 60)
    call = Adapter201().encode_message(BOOT, Facts(info=info))
    assert sent(call, "BootNotification")["chargingStation"] == {
        "model": "m" * 20,
        "vendorName": "v" * 50,
        "serialNumber": "s" * 25,
        "firmwareVersion": "f" * 50,
    }


@pytest.mark.parametrize("status", list(RegistrationStatus))
def test_the_answer_to_the_introduction_is_taken_as_sent(status):
    payload = {"status": status.value, "interval": 300, "currentTime": NOON}
    assert booted(payload) == BootAnswered(status, 300, NOON_S)


@pytest.mark.parametrize(
    "current_time",
    [
        None,
        "",
        "noon",
        0,
        {},
        "1970-01-01T00:00:00Z",
        "2024-12-31T23:59:59Z",
        "2100-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_a_clock_that_is_missing_or_absurd_is_none_and_the_rest_counts(current_time):
    payload = {"status": "Accepted", "interval": 60, "currentTime": current_time}
    assert booted(payload) == BootAnswered(RegistrationStatus.ACCEPTED, 60, None)
    (event,) = Adapter201().message_accepted(
        HeartbeatSent(), raw({"currentTime": current_time})
    )
    assert event == HeartbeatAnswered(None)


def test_a_missing_interval_leaves_it_to_the_station():
    assert booted({"status": "Accepted"}) == BootAnswered(RegistrationStatus.ACCEPTED, 0, None)


def test_an_interval_with_a_fraction_or_as_text_is_understood():
    assert booted({"status": "Accepted", "interval": 60.9}).interval_s == 60
    assert booted({"status": "Accepted", "interval": "60"}).interval_s == 60


def test_a_status_in_another_case_is_understood():
    assert booted({"status": "accepted"}).status is RegistrationStatus.ACCEPTED


@pytest.mark.parametrize("payload", ["{}", "[]", '{"status": "Welcome"}', '{"status": null}'])
def test_an_answer_that_does_not_say_whether_we_are_accepted_is_unusable(payload):
    with pytest.raises(RpcError):
        booted(payload)


def test_a_heartbeat_is_empty_and_brings_the_time():
    call = Adapter201().encode_message(HeartbeatSent(), Facts())
    assert sent(call, "Heartbeat") == {}
    (event,) = Adapter201().message_accepted(HeartbeatSent(), raw({"currentTime": NOON}))
    assert event == HeartbeatAnswered(NOON_S)


def test_a_heartbeat_answer_that_is_no_object_is_unusable():
    with pytest.raises(RpcError):
        Adapter201().message_accepted(HeartbeatSent(), raw("[]"))


@pytest.mark.parametrize(
    ("payload", "request_"),
    [
        ({"type": "Immediate"}, ResetRequested(7, ResetKind.IMMEDIATE)),
        ({"type": "OnIdle"}, ResetRequested(7, ResetKind.ON_IDLE)),
        ({"type": "OnIdle", "evseId": 1}, ResetRequested(7, ResetKind.ON_IDLE, 1)),
    ],
)
def test_a_reset_is_asked_of_the_core(payload, request_):
    """B11, B12."""
    assert asked("Reset", payload).request == request_


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (Done(Verdict.ACCEPTED), {"status": "Accepted"}),
        (Done(Verdict.SCHEDULED), {"status": "Scheduled"}),
        (
            Done(Verdict.REJECTED, "FwUpdateInProgress", "wait"),
            {
                "status": "Rejected",
                "statusInfo": {"reasonCode": "FwUpdateInProgress", "additionalInfo": "wait"},
            },
        ),
        (
            Done(Verdict.NOT_SUPPORTED),
            {"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedRequest"}},
        ),
    ],
)
def test_a_reset_is_answered_with_its_outcome(outcome, answered):
    """B11.FR.06, B11.FR.09, B12.FR.01."""
    incoming = asked("Reset", {"type": "OnIdle"})
    payload = Adapter201().respond(incoming, outcome, Facts())
    assert answer("Reset", payload) == answered


@pytest.mark.parametrize(
    ("iccid", "imsi", "modem"),
    [
        ("8931", None, {"iccid": "8931"}),
        (None, "2" * 30, {"imsi": "2" * 20}),
        ("8931", "2040", {"iccid": "8931", "imsi": "2040"}),
    ],
)
def test_a_modem_is_told_where_it_is_known(iccid, imsi, modem):
    info = StationInfo("CP001", "Example", "One", iccid=iccid, imsi=imsi)
    call = Adapter201().encode_message(BootReported(BootReason.POWER_UP), Facts(info=info))
    assert sent(call, "BootNotification")["chargingStation"]["modem"] == modem
