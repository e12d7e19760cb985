import pytest

from agent.core.effects import Done, ReservationEnd, ReservationEnded, Verdict
from agent.core.events import ReservationCancelRequested, ReservationRequested
from agent.core.values import ConnectorStatus, IdToken, SessionPhase, Stamp
from agent.ocpp.adapter import Answered
from agent.ocpp.v201.adapter import Adapter201
from agent.ocpp.v201.availability import projected
from hal.types import TokenType
from tests.ocpp.v201.facts import NOON, NOON_S, Facts, answer, asked, raw, sent, started

WISH = {"id": 11, "expiryDateTime": NOON, "idToken": {"idToken": "A1", "type": "Local"}}
TOKEN = IdToken("A1", TokenType.LOCAL)


def responded(incoming, outcome):
    return answer(incoming.action, Adapter201().respond(incoming, outcome, Facts()))


def test_a_wish_is_asked_of_the_core():
    """H01."""
    group = {"idToken": "FLEET", "type": "Central"}
    more = {"evseId": 2, "connectorType": "sType2", "groupIdToken": group}
    assert asked("ReserveNow", WISH).request == ReservationRequested(7, 11, TOKEN, NOON_S)
    assert asked("ReserveNow", {**WISH, **more}).request == ReservationRequested(
        7, 11, TOKEN, NOON_S, 2, "FLEET"
    )


def test_an_expiry_that_cannot_be_read_has_passed_and_an_empty_group_is_none():
    group = {"idToken": "", "type": "Local"}
    payload = {**WISH, "expiryDateTime": "soon", "groupIdToken": group}
    request = Adapter201().decode("ReserveNow", raw(payload), 7, Facts()).request
    assert (request.expires_wall_s, request.group) == (0.0, None)


def test_an_evse_is_not_chosen_by_the_type_of_its_connector():
    found = asked("ReserveNow", {**WISH, "connectorType": "cCCS2"})
    assert isinstance(found, Answered)
    told = answer("ReserveNow", found.payload)
    assert (told["status"], told["statusInfo"]["reasonCode"]) == (
        "Rejected",
        "UnsupportedParam",
    )


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.FAULTED, "Faulted"),
        (Verdict.OCCUPIED, "Occupied"),
        (Verdict.UNAVAILABLE, "Unavailable"),
    ],
)
def test_a_verdict_becomes_a_status(verdict, word):
    assert responded(asked("ReserveNow", WISH), Done(verdict))["status"] == word


def test_a_reservation_is_cancelled_by_its_number():
    """H02."""
    incoming = asked("CancelReservation", {"reservationId": 11})
    assert incoming.request == ReservationCancelRequested(7, 11)
    assert responded(incoming, Done(Verdict.ACCEPTED)) == {"status": "Accepted"}


@pytest.mark.parametrize("end", ReservationEnd)
def test_an_end_is_told(end):
    """H04."""
    record = ReservationEnded(11, end, Stamp(1, 0.0))
    call = Adapter201().encode_record(record, Facts(), offline=False)
    assert sent(call, "ReservationStatusUpdate") == {
        "reservationId": 11,
        "reservationUpdateStatus": end.value,
    }
    assert Adapter201().record_accepted(record, call, raw({})) == ()


def test_a_transaction_that_uses_a_reservation_up_names_it():
    """H01.FR.15."""
    call = Adapter201().encode_record(started(reservation_id=11), Facts(), offline=False)
    assert sent(call, "TransactionEvent")["reservationId"] == 11


@pytest.mark.parametrize("is_plugged", [False, True])
def test_a_vehicle_at_a_reserved_connector_changes_nothing(is_plugged):
    """G01.FR.09."""
    phase = SessionPhase.PREPARING if is_plugged else SessionPhase.FREE
    facts = ConnectorStatus(1, 1, is_plugged, phase, is_operative=True, is_reserved=True)
    assert projected(facts) == "Reserved"
