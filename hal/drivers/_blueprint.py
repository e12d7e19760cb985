"""A complete driver to copy, for a controller that no register map can describe.

`docs/drivers.md` leads from here to a driver of your own. The board that it serves speaks
lines of text over TCP; `FakeBoard` below is one, so that the contract tests hold this file to
every clause of `hal.api`. The numbers in the comments are those of the clauses. Nothing of
pilotwire but `hal.api`, `hal.errors`, `hal.extensions` and `hal.types` is needed.

    > 7 offer 16.0 60.0                 a number that the answer repeats, a verb, arguments
    < 7 ok
    > 8 read
    < 8 C 1 32.0                        pilot, contactor, the cable's rating (0: no cable)

    controller = { driver = "blueprint", host = "192.168.1.60" }
"""

import asyncio
from contextlib import suppress
from typing import Annotated, Final, Self

from msgspec import Meta

from hal.api import EvseController, EvseListener, check_offer
from hal.errors import BusError
from hal.extensions import Driver, EvseFacts, Part
from hal.types import READY_STATES, EvseCapabilities, Fault, PilotState, Value

TIMEOUT_S: Final = 0.5
POLL_S: Final = 0.2
RETRY_S: Final = 1.0
LONGEST_LINE: Final = 200


class BlueprintSettings(Value, frozen=True):
    """Keys of the table beside `driver`; give everything a range: it is all the checking.

    Attributes:
        tethered: the cable is fixed to the station.
    """

    host: Annotated[str, Meta(min_length=1, max_length=255)]
    port: Annotated[int, Meta(ge=1, le=65_535)] = 4711
    tethered: bool = False


class Blueprint(EvseController):
    """One controller; nothing is opened before `run`."""

    def __init__(self, settings: BlueprintSettings, facts: EvseFacts) -> None:
        self._settings = settings
        self._capabilities = EvseCapabilities(
            max_a=facts.max_a, phases=facts.phases, is_tethered=settings.tethered
        )
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._number = 0
        self._turn = asyncio.Lock()
        self._is_lost: bool | None = None  # None: not known yet
        self._seen: tuple[PilotState, bool, float | None] | None = None

    # --- clauses 1, 2 and 4: the life of the device ---

    async def run(self, listener: EvseListener) -> None:
        """Connect, make safe and report, from connection to connection, until cancelled."""
        self._is_lost = None
        while True:
            try:
                await self._serve(listener)
            except (BusError, OSError) as error:  # 4: a loss is a fault, told once
                self._seen = None  # 4: what was seen before is not fresh any more
                if self._is_lost is not True:
                    self._is_lost = True
                    listener.fault_raised(Fault.COMMUNICATION_FAULT, str(error))
            finally:
                self._hang_up()  # 1: nothing stays open, whatever ended it
            await asyncio.sleep(RETRY_S)

    async def _serve(self, listener: EvseListener) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            line = await asyncio.open_connection(
                self._settings.host, self._settings.port, limit=LONGEST_LINE
            )
        self._line, self._seen = line, None
        await self._ask("safe")  # 1: before anything else, and at every return
        if self._is_lost:
            listener.fault_cleared(Fault.COMMUNICATION_FAULT)  # 4: before the levels
        self._is_lost = False
        listener.detected(self._capabilities)
        while True:
            self._report(listener, await self._ask("read"))
            await asyncio.sleep(POLL_S)

    def _report(self, listener: EvseListener, answer: list[str]) -> None:
        """Tell every level that is new (2); the cable before the pilot."""
        try:
            pilot, closed, rating_a = answer
            is_closed, cable_a = closed == "1", float(rating_a) or None
            seen = PilotState(pilot), is_closed, cable_a
        except ValueError as error:  # an answer that is none is a loss, never a state
            raise BusError(f"{self._settings.host}: {answer} is no state") from error
        before, self._seen = self._seen, seen
        if before is None or before[2] != cable_a:
            listener.cable_changed(None if self._settings.tethered else cable_a)
        if before is None or before[0] is not seen[0]:
            listener.pilot_changed(seen[0])
        if before is None or before[1] is not is_closed:
            listener.outlet_changed(closed=is_closed)

    # --- clauses 3 and 5: the commands ---

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current; see `EvseController.offer`.

        5: the board itself ends the offer. For one that cannot, keep a timer here.

        Raises:
            BusError: the board did not answer.
            ValueError: the limit is neither 0 nor 6 to 80 A, or valid_s is not positive.
        """
        check_offer(limit_a, valid_s)
        tenths = int(limit_a * 10 + 1e-6)  # rounded down; the tolerance is that of floats
        await self._ask(f"offer {tenths / 10} {valid_s}")

    async def energize(self, *, closed: bool) -> None:
        """Close or open the contactor; the outcome is polled like every other level.

        Raises:
            BusError: the board did not answer; the offer's expiry opens it.
        """
        if closed or self._is_lost is not None:
            await self._ask("close" if closed else "open")
        # Else `run` has yet to connect, and opens before it does anything else.

    async def lock(self, *, locked: bool) -> None:  # noqa: ARG002 - there is none to move
        """Do nothing but see that the board is there: it has no lock.

        Raises:
            BusError: the board did not answer.
        """
        await self._ask("read")

    async def _ask(self, request: str) -> list[str]:
        """Return the words of an answer.

        3: one request at a time. A caller may be cancelled at any point: the request has
        then been sent whole or not at all, and its answer is passed over by its number.
        """
        async with self._turn:
            if self._line is None:
                raise BusError(f"{self._settings.host} does not answer")
            reader, writer = self._line
            self._number += 1
            number = str(self._number)
            writer.write(f"{number} {request}\n".encode())
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    while True:
                        line = await reader.readuntil(b"\n")
                        said, *words = line.decode("ascii", "replace").split() or [""]
                        if said == number:
                            return words
            except (EOFError, asyncio.LimitOverrunError, OSError) as error:
                raise BusError(f"{self._settings.host}: no answer to {request}") from error

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line[1].close()
            self._line = None


# The entry point: `blueprint = "your_package:DRIVER"`. Its name is the one of the board file.
DRIVER = Driver(controller=Part(BlueprintSettings, Blueprint))


class FakeBoard:
    """A board with a vehicle, on a TCP port: the other end for tests and for trying out.

    Write yours from the device's manual and not from your driver, so that the two can
    disagree. It protects itself as a board must: see `_settle`.
    """

    def __init__(self) -> None:
        self.port = 0
        self.is_silent = False
        self._is_plugged = self._is_closed = False
        self._offer_a = 0.0
        self._expiry: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._make_safe()
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    @property
    def pilot(self) -> PilotState:
        """Return the state: its vehicle wants energy as soon as it is offered."""
        if not self._is_plugged:
            return PilotState.A
        return PilotState.C if self._offer_a else PilotState.B

    def plug(self, *, is_plugged: bool) -> None:
        """Plug the vehicle in, or take it away."""
        self._is_plugged = is_plugged
        self._settle()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError):
            while line := await reader.readline():
                number, verb, *arguments = line.decode().split()
                if not self.is_silent:
                    writer.write(f"{number} {self._obey(verb, arguments)}\n".encode())
        self._writers.discard(writer)
        writer.close()

    def _obey(self, verb: str, arguments: list[str]) -> str:
        match verb, arguments:
            case "read", []:
                cable_a = 32.0 if self._is_plugged else 0.0
                return f"{self.pilot.value} {int(self._is_closed)} {cable_a}"
            case "safe", []:
                self._make_safe()
            case "offer", [limit_a, valid_s]:
                self._offer(float(limit_a), float(valid_s))
            case "close" | "open", []:
                self._is_closed = verb == "close" and self.pilot in READY_STATES
            case _:
                return "what"
        return "ok"

    def _offer(self, limit_a: float, valid_s: float) -> None:
        self._make_safe(but_offer_a=limit_a)
        self._expiry = asyncio.get_running_loop().call_later(valid_s, self._make_safe)

    def _make_safe(self, *, but_offer_a: float = 0.0) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._offer_a = but_offer_a
        self._settle()

    def _settle(self) -> None:
        """Open the contactor when nothing is offered, or no vehicle asks."""
        self._is_closed = self._is_closed and self.pilot in READY_STATES
