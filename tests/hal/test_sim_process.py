"""The simulated board's process: sockets, registers that survive, its end."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from hal.board_file import load_board
from hal.board_template import board_template
from hal.bus.modbus import TcpPort
from hal.drivers.modbus_meter import ModbusMeter
from hal.errors import BoardError
from hal.registers.map import load_map
from hal.sim import wire
from hal.sim.process import SimulatedBoard, State, load_state, main, save_state
from hal.sim.server import MAX_CLIENTS
from hal.types import Phases
from tests.support.contract_hal import Recorder
from tests.support.simulated_board import MAPS, place_in, short_directory
from tests.support.vloop import run

FAST = {"reaction_s": 0.0, "adapt_s": 0.0}


class Bench:
    """A client that writes and reads raw lines."""

    def __init__(self, reader, writer) -> None:
        self.reader, self.writer = reader, writer
        self.reports = []

    async def line(self, text: bytes) -> dict:
        self.writer.write(text + b"\n")
        while True:
            message = json.loads(await self.reader.readline())
            if "method" not in message:
                return message
            self.reports.append(message["params"])

    async def call(self, method: str, **params) -> object:
        request = {"jsonrpc": "2.0", "id": "x", "method": method, "params": params}
        answer = await self.line(json.dumps(request).encode())
        return answer["result"] if "result" in answer else answer["error"]

    async def report(self, kind: str) -> dict:
        while True:
            for number, entry in enumerate(self.reports):
                if entry["report"]["kind"] == kind:
                    return self.reports.pop(number)["report"]
            self.reports.append(json.loads(await self.reader.readline())["params"])

    async def charge(self) -> None:
        await self.call("evse.run", evse_id=1)
        await self.call("sim.plug", evse_id=1, vehicle=FAST)
        await self.call("evse.offer", evse_id=1, limit_a=32.0, valid_s=60.0)
        while (await self.report("pilot"))["pilot"] != "C":
            pass
        await self.call("evse.energize", evse_id=1, closed=True)
        while not (await self.report("outlet"))["closed"]:
            pass


@asynccontextmanager
async def bench(path):
    reader, writer = await asyncio.open_unix_connection(path)
    yield Bench(reader, writer)
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def board_in(directory, text=None, *, linger_s=60.0):
    place = place_in(directory, text)
    board = SimulatedBoard(load_board(place.board), place.state)
    task = asyncio.create_task(board.run(place.socket, linger_s=linger_s))
    while not place.socket.exists():
        assert not task.done(), task.exception()
        await asyncio.sleep(0)
    yield board, place, task
    task.cancel()
    await asyncio.wait([task])


def with_board(use, text=None, *, runner=run):
    """Run a test against a board in this process and a bench connected to it."""

    async def everything():
        async with (
            board_in(short_directory(), text) as (board, place, _),
            bench(place.socket) as client,
        ):
            await use(client, board, place)

    runner(everything())


def test_only_this_user_can_connect():
    async def use(client, board, place):
        assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600

    with_board(use)


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        (b"nonsense", wire.PARSE_ERROR, "malformed"),
        (b"[]", wire.INVALID_REQUEST, "object"),
        (b'{"id":1}', wire.INVALID_REQUEST, "method"),
        (b'{"id":1,"method":"rain"}', wire.UNKNOWN_METHOD, "allowed: sim.plug"),
        (b'{"id":1,"method":"sim.ready"}', wire.INVALID_PARAMS, "$.evse_id is missing"),
        (
            b'{"id":1,"method":"sim.ready","params":{"evse_id":0,"ready":1,"x":1}}',
            wire.INVALID_PARAMS,
            "$.x is not known",
        ),
        (
            b'{"id":1,"method":"evse.run","params":{"evse_id":2}}',
            wire.REFUSED,
            "there are 1 to 1",
        ),
        (
            b'{"id":1,"method":"evse.offer","params":{"evse_id":1,"limit_a":5,"valid_s":1}}',
            wire.REFUSED,
            "0 or 6 to 80 A",
        ),
    ],
)
def test_a_bad_request_is_answered_with_its_code_and_what_is_allowed(line, code, says):
    async def use(client, board, place):
        answer = await client.line(line)
        assert answer["jsonrpc"] == "2.0"
        assert answer["error"]["code"] == code
        assert says in answer["error"]["message"]
        assert await client.call("board.meters")

    with_board(use)


def test_a_line_that_is_too_long_ends_the_connection():
    async def use(client, board, place):
        client.writer.write(b"x" * (wire.MAX_LINE + 2) + b"\n")
        assert await client.reader.read() == b""

    with_board(use)


def test_a_driver_is_told_every_level_first():
    async def use(client, board, place):
        await client.call("sim.plug", evse_id=1, vehicle={"ampacity_a": 20})
        await client.call("evse.run", evse_id=1)
        kinds = [entry["report"]["kind"] for entry in client.reports]
        assert kinds == ["faults", "detected", "cable", "lock", "pilot", "outlet"]
        assert [entry["evse_id"] for entry in client.reports] == [1] * 6
        assert (await client.report("cable"))["ampacity_a"] == 20

    with_board(use)


def test_a_bench_that_is_no_driver_is_told_nothing():
    async def use(client, board, place):
        await client.call("sim.plug", evse_id=1)
        await client.call("sim.unplug", evse_id=1)
        assert client.reports == []

    with_board(use)


def test_every_bench_method_reaches_the_simulation():
    async def use(client, board, place):
        evse = board.units[1].evse
        await client.call("evse.run", evse_id=1)
        await client.call("sim.plug", evse_id=1, vehicle={"ready": False})
        await client.call("evse.offer", evse_id=1, limit_a=16.0, valid_s=60.0)
        assert evse.offer_a == 16.0
        assert await client.call("sim.ready", evse_id=1, ready=True) is True
        assert (
            await client.call("sim.fault", evse_id=1, fault="OverCurrent", info="test") is True
        )
        assert (await client.report("faults"))["faults"] == {}
        assert (await client.report("faults"))["faults"] == {"OverCurrent": "test"}
        assert await client.call("sim.clear", evse_id=1, fault="OverCurrent") is True
        assert not evse.faults
        await client.call("evse.lock", evse_id=1, locked=True)
        assert evse.locked
        await client.call("sim.set", device="evse-1", point="voltage_l1", value=200.0)
        assert evse.reading().voltage_v.l1 == 200.0

    with_board(use)


def test_a_token_goes_to_the_first_reader_unless_an_evse_is_named():
    async def use(client, board, place):
        for evse_id in (1, 2):
            await client.call("reader.run", evse_id=evse_id)
        await client.call("sim.token", id_token="04AB")
        await client.call("sim.token", id_token="04CD", evse_id=2)
        assert [
            (one["evse_id"], one["report"]["id_token"]["value"]) for one in client.reports
        ] == [
            (1, "04AB"),
            (2, "04CD"),
        ]

    with_board(use, board_template(evses=2))


def test_a_board_without_readers_refuses_tokens_and_reader_drivers():
    async def use(client, board, place):
        assert "no token reader" in (await client.call("sim.token", id_token="04AB"))["message"]
        assert "no token reader" in (await client.call("reader.run", evse_id=1))["message"]

    with_board(use, board_template().replace("reader ", "# reader "))


@pytest.mark.parametrize(
    ("method", "params", "says"),
    [
        ("sim.set", {"device": "evse-9", "point": "draw", "value": 1}, "evse-1, meter-1"),
        ("sim.set", {"device": "evse", "point": "draw", "value": 1}, "evse-1, meter-1"),
        ("sim.set", {"device": "lamp-1", "point": "draw", "value": 1}, "evse-1, meter-1"),
        ("sim.set", {"device": "meter-1", "point": "colour", "value": 1}, "voltage_l1"),
        ("sim.bus", {"port": "x", "state": "up"}, "there are meter-1"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(method, params, says):
    async def use(client, board, place):
        error = await client.call(method, **params)
        assert error["code"] == wire.REFUSED
        assert says in error["message"]

    with_board(use)


async def metered(place, tcp_port):
    """Return a recorder, its meter's task, and the line, for the meter at a port."""
    recorder, line = Recorder(), TcpPort("127.0.0.1", tcp_port)
    meter = ModbusMeter(line, 1, load_map(MAPS / "eastron-sdm630.toml"), poll_s=0.2)
    return recorder, asyncio.create_task(meter.run(recorder)), line


def test_the_meter_shows_over_modbus_what_flows():
    async def use(client, board, place):
        ports = await client.call("board.meters")
        recorder, polling, line = await metered(place, ports["1"])
        await recorder.until(lambda now: now.readings)
        assert recorder.readings[-1].voltage_v == Phases(230.0, 230.0, 230.0)
        await client.charge()
        await recorder.until(lambda now: now.readings and now.readings[-1].power_w == 22_080.0)
        assert recorder.readings[-1].current_a == Phases(32.0, 32.0, 32.0)
        await recorder.until(lambda now: now.readings[-1].energy_import_wh > 0.5)
        await client.call("sim.set", device="meter-1", point="voltage_l1", value=210.0)
        await recorder.until(lambda now: now.readings[-1].voltage_v.l1 == 210.0)
        await client.call("sim.set", device="meter-1", point="voltage_l1", value=None)
        await recorder.until(lambda now: now.readings[-1].voltage_v.l1 == 230.0)
        polling.cancel()
        await asyncio.wait([polling])
        line.close()

    with_board(use, runner=asyncio.run)


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        (
            ("sim.bus", {"port": "meter-1", "state": "down"}),
            ("sim.bus", {"port": "meter-1", "state": "up"}),
        ),
        (
            ("sim.fault", {"evse_id": 1, "fault": "PowerMeterFailure"}),
            ("sim.clear", {"evse_id": 1, "fault": "PowerMeterFailure"}),
        ),
    ],
    ids=["bus", "fault"],
)
def test_a_broken_meter_fails_until_it_is_mended(breaks, mends):
    async def use(client, board, place):
        ports = await client.call("board.meters")
        recorder, polling, line = await metered(place, ports["1"])
        await recorder.until(lambda now: now.readings)
        await client.call(breaks[0], **breaks[1])
        await recorder.next("meter_failed")
        await client.call(mends[0], **mends[1])
        await recorder.next("meter")
        polling.cancel()
        await asyncio.wait([polling])
        line.close()

    with_board(use, runner=asyncio.run)


def test_a_real_meter_is_neither_served_nor_set():
    text = board_template().replace("port   = 0", 'host = "192.0.2.1"\nport = 502')

    async def use(client, board, place):
        assert await client.call("board.meters") == {}
        error = await client.call("sim.bus", port="meter-1", state="down")
        assert "not simulated" in error["message"]
        error = await client.call("sim.set", device="meter-1", point="voltage_l1", value=1)
        assert "not simulated" in error["message"]
        await client.call("sim.fault", evse_id=1, fault="PowerMeterFailure")

    with_board(use, text)


def test_a_silent_controller_takes_no_driver():
    async def use(client, board, place):
        await client.call("sim.fault", evse_id=1, fault="CommunicationFault")
        assert (await client.call("evse.run", evse_id=1))["code"] == wire.SILENT
        assert (await client.call("evse.energize", evse_id=1, closed=False))[
            "code"
        ] == wire.SILENT

    with_board(use)


def test_register_and_port_survive_a_clean_end_exactly():
    async def everything():
        directory = short_directory()
        async with (
            board_in(directory) as (board, place, _),
            bench(place.socket) as client,
        ):
            ports = await client.call("board.meters")
            await client.charge()
            await asyncio.sleep(50.0)
            await client.call("sim.unplug", evse_id=1)
            shown_wh = board.units[1].evse.reading().energy_import_wh
            assert shown_wh == pytest.approx(22_080.0 * 50 / 3600, rel=0.01)
        assert load_state(place.state).registers_wh[1] == pytest.approx(shown_wh, abs=1e-9)
        async with board_in(directory) as (board, place, _), bench(place.socket) as client:
            assert board.units[1].evse.reading().energy_import_wh == pytest.approx(shown_wh)
            assert await client.call("board.meters") == ports

    run(everything())


def test_under_load_the_file_is_ahead_of_the_register_so_that_a_kill_never_turns_it_back():
    async def use(client, board, place):
        await client.charge()
        saved_wh = load_state(place.state).registers_wh[1]
        assert saved_wh > board.units[1].evse.reading().energy_import_wh

    with_board(use)


def test_the_first_register_is_the_board_file_s():
    async def use(client, board, place):
        assert board.units[1].evse.reading().energy_import_wh == 1234.0

    text = board_template().replace('"simulated" }', '"simulated", energy_wh = 1234 }', 1)
    with_board(use, text)


def test_a_port_that_was_taken_meanwhile_is_replaced_by_another():
    async def everything():
        directory = short_directory()
        place = place_in(directory)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = other.getsockname()[1]
            save_state(place.state, State(ports={1: taken}))
            async with board_in(directory) as (_, place, _), bench(place.socket) as client:
                assert (await client.call("board.meters"))["1"] not in (0, taken)

    run(everything())


def test_a_fixed_port_that_is_taken_stops_the_start():
    async def everything():
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            text = board_template().replace("port   = 0", f"port = {other.getsockname()[1]}")
            place = place_in(short_directory(), text)
            board = SimulatedBoard(load_board(place.board), place.state)
            with pytest.raises(BoardError, match="cannot listen"):
                await board.run(place.socket, linger_s=1.0)

    run(everything())


def test_a_socket_that_cannot_be_bound_stops_the_start_and_closes_the_meters():
    async def everything():
        directory = short_directory()
        place = place_in(directory)
        board = SimulatedBoard(load_board(place.board), place.state)
        with pytest.raises(BoardError, match="cannot listen"):
            await board.run(directory / "missing" / "s", linger_s=1.0)
        port = load_state(place.state).ports[1]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    run(everything())


@pytest.mark.parametrize("content", [b"", b"{", b'{"registers_wh":{"1":"x"}}', b'{"more":1}'])
def test_a_damaged_state_file_stops_the_start_and_is_kept(tmp_path, content):
    path = tmp_path / "state.json"
    path.write_bytes(content)

    with pytest.raises(BoardError, match="remove the file"):
        load_state(path)
    assert path.read_bytes() == content


def test_a_saved_state_is_loaded_and_leaves_no_other_file(tmp_path):
    state = State({1: 0.1, 2: 1e9}, {1: 1024})

    save_state(tmp_path / "state.json", state)

    assert load_state(tmp_path / "state.json") == state
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_disk_that_cannot_be_written_is_told_and_the_board_goes_on(caplog):
    async def use(client, board, place):
        place.state.unlink(missing_ok=True)
        place.state.mkdir()
        (place.state / "in-the-way").touch()
        await client.charge()
        assert "were not saved" in caplog.text
        assert await client.call("sim.unplug", evse_id=1) is True

    with_board(use)


def test_under_load_the_file_never_falls_behind_the_register():
    async def use(client, board, place):
        await client.charge()
        for _ in range(100):
            await asyncio.sleep(0.7)
            shown_wh = board.units[1].evse.reading().energy_import_wh
            assert shown_wh <= load_state(place.state).registers_wh[1] < shown_wh + 25.0

    with_board(use)


def test_it_stays_while_a_driver_is_there_and_leaves_after_the_last():
    async def everything():
        async with board_in(short_directory(), linger_s=0.3) as (_, place, task):
            async with bench(place.socket) as client:
                await client.call("evse.run", evse_id=1)
                await asyncio.sleep(1.0)
                assert not task.done()
            await task

    run(everything())


def test_more_clients_than_it_can_serve_are_hung_up_on():
    async def use(client, board, place):
        others = [await asyncio.open_unix_connection(place.socket) for _ in range(MAX_CLIENTS)]
        assert await others[-1][0].read() == b""
        assert await client.call("board.meters")
        for _, writer in others:
            writer.close()
            await writer.wait_closed()

    with_board(use)


def test_a_driver_that_does_not_read_is_hung_up_on():
    async def use(client, board, place):
        async with bench(place.socket) as lazy:
            lazy.writer.write(b'{"id":1,"method":"evse.run","params":{"evse_id":1}}\n')
            lazy.writer.transport.pause_reading()
            await client.call("evse.run", evse_id=1)
            for number in range(3_000):
                word = "fault" if number % 2 == 0 else "clear"
                params = {"evse_id": 1, "fault": "OtherError"}
                if word == "fault":
                    params["info"] = "x" * 255
                await client.call(f"sim.{word}", **params)
            assert len(board.units[1]._controllers) == 1

    with_board(use)


def spawn(place, *more):
    command = [sys.executable, "-m", "hal.sim", place.board, "--socket", place.socket]
    return subprocess.Popen(
        [*command, "--state", place.state, *more], stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly(number):
    place = place_in(short_directory())
    with spawn(place) as running:
        while not place.socket.exists():
            assert running.poll() is None, running.stderr.read()
        # The handlers are there before the socket is.
        os.kill(running.pid, number)
        assert running.wait(timeout=20) == 0
    assert load_state(place.state).registers_wh == {1: 0.0}


def test_a_second_process_on_the_same_socket_leaves_the_first_alone(capfd):
    place = place_in(short_directory())
    with spawn(place) as running:
        while not place.socket.exists():
            pass
        arguments = [str(place.board), "--socket", str(place.socket), "--state", "/dev/null"]
        assert main(arguments) == 0
        running.terminate()
        assert running.wait(timeout=20) == 0


def test_main_ends_when_nobody_comes():
    place = place_in(short_directory())

    assert (
        main(
            [
                str(place.board),
                "--socket",
                str(place.socket),
                "--state",
                str(place.state),
                "--linger",
                "0",
            ]
        )
        == 0
    )
    assert load_state(place.state).registers_wh == {1: 0.0}


@pytest.mark.parametrize(
    ("board", "where"),
    [("board.toml", "missing/s"), ("absent.toml", "s")],
    ids=["no directory", "no board"],
)
def test_main_says_what_is_wrong_and_ends_with_the_configuration_code(board, where, caplog):
    directory = short_directory()
    place_in(directory)

    code = main(
        [
            str(directory / board),
            "--socket",
            str(directory / where),
            "--state",
            str(directory / "x"),
        ]
    )

    assert code == 78
    assert str(directory) in caplog.text
