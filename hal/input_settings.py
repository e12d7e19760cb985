"""What a board file says of the grid operator's contact.

[grid_input]
driver  = "modbus_input"
port    = "rs485"
unit    = 5
address = 0
limit_w = 4200
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from hal.gpio_settings import Line, Path
from hal.port_settings import Name
from hal.types import Value

Power: TypeAlias = Annotated[float, Meta(ge=0.0, le=5_000_000.0)]


class SimulatedInputSettings(Value, frozen=True, tag="simulated", tag_field="driver"):
    """An input that a bench sets: `pilotwire sim set grid input 1`.

    Attributes:
        limit_w: what all EVSEs together may draw while it is active.
    """

    limit_w: Power


class ModbusInputSettings(Value, frozen=True, tag="modbus_input", tag_field="driver"):
    """One input of an I/O module on Modbus.

    Attributes:
        limit_w: as above.
        table: that the module shows its inputs in.
        address: on the wire, from 0.
        bit: of a register, 0 the lowest; with holding and input registers only.
        active: what is read while power is to be reduced; 0 for a contact that opens.
    """

    port: Name
    limit_w: Power
    unit: Annotated[int, Meta(ge=1, le=255)] = 1
    table: Literal["discrete", "coil", "holding", "input"] = "discrete"
    address: Annotated[int, Meta(ge=0, le=65_535)] = 0
    bit: Annotated[int, Meta(ge=0, le=15)] | None = None
    active: Literal[0, 1] = 1


class GpioInputSettings(Value, frozen=True, tag="gpio_input", tag_field="driver"):
    """One line of a GPIO chip of this machine.

    Attributes:
        limit_w: as above.
        chip: path of its device.
        line, active_low, bias: as for any input of `hal.gpio_settings`.
    """

    chip: Path
    limit_w: Power
    line: Line
    active_low: bool = False
    bias: Literal["as_is", "pull_up", "pull_down", "disabled"] = "as_is"


InputSettings: TypeAlias = SimulatedInputSettings | ModbusInputSettings | GpioInputSettings


def wrong_bit(settings: ModbusInputSettings) -> str | None:
    """Return why the number of a bit is missing or too much, None if it is right."""
    is_register = settings.table in {"holding", "input"}
    if is_register is (settings.bit is not None):
        return None
    if is_register:
        return "bit is missing: which bit of the register it is, 0 to 15"
    return f"bit is not for a {settings.table} input, which is one bit already"
