"""From the readers of a board file to their drivers, which are imported only where one is."""

import re
from collections.abc import Callable
from functools import partial

from hal.api import TokenReader
from hal.reader_settings import (
    HidReaderSettings,
    Pn532Settings,
    Rdm6300Settings,
    SerialReaderSettings,
)
from hal.types import IdToken


def hid_reader(settings: HidReaderSettings) -> TokenReader:
    """Return the driver of a reader that types."""
    # Imported only for a board that has such a reader; see the module.
    from hal.drivers.hid_reader import HidReader, TypedNumber, TypedText  # noqa: PLC0415
    from hal.drivers.uid import UidFormat  # noqa: PLC0415

    meaning: Callable[[str], IdToken | None]
    if settings.number is None:
        meaning = TypedText(re.compile(settings.pattern), settings.type, settings.prefix)
    else:
        form = UidFormat(settings.byte_order, settings.format, settings.prefix)
        meaning = TypedNumber(settings.number, form, settings.type, size=settings.size)
    return HidReader(settings.path, meaning, layout=settings.layout)


def serial_reader(settings: SerialReaderSettings) -> TokenReader:
    """Return the driver of a reader on a serial line."""
    # Imported only for a board that has such a reader; see the module.
    from hal.bus.serial_line import LineSettings  # noqa: PLC0415
    from hal.drivers.uid import UidFormat  # noqa: PLC0415

    line = LineSettings(settings.path, settings.baudrate)
    if isinstance(settings, Pn532Settings):
        from hal.drivers.pn532 import Pn532  # noqa: PLC0415

        return Pn532(
            line,
            UidFormat(
                settings.byte_order, settings.format, settings.prefix, settings.refuses_random
            ),
        )
    from hal.drivers.serial_reader import Rdm6300, SerialReader, TextLines  # noqa: PLC0415

    if isinstance(settings, Rdm6300Settings):
        form = UidFormat(settings.byte_order, settings.format, settings.prefix)
        kind, with_version = settings.type, settings.with_version
        return SerialReader(line, lambda: Rdm6300(form, kind, with_version=with_version))
    return SerialReader(
        LineSettings(settings.path, settings.baudrate, settings.parity, settings.stopbits),
        partial(TextLines, re.compile(settings.pattern), settings.type, settings.prefix),
    )
