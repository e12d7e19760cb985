"""RS-485 mode of a serial line: the kernel drives the transmitter by RTS.

USB adapters and most HATs switch their direction themselves and know nothing of this; it is
for the UARTs of a system on chip that are wired to a transceiver. The kernel keeps the mode
while the line is open anywhere, so the line is held open here, beside whoever talks on it.
"""

import fcntl
import os
import struct
from typing import Final, Literal

Rs485Mode = Literal["adapter", "rts_high", "rts_low"]
"""Who switches the direction: the adapter, or the kernel by RTS, high or low to send."""

_TIOCSRS485: Final = 0x542F  # <asm-generic/ioctls.h>
_ENABLED: Final = 1  # <linux/serial.h>, struct serial_rs485
_RTS_ON_SEND: Final = 2
_RTS_AFTER_SEND: Final = 4


def settings(mode: Literal["rts_high", "rts_low"]) -> bytes:
    """Return `struct serial_rs485` for a mode: flags, two delays of 0 ms, padding."""
    level = _RTS_ON_SEND if mode == "rts_high" else _RTS_AFTER_SEND
    return struct.pack("=8I", _ENABLED | level, 0, 0, 0, 0, 0, 0, 0)


def hold(path: str, mode: Literal["rts_high", "rts_low"]) -> int:
    """Open a line and put it into a mode; return the descriptor that keeps it there.

    Raises:
        OSError: there is no such line, or its driver has no RS-485 mode; nothing is open.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        fcntl.ioctl(descriptor, _TIOCSRS485, settings(mode))
    except OSError as error:
        os.close(descriptor)
        raise OSError(
            error.errno,
            f"its driver has no RS-485 mode ({os.strerror(error.errno or 0)}); "
            'rs485 = "adapter" leaves the direction to the adapter',
        ) from error
    return descriptor


def is_pseudo_terminal(path: str) -> bool:
    """Tell whether a line has no wires: it takes no parity, however a board is written."""
    return os.path.realpath(path).startswith("/dev/pts/")
