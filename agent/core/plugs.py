"""What kind of socket or cable each connector has, among the settings.

The device model of 2.0.1 has it as `Connector.ConnectorType` of each connector of an EVSE. In
our table the connector is the instance, `1.2` for the second of EVSE 1; 1.6 has no key for it.
"""

from collections.abc import Sequence
from typing import Final

from agent.core.values import EvseSpec
from agent.core.variables import Access, Kind, Variable

COMPONENT: Final = "Connector"


def connector_types(specs: Sequence[EvseSpec]) -> tuple[Variable, ...]:
    """Return a read-only setting for each connector of a station."""
    return tuple(
        Variable(
            COMPONENT,
            "ConnectorType",
            Kind.STRING,
            spec.connector_type,
            f"What connector {number} of EVSE {spec.evse_id} is (2.0.1 ConnectorEnumType).",
            instance=f"{spec.evse_id}.{number}",
            access=Access.READ_ONLY,
            maximum=20,
            is_derived=True,
        )
        for spec in specs
        for number in range(1, spec.connectors + 1)
    )
