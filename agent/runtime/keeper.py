"""Does what the station asks for with keys and certificates, on a thread, one at a time.

`cryptography` is imported by the first of these works, not at a start. What goes wrong in one
of them is the answer to it: nothing that a CSMS sends may end the agent.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from agent.core.effects import (
    CertificateAsk,
    DropCertificate,
    DropKey,
    KeepRoot,
    KeepStationCertificate,
    MakeSigningRequest,
)
from agent.core.events import CertificateKept, CertificateRefused, Event, SigningRequestMade
from agent.core.trust import Certificate, CertificateKind
from agent.security.keystore import Keystore

logger = logging.getLogger(__name__)


class Keeper:
    """Takes asks from the kernel's turns and posts what came of them."""

    def __init__(self, keystore: Keystore, post: Callable[[Event], object]) -> None:
        self._keystore, self._post = keystore, post
        self._asks: deque[CertificateAsk] = deque()
        self._changed = asyncio.Event()

    def take(self, ask: CertificateAsk) -> None:
        """Take an ask; the station bounds how many there are at a time."""
        self._asks.append(ask)
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            while self._asks:
                event = await asyncio.to_thread(answered, self._asks.popleft(), self._keystore)
                if event is not None:
                    self._post(event)
            self._changed.clear()
            await self._changed.wait()


def answered(ask: CertificateAsk, keystore: Keystore) -> Event | None:
    """Do what is asked; return what is to be told of it."""
    match ask:
        case KeepRoot() | KeepStationCertificate():
            return _kept(ask, keystore)
        case MakeSigningRequest():
            return _requested(ask, keystore)
        case DropCertificate(kind=kind, fingerprint=fingerprint):
            _dropped(lambda: keystore.drop(kind, fingerprint))
            return None
        case DropKey(key_id=key_id):  # pragma: no branch  # exhaustive
            _dropped(lambda: keystore.drop_pending(key_id))
            return None


def _kept(ask: KeepRoot | KeepStationCertificate, keystore: Keystore) -> Event:
    from agent.security import certs  # noqa: PLC0415  # not resident before it is needed

    try:
        if isinstance(ask, KeepRoot):
            certificate = _root(ask, keystore)
        else:
            certificate = _station(ask, keystore)
    except certs.CertificateError as error:
        return CertificateRefused(ask.request_id, str(error))
    except OSError as error:
        logger.error("a certificate cannot be kept: %s", error)
        return CertificateRefused(ask.request_id, error.strerror or "", is_failure=True)
    return CertificateKept(ask.request_id, certificate)


def _root(ask: KeepRoot, keystore: Keystore) -> Certificate:
    from agent.security import certs  # noqa: PLC0415

    pem = ask.pem.encode()
    root = certs.single(pem)
    certs.check_root(root, ask.at_s)
    if ask.signed_by:
        path = keystore.certificate(CertificateKind.CSMS_ROOT, ask.signed_by)
        certs.check_signed_by(root, certs.single(path.read_bytes()))
    certificate = certs.facts(root, ask.kind)
    keystore.keep(ask.kind, certificate.fingerprint, pem)
    return certificate


def _station(ask: KeepStationCertificate, keystore: Keystore) -> Certificate:
    from agent.security import certs  # noqa: PLC0415

    pem = ask.pem.encode()
    chain = certs.chain(pem)
    key = keystore.pending(ask.key_id).read_bytes()
    paths = [keystore.certificate(CertificateKind.CSMS_ROOT, one) for one in ask.roots]
    certs.check_station(
        chain,
        key=certs.key_of(key),
        common_name=ask.common_name,
        roots=[certs.single(path.read_bytes()) for path in paths],
        at_s=ask.at_s,
    )
    certificate = certs.facts(chain[0], CertificateKind.STATION)
    keystore.keep_station(certificate.fingerprint, pem, key)
    return certificate


def _requested(ask: MakeSigningRequest, keystore: Keystore) -> SigningRequestMade:
    from agent.security import certs  # noqa: PLC0415

    key = certs.new_key(ask.algorithm)
    try:
        request = certs.signing_request(
            key, common_name=ask.common_name, organization=ask.organization
        )
        keystore.keep_pending(ask.key_id, certs.key_to_pem(key))
    except (OSError, ValueError) as error:
        logger.error("a certificate cannot be requested: %s", error)
        return SigningRequestMade(ask.key_id, "")
    return SigningRequestMade(ask.key_id, request)


def _dropped(drop: Callable[[], None]) -> None:
    try:
        drop()
    except OSError as error:  # it counts no more; the next start tidies up
        logger.warning("a certificate cannot be removed: %s", error)
