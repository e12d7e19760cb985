"""Kills the real agent at random moments of real sessions, and compares the books.

The bench CSMS listens on a real socket in this process. The simulated board is a process of
its own and survives every kill, as hardware does. The agent is the program as shipped, on a
real SQLite file; it is killed with SIGKILL and started again at once. When all rounds are
over, everything comes to rest, and then must hold:

* every transaction that was begun has one start and one end, without a gap in between;
* the CSMS's ledger adds up to what the meter's register says has flowed;
* no frame of the agent was wrong.
"""

import asyncio
import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.bench.charger import Charger, ChargerError
from agent.bench.csms import Csms
from agent.bench.ledger import Transaction
from agent.bench.listener import listen
from agent.bench.session import CsmsError
from hal.board import SIM_SOCKET, SIM_STATE
from hal.errors import HalError
from hal.sim.remote import Place, Simulator
from tests.support.processes import end_processes

PASSWORD = "0123456789abcdef"
TOKENS = ("04A1B2C3", "04D4E5F6", "04000001")
REST_S = 90.0
"""How long everything may take to come to rest: set-aside and offline rules included."""

LONGEST_LOG = 4_000
"""Characters of the agent's log that are shown when it is not there."""

WHOLE_WH = 1.0
"""1.6 tells registers in whole Wh, rounded down."""


@dataclass
class Result:
    """What a run found.

    Attributes:
        problems: a line each; empty when the books agree.
    """

    kills: int = 0
    transactions: int = 0
    duplicates: int = 0
    energy_wh: float = 0.0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        verdict = "; ".join(self.problems) or "0 lost, energy agrees"
        return (
            f"powercut: {self.kills} kills, {self.transactions} transactions, "
            f"{self.duplicates} duplicates, {self.energy_wh:.1f} Wh: {verdict}"
        )


class Rig:
    """One run: a CSMS, a board, and an agent that keeps being killed."""

    def __init__(self, seed: int, protocols: tuple[str, ...]) -> None:
        self._random = random.Random(seed)
        self._protocols = protocols
        self._directory = Path(tempfile.mkdtemp(prefix="pw-kill-", dir="/tmp"))
        self._charger = Charger(self._directory)
        self._csms = Csms(now=time.time)  # noqa: TID251  # a CSMS has a clock of its own
        self._simulator = self._board()
        self._result = Result()

    async def run(self, rounds: int, report: Any = print) -> Result:
        """Kill as often as asked for, come to rest, and compare."""
        listener = await listen(self._csms)
        try:
            self._charger.configure(
                url=f"ws://127.0.0.1:{listener.port}/ocpp",
                password=PASSWORD,
                protocols=("ocpp2.0.1", "ocpp1.6"),
            )
            await self._killed(rounds, report)
            await self._rested()
            self._compared(await self._register_wh())
        except ChargerError as error:
            log = self._charger.log.read_text() if self._charger.log.exists() else ""
            self._result.problems.append(f"{error}\n{log[-LONGEST_LOG:]}")
        finally:
            await self._cleared(listener)
        return self._result

    def _board(self) -> Simulator:
        state = self._directory / "state"
        config = Path(__file__).parents[2] / "config" / "boards" / "sim.toml"
        return Simulator(Place(config, state / SIM_SOCKET, state / SIM_STATE))

    async def _cleared(self, listener: Any) -> None:
        await self._charger.stop()
        await self._simulator.close()
        await listener.close()
        end_processes(self._directory)
        shutil.rmtree(self._directory)

    # --- rounds ---

    async def _killed(self, rounds: int, report: Any) -> None:
        drivers = asyncio.create_task(self._driven())
        try:
            for number in range(rounds):
                if number % 5 == 0:
                    spoken = self._protocols[number // 5 % len(self._protocols)]
                    self._csms.behaviour.subprotocols = (spoken,)
                await self._charger.start()
                await asyncio.sleep(self._random.uniform(0.3, 4.0))
                await self._kill()
                self._result.kills += 1
                report(f"round {number + 1}: killed; {len(self._transactions)} transactions")
        finally:
            drivers.cancel()
            with suppress(asyncio.CancelledError):
                await drivers

    async def _kill(self) -> None:
        pid = self._charger.pid
        assert pid is not None, "the agent was not started"
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            self._result.problems.append("the agent ended before it was killed")
        await self._charger.gone()

    async def _driven(self) -> None:
        """Let people come and go, whatever happens to the agent."""
        while True:
            with suppress(HalError, CsmsError):
                await self._visited()
            with suppress(HalError):
                await self._move("sim.unplug", evse_id=1)
            await asyncio.sleep(self._random.uniform(0.1, 0.5))

    async def _visited(self) -> None:
        """One visit: plug and token in either order, some charging, some way to stop."""
        token = self._random.choice(TOKENS)
        present = {"id_token": token, "evse_id": 1}
        if self._random.random() < 0.5:
            await self._move("sim.plug", evse_id=1)
            await asyncio.sleep(self._random.uniform(0.1, 0.6))
            await self._move("sim.token", **present)
        else:
            await self._move("sim.token", **present)
            await asyncio.sleep(self._random.uniform(0.1, 0.6))
            await self._move("sim.plug", evse_id=1)
        for _ in range(self._random.randrange(1, 4)):
            await asyncio.sleep(self._random.uniform(0.5, 1.5))
            await self._move("sim.token", **present)  # starts again what a kill has ended
        if (
            self._random.random() < 0.3
            and self._csms.ledger.station(self._charger.identity).open_transactions
        ):
            await self._csms.remote_stop(self._charger.identity)

    async def _move(self, method: str, **params: object) -> object:
        return await self._simulator.call(method, params)

    # --- the end ---

    async def _rested(self) -> None:
        """Start a last time, let the vehicle leave, and wait until all is told."""
        await self._charger.start()
        await self._charger.ready()
        with suppress(HalError):
            await self._move("sim.unplug", evse_id=1)
        try:
            async with asyncio.timeout(REST_S):
                while not _is_at_rest(await self._charger.status()):  # noqa: ASYNC110  # of another process
                    await asyncio.sleep(0.2)
        except TimeoutError:
            status = await self._charger.status()
            self._result.problems.append(f"not at rest after {REST_S:g} s: {status}")

    async def _register_wh(self) -> float:
        status = await self._charger.status()
        return float(status["evses"][0]["meter"]["energy_import_wh"])

    @property
    def _transactions(self) -> list[Transaction]:
        return self._csms.ledger.transactions

    def _compared(self, register_wh: float) -> None:
        result = self._result
        result.transactions = len(self._transactions)
        result.duplicates = sum(entry.duplicates for entry in self._transactions)
        result.energy_wh = register_wh
        if not self._transactions:
            result.problems.append("there was no transaction: nothing is shown")
        billed, tolerance = 0.0, 0.1
        for entry in self._transactions:
            name = f"transaction {entry.transaction_id}"
            if not entry.complete:
                result.problems.append(f"{name} lacks its start or its end")
            if entry.missing_seq_nos:
                result.problems.append(f"{name} has a gap: {entry.missing_seq_nos}")
            billed += entry.energy_wh or 0.0
            tolerance += WHOLE_WH if "ocpp1.6" in entry.protocols else 0.01
        if abs(billed - register_wh) > tolerance:
            result.problems.append(
                f"billed {billed:.2f} Wh, the register says {register_wh:.2f} Wh"
            )
        result.problems += [
            f"violation: {item.action} {item.description}" for item in self._csms.violations
        ]


def _is_at_rest(status: Any) -> bool:
    evse = status["evses"][0]
    return bool(
        status["csms"]["registration"] == "Accepted"
        and status["outbox"]["queued"] == 0
        and evse["transaction"] is None
        and evse["energized"] is False
        and evse["meter"] is not None
        and not evse["meter"]["stale"]
    )


async def killed(rounds: int, seed: int, protocols: tuple[str, ...], report: Any) -> Result:
    """Run the rig once."""
    return await Rig(seed, protocols).run(rounds, report)
