"""Why a firmware image or its certificate is refused: one exception per reason.

    VerificationError
        CertificateError        no trust in who signed
            UnreadableCertificateError, UntrustedCertificateError, NotYetValidError,
            ExpiredError, WrongUsageError, WeakKeyError, UnknownTimeError
            RevokedCertificateError
        WrongSignatureError     not signed by that certificate
        ImageError              signed, and still not for this station
            UnreadableImageError, SizeError, DigestError, WrongProductError,
            WrongHardwareError, DowngradeError, UpdaterRefusedError

The first three have a status of their own in OCPP; `refusal` says which.
"""

import enum
from typing import ClassVar


class Refusal(enum.Enum):
    """What a refusal means to the CSMS."""

    CERTIFICATE = "certificate"  # InvalidCertificate
    REVOKED = "revoked"  # RevokedCertificate
    SIGNATURE = "signature"  # InvalidSignature
    IMAGE = "image"  # InstallVerificationFailed


class VerificationError(Exception):
    """Something about an image is not as it must be; nothing of it is installed."""

    refusal: ClassVar[Refusal] = Refusal.IMAGE


class CertificateError(VerificationError):
    """The signing certificate does not make its holder trustworthy."""

    refusal = Refusal.CERTIFICATE


class UnreadableCertificateError(CertificateError):
    """It is no single X.509 certificate in PEM of a reasonable size."""


class UntrustedCertificateError(CertificateError):
    """No manufacturer root that is fit to be one has issued it."""


class NotYetValidError(CertificateError):
    """Its time, or its issuer's, has not come."""


class ExpiredError(CertificateError):
    """Its time, or its issuer's, is over."""


class UnknownTimeError(CertificateError):
    """The station does not know the time, so nothing can be said about validity."""


class WrongUsageError(CertificateError):
    """It was not issued for signing code."""


class WeakKeyError(CertificateError):
    """Its key, or the signature on it, can be forged."""


class RevokedCertificateError(CertificateError):
    """Its issuer, or the station's operator, has taken it back."""

    refusal = Refusal.REVOKED


class WrongSignatureError(VerificationError):
    """The signature is not one of the certificate's key over these bytes."""

    refusal = Refusal.SIGNATURE


class ImageError(VerificationError):
    """The image is genuine or unsigned, and not for this station."""


class UnreadableImageError(ImageError):
    """It is no bundle, or its manifest says what nobody understands."""


class SizeError(ImageError):
    """It is larger than allowed, or not as large as its manifest says."""


class DigestError(ImageError):
    """Its payload is another than its manifest names."""


class WrongProductError(ImageError):
    """It is for another product."""


class WrongHardwareError(ImageError):
    """It is for other hardware."""


class DowngradeError(ImageError):
    """It is older than what runs, or needs something newer to run first."""


class UpdaterRefusedError(ImageError):
    """The machine's updater does not take it, by its own keys and rules."""
