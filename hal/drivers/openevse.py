"""OpenEVSE and its relatives on a serial line (RAPI): hardware reference 3.1.

The board closes by itself (`hal.drivers.offering`) and knows no current below 6 A, so nothing
offered is *asleep* (`$FS`: +12 V without PWM; a vehicle has 3 s to let go, then the relay
opens). An opening that must not wait is *disabled* (`$FD`: -12 V, the relay opens at once),
which becomes asleep again after `DISABLED_S`. The board is looked at every second, and at once
when it tells that something has changed.

What it does on its own, and what becomes of it here:

* It starts awake, with the current of its EEPROM, and what was set up stays (its EEPROM has
  that too). A look that shows it awake, or with another current than was written, puts it back.
* It restores its own maximum when it has cooled down, and when a missed pulse is acknowledged:
  so that is never acknowledged here, but supervision armed anew.
* Its watchdog lowers to 6 A and cannot end the charge (docs/devices/openevse.md).
* A current without `V` is written to its EEPROM: ours are all volatile.
* Its button and its timer could start a charge; they are turned off.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from hal.api import EvseListener
from hal.bus.conversation import Conversation
from hal.bus.counters import PortCounters
from hal.bus.serial_line import LineSettings
from hal.bus.turns import Priority
from hal.drivers.offering import OfferingController
from hal.drivers.watched import Seen
from hal.errors import DeviceError
from hal.protocols.rapi import Line, Lines, framed
from hal.types import READY_STATES, EvseCapabilities, Fault, PilotState, Value

POLL_S: Final = 1.0
FAIL_AFTER_S: Final = 3.0
ANSWER_S: Final = 0.5
"""How long an answer may take (hardware reference 3.1)."""

WATCHDOG_S: Final = 15
FALLBACK_A: Final = 6
"""Supervision of the board. More than 65 s would overflow in its processor; 0 A is no current
that it can offer."""

DISABLED_S: Final = 0.3
"""How long state F lasts at least (IEC 61851-1 table A.5)."""

_ASLEEP, _DISABLED = 0xFE, 0xFF
_PILOTS: Final = {1: PilotState.A, 2: PilotState.B, 3: PilotState.C, 4: PilotState.D}
_FAULTS: Final[Mapping[int, Fault]] = {
    0x04: Fault.OTHER_ERROR,  # ventilation is asked for and not there
    0x05: Fault.DIODE_FAULT,
    0x06: Fault.GROUND_FAILURE,  # the residual current device has tripped
    0x07: Fault.GROUND_FAILURE,  # no protective earth
    0x08: Fault.CONTACTOR_FAULT,  # stuck
    0x09: Fault.GROUND_FAILURE,  # the residual current device failed its test
    0x0A: Fault.HIGH_TEMPERATURE,
    0x0B: Fault.OVER_CURRENT,
    0x0E: Fault.CONTACTOR_FAULT,  # did not close
}
MEANINGS: Final[Mapping[int, str]] = {
    **{state: pilot.value for state, pilot in _PILOTS.items()},
    **{state: fault.value for state, fault in _FAULTS.items()},
    _ASLEEP: "asleep",
    _DISABLED: "disabled",
}
"""What a state is, in words."""

_RELAY_CLOSED: Final = 0x0040
_EV_CONNECTED: Final = 0x0100
_BOOT_LOCKED: Final = 0x4000
NO_SENSOR: Final = -2560
"""What `$GP` says of a temperature sensor that is not there."""


class BoardState(Value, frozen=True):
    """What `$GS` says.

    Attributes:
        state: of the EVSE, as the firmware numbers it.
        pilot: what was seen last while the board was awake.
        flags: "vflags" of the firmware.
    """

    state: int
    pilot: int
    flags: int

    @property
    def is_awake(self) -> bool:
        """Return whether it would offer its current to a vehicle."""
        return self.state not in {_ASLEEP, _DISABLED}

    @property
    def is_closed(self) -> bool:
        """Return whether the relay is commanded closed; stuck ones are a state of their own."""
        return bool(self.flags & _RELAY_CLOSED) or self.state == 0x08  # noqa: PLR2004 - stuck

    @property
    def is_plugged(self) -> bool:
        """Return whether a vehicle is there; nothing can be told of a disabled board."""
        return bool(self.flags & _EV_CONNECTED)


class Counted(Value, frozen=True):
    """What the board has counted (`$GU`) and measures (`$GG`).

    Attributes:
        is_plugged: a vehicle was there, before and after.
        session_ws: of the session under way, or of the last one.
        total_wh: of all sessions that are over.
        milliamperes: -1 without an ammeter.
        millivolts: often only assumed.
    """

    is_plugged: bool
    session_ws: int
    total_wh: int
    milliamperes: int
    millivolts: int


def board_state(words: tuple[str, ...]) -> BoardState:
    """Return what the answer to `$GS` says.

    Raises:
        DeviceError: it has not the four words of firmware that can be used.
    """
    try:
        state, _elapsed_s, pilot, flags = words
        return BoardState(int(state, 16), int(pilot, 16), int(flags, 16))
    except ValueError as error:
        raise DeviceError(
            f"its state is {' '.join(words) or 'empty'!r}; firmware that tells it in four words"
            " is needed (RAPI 4 or newer)"
        ) from error


class OpenEvse(OfferingController):
    """An OpenEVSE board on a serial line."""

    def __init__(self, line: LineSettings, *, phases: int) -> None:
        """Say where the board is; nothing is opened yet.

        Args:
            phases: 1 or 3, as it is wired: the board cannot tell.
        """
        super().__init__("OpenEVSE", poll_s=POLL_S, fail_after_s=FAIL_AFTER_S)
        self._phases = phases
        self._talk = Conversation(line, Lines, self._told, timeout_s=ANSWER_S)
        self._max_a = 0
        self._is_awake = False
        self._disabled_at: float | None = None
        self._pilot: PilotState | None = None
        self._pulsed_at = float("-inf")
        self.firmware = ""

    @property
    def counters(self) -> PortCounters:
        """Return what the line has seen."""
        return self._talk.counters

    # --- commands ---

    async def energize(self, *, closed: bool) -> None:
        """Let the board close, or make it open at once; see `EvseController.energize`.

        Raises:
            BusError: the board is lost, or did not answer.
            DeviceError: it refused.
        """
        if not closed and self._may_flow:
            await self._obeyed("FD", priority=Priority.SAFETY)
            self._is_awake = False
            self._disabled_at = asyncio.get_running_loop().time()
            self._written_a = None
            self._hurry()
        await super().energize(closed=closed)

    @property
    def _may_flow(self) -> bool:
        seen = self._seen
        return seen is not None and (seen.closed or seen.pilot in READY_STATES)

    async def lock(self, *, locked: bool) -> None:  # noqa: ARG002 - there is none to move
        """Do nothing but see that the board is there: its cable is fixed.

        Raises:
            BusError: the board is lost.
        """
        self._require_device()

    # --- life ---

    async def run(self, listener: EvseListener) -> None:
        """Serve the board until cancelled; trouble is reported, never raised."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._talk.serve())
            await super().run(listener)

    def _told(self, line: Line) -> None:
        """Take what the board says unasked: a hint to look, and no more."""
        if line.is_told:
            self._hurry()

    async def _found(self) -> None:
        self._disabled_at = self._pilot = None

    async def _armed(self) -> None:
        """Set up a board that sleeps; what some firmware lacks may be refused."""
        await self._supervised()
        self.firmware = " ".join(await self._obeyed("GV"))
        await self._ask("FF B 0", Priority.POLL)
        timer = await self._ask("GD", Priority.POLL)
        if timer.is_ok and any(word != "0" for word in timer.words[1:]):
            await self._obeyed("ST 0 0 0 0")

    async def _supervised(self) -> None:
        answer = await self._ask(f"SY {WATCHDOG_S} {FALLBACK_A}", Priority.COMMAND)
        if not answer.is_ok:
            raise DeviceError(
                "its firmware has no heartbeat supervision; a newer one is needed"
            )
        self._pulsed_at = asyncio.get_running_loop().time()

    async def _kept(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._disabled_at is not None and now_s >= self._disabled_at + DISABLED_S:
            self._disabled_at, self._written_a = None, None
        if now_s >= self._pulsed_at + WATCHDOG_S / 4:
            self._pulsed_at = now_s
            if not (await self._ask("SY", Priority.COMMAND)).is_ok:  # it has missed one
                await self._supervised()
                self._written_a = None

    def _early(self) -> float | None:
        early = super()._early()
        if self._disabled_at is None:
            return early
        over_at = self._disabled_at + DISABLED_S
        return over_at if early is None else min(early, over_at)

    async def _put(self, wanted_a: float, priority: Priority) -> None:
        if wanted_a == 0.0:
            if self._disabled_at is None:
                await self._obeyed("FS", priority=priority)
                self._is_awake = False
            return
        await self._limited(int(wanted_a), priority)
        if not self._is_awake:  # the limit is there before it wakes
            await self._obeyed("FE", priority=priority)
            self._is_awake, self._disabled_at = True, None

    async def _limited(self, wanted_a: int, priority: Priority) -> None:
        """Set the current; the board answers with what it has made of it."""
        answer = await self._ask(f"SC {wanted_a} V", priority)
        set_a = _number(answer.words[1:])
        if set_a > wanted_a:
            raise DeviceError(f"{wanted_a} A were written, and it offers {set_a} A")

    async def _read(self) -> Seen:
        state = board_state(await self._obeyed("GS", Priority.STATE))
        limits = await self._obeyed("GC", Priority.STATE)
        if len(limits) != 4:  # noqa: PLR2004 - as the reference has it
            raise DeviceError(f"its currents are {limits}")
        self._max_a = min(_number(limits[1:2]), _number(limits[3:4]))
        await self._corrected(state, _number(limits[2:3]))
        return Seen(
            pilot=self._pilot_of(state),
            closed=state.is_closed,
            temperature_c=await self._temperature_c(),
            faults=frozenset({_FAULTS[state.state]} if state.state in _FAULTS else ()),
        )

    async def _corrected(self, state: BoardState, offered_a: int) -> None:
        """Put the board back to what was written, when it shows something else.

        A current below it is tried again too: a board that was hot does not raise it by itself
        to what it was, and one that has started anew has what its EEPROM says.
        """
        written_a, self._is_awake = self._written_a, state.is_awake
        if written_a is None:
            return
        is_wrong = state.is_awake is (written_a == 0.0)
        if is_wrong or (written_a and offered_a != written_a):
            self._written_a = None
        if written_a and state.flags & _BOOT_LOCKED:
            await self._ask("SB", Priority.COMMAND)
        await self._apply(Priority.SAFETY)

    def _pilot_of(self, state: BoardState) -> PilotState:
        """Return the pilot; asleep only a flag is fresh, disabled what was seen last stands.

        Raises:
            DeviceError: the state is none that the reference knows.
        """
        match state.state:
            case known if known in _PILOTS:
                self._pilot = _PILOTS[known]
            case known if known == _ASLEEP or known in _FAULTS:
                ready = PilotState.C if state.is_closed else PilotState.B
                self._pilot = ready if state.is_plugged else PilotState.A
            case known if known == _DISABLED:
                self._pilot = self._pilot or PilotState.F
            case _:
                raise DeviceError(f"its state {state.state:02X} is not known")
        return self._pilot

    async def _temperature_c(self) -> float | None:
        """Return what the hottest sensor shows, None without one."""
        answer = await self._ask("GP", Priority.POLL)
        tenths = [_number((word,)) for word in answer.words[1:]] if answer.is_ok else []
        return max((one / 10 for one in tenths if one != NO_SENSOR), default=None)

    def _capabilities(self) -> EvseCapabilities:
        return EvseCapabilities(max_a=float(self._max_a), phases=self._phases, is_tethered=True)

    def _clipped(self, limit_a: float) -> float:
        # Before the first look nothing is offered, so the most is known when it is needed.
        whole_a = min(int(limit_a), self._max_a)
        return float(whole_a) if whole_a >= FALLBACK_A else 0.0

    async def counted(self) -> Counted:
        """Return what the board has counted and measures, while it is served.

        Raises:
            BusError: no answer.
            DeviceError: it refuses, or a vehicle came or went meanwhile.
        """
        before = board_state(await self._obeyed("GS"))
        session, total = await self._numbers("GU")
        milliamperes, millivolts = await self._numbers("GG")
        after = board_state(await self._obeyed("GS"))
        if before.is_plugged is not after.is_plugged or _DISABLED in {
            before.state,
            after.state,
        }:
            raise DeviceError("a vehicle came or went between two counters")
        return Counted(after.is_plugged, session, total, milliamperes, millivolts)

    # --- questions ---

    async def _numbers(self, text: str) -> tuple[int, int]:
        words = await self._obeyed(text)
        if len(words) != 2:  # noqa: PLR2004 - as the reference has both
            raise DeviceError(f"OpenEVSE answers {text} with {words}")
        return _number(words[:1]), _number(words[1:])

    async def _obeyed(self, text: str, priority: Priority = Priority.POLL) -> tuple[str, ...]:
        """Return the words of an answer.

        Raises:
            BusError: no answer.
            DeviceError: the board refuses.
        """
        answer = await self._ask(text, priority)
        if not answer.is_ok:
            raise DeviceError(f"OpenEVSE refuses {text}")
        return answer.words[1:]

    async def _ask(self, text: str, priority: Priority) -> Line:
        return await self._talk.ask(lambda number: framed(text, number), is_answer, priority)


def is_answer(line: Line, number: int) -> bool:
    """Tell whether a line answers the question of a number."""
    return line.is_answer and line.sequence == number


def _number(words: tuple[str, ...]) -> int:
    """Return the one whole number in an answer.

    Raises:
        DeviceError: there is none.
    """
    try:
        (word,) = words
        return int(word)
    except ValueError as error:
        raise DeviceError(f"{' '.join(words) or 'nothing'!r} is no number") from error
