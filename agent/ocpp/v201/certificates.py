"""Certificates on the wire (A02, A03, M03 to M05).

Of the two certificates that a station may ask for, this one has the one for the CSMS; one
for vehicles (V2GCertificate) was never asked for, so it is rejected when it comes.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from agent.core.effects import CertificateAnswer, CertificateStatus, Outcome
from agent.core.events import (
    CertificateDeletionRequested,
    CertificatesRequested,
    RootOffered,
    SigningAnswered,
    StationCertificateOffered,
)
from agent.core.trust import CertificateKind, HashData
from agent.ocpp.v201 import codec, status
from agent.ocpp.v201.messages import (
    CertificateHashData,
    CertificateHashDataChain,
    CertificateSignedRequest,
    CertificateSignedResponse,
    DeleteCertificateRequest,
    DeleteCertificateResponse,
    GetInstalledCertificateIdsRequest,
    GetInstalledCertificateIdsResponse,
    InstallCertificateRequest,
    InstallCertificateResponse,
    RootWord,
    SignCertificateResponse,
)

KINDS: Final[Mapping[str, CertificateKind]] = {
    "CSMSRootCertificate": CertificateKind.CSMS_ROOT,
    "ManufacturerRootCertificate": CertificateKind.MANUFACTURER_ROOT,
    "MORootCertificate": CertificateKind.MO_ROOT,
    "V2GRootCertificate": CertificateKind.V2G_ROOT,
}
_WORDS: Final[Mapping[CertificateKind, RootWord]] = {
    CertificateKind.CSMS_ROOT: "CSMSRootCertificate",
    CertificateKind.MANUFACTURER_ROOT: "ManufacturerRootCertificate",
    CertificateKind.MO_ROOT: "MORootCertificate",
    CertificateKind.V2G_ROOT: "V2GRootCertificate",
}
UNASKED: Final = CertificateAnswer(
    CertificateStatus.REJECTED, "InvalidCertificate", "no V2G certificate was asked for"
)
"""Outcome of an offer of a certificate for vehicles."""

NONE_INSTALLED: Final = CertificateAnswer(CertificateStatus.NOT_FOUND)
"""Outcome of a question about kinds of certificates that this station does not have."""


def offered(
    wire: CertificateSignedRequest, request_id: int
) -> StationCertificateOffered | None:
    """Return what a CertificateSigned offers; None for a vehicle's side."""
    if wire.certificate_type == "V2GCertificate":
        return None
    return StationCertificateOffered(request_id, wire.certificate_chain)


def root(wire: InstallCertificateRequest, request_id: int) -> RootOffered:
    """Return what an InstallCertificate offers."""
    return RootOffered(request_id, KINDS[wire.certificate_type], wire.certificate)


def deletion(wire: DeleteCertificateRequest, request_id: int) -> CertificateDeletionRequested:
    """Return what a DeleteCertificate asks for."""
    named = wire.certificate_hash_data
    hash_data = HashData(
        named.hash_algorithm,
        named.issuer_name_hash,
        named.issuer_key_hash,
        named.serial_number,
    )
    return CertificateDeletionRequested(request_id, hash_data)


def ids(
    wire: GetInstalledCertificateIdsRequest, request_id: int
) -> CertificatesRequested | None:
    """Return what a GetInstalledCertificateIds asks for; None for chains of vehicles only."""
    asked: Iterable[str] = wire.certificate_type or KINDS
    kinds = tuple(KINDS[word] for word in dict.fromkeys(asked) if word in KINDS)
    return CertificatesRequested(request_id, kinds) if kinds else None


def signed_answer(outcome: Outcome) -> CertificateSignedResponse:
    """Return the answer to a CertificateSigned."""
    answer = _answer(outcome)
    is_accepted = answer.status is CertificateStatus.ACCEPTED
    info = status.info(answer.reason, answer.info)
    return CertificateSignedResponse("Accepted" if is_accepted else "Rejected", info)


def install_answer(outcome: Outcome) -> InstallCertificateResponse:
    """Return the answer to an InstallCertificate."""
    answer = _answer(outcome)
    info = status.info(answer.reason, answer.info)
    match answer.status:
        case CertificateStatus.ACCEPTED:
            return InstallCertificateResponse("Accepted", info)
        case CertificateStatus.FAILED:
            return InstallCertificateResponse("Failed", info)
        case _:
            return InstallCertificateResponse("Rejected", info)


def delete_answer(outcome: Outcome) -> DeleteCertificateResponse:
    """Return the answer to a DeleteCertificate."""
    answer = _answer(outcome)
    info = status.info(answer.reason, answer.info)
    match answer.status:
        case CertificateStatus.ACCEPTED:
            return DeleteCertificateResponse("Accepted", info)
        case CertificateStatus.NOT_FOUND:
            return DeleteCertificateResponse("NotFound", info)
        case _:
            return DeleteCertificateResponse("Failed", info)


def ids_answer(outcome: Outcome) -> GetInstalledCertificateIdsResponse:
    """Return the answer to a GetInstalledCertificateIds, by SHA-256."""
    chain = tuple(
        CertificateHashDataChain(
            CertificateHashData(
                "SHA256",
                one.hashes[0].issuer_name_hash,
                one.hashes[0].issuer_key_hash,
                one.hashes[0].serial_number,
            ),
            _WORDS[one.kind],
        )
        for one in _answer(outcome).certificates
    )
    return GetInstalledCertificateIdsResponse(
        "Accepted" if chain else "NotFound", certificate_hash_data_chain=chain or None
    )


def sign_answered(payload: msgspec.Raw) -> SigningAnswered:
    """Return what the CSMS said to SignCertificate."""
    answer = codec.decode(SignCertificateResponse, payload)
    return SigningAnswered(answer.status == "Accepted")


def _answer(outcome: Outcome) -> CertificateAnswer:
    if isinstance(outcome, CertificateAnswer):
        return outcome
    raise AssertionError(f"an answer about certificates was expected, not {outcome!r}")
