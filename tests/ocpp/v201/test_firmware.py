import pytest

from agent.core.effects import Done, StatusRepeated, Verdict
from agent.core.events import UpdateRequested
from agent.core.orders import FirmwareReported, FirmwareStatus, UpdateOrder
from agent.core.values import Stamp
from agent.ocpp.v201.adapter import Adapter201
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v201.facts import NOON, NOON_S, Facts, answer, asked, raw, sent

FIRMWARE = {
    "location": "https://host/image",
    "retrieveDateTime": NOON,
    "signingCertificate": "PEM",
    "signature": "c2ln",
}
WIRE = {"requestId": 77, "firmware": FIRMWARE}
HEARD = FirmwareReported(FirmwareStatus.INSTALLED, Stamp(1, 0.0), 77)


def test_an_order_names_image_signer_and_dates():
    firmware = {**FIRMWARE, "installDateTime": "2025-01-01T13:00:00Z"}
    payload = {"requestId": 77, "firmware": firmware, "retries": 0, "retryInterval": 5}
    order = UpdateOrder(77, "https://host/image", NOON_S, NOON_S + 3600, "PEM", "c2ln", 0, 5)
    assert asked("UpdateFirmware", payload).request == UpdateRequested(7, order)


def test_an_order_may_come_without_signature():
    firmware = {"location": "ftp://host/image", "retrieveDateTime": NOON}
    order = asked("UpdateFirmware", {"requestId": 77, "firmware": firmware}).request.order
    assert order == UpdateOrder(77, "ftp://host/image", NOON_S)


@pytest.mark.parametrize("name", ["retrieveDateTime", "installDateTime"])
def test_a_date_that_is_none_is_refused(name):
    payload = {"requestId": 77, "firmware": {**FIRMWARE, name: "tonight"}}
    with pytest.raises(RpcError, match=name) as refused:
        Adapter201().decode("UpdateFirmware", raw(payload), 7, Facts())
    assert refused.value.code is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.ACCEPTED_CANCELED, "AcceptedCanceled"),
        (Verdict.INVALID_CERTIFICATE, "InvalidCertificate"),
        (Verdict.REVOKED_CERTIFICATE, "RevokedCertificate"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.NOT_SUPPORTED, "Rejected"),
        (Verdict.FAILED, "Rejected"),
    ],
)
def test_the_answer_has_the_verdict_and_the_reason(verdict, word):
    incoming = asked("UpdateFirmware", WIRE)
    payload = Adapter201().respond(incoming, Done(verdict, "InvalidURL", "why"), Facts())
    assert answer("UpdateFirmware", payload) == {
        "status": word,
        "statusInfo": {"reasonCode": "InvalidURL", "additionalInfo": "why"},
    }


@pytest.mark.parametrize("status", FirmwareStatus)
def test_every_status_is_told_with_the_id_of_its_order(status):
    call = Adapter201().encode_record(
        FirmwareReported(status, Stamp(1, 0.0), 77), Facts(), offline=False
    )
    expected = {"status": status.value, "requestId": 77}
    assert sent(call, "FirmwareStatusNotification") == expected


def test_who_asks_is_told_once_more():
    call = Adapter201().encode_message(StatusRepeated(HEARD, is_extended=True), Facts())
    expected = {"status": "Installed", "requestId": 77}
    assert sent(call, "FirmwareStatusNotification") == expected


def test_the_answers_teach_nothing():
    call = Adapter201().encode_record(HEARD, Facts(), offline=False)
    assert Adapter201().record_accepted(HEARD, call, raw({})) == ()
    repeated = StatusRepeated(HEARD, is_extended=True)
    assert Adapter201().message_accepted(repeated, raw({})) == ()
