"""What a board file says of a line that devices share.

[port.meters]
driver = "modbus_tcp"
host   = "192.168.1.50"
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from hal.types import Value

LOOPBACK = "127.0.0.1"

Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""Of a port, or of a register map."""
Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]


class ModbusTcpSettings(Value, frozen=True, tag="modbus_tcp", tag_field="driver"):
    """A line over TCP; gateways that pass serial frames on have `framing` "rtu" or "ascii"."""

    host: Text = LOOPBACK
    port: Annotated[int, Meta(ge=0, le=65_535)] = 502
    framing: Literal["tcp", "rtu", "ascii"] = "tcp"


class ModbusSerialSettings(Value, frozen=True, tag="modbus_serial", tag_field="driver"):
    """A serial line of this machine.

    Attributes:
        path: of the device. Names under /dev/serial/by-id or by-path stay the same whatever
            else is plugged in.
        framing: "ascii" is Modbus ASCII.
        rs485: who switches the direction: the adapter itself, or the kernel by RTS.
        echo: the adapter hears what it sends.
    """

    path: Text
    baudrate: Annotated[int, Meta(ge=300, le=921_600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    framing: Literal["rtu", "ascii"] = "rtu"
    rs485: Literal["adapter", "rts_high", "rts_low"] = "adapter"
    echo: bool = False


PortSettings: TypeAlias = ModbusTcpSettings | ModbusSerialSettings
