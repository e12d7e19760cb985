"""Drivers of the simulated board against its real process over a real socket."""

import asyncio
import fcntl
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hal.board_template import board_template
from hal.errors import BoardError, BusError
from hal.sim import remote
from hal.sim.remote import Place, RemoteController, RemoteReader, Simulator
from hal.sim.vehicle import SimRefused
from hal.types import Fault, IdToken, PilotState, TokenType
from tests.support.contract_hal import CLAUSES, charging, clause_name, served
from tests.support.simulated_board import end, place_in, short_directory, simulated_board
from tests.support.vloop import run


class ProcessRig:
    closes_by_itself = False

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.controller = RemoteController(simulator, 1)

    async def plug(self) -> None:
        vehicle = {"reaction_s": 0.0, "adapt_s": 0.0}
        await self.simulator.call("sim.plug", {"evse_id": 1, "vehicle": vehicle})

    async def unplug(self) -> None:
        await self.simulator.call("sim.unplug", {"evse_id": 1})

    async def lose(self) -> None:
        await self.simulator.call("sim.fault", {"evse_id": 1, "fault": "CommunicationFault"})

    async def restore(self) -> None:
        await self.simulator.call("sim.clear", {"evse_id": 1, "fault": "CommunicationFault"})


@pytest.mark.parametrize("clause", CLAUSES, ids=clause_name)
def test_contract(clause):
    async def main():
        async with simulated_board() as simulator:
            await clause(ProcessRig(simulator))

    asyncio.run(main())


def test_a_killed_process_is_a_communication_fault_and_is_started_again():
    async def main():
        async with simulated_board() as simulator:
            rig = ProcessRig(simulator)
            async with served(rig.controller) as recorder:
                await charging(rig, recorder)
                former = simulator.pid
                await end(simulator, signal.SIGKILL)
                await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
                recorder.log.clear()
                await recorder.until(lambda now: Fault.COMMUNICATION_FAULT not in now.faults)
                await recorder.until(lambda now: now.pilot is PilotState.A)
                await recorder.until(lambda now: now.outlet_closed is False)
                assert simulator.pid not in (None, former)
                await rig.controller.lock(locked=True)

    asyncio.run(main())


def test_the_board_outlives_its_driver_and_opens_when_the_offer_expires():
    async def main():
        async with simulated_board() as simulator:
            rig = ProcessRig(simulator)
            async with served(rig.controller) as recorder:
                await charging(rig, recorder, valid_s=0.5)
                simulator.present_link().close()
                await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
                await recorder.until(lambda now: not now.faults)
                await recorder.until(lambda now: now.outlet_closed is False)
                assert recorder.pilot is PilotState.B

    asyncio.run(main())


def test_a_fault_that_stays_is_told_to_every_new_listener():
    async def main():
        async with simulated_board() as simulator:
            controller = RemoteController(simulator, 1)
            await simulator.call("sim.fault", {"evse_id": 1, "fault": "GroundFailure"})
            for _ in range(2):
                async with served(controller) as recorder:
                    await recorder.until(lambda now: now.faults == {Fault.GROUND_FAILURE})
            await simulator.call("sim.clear", {"evse_id": 1, "fault": "GroundFailure"})
            async with served(controller) as recorder:
                await recorder.until(lambda now: ("cleared", Fault.GROUND_FAILURE) in now.log)

    asyncio.run(main())


def test_tokens_reach_the_reader_s_listener_once():
    async def main():
        board = board_template(evses=2)
        async with (
            simulated_board(board) as simulator,
            served(RemoteReader(simulator, 2)) as recorder,
        ):
            while not recorder.tokens:  # until the reader is known to be subscribed
                await simulator.call("sim.token", {"id_token": "probe", "evse_id": 2})
            await simulator.call("sim.token", {"id_token": "first"})
            await simulator.call("sim.token", {"id_token": "x", "type": "eMAID", "evse_id": 2})
            await recorder.until(lambda now: now.tokens[-1].value == "x")
            assert recorder.tokens.count(IdToken("x", TokenType.EMAID)) == 1
            assert IdToken("first") not in recorder.tokens

    asyncio.run(main())


def test_a_reader_finds_its_board_again():
    async def main():
        async with (
            simulated_board() as simulator,
            served(RemoteReader(simulator, 1)) as recorder,
        ):
            await simulator.call("sim.token", {"id_token": "one"})
            simulator.present_link().close()
            await simulator.present_link().lost
            while not any(token.value == "two" for token in recorder.tokens):
                await simulator.call("sim.token", {"id_token": "two"})
                await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("sim.plug", {"evse_id": 9}, "there are 1 to 1"),
        ("sim.plug", {"evse_id": 1, "connector_id": 2}, "connector 2"),
        ("sim.plug", {"evse_id": 1, "vehicle": {"max_a": 500}}, "vehicle.max_a must be"),
        ("sim.plug", {}, "evse_id is missing"),
        ("sim.fault", {"evse_id": 1, "fault": "Rain"}, "GroundFailure"),
        ("sim.rain", {}, "allowed: sim.plug"),
        ("evse.offer", {"evse_id": 1, "limit_a": 80, "valid_s": 1e9}, "not a method of"),
    ],
)
def test_a_refusal_says_why(method, params, says):
    async def main():
        async with simulated_board() as simulator:
            with pytest.raises(SimRefused, match=says) as refusal:
                await simulator.call(method, params)
            assert says in refusal.value.reason

    asyncio.run(main())


def test_a_driver_of_an_evse_that_is_not_there_cannot_go_on():
    async def main():
        async with simulated_board() as simulator:
            for device in (RemoteController(simulator, 2), RemoteReader(simulator, 2)):
                with pytest.raises(SimRefused, match="no EVSE 2"):
                    await device.run(None)
            with pytest.raises(SimRefused, match="EVSE 2"):
                await simulator.meter_port(2)

    asyncio.run(main())


def test_a_command_without_a_connection_fails_at_once():
    async def main():
        directory = short_directory()
        simulator = Simulator(place_in(directory))
        with pytest.raises(BusError, match="not connected"):
            await RemoteController(simulator, 1).offer(16.0, valid_s=60.0)
        assert simulator.pid is None
        await simulator.close()

    asyncio.run(main())


def test_a_board_that_cannot_start_is_told_with_its_exit_code():
    async def main():
        directory = short_directory()
        simulator = Simulator(place_in(directory, "nonsense = 1"))
        with pytest.raises(BusError, match="exit code 78"):
            await simulator.start()
        controller = RemoteController(simulator, 1)
        async with served(controller) as recorder:
            await recorder.until(lambda now: Fault.COMMUNICATION_FAULT in now.faults)
        await end(simulator)
        await simulator.close()

    asyncio.run(main())


def test_two_simulators_of_one_place_share_one_process():
    async def main():
        directory = short_directory()
        place = place_in(directory)
        first, second = Simulator(place), Simulator(place)
        async with asyncio.TaskGroup() as group:
            group.create_task(first.start())
            group.create_task(second.start())
        await first.call("sim.plug", {"evse_id": 1})
        with pytest.raises(SimRefused, match="already"):
            await second.call("sim.plug", {"evse_id": 1})
        for simulator in (first, second):
            await end(simulator)
            await simulator.close()

    asyncio.run(main())


def test_a_socket_path_that_is_too_long_is_refused_before_anything_starts(tmp_path):
    place = Place(board=tmp_path, socket=tmp_path / ("s" * 120), state=tmp_path)

    with pytest.raises(BoardError, match="107"):
        Simulator(place)


@asynccontextmanager
async def odd_board(respond):
    """Serve a socket that does with each line what a test wants."""
    directory = short_directory()

    async def serve(reader, writer):
        while line := await reader.readline():
            if not await respond(line, writer):
                break
        writer.close()

    server = await asyncio.start_unix_server(serve, directory / "s")
    simulator = Simulator(place_in(directory))
    yield simulator
    await simulator.close()
    server.close()
    await server.wait_closed()


def test_a_board_that_does_not_answer_is_a_bus_error_and_a_late_answer_is_dropped():
    async def main():
        released = []

        async def respond(line, writer):
            released.append(line)
            if len(released) == 2:
                writer.write(b'{"id":1,"result":"late"}\n{"id":2,"result":"own"}\n')
            return True

        async with odd_board(respond) as simulator:
            with pytest.raises(BusError, match="did not answer"):
                await simulator.call("sim.plug", {})
            assert await simulator.call("sim.plug", {}) == "own"

    asyncio.run(main())


@pytest.mark.parametrize("nonsense", [b"not json\n", b"x" * 70_000])
def test_a_board_that_talks_nonsense_is_hung_up_on(nonsense):
    async def main():
        async def respond(line, writer):
            writer.write(nonsense)
            return True

        async with odd_board(respond) as simulator:
            with pytest.raises(BusError, match="hung up"):
                await simulator.call("sim.plug", {})

    asyncio.run(main())


def test_reports_nobody_asked_for_are_dropped():
    async def main():
        async def respond(line, writer):
            writer.write(
                b'{"method":"report","params":{"evse_id":7,"report":{"kind":"outlet","closed":true}}}\n'
                b'{"id":null,"error":{"code":-32700,"message":"?"}}\n{"id":1,"result":null}\n'
            )
            return True

        async with odd_board(respond) as simulator:
            assert await simulator.call("sim.plug", {}) is None

    asyncio.run(main())


def test_a_bounded_number_of_requests_waits():
    async def main():
        async def respond(line, writer):
            return True

        async with odd_board(respond) as simulator:
            await simulator.start()
            link = simulator.present_link()
            async with asyncio.TaskGroup() as group:
                waiting = [
                    group.create_task(link.request("sim.plug", {}))
                    for _ in range(remote.MAX_PENDING)
                ]
                await asyncio.sleep(0)
                with pytest.raises(BusError, match="wait for the simulated board"):
                    await link.request("sim.plug", {})
                for task in waiting:
                    task.cancel()
            link.close()
            await link.lost
            with pytest.raises(BusError, match="is lost"):
                await link.request("sim.plug", {})
            with pytest.raises(BusError, match="not connected"):
                simulator.present_link()

    asyncio.run(main())


def test_a_deserted_board_ends_by_itself():
    async def main():
        directory = short_directory()
        simulator = Simulator(place_in(directory, linger_s=0.2))
        await simulator.start()
        await asyncio.to_thread(os.waitid, os.P_PID, simulator.pid, os.WEXITED | os.WNOWAIT)
        await simulator.close()
        assert simulator.pid is None

    asyncio.run(main())


def test_a_board_that_never_listens_is_given_up_on():
    async def main():
        simulator = Simulator(place)
        with pytest.raises(BusError, match="does not listen on"):
            await simulator.start()
        await end(simulator)
        await simulator.close()

    place = place_in(short_directory())
    with Path(f"{place.socket}.lock").open("wb") as lock:
        # Whoever holds the lock serves the socket, so the process leaves it alone.
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(main())
