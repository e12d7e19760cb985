"""What a board file says of a line that devices share.

[port.meters]
driver = "modbus_tcp"
host   = "192.168.1.50"

[port.modules]
driver  = "can"
channel = "can0"
"""

import re
from collections.abc import Iterator, Mapping
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


class CanSettings(Value, frozen=True, tag="can", tag_field="driver"):
    """A CAN line.

    Attributes:
        channel: by the interface: a network interface of the kernel ("can0"), the path of a
            serial adapter, a group and a port ("239.74.163.2:43113"), or any name.
        interface: the last two are for benches and tests.
        bitrate: bits per second. The kernel's interface has it from whoever sets it up, and
            it is told here so that frames are paced by it.
        settle_s: how long a serial adapter takes to start when it is opened.
    """

    channel: Text
    interface: Literal["socketcan", "slcan", "udp_multicast", "virtual"] = "socketcan"
    bitrate: Annotated[int, Meta(ge=10_000, le=1_000_000)] = 125_000
    settle_s: Annotated[float, Meta(ge=0.0, le=10.0)] = 2.0


ModbusPortSettings: TypeAlias = ModbusTcpSettings | ModbusSerialSettings
PortSettings: TypeAlias = ModbusPortSettings | CanSettings

_SLCAN_KBIT = (10, 20, 50, 100, 125, 250, 500, 750, 1000)
_INTERFACE = re.compile(r"[^\s/:]{1,15}")
_GROUP = re.compile(r"(22[4-9]|23[0-9])(\.[0-9]{1,3}){3}:([0-9]{1,5})")


def wrong_can(settings: CanSettings) -> tuple[str, str] | None:
    """Return the key that is wrong for the interface, and why; None if all is right."""
    channel = settings.channel
    match settings.interface:
        case "socketcan" if _INTERFACE.fullmatch(channel) is None:
            return "channel", "must be the name of a network interface, such as can0"
        case "slcan" if not channel.startswith("/"):
            return "channel", "must be the path of a serial adapter, such as /dev/ttyACM0"
        case "slcan" if settings.bitrate not in [kbit * 1000 for kbit in _SLCAN_KBIT]:
            allowed = ", ".join(map(str, _SLCAN_KBIT))
            return "bitrate", f"must be one that SLCAN has: {allowed} kbit/s"
        case "udp_multicast" if _GROUP.fullmatch(channel) is None:
            return "channel", "must be a multicast group and a port, as 239.74.163.2:43113"
        case _:
            return None


def wrong_can_lines(ports: Mapping[str, PortSettings]) -> Iterator[tuple[str, str, str]]:
    """Yield the mistakes in CAN lines: name of the port, its key, and what is wrong."""
    channels: dict[tuple[str, str], str] = {}
    for name, port in ports.items():
        if not isinstance(port, CanSettings):
            continue
        if (wrong := wrong_can(port)) is not None:
            yield name, *wrong
        other = channels.setdefault((port.interface, port.channel), name)
        if other != name:
            yield name, "channel", f"{port.channel} is port {other} already; they can share it"


def serial_path(port: PortSettings) -> str | None:
    """Return the device file that a port has for itself, None for one without."""
    match port:
        case ModbusSerialSettings():
            return port.path
        case CanSettings(interface="slcan"):
            return port.channel
        case _:
            return None
