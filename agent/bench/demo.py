"""`pilotwire demo`: one whole charging session, shown as it happens.

The bench CSMS runs in this process and listens on a free port; the agent as shipped runs as
a child on the simulated board, and is driven through its control socket like on a bench. A
vehicle is plugged in, a token read, energy flows, the token stops it, and three accounts of
it are compared: the CSMS's ledger, what the station said, and the meter's register.

Everything is kept between runs. Kill the agent in the middle, start the demo again, and the
bill of the cut transaction comes first.
"""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

from agent.bench import show
from agent.bench.charger import Charger, ChargerError
from agent.bench.csms import Csms
from agent.bench.events import HeartbeatReceived
from agent.bench.keeper import LedgerError, LedgerFile, wall_s
from agent.bench.ledger import Transaction
from agent.bench.listener import Listener, listen
from agent.bench.script import BootAnswer
from agent.commands.invocation import printable

DIRECTORY: Final = Path("var/demo")
SUBPROTOCOLS: Final = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1"}
CARD: Final = "04A1B2C3D4"
CREDENTIAL: Final = "pilotwire-demo-0001"
VEHICLE: Final = {"max_a": 32.0, "phases": 3, "ready": True, "ampacity_a": 20.0}
"""It would take 32 A, but brings a cable for 20 A: a limit that can be seen."""

CHARGE_S: Final = 15.0
HEARTBEAT_S: Final = 60
PATIENCE_S: Final = 60.0
"""How long any one step may take."""

TOLERANCE_WH: Final = 2.0
"""What the three accounts may differ by: 1.6 tells whole Wh, at the start and at the end."""

_POLL_S: Final = 0.25
_REAPED_S: Final = 1.0


class DemoError(Exception):
    """The demonstration cannot go on."""


def main(
    *,
    once: bool = False,
    ocpp: str = "2.0.1",
    directory: Path = DIRECTORY,
    charge_s: float = CHARGE_S,
) -> int:
    """Show a session, and stay up until Ctrl-C unless `once`; return the exit code.

    Args:
        once: end after the session; 0 only if the accounts agree.
        ocpp: "1.6" or "2.0.1".
        directory: where everything is kept; may be there from an earlier run.
        charge_s: how long energy flows.
    """
    if ocpp not in SUBPROTOCOLS:
        return _failed(f"OCPP {ocpp!r}: {' and '.join(SUBPROTOCOLS)} are allowed")
    try:
        charger = Charger(directory)
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory):
            story = _demonstrated(charger, SUBPROTOCOLS[ocpp], charge_s, once=once)
            return asyncio.run(_interruptible(story, once=once))
    except (ChargerError, DemoError, LedgerError, OSError) as error:
        return _failed(str(error))


async def _interruptible(story: Coroutine[Any, Any, int], *, once: bool) -> int:
    """Run the demonstration; SIGINT and SIGTERM end it cleanly."""
    task = asyncio.ensure_future(story)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        _say(wall_s(), "demo", "ended")
        return 1 if once else 0


async def _demonstrated(charger: Charger, protocol: str, charge_s: float, *, once: bool) -> int:
    async with _running(charger, protocol) as demo:
        story = asyncio.ensure_future(demo.told(charge_s))
        try:
            differences = await demo.unless_gone(story)
            if once:
                return 1 if differences else 0
            demo.say("demo", hints(charger))
            raise await charger.gone()
        finally:
            story.cancel()


@asynccontextmanager
async def _running(charger: Charger, protocol: str) -> AsyncIterator["Demo"]:
    """Have a CSMS and the agent around a block."""
    file = LedgerFile(charger.directory / "csms-ledger.json")
    csms = Csms(now=wall_s, ledger=file.load())
    csms.behaviour.password = CREDENTIAL
    csms.behaviour.boots = [BootAnswer("Accepted", HEARTBEAT_S)]
    # Written before the answer leaves, as a CSMS that bills must.
    csms.watch(lambda _: file.save(csms.ledger))
    demo = Demo(csms, charger)
    leftover = charger.stop_leftover()
    if leftover is not None:
        demo.say(
            "demo", f"the agent of an earlier run (process {leftover}) was still up: ended"
        )
    listener = await _listening(csms, charger.directory / "csms-port")
    try:
        url = f"ws://127.0.0.1:{listener.port}/ocpp"
        charger.configure(url=url, password=CREDENTIAL, protocols=[protocol])
        demo.say("CSMS", f"listens on {url}/IDENTITY; ledger in {_shown(file.path)}")
        await charger.start()
        demo.say("station", f"agent runs as process {charger.pid} on the simulated board")
        await charger.ready()
        yield demo
    finally:
        await charger.stop()
        await listener.close()


class Demo:
    """The story, told while it happens."""

    def __init__(self, csms: Csms, charger: Charger) -> None:
        self.csms, self.charger = csms, charger
        self.identity = charger.identity
        self._ledger = csms.ledger.station(self.identity)
        self._open_before = list(self._ledger.open_transactions)
        self._known = len(self._ledger.transactions)
        csms.watch(self._watched)

    def say(self, who: str, text: str) -> None:
        """Print a line."""
        _say(self.csms.now_s, who, text)

    async def unless_gone(self, story: "asyncio.Future[list[str]]") -> list[str]:
        """Return the end of the story.

        Raises:
            ChargerError: the agent was gone before.
        """
        gone = asyncio.ensure_future(self.charger.gone())
        either: set[asyncio.Future[Any]] = {story, gone}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if story.done() and story.exception() is not None:
                # The end of the process explains more than the hang-up that it caused.
                await asyncio.wait({gone}, timeout=_REAPED_S)
            if gone.done():
                raise gone.result()
            return story.result()
        finally:
            gone.cancel()

    async def told(self, charge_s: float) -> list[str]:
        """Show the whole session; return what does not agree.

        Raises:
            ChargerError: the agent refuses something, or is gone.
            DemoError: a step takes too long.
        """
        await self._accepted()
        await self._recovered()
        await self._freed()
        before_wh = await self._settled_wh()
        known = len(self._ledger.transactions)
        station_wh = await self._charged(charge_s)
        after_wh = await self._settled_wh()
        await self._step("the outbox is delivered", lambda now: now["outbox"]["queued"] == 0)
        entries = self._ledger.transactions[known:]
        differences = compared(entries, station_wh, after_wh - before_wh)
        differences += [f"violation: {one.description}" for one in self.csms.violations]
        self._billed(entries, after_wh - before_wh, differences)
        self.say("vehicle", "unplugs")
        await self._freed()
        return differences

    async def _accepted(self) -> None:
        await self._step(
            "the CSMS accepts the station",
            lambda now: now["csms"]["registration"] == "Accepted",
        )

    async def _recovered(self) -> None:
        """Show what an earlier run left open, and its bill."""
        await self._step(
            "the transaction of an earlier run ends",
            lambda now: now["outbox"]["queued"] == 0 and _evse(now)["transaction"] is None,
        )
        cut = self._open_before + [
            entry
            for entry in self._ledger.transactions[self._known :]
            if entry not in self._open_before
        ]
        for entry in cut:
            self.say("CSMS", f"recovered after the power cut: {show.bill(entry)}")
            if not entry.complete or entry.missing_seq_nos:
                raise DemoError(f"the recovered bill is not complete: {show.bill(entry)}")

    async def _freed(self) -> None:
        """Take the vehicle away, and wait until the connector is free."""
        now = await self._step("the board answers", lambda now: _evse(now)["pilot"] is not None)
        if _evse(now)["pilot"] != "A":
            await self.charger.call("sim.unplug", evse_id=1)
        await self._step(
            "the connector is free",
            lambda now: _evse(now)["connectors"][0]["status"] == "Available",
        )

    async def _charged(self, charge_s: float) -> float:
        """Charge for a while; return the energy that the station told last, in Wh."""
        self.say("vehicle", "plugs in; it takes up to 32 A, its cable carries 20 A")
        await self.charger.call("sim.plug", evse_id=1, vehicle=VEHICLE)
        await self._step("the vehicle is seen", lambda now: _evse(now)["pilot"] == "B")
        self.say("driver", f"presents token {CARD}")
        await self.charger.call("sim.token", id_token=CARD)
        now = await self._step("energy flows", lambda now: bool(_evse(now)["energized"]))
        self.say("station", _limits(_evse(now)))
        await asyncio.sleep(charge_s)
        now = await self.charger.status()
        self.say("driver", f"presents token {CARD} again")
        energy_wh = _energy_wh(now)
        await self.charger.call("sim.token", id_token=CARD)
        await self._step(
            "the transaction ends",
            lambda now: _evse(now)["transaction"] is None and not _evse(now)["energized"],
        )
        return energy_wh

    async def _settled_wh(self) -> float:
        """Return the meter's register once it stands still, in Wh."""
        seen: list[float] = []

        def is_still(now: Any) -> bool:
            meter = _evse(now)["meter"]
            if meter is not None:
                seen.append(meter["energy_import_wh"])
            # Longer than the meter's polling interval of 1 s.
            quiet = round(2.0 / _POLL_S)
            return len(seen) > quiet and seen[-1] == seen[-quiet]

        await self._step("the meter stands still", is_still)
        return seen[-1]

    async def _step(self, what: str, holds: Callable[[Any], bool]) -> Any:
        """Wait for a status, and return it.

        Raises:
            DemoError: it did not come.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    now = await self.charger.status()
                    if holds(now):
                        return now
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            log = _shown(self.charger.log)
            raise DemoError(f"waited {PATIENCE_S:g} s until {what}; see {log}") from None

    def _billed(
        self, entries: list[Transaction], register_wh: float, differences: list[str]
    ) -> None:
        for entry in entries:
            self.say("CSMS", f"bill: {show.bill(entry)}")
        self.say("meter", f"the register went up by {show.energy(register_wh)}")
        for difference in differences:
            self.say("demo", f"DIFFERENCE: {difference}")
        if not differences:
            self.say("demo", "ledger, station and meter agree")

    def _watched(self, event: Any) -> None:
        if not isinstance(event, HeartbeatReceived):
            _say(event.at_s, "CSMS", printable(show.text(event)))


def compared(entries: list[Transaction], station_wh: float, register_wh: float) -> list[str]:
    """Return what does not agree about a session.

    Args:
        entries: what the CSMS billed for it.
        station_wh: what the station told shortly before the end.
        register_wh: what went through the meter.
    """
    if len(entries) != 1:
        return [f"the CSMS billed {len(entries)} transactions instead of one"]
    (entry,) = entries
    found = []
    if not entry.complete:
        found.append("the CSMS has no start or no end of the transaction")
    if entry.missing_seq_nos:
        found.append(f"sequence numbers {entry.missing_seq_nos} never came")
    if entry.duplicates:
        found.append(f"{entry.duplicates} messages came twice although nothing was cut")
    energy_wh = entry.energy_wh
    if energy_wh is None:
        return [*found, "the CSMS knows no energy"]
    if abs(energy_wh - register_wh) > TOLERANCE_WH:
        found.append(f"the CSMS bills {energy_wh:g} Wh, the meter says {register_wh:g} Wh")
    if station_wh > energy_wh + TOLERANCE_WH:
        found.append(f"the CSMS bills {energy_wh:g} Wh, the station had {station_wh:g} Wh")
    return found


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other demonstrations out of the directory."""
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DemoError(f"a demonstration runs in {_shown(directory)} already") from None
        yield


async def _listening(csms: Csms, port_file: Path) -> Listener:
    """Listen on the port of the last run if it is free, so that the station's URL stays."""
    try:
        listener = await listen(csms, port=_last_port(port_file))
    except OSError:
        listener = await listen(csms)
    _keep_port(port_file, listener.port)
    return listener


def _last_port(port_file: Path) -> int:
    try:
        return int(port_file.read_text())
    except (OSError, ValueError):
        return 0


def _keep_port(port_file: Path, port: int) -> None:
    port_file.write_text(str(port))


def _evse(now: Any) -> Any:
    return now["evses"][0]


def _energy_wh(now: Any) -> float:
    transaction = _evse(now)["transaction"]
    if transaction is None:
        raise DemoError("the station has lost its transaction")
    return float(transaction["energy_wh"])


def _limits(evse: Any) -> str:
    limits = ", ".join(f"{one['origin']} {one['limit_a']:g} A" for one in evse["limits"])
    return f"offers {evse['setpoint_a']:g} A, the least of: {limits}"


def hints(charger: Charger) -> str:
    """Return how to look at a charger that stays up, drive it, and cut its power."""
    program, socket = _program(), _shown(charger.socket)
    plug = f"{program} sim --socket {socket} plug"
    return f"""the station stays up; Ctrl-C ends it
  look at it     {program} status --socket {socket}
                 {program} events --socket {socket}
  drive it       {plug}
                 {program} sim --socket {socket} token {CARD}
                 {program} sim --socket {socket} unplug
  cut its power  while it charges: kill -9 {charger.pid}
                 then start the demonstration again: the bill comes first"""


def _program() -> str:
    name = Path(sys.argv[0])
    return (
        _shown(name) if name.name == "pilotwire" else f"{_shown(Path(sys.executable))} -m agent"
    )


def _shown(path: Path) -> str:
    """Return the shorter of a path and the same path from here."""
    return min(str(path), os.path.relpath(path), key=len)


def _say(at_s: float, who: str, text: str) -> None:
    print(f"{show.clock(at_s)}  {who:<8} {text}", flush=True)


def _failed(reason: str) -> int:
    print(f"pilotwire demo: {reason}", file=sys.stderr)
    return 1
