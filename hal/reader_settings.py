r"""What a board file says of a token reader.

    reader = { driver = "pn532", path = "/dev/serial/by-id/usb-…" }
    reader = { driver = "rdm6300", path = "/dev/ttyS2", format = "dec10" }
    reader = { driver = "serial_text", path = "/dev/ttyACM0", pattern = "UID=(?P<id>.{8})" }
    reader = { driver = "hid_keyboard", path = "/dev/input/by-id/usb-…-event-kbd" }

How a UID is written has to match the operator's lists (hardware reference 5.4).
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from hal.types import TokenType, Value

Device: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Baudrate: TypeAlias = Annotated[int, Meta(ge=300, le=921_600)]
Prefix: TypeAlias = Annotated[str, Meta(max_length=16, pattern=r"^[\x21-\x7e]*$")]


class SimulatedReaderSettings(Value, frozen=True, tag="simulated", tag_field="driver"):
    """A reader that reads the tokens a bench presents."""


class Pn532Settings(Value, frozen=True, tag="pn532", tag_field="driver"):
    """A PN532 on a serial line (HSU): ISO/IEC 14443 type A.

    Attributes:
        path: of the device. Names under /dev/serial/by-id or by-path stay the same whatever
            else is plugged in.
        byte_order, format, prefix: how a UID is written as an id token.
        refuses_random: leave out UIDs that change with every tap (phones, some passports).
    """

    path: Device
    baudrate: Baudrate = 115_200
    byte_order: Literal["as_read", "reversed"] = "as_read"
    format: Literal["hex", "dec", "dec10"] = "hex"
    prefix: Prefix = ""
    refuses_random: bool = False


class Rdm6300Settings(Value, frozen=True, tag="rdm6300", tag_field="driver"):
    """An RDM6300 on a serial line: EM4100 cards and fobs of 125 kHz.

    Attributes:
        with_version: the first of the five bytes belongs to the id; on the fob it does not.
        type: what the tokens are told as; OCPP has no word for 125 kHz.
    """

    path: Device
    baudrate: Baudrate = 9600
    byte_order: Literal["as_read", "reversed"] = "as_read"
    format: Literal["hex", "dec", "dec10"] = "hex"
    prefix: Prefix = ""
    with_version: bool = False
    type: TokenType = TokenType.ISO14443


class TextReaderSettings(Value, frozen=True, tag="serial_text", tag_field="driver"):
    """A reader that sends text, a card a line: EM-18, TWN4, barcode and keypad units.

    Attributes:
        pattern: regular expression for a whole line; its group `id`, or all of it, is the id.
        type: what the tokens are told as.
    """

    path: Device
    baudrate: Baudrate = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    pattern: Annotated[str, Meta(min_length=1, max_length=200)] = r"[0-9A-Fa-f]{8,20}"
    prefix: Prefix = ""
    type: TokenType = TokenType.ISO14443


class HidReaderSettings(Value, frozen=True, tag="hid_keyboard", tag_field="driver"):
    """A USB reader that is a keyboard: it types what it reads, and Enter.

    Attributes:
        path: of its event device, under /dev/input/by-id.
        layout: of the keyboard that it takes itself for.
        number: what it types is the UID as a number of this base, and byte_order, format and
            size say how that is written as an id token; None: what it types is the id.
        size: bytes of a UID that is typed as a decimal number.
        pattern: without `number`, what a line must match; its group `id`, or all of it, is
            the id.
        type: what the tokens are told as.
    """

    path: Device
    layout: Literal["us", "de", "fr"] = "us"
    number: Literal["hex", "dec"] | None = None
    size: Annotated[int, Meta(ge=4, le=10)] = 4
    byte_order: Literal["as_read", "reversed"] = "as_read"
    format: Literal["hex", "dec", "dec10"] = "hex"
    pattern: Annotated[str, Meta(min_length=1, max_length=200)] = r"[0-9A-Fa-f]{4,20}"
    prefix: Prefix = ""
    type: TokenType = TokenType.ISO14443


SerialReaderSettings: TypeAlias = Pn532Settings | Rdm6300Settings | TextReaderSettings
OwnReaderSettings: TypeAlias = SerialReaderSettings | HidReaderSettings
"""Of a reader that has a device file for itself."""

ReaderSettings: TypeAlias = SimulatedReaderSettings | OwnReaderSettings


def wrong_reader(settings: OwnReaderSettings) -> Iterator[tuple[str, str]]:
    """Yield the key and what is wrong with it, for what the types alone cannot refuse."""
    if isinstance(settings, TextReaderSettings | HidReaderSettings):
        try:
            re.compile(settings.pattern)
        except re.error as error:
            yield "pattern", f"is no regular expression: {error}"
    if isinstance(settings, HidReaderSettings) and settings.number is None:
        for key, plain in (("byte_order", "as_read"), ("format", "hex")):
            if getattr(settings, key) != plain:
                yield key, 'needs number = "hex" or "dec": what the reader types'
