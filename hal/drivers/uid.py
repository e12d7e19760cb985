"""From what a reader reads to the id token that operators have on their lists.

Fleets write the same card differently: reversed, as a decimal number, with a prefix. All of
it is said in the board file (hardware reference 5.4); as it comes means uppercase hex in the
order in which the reader gives the bytes.
"""

from typing import Final, Literal

from hal.types import IdToken, TokenType, Value

MOST_CHARACTERS: Final = 36
"""Longest id token (OCPP 2.0.1; 1.6 carries 20 and refuses a longer one at its edge)."""

RANDOM_FIRST: Final = 0x08
"""A four-byte UID that begins so is made up anew at each tap (ISO/IEC 14443-3)."""

ByteOrder = Literal["as_read", "reversed"]
Notation = Literal["hex", "dec", "dec10"]


class UidFormat(Value, frozen=True):
    """How the bytes of a UID are written.

    Attributes:
        byte_order: of the UID, first byte first or last.
        notation: "hex", uppercase; "dec", without leading zeros; "dec10", at least ten digits.
        prefix: put before it.
        refuses_random: leave out UIDs that change with every tap (phones, some passports).
    """

    byte_order: ByteOrder = "as_read"
    notation: Notation = "hex"
    prefix: str = ""
    refuses_random: bool = False


def token(uid: bytes, form: UidFormat, kind: TokenType) -> IdToken | None:
    """Return the id token of a UID, None when it identifies nobody or does not fit."""
    is_random = len(uid) == 4 and uid[0] == RANDOM_FIRST  # noqa: PLR2004  # single-size UID
    if not uid or (is_random and form.refuses_random):
        return None
    data = uid if form.byte_order == "as_read" else uid[::-1]
    value = form.prefix + _written(data, form.notation)
    return IdToken(value, kind) if len(value) <= MOST_CHARACTERS else None


def _written(data: bytes, notation: Notation) -> str:
    number = int.from_bytes(data)
    match notation:
        case "hex":
            return data.hex().upper()
        case "dec":
            return str(number)
        case "dec10":
            return f"{number:010d}"
