"""Row `polling`: what it costs to look after two idle EVSEs over Modbus TCP, all day long.

Ours is the agent as a process, connected to its CSMS, with two Heidelberg controllers and two
Eastron SDM630 in front of them: it asks the controllers twice a second and the meters once,
and decodes, judges and keeps what they say. Theirs is a bare loop of pymodbus that reads the
same registers as often, and drops them. The devices are those of our simulators, in the process
of the benchmark; what counts is the processor time of the children over the same half minute.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from hal.drivers.modbus_evse import POLL_S as CONTROLLER_POLL_S
from hal.drivers.modbus_evse import USED as OF_CONTROLLER
from hal.drivers.modbus_meter import POLL_S as METER_POLL_S
from hal.drivers.modbus_meter import USED as OF_METER
from hal.registers.map import RegisterMap, load_map
from hal.registers.plan import plan
from hal.sim.evse import SimulatedEvse
from hal.sim.modbus_device import ModbusDeviceServer
from hal.sim.modbus_evse import ModbusEvseDevice
from hal.sim.process import meter_points
from tests.benchmarks.children import REPOSITORY, STATION, Hall, hall
from tests.benchmarks.measure import Benchmark, BenchmarkError, Figures, Row, Sense

EVSES = 2
SETTLING_S, MEASURED_S = 5.0, 30.0
MAPS = REPOSITORY / "config" / "registers"
CONTROLLER = load_map(MAPS / "heidelberg-energy-control.toml")
METER = load_map(MAPS / "eastron-sdm630.toml")

_BOARD = """\
[port.c{n}]
driver = "modbus_tcp"
host   = "127.0.0.1"
port   = {controller}

[port.m{n}]
driver = "modbus_tcp"
host   = "127.0.0.1"
port   = {meter}

[[evse]]
id         = {n}
max_a      = 16
phases     = 3
controller = {{ driver = "modbus_evse", port = "c{n}", unit = 1, map = "{controller_map}", tethered = true }}
meter      = {{ driver = "modbus_meter", port = "m{n}", unit = 1, map = "{meter_map}" }}

"""


@asynccontextmanager
async def _devices() -> AsyncIterator[list[tuple[int, int]]]:
    """Serve them; yield the ports of controller and meter of each EVSE."""
    async with AsyncExitStack() as stack:
        ports = []
        for _ in range(EVSES):
            evse = SimulatedEvse()
            device = await stack.enter_async_context(ModbusEvseDevice(CONTROLLER, evse))
            shown = partial(_shown, evse)
            meter = ModbusDeviceServer(METER, read_points=shown)
            await stack.enter_async_context(meter)
            ports.append((device.server.port, meter.port))
        yield ports


def _shown(evse: SimulatedEvse) -> dict[str, float]:
    return meter_points(evse.reading())


def _reads(register_map: RegisterMap, names: frozenset[str]) -> list[tuple[int, int, int]]:
    points = tuple(point for point in register_map.points if point.name in names)
    bus = register_map.bus
    found = plan(points, max_registers=bus.max_registers, max_gap=bus.max_gap)
    return [(read.fc, read.address, read.count) for read in found]


def _peer(ports: Sequence[tuple[int, int]]) -> str:
    """Return what the peer is to read, as it takes it."""
    loops = [
        loop
        for controller, meter in ports
        for loop in (
            (controller, CONTROLLER_POLL_S, _reads(CONTROLLER, OF_CONTROLLER)),
            (meter, METER_POLL_S, _reads(METER, OF_METER)),
        )
    ]
    return json.dumps(loops)


async def _measured() -> Figures:
    async with hall() as csms, _devices() as ports, AsyncExitStack() as stack:
        _write_board(csms, ports)
        ours = await stack.enter_async_context(csms.running(*csms.commands[STATION]))
        theirs = await stack.enter_async_context(
            csms.running("tests.benchmarks.poll_peer", _peer(ports))
        )
        await csms.booted(STATION)
        await asyncio.sleep(SETTLING_S)
        before = _processor_ms(ours), _processor_ms(theirs)
        await asyncio.sleep(MEASURED_S)
        after = _processor_ms(ours), _processor_ms(theirs)
    used = [(end - begin) / MEASURED_S for begin, end in zip(before, after, strict=True)]
    if min(used) <= 0:
        raise BenchmarkError(f"a child did nothing: {used}")
    return Figures(*used)


def _write_board(csms: Hall, ports: Sequence[tuple[int, int]]) -> None:
    """Let the station have these devices instead of its simulated board."""
    board = csms.directory / "board.toml"
    board.write_text(
        "".join(
            _BOARD.format(
                n=number,
                controller=controller,
                meter=meter,
                controller_map=CONTROLLER.id,
                meter_map=METER.id,
            )
            for number, (controller, meter) in enumerate(ports, 1)
        )
    )
    maps = csms.directory / "registers"
    maps.mkdir(exist_ok=True)
    for register_map in (CONTROLLER, METER):
        text = (MAPS / f"{register_map.id}.toml").read_text()
        (maps / f"{register_map.id}.toml").write_text(text)
    config = csms.directory / "agent.toml"
    lines = config.read_text().splitlines()
    lines = [f'board = "{board}"' if line.startswith("board =") else line for line in lines]
    config.write_text("\n".join(lines))


def _processor_ms(pid: int) -> float:
    """Return the processor time of all threads of a process, in ms."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6


def _measure() -> Sequence[Figures]:
    return (asyncio.run(_measured()),)


POLLING = Benchmark(
    (Row("polling.idle", "processor for two idle EVSEs", "ms/s", Sense.COST, 1.5),),
    _measure,
)
