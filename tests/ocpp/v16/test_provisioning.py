"""BootNotification, Heartbeat, Reset."""

import pytest

from agent.core.effects import BootReported, Done, HeartbeatSent, Verdict
from agent.core.events import BootAnswered, HeartbeatAnswered, ResetKind, ResetRequested
from agent.core.values import BootReason, RegistrationStatus, StationInfo
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.quirks import Quirk, begin
from tests.ocpp.v16.facts import ADAPTER, T0, FixedView, answer, asked, raw, said

BOOT = BootReported(BootReason.POWER_UP)


def booted(payload):
    (event,) = ADAPTER.message_accepted(BOOT, raw(payload))
    return event


def test_a_boot_introduces_the_station():
    assert said(BOOT) == (
        "BootNotification",
        {
            "chargePointVendor": "Acme",
            "chargePointModel": "EV22",
            "chargePointSerialNumber": "SN0001",
            "firmwareVersion": "1.4.2",
        },
    )


FULL = StationInfo(
    "CP001",
    "Acme",
    "EV22",
    box_serial_number="BX" * 20,
    iccid="8" * 30,
    imsi="2" * 30,
    meter_type="T" * 30,
    meter_serial_number="M" * 30,
)


def test_modem_cabinet_and_meter_are_told_where_they_are_known():
    told = said(BOOT, FixedView(info=FULL))[1]
    assert {name: len(text) for name, text in told.items()} == {
        "chargePointVendor": 4,
        "chargePointModel": 4,
        "chargeBoxSerialNumber": 25,
        "iccid": 20,
        "imsi": 20,
        "meterType": 25,
        "meterSerialNumber": 25,
    }


def test_what_is_unknown_is_left_out():
    view = FixedView(
        info=StationInfo("CP001", "Acme", "EV22", serial_number="", firmware_version=None)
    )
    assert set(said(BOOT, view)[1]) == {"chargePointVendor", "chargePointModel"}


def test_long_names_are_cut():
    view = FixedView(info=StationInfo("CP001", "v" * 60, "m" * 60, "s" * 60, "f" * 60))
    assert {name: len(text) for name, text in said(BOOT, view)[1].items()} == {
        "chargePointVendor": 20,
        "chargePointModel": 20,
        "chargePointSerialNumber": 25,
        "firmwareVersion": 50,
    }


@pytest.mark.parametrize("word", ["Accepted", "Pending", "Rejected"])
def test_every_registration_is_understood(word):
    event = booted(f'{{"status":"{word}","currentTime":"2026-01-15T10:00:00Z","interval":300}}')
    assert event == BootAnswered(RegistrationStatus(word), 300, T0)


@pytest.mark.parametrize(
    ("written", "wall_s"),
    [
        ('"2026-01-15T10:00:00"', T0),
        ('"2026-01-15T10:00:00.0000000Z"', T0),
        ('"2026-01-15t11:00:00+0100"', T0),
        ('"1970-01-01T00:00:00Z"', 0.0),
        ('"now"', None),
        ('""', None),
        ("null", None),
        ("1768471200", None),
    ],
)
def test_the_csms_clock_is_read_leniently(written, wall_s):
    event = booted(f'{{"status":"Accepted","currentTime":{written},"interval":300}}')
    assert event.csms_wall_s == wall_s
    (beat,) = ADAPTER.message_accepted(HeartbeatSent(), raw(f'{{"currentTime":{written}}}'))
    assert beat == HeartbeatAnswered(wall_s)


@pytest.mark.parametrize(
    ("written", "interval_s"),
    [
        ("0", 0),
        ("-5", -5),
        ("300.0", 300),
        ('"300"', 300),
        ("300000000", 300_000_000),
        ("null", 0),
        ('"often"', 0),
        ("1.5", 0),
    ],
)
def test_the_interval_is_passed_on_as_sent(written, interval_s):
    assert (
        booted(f'{{"status":"Accepted","currentTime":"","interval":{written}}}').interval_s
        == interval_s
    )


@pytest.mark.parametrize(
    ("status", "interval", "is_noted"),
    [
        ("Accepted", 10, False),
        ("Accepted", 9, True),
        ("Accepted", 86_400, False),
        ("Accepted", 86_401, True),
        ("Accepted", 0, False),
        ("Accepted", '"often"', True),
        ("Pending", 1, False),
        ("Pending", 604_800, False),
        ("Pending", 604_801, True),
        ("Rejected", -1, True),
    ],
)
def test_an_interval_that_cannot_be_meant_is_noted(status, interval, is_noted):
    found = begin()
    now = "2026-01-15T10:00:00Z"
    booted(f'{{"status":"{status}","currentTime":"{now}","interval":{interval}}}')
    assert found == [Quirk.ODD_INTERVAL] * is_noted


def test_a_registration_is_one_without_clock_and_interval():
    assert booted('{"status":"accepted"}') == BootAnswered(RegistrationStatus.ACCEPTED, 0, None)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("{}", RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION),
        ('{"status":"Maybe"}', RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ('{"status":null}', RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
        ("[]", RpcErrorCode.FORMAT_VIOLATION),
    ],
)
def test_an_answer_without_a_status_is_unusable(payload, code):
    with pytest.raises(RpcError) as caught:
        booted(payload)
    assert caught.value.code is code


def test_a_heartbeat_is_empty():
    assert said(HeartbeatSent()) == ("Heartbeat", {})


def test_an_empty_answer_to_a_heartbeat_tells_no_time():
    assert ADAPTER.message_accepted(HeartbeatSent(), raw("{}")) == (HeartbeatAnswered(None),)


@pytest.mark.parametrize(
    ("word", "kind"), [("Soft", ResetKind.GRACEFUL), ("Hard", ResetKind.IMMEDIATE)]
)
def test_reset(word, kind):
    incoming = asked("Reset", f'{{"type":"{word}"}}')
    assert incoming.request == ResetRequested(9, kind)
    assert answer(incoming, Done(Verdict.ACCEPTED)) == {"status": "Accepted"}
    assert answer(incoming, Done(Verdict.SCHEDULED)) == {"status": "Accepted"}
    assert answer(incoming, Done(Verdict.REJECTED)) == {"status": "Rejected"}
    assert answer(incoming, Done(Verdict.FAILED)) == {"status": "Rejected"}


def test_a_reset_of_an_unknown_kind_is_refused():
    with pytest.raises(RpcError) as caught:
        asked("Reset", '{"type":"Warm"}')
    assert caught.value.code is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION
