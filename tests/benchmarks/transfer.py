"""Transfers: what fetching an image of 256 MiB costs in memory, where it is fetched and next door.

The agent is one as shipped, on the simulated board. A CSMS orders firmware that lies on an HTTPS
server; it is fetched, verified and handed to a program that installs nothing. What grows is
the most memory that the agent has had from the order to the last status, over what it had
before: the helpers do the work, and the agent must not notice.

The helper is measured by itself, like the one that verifies (row `firmware.memory`).
"""

import asyncio
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.bench.csms import Csms
from agent.bench.listener import listen
from agent.runtime.clock import SystemWorld
from agent.transfer.job import Finished, Job, Progressed, Said
from tests.agent.test_main import PASSWORD, Agent, configure, until
from tests.benchmarks.children import mib, telling
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense
from tests.firmware.pki import ec_key, leaf, root, signed_text
from tests.transfer.servers import DAY, NOW, http_server, tls_files

WHOLE: Final = 256 << 20
LIMIT_S: Final = 120.0
MOST_MIB: Final = 48.0
MOST_GROWTH_MIB: Final = 1.0
SETTLED_S: Final = 5.0


def _image() -> bytes:
    """Return bytes of which no two mebibytes are the same."""
    block = bytes(range(256)) * 4096
    return b"".join(block[number:] + block[:number] for number in range(WHOLE >> 20))


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def _forget_peak(pid: int) -> None:
    """Let VmHWM begin again with what is resident now (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _helper_mib(url: str, roots: tuple[str, ...], path: Path) -> float:
    """Fetch; return the most memory that the process ever had."""
    job = msgspec.json.encode(Job(url, str(path), roots=roots)) + b"\n"
    command = telling("agent.transfer")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None  # pipes, all three
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(job)
        process.stdin.flush()
        said: Said = Progressed(0)
        while isinstance(said, Progressed):
            said = msgspec.json.decode(process.stdout.readline(), type=Said)
        status = process.stderr.read().decode()
    if said != Finished(WHOLE):
        raise BenchmarkError(f"a file is not fetched: {said}")
    return mib(status, "VmHWM")


async def _growth_mib(place: Path, url: str, signature: str) -> float:
    """Let an agent update itself; return by how much it has grown for it."""
    csms = Csms(now=lambda: SystemWorld(1).env().now.wall_s or 0.0)
    csms.behaviour.password = PASSWORD
    listening = await listen(csms)
    more = (
        '[security]\ncsms_roots = ["root.pem"]\nmanufacturer_roots = ["maker.pem"]\n'
        '[firmware]\ninstaller = "command"\ncommand = ["/bin/true"]\n'
    )
    link = f"ws://127.0.0.1:{listening.port}/ocpp"
    agent = Agent(configure(place, url=link, more=more))
    pid = agent.process.pid
    try:
        await csms.until(lambda: "CP001" in csms.connected, LIMIT_S)
        client = await agent.client()

        async def measures() -> bool:
            found = await agent.call(client, "status")
            meter = found["evses"][0]["meter"]
            return meter is not None and not meter["stale"]

        await until(measures)
        await asyncio.sleep(SETTLED_S)
        before_mib = mib(_status(pid), "VmRSS")
        _forget_peak(pid)
        validity = {"begins": NOW - DAY, "ends": NOW + DAY}
        firmware: dict[str, Any] = {
            "location": url,
            "retrieveDateTime": "2020-01-01T00:00:00Z",
            "signingCertificate": leaf(**validity).decode(),
            "signature": signature,
        }
        asked = {"requestId": 1, "firmware": firmware, "retries": 0}
        answer = await csms.request("CP001", "UpdateFirmware", asked)
        if answer != {"status": "Accepted"}:
            raise BenchmarkError(f"an update is not accepted: {answer}")
        await csms.until(lambda: any('"Installed"' in text for _, text in csms.wire), LIMIT_S)
        return mib(_status(pid), "VmHWM") - before_mib
    finally:
        await agent.end()
        agent.kill()
        await listening.close()


def _measure() -> Sequence[Figures]:
    image = _image()
    with tempfile.TemporaryDirectory(prefix="pw-", dir="/tmp") as name:
        place = Path(name)
        web_root, certificate = tls_files(place)
        validity = {"begins": NOW - DAY, "ends": NOW + DAY}
        (place / "maker.pem").write_bytes(root(**validity))
        with http_server(certificate) as site:
            site.images["/image/x.bin"] = image
            url = f"{site.url}/image/x.bin"
            helper_mib = _helper_mib(url, (str(web_root),), place / "fetched")
            signature = signed_text(ec_key("signer"), image)
            growth_mib = asyncio.run(_growth_mib(place, url, signature))
    return (Figures(helper_mib, MOST_MIB), Figures(growth_mib, MOST_GROWTH_MIB))


TRANSFER = Benchmark(
    rows=(
        Row(
            "transfer.memory",
            "of the process that fetches 256 MiB over HTTPS",
            "MiB",
            Sense.COST,
            1.0,
        ),
        Row(
            "transfer.growth",
            "of the agent, while an image of 256 MiB is fetched and verified",
            "MiB",
            Sense.COST,
            1.0,
        ),
    ),
    measure=_measure,
)
