"""What a board file says of the grid connection that all EVSEs share, and of heat."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from hal.types import Value

Amperes: TypeAlias = Annotated[float, Meta(ge=6.0, le=1000.0)]


class DeratingSettings(Value, frozen=True):
    """From `from_c` on the offer is lowered, evenly down to 6 A at `to_c`, where it ends."""

    from_c: Annotated[float, Meta(ge=0.0, le=150.0)]
    to_c: Annotated[float, Meta(ge=0.0, le=150.0)]


class SiteSettings(Value, frozen=True):
    """The grid connection that all EVSEs share.

    Attributes:
        max_a: per line conductor for all EVSEs together; None: nothing is shared.
        voltage_v: nominal, line to neutral; turns a limit in W into A.
        sharing: evenly, by the EVSEs' weights, or to those who came first.
        rotate_s: how long a turn lasts when there are not 6 A for everybody; at least twice
            the shortest pause that saves contactors (hardware reference 1.3).
    """

    max_a: Annotated[float, Meta(ge=6.0, le=5000.0)] | None = None
    voltage_v: Annotated[float, Meta(ge=100.0, le=300.0)] = 230.0
    sharing: Literal["fair", "weighted", "first-come"] = "fair"
    rotate_s: Annotated[float, Meta(ge=120.0, le=86_400.0)] = 900.0
