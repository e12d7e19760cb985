"""How patient a Modbus line is."""

from typing import Final

from hal.types import Value


class Timing(Value, frozen=True):
    """How patient a line is.

    Attributes:
        timeout_s: for each answer and for the connection, more than 0.
        gap_s: the least pause between two exchanges, 0 or more.
        quiet_s: how long the line stays quiet after a timeout when answers carry no
            number; None for as long as the timeout was. The slowest device must have answered
            by then.

    Raises:
        ValueError: a value is out of range.
    """

    timeout_s: float = 0.5
    gap_s: float = 0.0
    quiet_s: float | None = None

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.gap_s < 0 or (self.quiet_s or 0) < 0:
            raise ValueError(f"needed: timeout_s > 0, gap_s >= 0, quiet_s >= 0; got {self}")


DEFAULT_TIMING: Final = Timing()
