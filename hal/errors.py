"""Errors of the hardware layer.

HalError
├── BusError     the line did not carry the exchange; transient, try again
├── DeviceError  the device answered, and what it said is unusable
└── BoardError   the board or register file is wrong; stops the start
"""


class HalError(Exception):
    """Base of everything the hardware layer raises."""


class BusError(HalError):
    """The bus did not answer in time or dropped the exchange; the device is as it was."""


class DeviceError(HalError):
    """The device answered with an exception or with a value that cannot be true."""


class BoardError(HalError):
    """A board file or a register map cannot be used; the text names file, line and remedy."""
