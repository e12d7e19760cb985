"""USB readers that are keyboards: they type what they read, and press Enter.

The kernel tells each key as a `struct input_event` on a device file (<linux/input.h>). That is
24 bytes to unpack (16 on 32-bit boards) and one ioctl, so there is no library for it:
python-evdev comes as source and wants a compiler and the kernel's headers on the charger.

A keyboard tells where a key is and not what is printed on it: the reader was set up for some
layout, and so is the driver. The device is grabbed, so that no card is typed into a login on
the console.
"""

import asyncio
import fcntl
import os
import re
import struct
from collections.abc import Callable
from typing import BinaryIO, Final, Literal

from hal.api import EvseListener, TokenReader
from hal.bus.serial_line import SerialLine
from hal.drivers.serial_reader import Presence
from hal.drivers.uid import MOST_CHARACTERS, UidFormat, token
from hal.errors import BusError
from hal.types import IdToken, TokenType

Layout = Literal["us", "de", "fr"]

MOST_TYPED: Final = 64
"""Characters of a token; whoever types more is no reader."""

FORGOTTEN_S: Final = 2.0
"""A reader types a card in a fraction of a second; half a card that is older is none."""

_EVENT: Final = struct.Struct("@llHHi")  # time of the event, type, code, value
_GRAB: Final = 0x40044590  # EVIOCGRAB
_SYNC, _KEY = 0, 1
_DROPPED: Final = 3
_DOWN: Final = 1  # 0 is up, 2 a repetition
_ENTERS: Final = frozenset({28, 96})
_SHIFTS: Final = frozenset({42, 54})
_FIRST_CODES: Final = (2, 16, 30, 44)  # of the rows of a keyboard, from the digits down
_KEYPAD: Final = dict(zip((*range(71, 84), 55, 98), "789-456+1230.*/", strict=True))
_ROWS: Final[dict[Layout, tuple[tuple[str, str], ...]]] = {
    "us": (
        ("1234567890-=", "!@#$%^&*()_+"),
        ("qwertyuiop[]", "QWERTYUIOP{}"),
        ("asdfghjkl;'", 'ASDFGHJKL:"'),
        ("zxcvbnm,./", "ZXCVBNM<>?"),
    ),
    "de": (
        ("1234567890ß\u00b4", '!"§$%&/()=?`'),
        ("qwertzuiopü+", "QWERTZUIOPÜ*"),
        ("asdfghjklöä", "ASDFGHJKLÖÄ"),
        ("yxcvbnm,.-", "YXCVBNM;:_"),
    ),
    "fr": (
        ("&é\"'(-è_çà)=", "1234567890°+"),
        ("azertyuiop^$", "AZERTYUIOP¨£"),
        ("qsdfghjklmù", "QSDFGHJKLM%"),
        ("wxcvbn,;:!", "WXCVBN?./§"),
    ),
}


def keys(layout: Layout) -> dict[int, tuple[str, str]]:
    """Return what each key types, without shift and with it, by its code."""
    typed = {code: (letter, letter) for code, letter in _KEYPAD.items()} | {57: (" ", " ")}
    for first, (plain, shifted) in zip(_FIRST_CODES, _ROWS[layout], strict=True):
        typed |= {first + at: pair for at, pair in enumerate(zip(plain, shifted, strict=True))}
    return typed


class Keyboard:
    """Makes lines of key events."""

    def __init__(self, layout: Layout) -> None:
        self._keys = keys(layout)
        self.forget()

    def forget(self) -> None:
        """Begin afresh: what was typed belongs to nothing."""
        self._rest, self._text, self._shifts = b"", "", frozenset[int]()
        self._is_spoilt = False

    def fed(self, data: bytes) -> list[str]:
        """Take events as they come; return the lines that are complete with them."""
        data = self._rest + data
        whole = len(data) - len(data) % _EVENT.size
        self._rest = data[whole:]
        lines = []
        for _, _, kind, code, value in _EVENT.iter_unpack(data[:whole]):
            if kind == _SYNC and code == _DROPPED:
                self._is_spoilt = True  # the kernel's buffer ran over: keys are missing
            elif kind == _KEY and code in _SHIFTS:
                held = self._shifts | {code} if value else self._shifts - {code}
                self._shifts = frozenset(held)
            elif kind == _KEY and value == _DOWN:
                lines += self._pressed(code)
        return lines

    def _pressed(self, code: int) -> list[str]:
        if code in _ENTERS:
            line = [] if self._is_spoilt else [self._text]
            self._text, self._is_spoilt = "", False
            return line
        if code in self._keys and not self._is_spoilt:
            self._text += self._keys[code][bool(self._shifts)]
            self._is_spoilt = len(self._text) > MOST_TYPED
        return []


class TypedText:
    """A line is the id, or holds it."""

    def __init__(self, pattern: re.Pattern[str], kind: TokenType, prefix: str = "") -> None:
        """Say what is an id.

        Args:
            pattern: what a line must match as a whole; its group `id`, or all of it, is the id.
            kind: of the tokens.
            prefix: put before it.
        """
        self._pattern, self._kind, self._prefix = pattern, kind, prefix

    def __call__(self, line: str) -> IdToken | None:
        """Return the token of a line, None when it is none."""
        match = self._pattern.fullmatch(line)
        if match is None:
            return None
        value = self._prefix + (match["id"] if "id" in self._pattern.groupindex else line)
        return IdToken(value, self._kind) if len(value) <= MOST_CHARACTERS else None


class TypedNumber:
    """A line is the UID of a card, as a number."""

    def __init__(
        self, base: Literal["hex", "dec"], form: UidFormat, kind: TokenType, *, size: int
    ) -> None:
        """Say how it is typed and how it is to be written.

        Args:
            base: that the reader types in.
            form: that operators write it in.
            kind: of the tokens.
            size: bytes of a UID that is typed as a decimal number, 4 to 10.
        """
        self._base, self._form, self._kind, self._size = base, form, kind, size

    def __call__(self, line: str) -> IdToken | None:
        """Return the token of a line, None when it is no such number."""
        try:
            if self._base == "hex":
                uid = bytes.fromhex(line)
            else:
                uid = int(line).to_bytes(self._size) if line.isdecimal() else b""
        except (ValueError, OverflowError):
            return None
        return token(uid, self._form, self._kind)


def grab(descriptor: int) -> None:
    """Let nobody else have the keys of an input device, until it is closed.

    Raises:
        OSError: it is no input device, or somebody else has it.
    """
    fcntl.ioctl(descriptor, _GRAB, 1)


class HidReader(TokenReader):
    """A reader that types."""

    def __init__(
        self,
        path: str,
        meaning: Callable[[str], IdToken | None],
        *,
        layout: Layout = "us",
        grab: Callable[[int], None] = grab,
    ) -> None:
        """Name the reader; nothing is opened yet.

        Args:
            path: of its event device; the names under /dev/input/by-id stay.
            meaning: what a line is.
            layout: that the reader was set up for.
            grab: makes the open device ours alone, or raises OSError.
        """
        self._path, self._meaning, self._layout, self._grab = path, meaning, layout, grab

    async def run(self, listener: EvseListener) -> None:
        """Listen until cancelled.

        Raises:
            BusError: there is no such device, it is another's, or it is gone.
        """
        loop, presence, keyboard = (
            asyncio.get_running_loop(),
            Presence(),
            Keyboard(self._layout),
        )
        typed_at = loop.time()
        with self._opened() as device:
            line = SerialLine(device, self._path)
            try:
                while True:
                    data = await line.read()
                    if loop.time() - typed_at > FORGOTTEN_S:
                        keyboard.forget()
                    typed_at = loop.time()
                    for found in filter(None, map(self._meaning, keyboard.fed(data))):
                        if presence.is_new(found, typed_at):
                            listener.token_presented(found)
            finally:
                line.close()

    def _opened(self) -> BinaryIO:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            device = os.fdopen(os.open(self._path, flags), "rb", 0)
        except OSError as error:
            raise BusError(f"{self._path}: {error.strerror}") from error
        try:
            self._grab(device.fileno())
        except OSError as error:
            device.close()
            raise BusError(f"{self._path}: cannot be grabbed: {error.strerror}") from error
        return device
