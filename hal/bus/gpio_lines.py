"""Lines of a GPIO chip, as the kernel's character device gives them (libgpiod 2).

`gpiod` is imported when lines are requested, so a board without any does not pay for it.
Outputs and inputs are requested apart: the inputs are read on a thread while the loop switches
the outputs.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from hal.errors import BoardError

if TYPE_CHECKING:
    from gpiod import LineRequest

CONSUMER: Final = "pilotwire"


class Output(Protocol):
    """How a line is driven."""

    @property
    def line(self) -> int:
        """Return its offset on the chip."""

    @property
    def active_low(self) -> bool:
        """Return whether 0 V means active."""


class Input(Output, Protocol):
    """How a line is read."""

    @property
    def bias(self) -> str:
        """Return "as_is", "pull_up", "pull_down" or "disabled"."""


class Lines(Protocol):
    """Lines that are ours until `close`."""

    def set(self, name: str, *, active: bool) -> None:
        """Drive an output.

        Raises:
            OSError: the chip is gone.
        """

    def get(self) -> dict[str, bool]:
        """Return which inputs are active, by name.

        Raises:
            OSError: the chip is gone.
        """

    def close(self) -> None:
        """Let go of them; what the outputs do then is the chip's business."""


Requested: TypeAlias = Callable[[str, Mapping[str, Output], Mapping[str, Input]], Lines]
"""Takes lines of a chip: its path, outputs and inputs by name; outputs begin inactive."""


class GpiodLines(Lines):
    """Lines through libgpiod."""

    def __init__(
        self, chip: str, outputs: Mapping[str, Output], inputs: Mapping[str, Input]
    ) -> None:
        """Take the lines; the outputs are inactive from here on.

        Args:
            chip: path of its device.
            outputs, inputs: by name.

        Raises:
            BoardError: gpiod is not installed.
            OSError: there is no such chip or line, or somebody else has it.
        """
        try:
            import gpiod  # noqa: PLC0415 - see the module
            from gpiod.line import Bias, Direction, Value  # noqa: PLC0415
        except ImportError as error:
            raise BoardError(
                f"{chip}: GPIO lines need gpiod: pip install 'pilotwire[gpio]'"
            ) from error
        self._values = {True: Value.ACTIVE, False: Value.INACTIVE}
        self._outputs, self._inputs = dict(outputs), dict(inputs)
        driven: dict[Any, gpiod.LineSettings | None] = {
            one.line: gpiod.LineSettings(
                direction=Direction.OUTPUT,
                active_low=one.active_low,
                output_value=Value.INACTIVE,
            )
            for one in outputs.values()
        }
        read: dict[Any, gpiod.LineSettings | None] = {
            one.line: gpiod.LineSettings(
                direction=Direction.INPUT,
                active_low=one.active_low,
                bias=Bias[one.bias.upper()],
            )
            for one in inputs.values()
        }
        self._driven: LineRequest | None = None
        self._read: LineRequest | None = None
        try:
            if driven:
                self._driven = gpiod.request_lines(chip, config=driven, consumer=CONSUMER)
            if read:
                self._read = gpiod.request_lines(chip, config=read, consumer=CONSUMER)
        except BaseException:
            self.close()
            raise

    def set(self, name: str, *, active: bool) -> None:
        """Drive an output; see `Lines`."""
        if self._driven is not None:
            self._driven.set_value(self._outputs[name].line, self._values[active])

    def get(self) -> dict[str, bool]:
        """Return which inputs are active; see `Lines`."""
        if self._read is None:
            return {}
        values = self._read.get_values([one.line for one in self._inputs.values()])
        active = self._values[True]
        return {name: value == active for name, value in zip(self._inputs, values, strict=True)}

    def close(self) -> None:
        """Let go of them; see `Lines`."""
        for request in (self._driven, self._read):
            if request is not None:
                request.release()
        self._driven = self._read = None
