"""The `[external_limits]` table of `agent.toml`: limits that others than the CSMS set."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ModbusLimits(msgspec.Struct, frozen=True, kw_only=True):
    """A Modbus TCP server for a local energy manager (docs/limits.md).

    There is no authentication in Modbus: bind it to an address that only the manager reaches.
    """

    host: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Annotated[int, Meta(ge=1, le=65_535)] = 502
    unit: Annotated[int, Meta(ge=1, le=247)] = 1


class ExternalLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What holds when a source falls silent, and where sources may write.

    Attributes:
        safe_a: takes the place of a limit whose source is silent, in its scope; 0 pauses.
        modbus: None serves none.
    """

    safe_a: Annotated[float, Meta(ge=0.0, le=80.0)] = 6.0
    modbus: ModbusLimits | None = None
