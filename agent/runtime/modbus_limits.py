"""A Modbus TCP server through which a local energy manager limits the whole station.

    holding registers, function codes 3, 6 and 16
      0       limit per line conductor, 0.1 A; 65535: none
      1, 2    limit of power, W, high word first; both 65535: none
      3       how long a limit holds, 1 to 65535 s; 60 at the start
    input registers, function code 4
      0       version of this block: 1
      1       number of EVSEs
      2       seconds that the limit still holds; 65535: there is none, 0: the safe one holds
      3, 4    power of all EVSEs, W, high word first
      16 + 4n of EVSE n + 1: setpoint 0.1 A, highest phase current 0.1 A, power W, unused

Writing register 0, or 1 and 2, sets the limit or says it again; the other one of both is
forgotten. Every limit has to be written again before its time is over.

The protocol is spoken here and not by pymodbus: its server has changed its interface several
times within the versions that this project works with, and loads what a station that only
listens never needs. Three function codes are less than its adapter would be (ADR 0032).
"""

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from agent.core.bounds import Given
from agent.core.effects import Done, Outcome, Verdict
from agent.core.events import ExternalLimitCleared, ExternalLimitSet
from agent.core.station import Station, targets

logger = logging.getLogger(__name__)

ORIGIN: Final = "modbus"
VERSION: Final = 1
MOST_CLIENTS: Final = 4
IDLE_S: Final = 120.0
"""A client that says nothing for so long is gone, whatever its connection looks like."""

ANSWER_S: Final = 5.0
"""How long a write may wait for the disk."""

NONE: Final = 0xFFFF
NO_POWER: Final = 0xFFFF_FFFF
USUAL_VALID_S: Final = 60
FIRST_EVSE: Final = 16
PER_EVSE: Final = 4
MOST_REGISTERS: Final = 125

_READ_HOLDING, _READ_INPUT, _WRITE_ONE, _WRITE_SEVERAL = 3, 4, 6, 16
_POWER = {1, 2}
_ILLEGAL_FUNCTION, _ILLEGAL_ADDRESS, _ILLEGAL_VALUE, _FAILED = 1, 2, 3, 4

Ask = Callable[[Callable[[int], ExternalLimitSet | ExternalLimitCleared]], Awaitable[Outcome]]


class _RefusedError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class LimitServer:
    """Serves the block; one task per client.

    Attributes:
        listening: set once clients can connect, to `port`.
    """

    def __init__(
        self,
        ask: Ask,
        station: Callable[[], Station],
        now_s: Callable[[], float],
        *,
        unit: int = 1,
    ) -> None:
        """Prepare to serve.

        Args:
            ask: has a request answered by the core.
            station: gives the present one.
            now_s: monotonic seconds.
        """
        self._ask, self._station, self._now_s, self._unit = ask, station, now_s, unit
        self._valid_s = USUAL_VALID_S
        self._clients, self.port = 0, 0
        self.listening = asyncio.Event()

    async def run(self, host: str, port: int) -> None:
        """Serve until cancelled.

        Raises:
            OSError: the address cannot be bound.
        """
        async with asyncio.TaskGroup() as clients:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                serving = clients.create_task(self._client(reader, writer))
                serving.add_done_callback(lambda _: writer.close())

            server = await asyncio.start_server(connected, host, port)
            self.port = server.sockets[0].getsockname()[1]
            self.listening.set()
            logger.info("limits are taken by Modbus on %s port %d", host, self.port)
            try:
                await asyncio.get_running_loop().create_future()  # until cancelled
            finally:
                server.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._clients >= MOST_CLIENTS:
            return
        self._clients += 1
        try:
            while True:
                async with asyncio.timeout(IDLE_S):
                    head = await reader.readexactly(7)
                    number, protocol, length, unit = struct.unpack(">HHHB", head)
                    if protocol or not 2 <= length <= 254:  # noqa: PLR2004 - Modbus TCP 3.1.3
                        return
                    pdu = await reader.readexactly(length - 1)
                if unit in {0, self._unit, 255}:
                    answer = await self.answered(pdu)
                    header = struct.pack(">HHHB", number, 0, len(answer) + 1, unit)
                    writer.write(header + answer)
                    await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._clients -= 1

    async def answered(self, pdu: bytes) -> bytes:
        """Return the answer to a request, both without header."""
        code = pdu[0]
        try:
            return bytes((code,)) + await self._served(code, pdu[1:])
        except _RefusedError as error:
            return bytes((code | 0x80, error.code))
        except struct.error:
            return bytes((code | 0x80, _ILLEGAL_VALUE))

    async def _served(self, code: int, data: bytes) -> bytes:
        if code in {_READ_HOLDING, _READ_INPUT}:
            address, count = struct.unpack(">HH", data)
            if not 1 <= count <= MOST_REGISTERS:
                raise _RefusedError(_ILLEGAL_VALUE)
            block = self._holding() if code == _READ_HOLDING else self._inputs()
            words = block[address : address + count]
            if len(words) < count:
                raise _RefusedError(_ILLEGAL_ADDRESS)
            return bytes((2 * count,)) + struct.pack(f">{count}H", *words)
        if code == _WRITE_ONE:
            address, word = struct.unpack(">HH", data)
            await self._write(address, (word,))
            return data
        if code == _WRITE_SEVERAL:
            address, count, size = struct.unpack(">HHB", data[:5])
            if size != 2 * count:
                raise _RefusedError(_ILLEGAL_VALUE)
            await self._write(address, struct.unpack(f">{count}H", data[5:]))
            return data[:4]
        raise _RefusedError(_ILLEGAL_FUNCTION)

    # --- reading ---

    def _given(self) -> Given | None:
        return self._station().outside.given.get(f"{ORIGIN}/0")

    def _holding(self) -> list[int]:
        given = self._given()
        amps, power = NONE, NO_POWER
        if given is not None and given.limit_a is not None:
            amps = round(given.limit_a * 10)
        if given is not None and given.limit_w is not None:
            power = round(given.limit_w)
        return [amps, power >> 16, power & 0xFFFF, self._valid_s]

    def _inputs(self) -> list[int]:
        station, given = self._station(), self._given()
        left = NONE
        if given is not None:
            left_s = 0.0 if given.until_s is None else given.until_s - self._now_s()
            left = min(max(int(left_s), 0), NONE - 1)
        offers = targets(station)
        parts: list[int] = []
        total_w = 0.0
        for evse_id, evse in station.evses.items():
            reading = evse.inputs.reading
            power_w = reading.power_w if reading else 0.0
            amps = reading.current_a if reading else None
            most_a = max(amps.l1, amps.l2, amps.l3) if amps else 0.0
            total_w += power_w
            parts += _words((offers.of(evse_id).offer_a * 10, most_a * 10, power_w, 0))
        whole = min(max(round(total_w), 0), NO_POWER)
        head = [VERSION, len(station.evses), left, whole >> 16, whole & 0xFFFF]
        return [*head, *[0] * (FIRST_EVSE - len(head)), *parts]

    # --- writing ---

    async def _write(self, address: int, words: tuple[int, ...]) -> None:
        """Write what stands side by side: validity first, then the limit it is for."""
        places = dict(enumerate(words, address))
        if not places or not places.keys() <= {0, 1, 2, 3}:
            raise _RefusedError(_ILLEGAL_ADDRESS)
        if len(places.keys() & _POWER) == 1:
            raise _RefusedError(_ILLEGAL_ADDRESS)  # half a number
        if places.get(3, self._valid_s) == 0:
            raise _RefusedError(_ILLEGAL_VALUE)
        amps = places.get(0, NONE)
        power = places.get(1, NONE) << 16 | places.get(2, NONE)
        if amps != NONE and power != NO_POWER:
            raise _RefusedError(_ILLEGAL_VALUE)
        self._valid_s = places.get(3, self._valid_s)
        if amps != NONE:
            await self._set(limit_a=amps / 10)
        elif power != NO_POWER:
            await self._set(limit_w=float(power))
        elif places.keys() & {0, 1} and self._given() is not None:
            await self._asked(lambda request_id: ExternalLimitCleared(request_id, ORIGIN))

    async def _set(self, *, limit_a: float | None = None, limit_w: float | None = None) -> None:
        valid_s = float(self._valid_s)
        await self._asked(
            lambda request_id: ExternalLimitSet(
                request_id, ORIGIN, valid_s, limit_a=limit_a, limit_w=limit_w
            )
        )

    async def _asked(
        self, event: Callable[[int], ExternalLimitSet | ExternalLimitCleared]
    ) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                outcome = await self._ask(event)
        except TimeoutError:
            raise _RefusedError(_FAILED) from None
        if not isinstance(outcome, Done) or outcome.verdict is not Verdict.ACCEPTED:
            raise _RefusedError(_FAILED)


def _words(values: Iterable[float]) -> list[int]:
    return [min(max(round(value), 0), NONE - 1) for value in values]
