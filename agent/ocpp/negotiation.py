"""From the subprotocol that was negotiated to the version's adapter.

A version is imported when a link first speaks it: a station that always speaks one version
never pays for the other in memory or at start-up.
"""

from agent.ocpp.adapter import Adapter

SUPPORTED = ("ocpp2.0.1", "ocpp1.6")
"""Subprotocols this agent speaks, the preferred one first."""


def adapter_for(subprotocol: str) -> Adapter:
    """Return the adapter for a subprotocol.

    Raises:
        ValueError: the agent does not speak it.
    """
    match subprotocol:
        case "ocpp2.0.1":
            from agent.ocpp.v201.adapter import Adapter201  # noqa: PLC0415  see the module

            return Adapter201()
        case "ocpp1.6":
            from agent.ocpp.v16.adapter import Adapter16  # noqa: PLC0415  see the module

            return Adapter16()
        case _:
            raise ValueError(f"{subprotocol!r} is not spoken here; one of {SUPPORTED} is")
