"""SecurityEventNotification."""

import pytest

from agent.core.effects import SecurityEvent
from tests.ocpp.v16.facts import ADAPTER, VIEW, raw, stamp, told


def test_an_event_carries_type_time_and_text():
    assert told(SecurityEvent("StartupOfTheDevice", stamp(), "boot 7")) == (
        "SecurityEventNotification",
        {
            "type": "StartupOfTheDevice",
            "timestamp": "2026-01-15T10:00:00.000Z",
            "techInfo": "boot 7",
        },
    )


def test_long_texts_are_cut_and_empty_ones_left_out():
    found = told(SecurityEvent("t" * 60, stamp(), "i" * 300))[1]
    assert (len(found["type"]), len(found["techInfo"])) == (50, 255)
    assert "techInfo" not in told(SecurityEvent("t", stamp()))[1]


@pytest.mark.parametrize(
    ("name", "name_16"),
    [
        ("FailedToAuthenticateAtCsms", "FailedToAuthenticateAtCentralSystem"),
        ("CsmsFailedToAuthenticate", "CentralSystemFailedToAuthenticate"),
        ("InvalidCsmsCertificate", "InvalidCentralSystemCertificate"),
        ("InvalidChargingStationCertificate", "InvalidChargePointCertificate"),
        ("MemoryExhaustion", "MemoryExhaustion"),
        ("VendorEvent", "VendorEvent"),
    ],
)
def test_an_event_has_its_16_name(name, name_16):
    assert told(SecurityEvent(name, stamp()))[1]["type"] == name_16


def test_the_answer_teaches_nothing():
    record = SecurityEvent("StartupOfTheDevice", stamp())
    call = ADAPTER.encode_record(record, VIEW, offline=False)
    assert ADAPTER.record_accepted(record, call, raw("[]")) == ()
