"""A simulated OpenEVSE board: its firmware's manners in front of a simulated EVSE.

async with OpenEvseDevice(SimulatedEvse(is_tethered=True)) as board:
    OpenEvse(LineSettings(board.path, 115_200), phases=1)

Written from the firmware and not from the driver, with what surprises: it starts awake with the
current of its EEPROM, falls back to 6 A and never to 0, restores its maximum by itself, and
leaves a vehicle 3 s to let go before it sleeps.
"""

import asyncio
from typing import Final, Literal

from hal.protocols.rapi import LONGEST_REQUEST, Line, Lines, framed
from hal.sim.evse import SimulatedEvse
from hal.sim.line_device import FOREVER_S, LineDevice
from hal.sim.timer import Timer
from hal.types import READY_STATES, Fault, PilotState

FIRMWARE: Final = "8.2.3 5.2.1"
LEAST_A: Final = 6
EEPROM_A: Final = 32
GRACE_S: Final = 3.0
ACKNOWLEDGE: Final = 0xA5

Mode = Literal["awake", "asleep", "disabled"]

_STATES: Final = {PilotState.A: 1, PilotState.B: 2, PilotState.C: 3, PilotState.D: 4}
_FAULT_STATES: Final = {
    Fault.DIODE_FAULT: 0x05,
    Fault.GROUND_FAILURE: 0x06,
    Fault.CONTACTOR_FAULT: 0x08,
    Fault.HIGH_TEMPERATURE: 0x0A,
    Fault.OVER_CURRENT: 0x0B,
}
_NO_SENSOR: Final = -2560
_WS_PER_WH: Final = 3600


class OpenEvseDevice(LineDevice):
    """One board.

    Attributes:
        mode: what `$FE`, `$FS` and `$FD` choose.
        capacity_a: what it offers a vehicle while it is awake.
        most_a: of its EEPROM, which a volatile current cannot exceed.
        timer: of delayed charging, as `$GD` has it.
        is_boot_locked: it charges nobody until `$SB`.
        lacks: commands that its firmware does not have.
    """

    def __init__(self, evse: SimulatedEvse) -> None:
        super().__init__(evse)
        self.mode: Mode = "awake"
        self.capacity_a = self.most_a = EEPROM_A
        self.timer = "0 0 0 0"
        self.is_boot_locked = False
        self.lacks: set[str] = set()
        self.watchdog = (0, 0)
        self._trigger = 0  # 2: a pulse was missed and not acknowledged
        self._lines = Lines()
        self._pilot = 1
        self._session_ws = 0.0
        self._session_began_wh: float | None = None
        self._pulse = Timer(self._fall_back)
        self._grace = Timer(self._open)
        self._tasks_of_timers: set[asyncio.Task[None]] = set()
        self._told = ""

    async def restart(self) -> None:
        """Lose power for a moment: it starts awake, with the current of its EEPROM."""
        self._lines = Lines()
        self.mode, self.capacity_a = "awake", self.most_a
        await self._follow()
        self.say(framed("AB 00 8.2.3"))

    async def cool_down(self) -> None:
        """Have been hot, and restore the maximum, as its temperature control does."""
        self.capacity_a = self.most_a
        await self._follow()
        self._changed()

    # --- the line ---

    async def _received(self, data: bytes) -> None:
        for line in self._lines.fed(data):
            text = " ".join(line.words)
            self.heard.append(text)
            is_ok, answer = await self._obey(line)
            words = f"{'OK' if is_ok else 'NK'} {answer}".rstrip()
            self.say(framed(words, line.sequence))
            self._changed()

    async def _obey(self, line: Line) -> tuple[bool, str]:
        command, *words = line.words
        too_long = len(framed(" ".join(line.words), line.sequence)) - 1 > LONGEST_REQUEST
        if too_long or command in self.lacks:
            return False, ""
        match command, words:
            case "FE" | "FS" | "FD", []:
                await self._switch(command)
            case "SC", [amperes, "V"]:
                return await self._set_capacity(int(amperes))
            case "SY", []:
                self._pulsed()
                return self._trigger != 2, self._supervision()  # noqa: PLR2004 - see there
            case "SY", [interval, fallback]:
                self.watchdog, self._trigger = (int(interval), int(fallback)), 0
                self._pulsed()
                return True, self._supervision()
            case "SY", [cookie]:
                return await self._acknowledged(int(cookie)), self._supervision()
            case "SB", []:
                self.is_boot_locked = False
                await self._follow()
            case "ST", times:
                self.timer = " ".join(times)
            case "FF", [_, "0" | "1"]:
                pass
            case _:
                return self._shown(command)
        return True, ""

    def _shown(self, command: str) -> tuple[bool, str]:
        reading = self.evse.reading()
        match command:
            case "GS":
                return True, f"{self._state():02x} 0 {self._pilot:02x} {self._flags():04x}"
            case "GC":
                return True, f"{LEAST_A} {EEPROM_A} {self.capacity_a} {self.most_a}"
            case "GV":
                return True, FIRMWARE
            case "GY":
                return True, self._supervision()
            case "GD":
                return True, self.timer
            case "GP":
                hot_c = self._temperature_c
                return True, f"{_NO_SENSOR if hot_c is None else round(hot_c * 10)} -2560 -2560"
            case "GG":
                milliamperes = round(reading.current_a.l1 * 1000)
                return True, f"{milliamperes} {round(reading.voltage_v.l1 * 1000)}"
            case "GU":
                session_ws, total_wh = self._energy()
                return True, f"{session_ws} {total_wh}"
            case _:
                return False, ""

    def _supervision(self) -> str:
        return f"{self.watchdog[0]} {self.watchdog[1]} {self._trigger}"

    # --- what it does ---

    async def _switch(self, command: str) -> None:
        if command == "FE":
            self.mode = "awake"
        elif command == "FD":
            self.mode = "disabled"
        else:
            self.mode = "asleep"
            if self.evse.outlet_closed:
                self._grace.start(GRACE_S)
        await self._follow()

    async def _set_capacity(self, amperes: int) -> tuple[bool, str]:
        self.capacity_a = max(LEAST_A, min(amperes, self.most_a))
        await self._follow()
        return self.capacity_a == amperes, str(self.capacity_a)

    async def _acknowledged(self, cookie: int) -> bool:
        """Take an acknowledgement: it restores the maximum, whatever was set before."""
        if cookie == ACKNOWLEDGE and self._trigger == 2:  # noqa: PLR2004 - as in SY
            self._trigger, self.capacity_a = 1, self.most_a
            await self._follow()
        return cookie == ACKNOWLEDGE

    async def _follow(self) -> None:
        """Bring the electrical side to what mode and current say."""
        is_awake = self.mode == "awake" and not self.is_boot_locked
        if is_awake:
            self._grace.stop()
        if self.mode == "disabled":
            await self.evse.energize(closed=False)
        await self.evse.offer(float(self.capacity_a) if is_awake else 0.0, valid_s=FOREVER_S)
        if is_awake and self.evse.pilot in READY_STATES:
            await self.evse.energize(closed=True)

    def _pulsed(self) -> None:
        self._pulse.stop()
        if self.watchdog[0]:
            self._pulse.start(self.watchdog[0])

    def _fall_back(self) -> None:
        self._trigger = 2
        self.capacity_a = min(self.capacity_a, max(LEAST_A, self.watchdog[1]))
        self._start_following()
        self._pulsed()

    def _open(self) -> None:
        self._start_following(opens=True)

    def _start_following(self, *, opens: bool = False) -> None:
        task = asyncio.ensure_future(
            self.evse.energize(closed=False) if opens else self._follow()
        )
        self._tasks_of_timers.add(task)
        task.add_done_callback(self._tasks_of_timers.discard)

    def _stop(self) -> None:
        self._pulse.stop()
        self._grace.stop()

    # --- what it says ---

    def _changed(self) -> None:
        if self.mode == "awake" and self.evse.pilot in _STATES:
            self._pilot = _STATES[self.evse.pilot]  # asleep it is not measured any more
        if self.mode == "awake" and self.evse.pilot in READY_STATES and not self._is_faulty:
            self._start_following()  # it closes by itself
        self._count()
        told = f"AT {self._state():02x} {self._pilot:02x} {self.capacity_a} {self._flags():04x}"
        if told != self._told:
            self._told = told
            self.say(framed(told))

    @property
    def _is_faulty(self) -> bool:
        return any(fault in _FAULT_STATES for fault in self.evse.faults)

    def _state(self) -> int:
        for fault, state in _FAULT_STATES.items():
            if fault in self.evse.faults:
                return state
        if self.mode != "awake":
            return 0xFE if self.mode == "asleep" else 0xFF
        return _STATES.get(self.evse.pilot, 0)

    def _flags(self) -> int:
        is_plugged = self.evse.pilot is not PilotState.A
        closed, locked = self.evse.outlet_closed, self.is_boot_locked
        return 0x0040 * closed + 0x0100 * is_plugged + 0x4000 * locked

    def _count(self) -> None:
        """Begin a session with the vehicle, and add it to the total when that is gone."""
        is_plugged = self.evse.pilot is not PilotState.A
        register_wh = self.evse.reading().energy_import_wh
        if is_plugged and self._session_began_wh is None:
            self._session_began_wh = register_wh
        elif not is_plugged and self._session_began_wh is not None:
            self._session_ws = (register_wh - self._session_began_wh) * _WS_PER_WH
            self._session_began_wh = None

    def _energy(self) -> tuple[int, int]:
        """Return Ws of the session, the last one included, and Wh of all that are over."""
        register_wh = self.evse.reading().energy_import_wh
        began_wh = self._session_began_wh
        if began_wh is None:
            return round(self._session_ws), int(register_wh)
        return int((register_wh - began_wh) * _WS_PER_WH), int(began_wh)
