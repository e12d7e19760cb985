"""A second independent CSMS: the `ocpp-rpc` package for Node.js, in strict mode.

Where there is no Node.js its tests are left out; with PILOTWIRE_NODE=required in the
environment, as in `.ci/run`, they fail instead. The packages are installed when the test
runs, in the versions that `package-lock.json` pins, into a directory of the user's cache.
"""

import asyncio
import hashlib
import json
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.interop.peer import LIMIT_S

HERE = Path(__file__).with_name("strict")
INSTALL_S = 180.0


def is_there() -> bool:
    """Tell whether Node.js can be had.

    Raises:
        AssertionError: it cannot, and must.
    """
    found = shutil.which("node") is not None and shutil.which("npm") is not None
    assert found or os.environ.get("PILOTWIRE_NODE") != "required", "node and npm are missing"
    return found


async def installed() -> Path:
    """Return a directory with the pinned packages; it is filled when it is new."""
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "pilotwire" / f"interop-{hashlib.sha256(lock).hexdigest()[:16]}"
    if (place / "node_modules").is_dir():
        return place
    making = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, making)
    npm = await asyncio.create_subprocess_exec(
        "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=making, stdout=PIPE
    )
    async with asyncio.timeout(INSTALL_S):
        await npm.communicate()
    assert npm.returncode == 0, "npm cannot install the packages of tests/interop/strict"
    with suppress(OSError):  # somebody else was faster
        making.rename(place)
    shutil.rmtree(making, ignore_errors=True)
    return place


class StrictCsms:
    """The process, and what it has said.

    Attributes:
        calls: (action, payload) by arrival; `answers` to them likewise.
        violations: what did not fit the schemas, either way.
        links: upgrades so far.
    """

    def __init__(self, process: Process) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self.port = self.links = self._count = 0
        self._process = process
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        """Take what the process says until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._said(json.loads(line))
            async with self._changed:
                self._changed.notify_all()

    def _said(self, event: dict[str, Any]) -> None:
        match event["kind"]:
            case "listening":
                self.port = event["port"]
            case "link":
                self.links += 1
            case "call":
                self.calls.append((event["action"], event["payload"]))
                self.answers.append(event["answer"])
            case "violation":
                self.violations.append(event["what"])
            case "answer" | "error":
                self._asked.pop(event["id"]).set_result(event)

    async def until(self, holds: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
        """Wait until something holds, and return it."""
        try:
            async with asyncio.timeout(limit_s), self._changed:
                return await self._changed.wait_for(holds)
        except TimeoutError:
            heard = [action for action, _ in self.calls]
            raise AssertionError(f"not within {limit_s:g} s; heard {heard}") from None

    def heard(self, action: str) -> list[dict[str, Any]]:
        """Return the payloads of an action, by arrival."""
        return [payload for name, payload in self.calls if name == action]

    async def request(self, action: str, /, **payload: Any) -> dict[str, Any]:
        """Ask the station something, and return its answer."""
        self._count += 1
        number = self._count
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._tell({"do": "ask", "id": number, "action": action, "payload": payload})
        async with asyncio.timeout(LIMIT_S):
            event = await answer
        assert event["kind"] == "answer", f"{action}: {event}"
        found: dict[str, Any] = event["payload"]
        return found

    async def close(self) -> None:
        """Hang up, and listen no more."""
        self._tell({"do": "close"})

    async def open(self) -> None:
        """Listen again."""
        self._tell({"do": "open"})

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")


@asynccontextmanager
async def strict_csms() -> AsyncIterator[StrictCsms]:
    """Provide the CSMS; afterwards it must have seen no violation."""
    place = await installed()
    process = await asyncio.create_subprocess_exec(
        "node", HERE / "csms.mjs", place, stdin=PIPE, stdout=PIPE, limit=1 << 22
    )
    csms = StrictCsms(process)
    listening = asyncio.create_task(csms.listen())
    try:
        await csms.until(lambda: csms.port)
        yield csms
        assert csms.violations == []
    finally:
        process.kill()
        await process.wait()
        await listening
