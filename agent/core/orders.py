"""What the CSMS orders beside charging: firmware and logs; and what is told of them.

An order is what was asked for, in the domain's words. Work is what the shell should be doing
about it now: a level, like targets. Whatever interrupts it, the same work is begun again.
"""

import enum
import re
from typing import Final

from agent.core.values import Stamp, Value

MOST_RETRIES = 20
MOST_INTERVAL_S = 86_400
USUAL_RETRIES, USUAL_INTERVAL_S = 3, 60
"""For requests that say nothing of them (1.6 reference 8.1)."""


LOGIN_OF_URL: Final = re.compile(
    r"([a-z][a-z0-9+.-]{1,15}://)"
    r"(?:[^/\s\"']*@|[^/\s\"'@:]+:(?!\d{1,5}(?:[/?#\s\"']|$))[^\s\"']*@)",
    re.IGNORECASE,
)
"""User and password of a URL; also a password that should have been encoded and is not."""


class FirmwareStatus(enum.Enum):
    """OCPP 2.0.1 FirmwareStatusEnumType; 1.6 has the same for signed updates."""

    DOWNLOADED = "Downloaded"
    DOWNLOAD_FAILED = "DownloadFailed"
    DOWNLOADING = "Downloading"
    DOWNLOAD_PAUSED = "DownloadPaused"
    DOWNLOAD_SCHEDULED = "DownloadScheduled"
    IDLE = "Idle"
    INSTALLATION_FAILED = "InstallationFailed"
    INSTALLING = "Installing"
    INSTALLED = "Installed"
    INSTALL_REBOOTING = "InstallRebooting"
    INSTALL_SCHEDULED = "InstallScheduled"
    INSTALL_VERIFICATION_FAILED = "InstallVerificationFailed"
    INVALID_SIGNATURE = "InvalidSignature"
    SIGNATURE_VERIFIED = "SignatureVerified"


class UploadStatus(enum.Enum):
    """OCPP 2.0.1 UploadLogStatusEnumType; 1.6 has all but the last."""

    BAD_MESSAGE = "BadMessage"
    IDLE = "Idle"
    NOT_SUPPORTED_OPERATION = "NotSupportedOperation"
    PERMISSION_DENIED = "PermissionDenied"
    UPLOADED = "Uploaded"
    UPLOAD_FAILURE = "UploadFailure"
    UPLOADING = "Uploading"
    ACCEPTED_CANCELED = "AcceptedCanceled"


class LogKind(enum.Enum):
    """Which log (OCPP 2.0.1 LogEnumType)."""

    DIAGNOSTICS = "DiagnosticsLog"
    SECURITY = "SecurityLog"


class UpdateOrder(Value, frozen=True):
    """Firmware to fetch and install.

    Attributes:
        request_id: what its statuses are told under; None for 1.6 UpdateFirmware.
        retrieve_at_s, install_at_s: not before, UTC seconds; None for at once.
        certificate: of the signer, PEM; None for an order without signature.
        signature: of the whole file, base64.
        retries: attempts after the first.
    """

    request_id: int | None
    location: str
    retrieve_at_s: float | None = None
    install_at_s: float | None = None
    certificate: str | None = None
    signature: str | None = None
    retries: int = USUAL_RETRIES
    retry_interval_s: int = USUAL_INTERVAL_S

    @property
    def is_signed(self) -> bool:
        """Return whether it names a signer and a signature."""
        return self.certificate is not None and self.signature is not None


class LogOrder(Value, frozen=True):
    """A log to send to the CSMS.

    Attributes:
        request_id: what its statuses are told under; None for 1.6 GetDiagnostics.
        oldest_s, latest_s: bounds of what it holds, inclusive, UTC seconds.
        retries: attempts after the first.
    """

    request_id: int | None
    kind: LogKind
    location: str
    oldest_s: float | None = None
    latest_s: float | None = None
    retries: int = USUAL_RETRIES
    retry_interval_s: int = USUAL_INTERVAL_S


def bounded(retries: int | None, interval_s: int | None) -> tuple[int, int]:
    """Return attempts after the first and seconds between, whatever was asked for."""
    count = USUAL_RETRIES if retries is None else min(max(retries, 0), MOST_RETRIES)
    pause = USUAL_INTERVAL_S if interval_s is None else min(max(interval_s, 0), MOST_INTERVAL_S)
    return count, pause


def anonymous(text: str, hidden: str = "***") -> str:
    """Return a text whose URLs name neither user nor password."""
    return LOGIN_OF_URL.sub(rf"\1{hidden}@", text)


def scheme(location: str) -> str:
    """Return the scheme of a URL in capitals, as SupportedFileTransferProtocols lists it."""
    return location.partition("://")[0].upper() if "://" in location else ""


# --- work ---


class Step(enum.Enum):
    """What the shell does about an update."""

    CHECK = "check the certificate"
    DOWNLOAD = "download"
    VERIFY = "verify"
    INSTALL = "install"
    ACTIVATE = "activate"
    CONFIRM = "confirm"
    ROLL_BACK = "roll back"


class UpdateWork(Value, frozen=True):
    """One step of one update; equal work is the same work.

    Attributes:
        serial: of the update; grows with every order.
        attempt: from 0; another attempt is other work.
    """

    serial: int
    step: Step
    order: UpdateOrder
    attempt: int = 0


class UploadWork(Value, frozen=True):
    """One attempt at one upload.

    Attributes:
        file_name: as it was promised to the CSMS.
    """

    serial: int
    order: LogOrder
    file_name: str
    attempt: int = 0


class Failure(enum.Enum):
    """Why a step of an update did not succeed."""

    CERTIFICATE = "certificate"  # not the manufacturer's
    REVOKED = "revoked"  # the manufacturer's, and taken back
    SIGNATURE = "signature"  # not of these bytes
    IMAGE = "image"  # not for this station
    TRANSFER = "transfer"  # another attempt may succeed
    IMPOSSIBLE = "impossible"  # none will
    INSTALLATION = "installation"  # whatever the installer says


# --- records ---


class FirmwareReported(Value, frozen=True, tag="firmware", tag_field="record"):
    """How far an update is.

    Attributes:
        request_id: of its order; None for 1.6 UpdateFirmware.
    """

    status: FirmwareStatus
    at: Stamp
    request_id: int | None = None


class LogReported(Value, frozen=True, tag="log", tag_field="record"):
    """How far an upload is.

    Attributes:
        request_id: of its order; None for 1.6 GetDiagnostics.
    """

    status: UploadStatus
    at: Stamp
    request_id: int | None = None
