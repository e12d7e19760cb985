"""Block L on the wire: firmware updates."""

from collections.abc import Mapping

from agent.core.effects import Outcome, Verdict
from agent.core.events import UpdateRequested
from agent.core.orders import FirmwareReported, UpdateOrder, bounded
from agent.ocpp.location import mended
from agent.ocpp.v201 import codec, status
from agent.ocpp.v201.messages import (
    FirmwareStatusNotificationRequest,
    FirmwareUpdateWord,
    UpdateFirmwareRequest,
    UpdateFirmwareResponse,
)

_ANSWERS: Mapping[Verdict, FirmwareUpdateWord] = {
    Verdict.ACCEPTED: "Accepted",
    Verdict.ACCEPTED_CANCELED: "AcceptedCanceled",
    Verdict.INVALID_CERTIFICATE: "InvalidCertificate",
    Verdict.REVOKED_CERTIFICATE: "RevokedCertificate",
}


def update(wire: UpdateFirmwareRequest, request_id: int) -> UpdateRequested:
    """Return what an UpdateFirmware asks for (L01, L02).

    Raises:
        RpcError: a date is none.
    """
    firmware = wire.firmware
    retries, interval_s = bounded(wire.retries, wire.retry_interval)
    order = UpdateOrder(
        wire.request_id,
        mended(firmware.location),
        codec.checked_instant("retrieveDateTime", firmware.retrieve_date_time),
        codec.checked_instant("installDateTime", firmware.install_date_time),
        firmware.signing_certificate,
        firmware.signature,
        retries,
        interval_s,
    )
    return UpdateRequested(request_id, order)


def answer(outcome: Outcome) -> UpdateFirmwareResponse:
    """Return the answer to an UpdateFirmware."""
    done = status.done(outcome)
    word = _ANSWERS.get(done.verdict, "Rejected")
    return UpdateFirmwareResponse(word, status.info(done.reason, done.info))


def notification(record: FirmwareReported) -> FirmwareStatusNotificationRequest:
    """Return how far an update is (L01.FR.01); an update without an id came over 1.6."""
    return FirmwareStatusNotificationRequest(record.status.value, record.request_id)
