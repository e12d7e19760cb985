"""Any EVSE controller on Modbus that a register map describes.

The driver polls the controller, reports what it sees as levels, and writes nothing but the
commands of the map. Such controllers close by themselves (`hal.drivers.offering`), so the
current is all there is to command. At every start, and after a loss, the watchdog of the map
is armed, with a fallback of nothing. A device without one keeps its last current if this
process dies: its page in `docs/devices` says so.

Some ask by their state before they go on (`[[grant]]`): they get their answer while they are
offered something, and otherwise none.

A state that the map does not list, an answer that is none, and silence are the same: the
device is not known. After `fail_after_s` of it the device is lost
(`Fault.COMMUNICATION_FAULT`), and every command fails until it answers again.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from hal.api import PhaseSwitch
from hal.bus.modbus import ModbusPort
from hal.bus.turns import Priority
from hal.drivers.mapped import MappedDevice
from hal.drivers.offering import OfferingController
from hal.drivers.watched import Seen
from hal.errors import BoardError, BusError, DeviceError
from hal.registers.commands import EvsePart, Write
from hal.registers.map import RegisterMap
from hal.registers.vocabulary import EVSE_POINTS, pilot_state
from hal.types import PLUGGED_STATES, READY_STATES, EvseCapabilities, Fault, PilotState

POLL_S: Final = 0.5
FAIL_AFTER_S: Final = 3.0
_ASKED_POLL_S: Final = 0.05
_ASKED_FOR_S: Final = 2.0
"""How often, and for how long, one that asks is polled once it is likely to ask."""

_CLOSED_LABELS: Final = frozenset({"C2", "D2"})
USED: Final = frozenset({*EVSE_POINTS, "temperature"})


class ModbusEvse(OfferingController):
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
        super().__init__(register_map.model, poll_s=poll_s, fail_after_s=fail_after_s)
        self._part: EvsePart = register_map.evse
        self._phases = register_map.phases
        self._device = MappedDevice(port, unit, register_map, names=USED)
        self._is_tethered = is_tethered
        self._refreshed_at = float("-inf")
        self._asks_until = float("-inf")
        self._told: tuple[Mapping[str, float | None], bool] | None = None

    async def offer(self, limit_a: float, *, valid_s: float) -> None:
        """Offer current; see `OfferingController.offer`."""
        await super().offer(limit_a, valid_s=valid_s)
        self._expect_to_be_asked()

    async def lock(self, *, locked: bool) -> None:
        """Lock or release the plug, where the map has a command for it.

        Raises:
            BusError: the controller is lost, or did not answer.
            DeviceError: it refused.
        """
        self._require_device()
        if self._part.lock is not None:
            await self._device.write(self._part.lock.write(on=locked))

    # --- the line ---

    async def _found(self) -> None:
        await self._device.prepare()

    async def _armed(self) -> None:
        watchdog = self._part.watchdog
        for write in (*self._part.startup, *(watchdog.arm if watchdog is not None else ())):
            await self._device.write(write)

    async def _kept(self) -> None:
        watchdog, loop = self._part.watchdog, asyncio.get_running_loop()
        if watchdog is None or loop.time() - self._refreshed_at < watchdog.timeout_s / 4:
            return
        if watchdog.heartbeat is not None:
            await self._device.write(watchdog.heartbeat)
            self._refreshed_at = loop.time()
        elif watchdog.refresh == "set_current":
            self._written_a = None  # the next writing is the refresh

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
        self._refreshed_at = asyncio.get_running_loop().time()

    async def _compare(self, write: Write, priority: Priority) -> None:
        found = await self._device.held(write, priority=priority)
        if found != write.words:
            raise DeviceError(f"the current was written as {write.words}, and reads {found}")

    def _clipped(self, limit_a: float) -> float:
        command = self._part.set_current
        return 0.0 if limit_a < command.least else min(limit_a, command.most)

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

    def _early(self) -> float | None:
        early, now_s = super()._early(), asyncio.get_running_loop().time()
        if now_s >= self._asks_until:
            return early
        asked_at = now_s + _ASKED_POLL_S
        return asked_at if early is None or early <= now_s else min(early, asked_at)

    # --- what is seen ---

    async def _read(self) -> Seen:
        values = await self._device.values(priority=Priority.STATE)
        seen = self._understood(values)
        await self._answered(values.get("state"))
        return seen

    def _forget(self) -> None:
        super()._forget()
        self._refreshed_at = float("-inf")

    def _understood(self, values: Mapping[str, float | None]) -> Seen:
        """Return what values mean.

        Raises:
            DeviceError: the state is none that the map knows.
        """
        told = (values, self._written_a != 0)
        if self._seen is not None and told == self._told:
            return self._seen  # as most polls find it
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
        self._told = told
        return Seen(
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
