"""Certificates (1.6 security extension; 1.6 reference 2.4, 9.3 and 9.4)."""

from collections.abc import Mapping
from typing import get_args

import msgspec

from agent.core.effects import (
    CertificateAnswer,
    CertificateSigningWanted,
    CertificateStatus,
    Outcome,
)
from agent.core.events import (
    CertificateDeletionRequested,
    CertificatesRequested,
    RootOffered,
    SigningAnswered,
    StationCertificateOffered,
)
from agent.core.trust import CertificateKind, HashData
from agent.ocpp.adapter import Call, Incoming, View
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import (
    CertificateHashData,
    CertificateSignedRequest,
    CertificateSignedResponse,
    DeleteCertificateRequest,
    DeleteCertificateResponse,
    GetInstalledCertificateIdsRequest,
    GetInstalledCertificateIdsResponse,
    InstallCertificateRequest,
    InstallCertificateResponse,
    RootWord,
    SignCertificateRequest,
    SignCertificateResponse,
    YesNo,
)
from agent.ocppj.errors import RpcError, RpcErrorCode
from agent.ocppj.explain import decode

KINDS: Mapping[RootWord, CertificateKind] = dict(
    zip(
        get_args(RootWord),
        (CertificateKind.CSMS_ROOT, CertificateKind.MANUFACTURER_ROOT),
        strict=True,
    )
)


def decode_signed(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode CertificateSigned."""
    request = decode(payload, CertificateSignedRequest)
    offered = StationCertificateOffered(request_id, request.certificate_chain)
    return Incoming("CertificateSigned", offered, request)


def respond_signed(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to CertificateSigned, which knows no failure."""
    is_accepted = _answer(outcome).status is CertificateStatus.ACCEPTED
    word: YesNo = "Accepted" if is_accepted else "Rejected"
    return wire.encoded(CertificateSignedResponse(status=word))


def decode_install(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode InstallCertificate."""
    request = decode(payload, InstallCertificateRequest)
    kind = KINDS[request.certificate_type]
    offered = RootOffered(request_id, kind, request.certificate)
    return Incoming("InstallCertificate", offered, request)


def respond_install(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to InstallCertificate."""
    match _answer(outcome).status:
        case CertificateStatus.ACCEPTED:
            return wire.encoded(InstallCertificateResponse(status="Accepted"))
        case CertificateStatus.FAILED:
            return wire.encoded(InstallCertificateResponse(status="Failed"))
        case _:
            return wire.encoded(InstallCertificateResponse(status="Rejected"))


def decode_delete(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode DeleteCertificate."""
    request = decode(payload, DeleteCertificateRequest)
    named = request.certificate_hash_data
    hash_data = HashData(
        named.hash_algorithm,
        named.issuer_name_hash,
        named.issuer_key_hash,
        named.serial_number,
    )
    wanted = CertificateDeletionRequested(request_id, hash_data)
    return Incoming("DeleteCertificate", wanted, request)


def respond_delete(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to DeleteCertificate."""
    match _answer(outcome).status:
        case CertificateStatus.ACCEPTED:
            return wire.encoded(DeleteCertificateResponse(status="Accepted"))
        case CertificateStatus.NOT_FOUND:
            return wire.encoded(DeleteCertificateResponse(status="NotFound"))
        case _:
            return wire.encoded(DeleteCertificateResponse(status="Failed"))


def decode_ids(payload: msgspec.Raw, request_id: int, _: View) -> Incoming:
    """Decode GetInstalledCertificateIds."""
    request = decode(payload, GetInstalledCertificateIdsRequest)
    wanted = CertificatesRequested(request_id, (KINDS[request.certificate_type],))
    return Incoming("GetInstalledCertificateIds", wanted, request)


def respond_ids(_: Incoming, outcome: Outcome) -> bytes:
    """Encode the answer to GetInstalledCertificateIds, by SHA-256."""
    named = tuple(
        CertificateHashData(
            hash_algorithm="SHA256",
            issuer_name_hash=one.hashes[0].issuer_name_hash,
            issuer_key_hash=one.hashes[0].issuer_key_hash,
            serial_number=one.hashes[0].serial_number,
        )
        for one in _answer(outcome).certificates
    )
    response = GetInstalledCertificateIdsResponse(
        status="Accepted" if named else "NotFound", certificate_hash_data=named or None
    )
    return wire.encoded(response)


def sign(message: CertificateSigningWanted) -> Call:
    """Return a SignCertificate."""
    return wire.call("SignCertificate", SignCertificateRequest(csr=message.csr))


def sign_answered(payload: msgspec.Raw) -> SigningAnswered:
    """Return what the CSMS said to SignCertificate.

    Raises:
        RpcError: the answer has no usable status.
    """
    answer = decode(payload, SignCertificateResponse, any_case=True)
    return SigningAnswered(answer.status == "Accepted")


def _answer(outcome: Outcome) -> CertificateAnswer:
    """Return an outcome that has to be about certificates.

    Raises:
        RpcError: InternalError, because the core answered something else.
    """
    if isinstance(outcome, CertificateAnswer):
        return outcome
    raise RpcError(RpcErrorCode.INTERNAL_ERROR, "the request was decided in an unexpected way")
