"""PN532 reader on a serial line (HSU): wakes it, asks for cards a few times a second.

A reader that does not answer is a bus error; the driver ends with it and is started again,
which wakes the reader anew (it may have lost power meanwhile).
"""

import asyncio
from typing import Final

from hal.api import EvseListener, TokenReader
from hal.bus.serial_line import LineSettings, SerialLine, opened
from hal.drivers.serial_reader import Presence
from hal.drivers.uid import UidFormat, token
from hal.errors import BusError, DeviceError
from hal.protocols import pn532
from hal.types import TokenType

POLL_S: Final = 0.3
"""Between two questions for a card (hardware reference 5.1: 200 to 500 ms)."""

ANSWER_S: Final = 1.0
"""How long an answer may take; a question for a card returns within 200 ms."""

_NORMAL_MODE: Final = bytes((0x01, 0x00, 0x01))  # no SAM, no timeout, P70_IRQ driven
_FEW_RETRIES: Final = bytes((0x05, 0xFF, 0x01, 0x14))  # MxRtyPassiveActivation: do not block
_ONE_TYPE_A: Final = bytes((0x01, 0x00))
_PN532: Final = 0x32


class Pn532(TokenReader):
    """A PN532 on a serial line."""

    def __init__(self, line: LineSettings, form: UidFormat) -> None:
        self._settings, self._form = line, form

    async def run(self, listener: EvseListener) -> None:
        loop, presence = asyncio.get_running_loop(), Presence()
        async with opened(self._settings) as line:
            reader = _Conversation(line)
            await reader.wake()
            while True:
                uid = pn532.uid_of(await reader.asked(pn532.LIST_TARGETS, _ONE_TYPE_A))
                if uid is not None:
                    # The card is asked for anew each time: it must not stay selected.
                    await reader.asked(pn532.RELEASE, b"\x00")
                    id_token = token(uid, self._form, TokenType.ISO14443)
                    if id_token is not None and presence.is_new(id_token, loop.time()):
                        listener.token_presented(id_token)
                await asyncio.sleep(POLL_S)


class _Conversation:
    """One command at a time, each with its acknowledgement and its answer."""

    def __init__(self, line: SerialLine) -> None:
        self._line = line

    async def wake(self) -> None:
        """Bring the reader into its normal mode.

        Raises:
            BusError: nobody answers.
            DeviceError: it is another chip.
        """
        self._line.write(pn532.WAKE_UP)
        await self.asked(pn532.SAM_CONFIGURATION, _NORMAL_MODE)
        version = await self.asked(pn532.GET_FIRMWARE_VERSION)
        if not version or version[0] != _PN532:
            raise DeviceError(f"the reader is no PN532 but {version[:1].hex() or 'silent'}")
        await self.asked(pn532.RF_CONFIGURATION, _FEW_RETRIES)

    async def asked(self, command: int, data: bytes = b"") -> bytes:
        """Return the data of the answer to a command.

        Raises:
            BusError: no answer in time, or the line is gone.
            DeviceError: the reader refuses the command.
        """
        self._line.drop_input()
        frames = pn532.Frames()
        self._line.write(pn532.framed(command, data))
        try:
            async with asyncio.timeout(ANSWER_S):
                while True:
                    for frame in frames.fed(await self._line.read()):
                        match frame:
                            case pn532.Answer(command=of, data=answer) if of == command:
                                return answer
                            case pn532.Refused():
                                raise DeviceError(f"the reader refuses command {command:#04x}")
                            case _:
                                pass
        except TimeoutError:
            raise BusError(f"no answer to command {command:#04x} of the reader") from None
