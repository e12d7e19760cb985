"""From the settings of a line to its port; nothing is opened yet.

A port and its library are imported when somebody asks for one.
"""

from typing import TYPE_CHECKING

from hal.port_settings import (
    CanSettings,
    ModbusPortSettings,
    ModbusSerialSettings,
    ModbusTcpSettings,
)

if TYPE_CHECKING:
    from hal.bus.can import CanPort
    from hal.bus.modbus import ModbusPort


def can_port(settings: CanSettings) -> "CanPort":
    """Return the port of a CAN line.

    Raises:
        BoardError: python-can is not installed.
    """
    from hal.bus import can  # noqa: PLC0415 - see the module

    channel, bitrate = settings.channel, settings.bitrate
    match settings.interface:
        case "socketcan":
            return can.socketcan(channel, bitrate=bitrate)
        case "slcan":
            return can.slcan(channel, bitrate=bitrate, settle_s=settings.settle_s)
        case "udp_multicast":
            group, _, port = channel.rpartition(":")
            return can.udp(group, int(port), bitrate=bitrate)
        case "virtual":
            return can.virtual(channel, bitrate=bitrate)


def modbus_port(settings: ModbusPortSettings) -> "ModbusPort":
    """Return the port of a Modbus line.

    Raises:
        BoardError: pyserial is not installed, and it is a serial line.
    """
    from hal.bus.modbus import SerialPort, TcpPort  # noqa: PLC0415 - see the module

    match settings:
        case ModbusTcpSettings():
            return TcpPort(settings.host, settings.port, framing=settings.framing)
        case ModbusSerialSettings():
            return SerialPort(
                settings.path,
                baudrate=settings.baudrate,
                parity=settings.parity,
                stopbits=settings.stopbits,
                framing=settings.framing,
                rs485=settings.rs485,
                echo=settings.echo,
            )
