"""A simulated vehicle with the process that speaks with it: a client of the vehicle socket.

It is the example for who writes such a process (docs/dc.md): it tells the whole state several
times a second, and moves on by what the station tells.

    offered            → a session, cable check
    cable check done   → pre-charge, to the battery's voltage
    pre-charge done    → its contactors closed, current
    asked to end, or full → no current, its contactors open, welding check, goodbye
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from hal.sim.dc_outlet import DcOutlet

STEP_S: Final = 0.2
BEGIN_S: Final = 2.0
"""How long SLAC and the first messages take."""

WELDING_S: Final = 1.0


class SimulatedDcVehicle:
    """A vehicle, plugged in or not.

    Attributes:
        is_plugged, is_frozen: it is there; its process hangs and tells nothing.
        max_v, max_a: of its battery.
        asks_a: what it wants.
        soc_pct: what it tells of its battery.
        stage: where its conversation stands.
        heard: what the station told last.
    """

    def __init__(self, outlet: DcOutlet) -> None:
        self.outlet = outlet
        self.is_plugged = self.is_frozen = self.is_full = False
        self.max_v, self.max_a, self.asks_a, self.soc_pct = 450.0, 150.0, 100.0, 40.0
        self.stage = "none"
        self.pilot: str | None = None  # None: as the stage has it
        self.heard: dict[str, Any] = {}
        self._since_s = 0.0

    async def run(self, path: Path) -> None:
        """Speak with the station at a socket until cancelled, from connection to connection."""
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(path))
            except OSError:
                await asyncio.sleep(STEP_S)
                continue
            self.heard = {}
            self._go("none")
            hearing = asyncio.create_task(self._hear(reader))
            try:
                while not hearing.done():
                    self._move()
                    if not self.is_frozen:
                        writer.write(json.dumps(self.state()).encode() + b"\n")
                    await asyncio.sleep(STEP_S)
            finally:
                hearing.cancel()
                writer.close()

    def state(self) -> dict[str, Any]:
        """Return what its process tells."""
        is_ready = self.stage not in {"none", "session", "welding_check"}
        pilot = ("C" if is_ready else "B") if self.is_plugged else "A"
        state: dict[str, Any] = {"pilot": self.pilot or pilot, "stage": self.stage}
        if self.stage == "none":
            return state
        state |= {"max_v": self.max_v, "max_a": self.max_a, "soc_pct": self.soc_pct}
        if self.stage == "pre_charge":
            state["voltage_v"] = self.outlet.battery_v
        if self.stage == "charge":
            # A little above the battery: what makes the current flow.
            state |= {"voltage_v": self.max_v, "current_a": self.asks_a}
        return state

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self.heard = json.loads(line)

    def _move(self) -> None:
        """Go one stage further, if the station allows."""
        done, halt = self.heard.get("stage"), self.heard.get("halt", "none")
        age_s = asyncio.get_running_loop().time() - self._since_s
        is_offered = bool(self.heard.get("is_offered"))
        ends = halt == "normal" or self.is_full
        match self.stage:
            case _ if not (self.is_plugged and is_offered) or halt == "emergency":
                self._go("none")
            case "none" if not self.is_full and age_s >= BEGIN_S:
                self._go("session")
            case "session":
                self._go("cable_check")
            case "cable_check" | "pre_charge" | "charge" if ends:
                self._go("stop")
            case "cable_check" | "pre_charge" as stage if done == stage:
                self._go({"cable_check": "pre_charge", "pre_charge": "charge"}[stage])
            case "stop":
                self._go("welding_check")
            case "welding_check" if age_s >= WELDING_S:
                self._go("none")

    def _go(self, stage: str) -> None:
        if stage != self.stage:
            self.stage, self._since_s = stage, asyncio.get_running_loop().time()
            self.outlet.switch_vehicle(closed=stage == "charge")
