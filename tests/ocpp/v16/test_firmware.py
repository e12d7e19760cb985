"""Firmware messages of 1.6, with and without the security extension."""

import json

import pytest

from agent.core.effects import Done, StatusRepeated, Verdict
from agent.core.events import UpdateRequested
from agent.core.orders import FirmwareReported, FirmwareStatus, UpdateOrder
from agent.ocppj.errors import RpcError, RpcErrorCode
from tests.ocpp.v16 import facts
from tests.ocpp.v16.facts import ADAPTER, T0, VIEW, answer, raw, said, stamp, told

AT = "2026-01-15T10:00:00Z"
UNSIGNED = {"location": "ftp://host/image", "retrieveDate": AT}
SIGNED = {
    "requestId": 77,
    "firmware": {
        "location": "https://host/image",
        "retrieveDateTime": AT,
        "signingCertificate": "PEM",
        "signature": "c2ln",
    },
}


def asked(action, payload):
    return facts.asked(action, json.dumps(payload))


def test_an_unsigned_order():
    request = asked("UpdateFirmware", UNSIGNED).request
    assert request == UpdateRequested(9, UpdateOrder(None, "ftp://host/image", T0))


def test_retries_are_bounded():
    payload = {**UNSIGNED, "retries": 10**9, "retryInterval": -3}
    order = asked("UpdateFirmware", payload).request.order
    assert (order.retries, order.retry_interval_s) == (20, 0)


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.REJECTED, Verdict.FAILED])
def test_an_unsigned_order_is_answered_without_a_status(verdict):
    assert answer(asked("UpdateFirmware", UNSIGNED), Done(verdict)) == {}


def test_a_station_for_signed_updates_only_does_not_support_others():
    done = Done(Verdict.NOT_SUPPORTED, "MissingParam", "only signed firmware is taken")
    with pytest.raises(RpcError, match="only signed") as refused:
        answer(asked("UpdateFirmware", UNSIGNED), done)
    assert refused.value.code is RpcErrorCode.NOT_SUPPORTED


def test_a_signed_order():
    firmware = {**SIGNED["firmware"], "installDateTime": "2026-01-15T11:00:00Z"}
    payload = {**SIGNED, "firmware": firmware, "retries": 0, "retryInterval": 5}
    request = asked("SignedUpdateFirmware", payload).request
    order = UpdateOrder(77, "https://host/image", T0, T0 + 3600, "PEM", "c2ln", 0, 5)
    assert request == UpdateRequested(9, order)


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.ACCEPTED, "Accepted"),
        (Verdict.ACCEPTED_CANCELED, "AcceptedCanceled"),
        (Verdict.INVALID_CERTIFICATE, "InvalidCertificate"),
        (Verdict.REVOKED_CERTIFICATE, "RevokedCertificate"),
        (Verdict.REJECTED, "Rejected"),
        (Verdict.NOT_SUPPORTED, "Rejected"),
    ],
)
def test_a_signed_order_is_answered_by_its_verdict(verdict, word):
    found = answer(asked("SignedUpdateFirmware", SIGNED), Done(verdict))
    assert found == {"status": word}


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("UpdateFirmware", {**UNSIGNED, "retrieveDate": "soon"}),
        (
            "SignedUpdateFirmware",
            {**SIGNED, "firmware": {**SIGNED["firmware"], "retrieveDateTime": "soon"}},
        ),
    ],
)
def test_a_date_that_is_none_is_refused(action, payload):
    with pytest.raises(RpcError) as refused:
        asked(action, payload)
    assert refused.value.code is RpcErrorCode.PROPERTY_CONSTRAINT_VIOLATION


@pytest.mark.parametrize("status", FirmwareStatus)
def test_every_status_of_a_signed_update_is_told(status):
    assert told(FirmwareReported(status, stamp(), 77)) == (
        "SignedFirmwareStatusNotification",
        {"status": status.value, "requestId": 77},
    )


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (FirmwareStatus.DOWNLOADING, "Downloading"),
        (FirmwareStatus.DOWNLOADED, "Downloaded"),
        (FirmwareStatus.DOWNLOAD_FAILED, "DownloadFailed"),
        (FirmwareStatus.INSTALLING, "Installing"),
        (FirmwareStatus.INSTALLED, "Installed"),
        (FirmwareStatus.INSTALLATION_FAILED, "InstallationFailed"),
        (FirmwareStatus.INSTALL_VERIFICATION_FAILED, "InstallationFailed"),
        (FirmwareStatus.DOWNLOAD_SCHEDULED, None),
        (FirmwareStatus.INSTALL_SCHEDULED, None),
        (FirmwareStatus.INSTALL_REBOOTING, None),
        (FirmwareStatus.SIGNATURE_VERIFIED, None),
    ],
)
def test_of_an_unsigned_update_only_the_old_statuses_are_told(status, word):
    expected = None if word is None else ("FirmwareStatusNotification", {"status": word})
    assert told(FirmwareReported(status, stamp())) == expected


def test_who_asks_is_told_in_the_message_that_was_asked_for():
    idle = FirmwareReported(FirmwareStatus.IDLE, stamp())
    extended = ("SignedFirmwareStatusNotification", {"status": "Idle"})
    assert said(StatusRepeated(idle, is_extended=True)) == extended
    plain = ("FirmwareStatusNotification", {"status": "Idle"})
    assert said(StatusRepeated(idle, is_extended=False)) == plain


def test_the_answers_teach_nothing():
    record = FirmwareReported(FirmwareStatus.IDLE, stamp())
    call = ADAPTER.encode_record(record, VIEW, offline=False)
    assert ADAPTER.record_accepted(record, call, raw("{}")) == ()
    assert ADAPTER.message_accepted(StatusRepeated(record, is_extended=True), raw("{}")) == ()
