"""SecurityEventNotification (1.6 security extension, 1.6 reference 9.1).

The core names security events as 2.0.1 does; where 1.6 has another name it is told that.
"""

from collections.abc import Mapping

from agent.core.effects import SecurityEvent
from agent.ocpp.adapter import Call, View
from agent.ocpp.v16 import wire
from agent.ocpp.v16.messages import SecurityEventNotificationRequest
from agent.ocpp.wire_time import to_text

NAMES: Mapping[str, str] = {
    "CsmsFailedToAuthenticate": "CentralSystemFailedToAuthenticate",
    "FailedToAuthenticateAtCsms": "FailedToAuthenticateAtCentralSystem",
    "InvalidChargingStationCertificate": "InvalidChargePointCertificate",
    "InvalidCsmsCertificate": "InvalidCentralSystemCertificate",
}
"""From the 2.0.1 name to the 1.6 one, where they differ."""


def event(record: SecurityEvent, view: View) -> Call:
    """Return a SecurityEventNotification."""
    payload = SecurityEventNotificationRequest(
        type=NAMES.get(record.type, record.type)[:50],
        timestamp=to_text(view.told_s(record.at)),
        tech_info=record.tech_info[:255] or None,
    )
    return wire.call("SecurityEventNotification", payload)
