"""UpdateFirmware, SignedUpdateFirmware and their notifications (1.6 reference chapter 8).

The statuses of an unsigned update are those of a signed one that 1.6 knew before its security
extension; what it has no word for is not said.
"""

from collections.abc import Mapping

import msgspec

from agent.core.effects import Outcome, StatusRepeated, Verdict
from agent.core.events import UpdateRequested
from agent.core.orders import FirmwareReported, FirmwareStatus, UpdateOrder, bounded
from agent.ocpp.adapter import Call, Incoming, View
from agent.ocpp.location import mended
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import (
    FirmwareStatusNotificationRequest,
    FirmwareUpdateWord,
    FirmwareWord,
    SignedFirmwareStatusNotificationRequest,
    SignedUpdateFirmwareRequest,
    SignedUpdateFirmwareResponse,
    UpdateFirmwareRequest,
    UpdateFirmwareResponse,
)
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import decode

WORDS: Mapping[FirmwareStatus, FirmwareWord] = {
    FirmwareStatus.DOWNLOADED: "Downloaded",
    FirmwareStatus.DOWNLOAD_FAILED: "DownloadFailed",
    FirmwareStatus.DOWNLOADING: "Downloading",
    FirmwareStatus.IDLE: "Idle",
    FirmwareStatus.INSTALLATION_FAILED: "InstallationFailed",
    FirmwareStatus.INSTALLED: "Installed",
    FirmwareStatus.INSTALLING: "Installing",
    FirmwareStatus.INSTALL_VERIFICATION_FAILED: "InstallationFailed",
}
"""Of FirmwareStatusNotification; the other statuses are not told."""

_ANSWERS: Mapping[Verdict, FirmwareUpdateWord] = {
    Verdict.ACCEPTED: "Accepted",
    Verdict.ACCEPTED_CANCELED: "AcceptedCanceled",
    Verdict.INVALID_CERTIFICATE: "InvalidCertificate",
    Verdict.REVOKED_CERTIFICATE: "RevokedCertificate",
}


def decode_update(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode UpdateFirmware."""
    request = decode(payload, UpdateFirmwareRequest)
    retries, interval_s = bounded(request.retries, request.retry_interval)
    order = UpdateOrder(
        None,
        mended(request.location),
        wire.instant("$.retrieveDate", request.retrieve_date),
        retries=retries,
        retry_interval_s=interval_s,
    )
    return Incoming("UpdateFirmware", UpdateRequested(request_id, order), request)


def respond_update(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to UpdateFirmware, which cannot refuse.

    Raises:
        RpcError: NotSupported, when this station takes signed updates only (L01.FR.20).
    """
    done = wire.done(outcome)
    if done.verdict is Verdict.NOT_SUPPORTED:
        raise RpcError(RpcErrorCode.NOT_SUPPORTED, done.info)
    return wire.encoded(UpdateFirmwareResponse())


def decode_signed(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode SignedUpdateFirmware."""
    request = decode(payload, SignedUpdateFirmwareRequest)
    firmware = request.firmware
    retries, interval_s = bounded(request.retries, request.retry_interval)
    order = UpdateOrder(
        request.request_id,
        mended(firmware.location),
        wire.instant("$.firmware.retrieveDateTime", firmware.retrieve_date_time),
        wire.instant("$.firmware.installDateTime", firmware.install_date_time),
        firmware.signing_certificate,
        firmware.signature,
        retries,
        interval_s,
    )
    return Incoming("SignedUpdateFirmware", UpdateRequested(request_id, order), request)


def respond_signed(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to SignedUpdateFirmware."""
    word = _ANSWERS.get(wire.done(outcome).verdict, "Rejected")
    return wire.encoded(SignedUpdateFirmwareResponse(status=word))


def notification(record: FirmwareReported) -> Call | None:
    """Return how far an update is; None when 1.6 has no word for it."""
    if record.request_id is not None:
        return _signed(record)
    return _unsigned(record)


def repeated(message: StatusRepeated, record: FirmwareReported) -> Call | None:
    """Return the status that somebody asks for, in the message that was asked for."""
    return _signed(record) if message.is_extended else _unsigned(record)


def _signed(record: FirmwareReported) -> Call:
    payload = SignedFirmwareStatusNotificationRequest(
        status=record.status.value, request_id=record.request_id
    )
    return wire.call("SignedFirmwareStatusNotification", payload)


def _unsigned(record: FirmwareReported) -> Call | None:
    word = WORDS.get(record.status)
    if word is None:
        return None
    payload = FirmwareStatusNotificationRequest(status=word)
    return wire.call("FirmwareStatusNotification", payload)
