"""What clients of the control socket may say: the parameters of its methods.

Contract, section 5. Bounds are those of the messages that come of it; unknown members are
refused.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.core.events import AvailabilityRequested, Origin, ResetKind, ResetRequested
from hal.types import TokenType

LONGEST_TOKEN: Final = 36
"""OCPP 2.0.1 IdTokenType; 1.6 takes 20."""


class NoParams(msgspec.Struct, forbid_unknown_fields=True):
    """A method without parameters."""


class NameParams(msgspec.Struct, forbid_unknown_fields=True):
    """A setting by canonical name or 1.6 key."""

    name: str


class SetParams(msgspec.Struct, forbid_unknown_fields=True):
    """A setting and its new value."""

    name: str
    value: str | int | float | bool


class TokenParams(msgspec.Struct, forbid_unknown_fields=True):
    """A token as a reader would have read it."""

    id_token: Annotated[str, Meta(min_length=1, max_length=LONGEST_TOKEN)]
    type: TokenType = TokenType.ISO14443
    evse_id: int | None = None


class AvailabilityParams(msgspec.Struct, forbid_unknown_fields=True):
    """A part of the station; without ids the whole."""

    operative: bool
    evse_id: int | None = None
    connector_id: int | None = None

    def event(self, request_id: int) -> AvailabilityRequested:
        """Return what happened."""
        place = (self.evse_id, self.connector_id)
        return AvailabilityRequested(request_id, self.operative, *place)


class SecurityParams(msgspec.Struct, forbid_unknown_fields=True):
    """A security event; the bounds are those of SecurityEventNotification."""

    type: Annotated[str, Meta(min_length=1, max_length=50)]
    tech_info: Annotated[str, Meta(max_length=255)] = ""


class DataParams(msgspec.Struct, forbid_unknown_fields=True):
    """Vendor data for the CSMS; the bounds are those of DataTransfer."""

    vendor_id: Annotated[str, Meta(min_length=1, max_length=255)]
    message_id: Annotated[str, Meta(max_length=50)] | None = None
    data: str | None = None


class BundleParams(msgspec.Struct, forbid_unknown_fields=True):
    """Where a diagnostics bundle goes: an absolute path on the station."""

    path: Annotated[str, Meta(min_length=2, max_length=4096, pattern=r"^/[^\0]+\Z")]


class ResetParams(msgspec.Struct, forbid_unknown_fields=True):
    """A restart: at once, or when no transaction is open."""

    immediate: bool = False

    def event(self, request_id: int) -> ResetRequested:
        """Return what happened."""
        kind = ResetKind.IMMEDIATE if self.immediate else ResetKind.ON_IDLE
        return ResetRequested(request_id, kind, origin=Origin.LOCAL)
