"""Any EVSE controller on Modbus that a register map describes.

The driver polls the controller, reports what it sees as levels, and writes nothing but the
commands of the map. Such controllers close their contactor by themselves as soon as a vehicle
in state C or D is offered current, so the current is all there is to command:

    current on the wire =  the offer, while it is valid
                           0 when it is not, and from an opening to the next closing

At every start, and when the controller comes back after a loss, it is told to stop offering
before anything else; its watchdog is armed, with a fallback of nothing. While the driver
lives it ends an offer itself when its validity is over, whether or not the device has a
watchdog. A device without one keeps its last current if this process dies: its page in
`docs/devices` says so.

Some ask by their state before they go on (`[[grant]]`): they get their answer while they are
offered something, and otherwise none.

A state that the map does not list, an answer that is none, and silence are the same: the
device is not known. After `fail_after_s` of it the device is lost
(`Fault.COMMUNICATION_FAULT`), and every command fails until it answers again.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from hal.api import EvseController, EvseListener, PhaseSwitch, check_offer
from hal.bus.modbus import ModbusPort
from hal.bus.turns import Priority
from hal.drivers.mapped import MappedDevice
from hal.errors import BoardError, BusError, DeviceError, HalError
from hal.registers.commands import Write
from hal.registers.map import EvsePart, RegisterMap
from hal.registers.vocabulary import EVSE_POINTS, pilot_state
from hal.types import PLUGGED_STATES, READY_STATES, EvseCapabilities, Fault, PilotState, Value

POLL_S: Final = 0.5
FAIL_AFTER_S: Final = 3.0
_ASKED_POLL_S: Final = 0.05
_ASKED_FOR_S: Final = 2.0
"""How often, and for how long, one that asks is polled once it is likely to ask."""

_CLOSED_LABELS: Final = frozenset({"C2", "D2"})
_USED: Final = frozenset({*EVSE_POINTS, "temperature"})


class _Seen(Value, frozen=True):
    """What one poll shows."""

    pilot: PilotState
    closed: bool
    locked: bool | None
    cable_a: float | None
    temperature_c: float | None
    faults: frozenset[Fault]


class ModbusEvse(EvseController):
    """An EVSE controller at one unit of a Modbus port."""

    def __init__(
        self,
        port: ModbusPort,
        unit: int,
        register_map: RegisterMap,
        *,
        is_tethered: bool = False,
        poll_s: float = POLL_S,
        fail_after_s: float = FAIL_AFTER_S,
    ) -> None:
        """Say where the controller is; nothing is sent yet.

        Args:
            port: the line that it is on; shared with other devices.
            unit: its address, 1 to 255.
            register_map: of kind "evse".
            is_tethered: the cable is fixed; its rating is not read.
            poll_s: from one poll to the next, more than 0.
            fail_after_s: how long without a good poll makes a loss, more than 0.

        Raises:
            BoardError: the map is not that of a controller.
            ValueError: a time is not more than 0.
        """
        if register_map.evse is None:
            raise BoardError(f"{register_map.id} is no map of an EVSE controller")
        if poll_s <= 0 or fail_after_s <= 0:
            raise ValueError(f"poll_s {poll_s} and fail_after_s {fail_after_s} must be above 0")
        self._part: EvsePart = register_map.evse
        self._phases = register_map.phases
        self._device = MappedDevice(port, unit, register_map, names=_USED)
        self._is_tethered = is_tethered
        self._poll_s, self._fail_after_s = poll_s, fail_after_s
        self._offer_a = 0.0
        self._expires_at: float | None = None
        self._is_withheld = False  # opened by command, and not closed again
        self._written_a: float | None = None  # None: nobody knows what the device has
        self._is_lost = True
        self._seen: _Seen | None = None
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._refreshed_at = float("-inf")
        self._asks_until = float("-inf")

    # --- commands ---

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current; see `EvseController.offer`.

        Raises:
            BusError: the controller is lost, or did not answer.
            DeviceError: it refused, or holds something else than what was written.
            ValueError: the limit is neither 0 nor 6 to 80 A, or valid_s is not positive.
        """
        check_offer(limit_a, valid_s)
        self._require_device()
        lowers = limit_a < self._offer_a
        self._offer_a = limit_a
        self._expires_at = asyncio.get_running_loop().time() + valid_s
        if limit_a == 0:
            self._is_withheld = False
        self._wake.set()
        await self._apply(Priority.SAFETY if lowers else Priority.COMMAND)
        self._expect_to_be_asked()

    async def energize(self, *, closed: bool) -> None:
        """Let the controller close, or make it open; see `EvseController.energize`.

        Opening is tried even while the controller is lost.

        Raises:
            BusError: the controller is lost, or did not answer.
            DeviceError: it refused, or holds something else than what was written.
        """
        if self._is_lost and not closed:
            async with self._writing:
                await self._put(0.0, Priority.SAFETY)
            return
        self._require_device()
        # A vehicle in A or B has nothing to be opened, and must still see what it may ask for.
        may_flow = self._seen is None or self._seen.pilot in READY_STATES
        self._is_withheld = not closed and may_flow and self._offer_a > 0
        await self._apply(Priority.COMMAND if closed else Priority.SAFETY)

    async def lock(self, *, locked: bool) -> None:
        """Lock or release the plug, where the map has a command for it.

        Raises:
            BusError: the controller is lost, or did not answer.
            DeviceError: it refused.
        """
        self._require_device()
        if self._part.lock is not None:
            await self._device.write(self._part.lock.write(on=locked))

    # --- life ---

    async def run(self, listener: EvseListener) -> None:
        """Serve the controller until cancelled; trouble is reported, never raised."""
        loop = asyncio.get_running_loop()
        self._forget()
        well_at, is_told = loop.time(), False
        while True:
            due = loop.time() + self._poll_s
            try:
                seen = await self._polled()
            except HalError as error:
                if not is_told and loop.time() - well_at >= self._fail_after_s:
                    is_told = True
                    self._forget()
                    listener.fault_raised(Fault.COMMUNICATION_FAULT, str(error))
            else:
                well_at = loop.time()
                if self._seen is None:
                    is_told = False
                    listener.fault_cleared(Fault.COMMUNICATION_FAULT)
                    listener.detected(self._capabilities())
                self._report(listener, seen)
            await self._rest(until=due)

    async def _polled(self) -> _Seen:
        """Return what the controller shows, after making safe one that was not known.

        Raises:
            HalError: it cannot be known now.
        """
        if self._is_lost:
            await self._device.prepare()
            await self._made_safe()
        await self._kept_up()  # before anything is read: an end must not wait for a poll
        values = await self._device.values(priority=Priority.STATE)
        seen = self._understood(values)
        self._is_lost = False
        if seen.pilot is PilotState.A:
            self._is_withheld = False
        await self._answered(values.get("state"))
        return seen

    async def _made_safe(self) -> None:
        self._offer_a, self._expires_at, self._is_withheld = 0.0, None, False
        self._written_a = None
        await self._apply(Priority.SAFETY)
        watchdog = self._part.watchdog
        for write in (*self._part.startup, *(watchdog.arm if watchdog is not None else ())):
            await self._device.write(write)

    async def _kept_up(self) -> None:
        """End what is over, repeat what was lost, and keep the watchdog content."""
        loop = asyncio.get_running_loop()
        if self._expires_at is not None and loop.time() >= self._expires_at:
            self._offer_a, self._expires_at = 0.0, None
        watchdog = self._part.watchdog
        if watchdog is not None and loop.time() - self._refreshed_at >= watchdog.timeout_s / 4:
            if watchdog.heartbeat is not None:
                await self._device.write(watchdog.heartbeat)
                self._refreshed_at = loop.time()
            elif watchdog.refresh == "set_current":
                self._written_a = None
        await self._apply(Priority.SAFETY)

    async def _rest(self, *, until: float) -> None:
        """Wait for the next poll, or for the end of the offer if that is earlier."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            ends_at = until
            if self._expires_at is not None and self._expires_at > loop.time():
                ends_at = min(until, self._expires_at)
            if loop.time() < self._asks_until:
                ends_at = min(ends_at, loop.time() + _ASKED_POLL_S)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(ends_at):
                    await self._wake.wait()
                    continue
            return

    async def _apply(self, priority: Priority) -> None:
        """Bring the current on the wire to what it should be, if it is not there.

        One at a time: a higher current that still waits for the line must not go out after
        the lower one that overtook it.

        Raises:
            HalError: the device may have either current; the next poll tries again.
        """
        async with self._writing:
            await self._written(priority)

    async def _written(self, priority: Priority) -> None:
        wanted_a = self._wanted_a()
        if wanted_a == self._written_a:
            return
        self._written_a = None
        await self._put(wanted_a, priority)
        self._written_a = wanted_a
        self._refreshed_at = asyncio.get_running_loop().time()

    async def _put(self, wanted_a: float, priority: Priority) -> None:
        write, enable = self._part.set_current.write(wanted_a), self._part.enable
        writes = [write] if enable is None else [enable.write(on=wanted_a > 0), write]
        # The limit is there before charging is enabled. Of a table, it is also the one that
        # goes out whether or not the device answers.
        if wanted_a > 0 or write.table is not None:
            writes.reverse()
        for one in writes:
            await self._device.write(one, priority=priority)
        if self._part.set_current.readback:
            await self._compare(write, priority)

    async def _answered(self, state: float | None) -> None:
        """Let a controller go on that asks whether it may, if it is offered anything."""
        for grant in self._part.grants:
            if grant.state == state and self._wanted_a() > 0:
                await self._device.write(grant.write)
                self._expect_to_be_asked()

    def _expect_to_be_asked(self) -> None:
        if self._part.grants and self._wanted_a() > 0:
            self._asks_until = asyncio.get_running_loop().time() + _ASKED_FOR_S
            self._wake.set()

    def _wanted_a(self) -> float:
        return 0.0 if self._is_withheld else self._clipped(self._offer_a)

    async def _compare(self, write: Write, priority: Priority) -> None:
        found = await self._device.held(write, priority=priority)
        if found != write.words:
            raise DeviceError(f"the current was written as {write.words}, and reads {found}")

    def _clipped(self, limit_a: float) -> float:
        command = self._part.set_current
        return 0.0 if limit_a < command.least else min(limit_a, command.most)

    # --- reports ---

    def _understood(self, values: Mapping[str, float | None]) -> _Seen:
        """Return what values mean.

        Raises:
            DeviceError: the state is none that the map knows.
        """
        points = {point.name: point for point in self._device.points}
        raw = values.get("state")
        state = points["state"]
        label = state.labels.get(int(raw)) if raw is not None else None
        if raw is None or label is None:
            raise DeviceError(f"state {raw} is not in the map")
        pilot = pilot_state(label)
        names = [state.faults[int(raw)]] if int(raw) in state.faults else []
        bits = points["error_bits"].bits if "error_bits" in points else {}
        errors = int(values.get("error_bits") or 0)
        names += [name for bit, name in bits.items() if errors >> bit & 1]
        cable_a = values.get("cable_limit")
        if cable_a is None and pilot in PLUGGED_STATES:
            cable_a = values.get("plugged_limit")
        return _Seen(
            pilot=pilot,
            closed=self._is_closed(label, pilot, values.get("outlet")),
            locked=None if values.get("locked") is None else values["locked"] == 1,
            cable_a=None if self._is_tethered else cable_a or None,
            temperature_c=values.get("temperature"),
            faults=frozenset(Fault(name) for name in names),
        )

    def _is_closed(self, label: str, pilot: PilotState, outlet: float | None) -> bool:
        """Tell whether the contactor is closed, or, where nothing says so, may be."""
        if outlet is not None:
            return outlet >= 1
        if pilot not in READY_STATES:
            return False
        return label in _CLOSED_LABELS if len(label) > 1 else self._written_a != 0

    def _capabilities(self) -> EvseCapabilities:
        return EvseCapabilities(
            max_a=self._part.set_current.most,
            phases=self._phases,
            is_tethered=self._is_tethered,
            has_lock=self._part.lock is not None,
            can_switch_phases=self._part.three_phases is not None,
        )

    def _report(self, listener: EvseListener, seen: _Seen) -> None:
        """Tell every level that is new, what is broken before what is seen."""
        before = self._seen
        self._seen = seen
        known = before.faults if before is not None else frozenset()
        for fault in sorted(seen.faults - known, key=lambda fault: fault.value):
            listener.fault_raised(fault, f"{self._device.map.model} says so")
        for fault in sorted(known - seen.faults, key=lambda fault: fault.value):
            listener.fault_cleared(fault)
        warmth_c = before.temperature_c if before is not None else None
        if seen.temperature_c is not None and seen.temperature_c != warmth_c:
            listener.temperature_read(seen.temperature_c)
        if seen.locked is not None and (before is None or before.locked is not seen.locked):
            listener.lock_changed(locked=seen.locked)
        if before is None or before.cable_a != seen.cable_a:
            listener.cable_changed(seen.cable_a)
        if before is None or before.pilot is not seen.pilot:
            listener.pilot_changed(seen.pilot)
        if before is None or before.closed is not seen.closed:
            listener.outlet_changed(closed=seen.closed)

    def _forget(self) -> None:
        self._is_lost, self._seen, self._written_a = True, None, None
        self._refreshed_at = float("-inf")

    def _require_device(self) -> None:
        if self._is_lost:
            raise BusError(f"{self._device.map.model} does not answer")


class SwitchingModbusEvse(ModbusEvse, PhaseSwitch):
    """An EVSE controller that can connect one phase instead of three."""

    async def switch(self, phases: int) -> None:
        """Connect one phase or three; see `PhaseSwitch.switch`.

        Raises:
            BusError: the controller is lost, did not answer, or current may flow.
            DeviceError: it refused.
        """
        self._require_device()
        if self._part.three_phases is None:
            raise BoardError(f"{self._device.map.id} has no command for phases")
        async with self._writing:
            may_flow = self._seen is None or self._seen.closed or self._written_a != 0
            if may_flow:
                raise BusError(
                    f"{self._device.map.model} offers current: no phases are switched"
                )
            await self._device.write(self._part.three_phases.write(on=phases > 1))
