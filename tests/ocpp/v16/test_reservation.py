"""ReserveNow and CancelReservation (1.6 reference 2.3)."""

import json

import pytest

from agent.core.effects import Done, ReservationEnd, ReservationEnded, Verdict
from agent.core.events import ReservationCancelRequested, ReservationRequested
from agent.core.values import IdToken
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16.facts import (
    ADAPTER,
    T0,
    TWO,
    VIEW,
    answer,
    asked,
    raw,
    stamp,
    started,
    told,
)

WISH = {
    "connectorId": 1,
    "expiryDate": "2026-01-15T10:00:00Z",
    "idTag": "A1",
    "reservationId": 11,
}


def reserve(**members):
    return asked("ReserveNow", json.dumps({**WISH, **members}), TWO)


def code(action, payload):
    with pytest.raises(RpcError) as caught:
        asked(action, json.dumps(payload))
    return caught.value.code


def test_a_wish_is_asked_of_the_core():
    assert reserve(parentIdTag="FLEET7").request == ReservationRequested(
        9, 11, IdToken("A1"), T0, 1, "FLEET7"
    )


@pytest.mark.parametrize(("connector", "evse_id"), [(0, None), (2, 1), (3, 2), (4, 3)])
def test_a_connector_names_its_evse_and_0_any(connector, evse_id):
    assert reserve(connectorId=connector).request.evse_id == evse_id


def test_an_expiry_that_says_nothing_has_passed_and_an_empty_group_is_none():
    request = reserve(expiryDate="", parentIdTag="").request
    assert (request.expires_wall_s, request.group) == (0.0, None)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"expiryDate": "soon"}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ({"connectorId": -1}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ({"idTag": "x" * 21}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ({"reservationId": 2**63}, RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION),
        ({"reservationId": "x"}, RpcErrorCode.TYPE_CONSTRAINT_VIOLATION),
    ],
)
def test_a_broken_wish_is_refused(members, expected):
    assert code("ReserveNow", {**WISH, **members}) is expected


def test_a_wish_without_a_member_is_refused():
    assert code("ReserveNow", {}) is RpcErrorCode.OCCURRENCE_CONSTRAINT_VIOLATION
    broken = {"reservationId": "x"}
    assert code("CancelReservation", broken) is RpcErrorCode.TYPE_CONSTRAINT_VIOLATION


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
    assert answer(reserve(), Done(verdict)) == {"status": word}


@pytest.mark.parametrize(
    ("verdict", "word"), [(Verdict.ACCEPTED, "Accepted"), (Verdict.REJECTED, "Rejected")]
)
def test_a_reservation_is_cancelled_by_its_number(verdict, word):
    incoming = asked("CancelReservation", '{"reservationId":11}')
    assert incoming.request == ReservationCancelRequested(9, 11)
    assert answer(incoming, Done(verdict)) == {"status": word}


def test_a_transaction_that_uses_a_reservation_up_names_it():
    assert told(started(reservation_id=11))[1]["reservationId"] == 11
    assert "reservationId" not in told(started())[1]


def test_an_end_is_told_by_the_status_alone():
    record = ReservationEnded(11, ReservationEnd.EXPIRED, stamp())
    assert told(record, VIEW) is None
    call = ADAPTER.encode_record(started(), VIEW, offline=False)
    assert ADAPTER.record_accepted(record, call, raw("{}")) == ()
