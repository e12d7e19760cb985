"""Block A on the wire: security events."""

from agent.core.effects import SecurityEvent
from agent.ocpp.adapter import View
from agent.ocpp.v201.messages import SecurityEventNotificationRequest
from agent.ocpp.wire_time import to_text

_LONGEST_TYPE = 50  # SecurityEventNotificationRequest.type
_LONGEST_INFO = 255  # SecurityEventNotificationRequest.techInfo


def notification(record: SecurityEvent, view: View) -> SecurityEventNotificationRequest:
    """Return the notification of a security event (A04)."""
    return SecurityEventNotificationRequest(
        record.type[:_LONGEST_TYPE],
        to_text(view.told_s(record.at)),
        record.tech_info[:_LONGEST_INFO] or None,
    )
