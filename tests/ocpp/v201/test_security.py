from agent.core.effects import SecurityEvent
from agent.core.values import Stamp
from agent.ocpp.adapter import Call
from agent.ocpp.v201.adapter import Adapter201
from tests.ocpp.v201.facts import NOON, Facts, raw, sent


def told(record):
    call = Adapter201().encode_record(record, Facts(), offline=True)
    return sent(call, "SecurityEventNotification")


def test_a_security_event_is_told_with_its_instant():
    """A04.FR.01; an event that was queued has no mark of it."""
    assert told(SecurityEvent("StartupOfTheDevice", Stamp(1, 0.0), "cold")) == {
        "type": "StartupOfTheDevice",
        "timestamp": NOON,
        "techInfo": "cold",
    }


def test_empty_information_is_left_out():
    assert "techInfo" not in told(SecurityEvent("ResetOrReboot", Stamp(1, 0.0)))


def test_long_texts_are_cut():
    payload = told(SecurityEvent("t" * 60, Stamp(1, 0.0), "i" * 300))
    assert payload["type"] == "t" * 50
    assert payload["techInfo"] == "i" * 255


def test_the_answer_teaches_nothing():
    record = SecurityEvent("ResetOrReboot", Stamp(1, 0.0))
    call = Call("SecurityEventNotification", b"{}")
    assert Adapter201().record_accepted(record, call, raw({})) == ()
