import asyncio
import contextlib
import json
import socket
import stat

import pytest

from agent.core import variables
from agent.core.events import MeterRead, SecurityEventRaised, TokenPresented
from agent.diagnostics.job import Unwritten, Written
from agent.runtime.control import (
    ANSWER_S,
    LONGEST_LINE,
    MOST_CLIENTS,
    MOST_UNREAD,
)
from hal.errors import BusError
from hal.sim.vehicle import SimRefused, Vehicle
from hal.types import IdToken
from tests.support.core import reading
from tests.support.shell import Talk, watched
from tests.support.vloop import run

VERSION = "ocpp2.0.1"
PARSE, REQUEST, METHOD, PARAMS, INTERNAL, REFUSED = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32603,
    -32000,
)


class Board:
    """The hand that moves a simulated board."""

    def __init__(self):
        self.calls = []

    async def call(self, method, params):
        self.calls.append((method, params))
        if method == "sim.fault":
            raise SimRefused("no EVSE 7")
        if method == "sim.bus":
            raise BusError("the board does not answer")
        if method == "sim.set":
            raise KeyError("defect")
        return {"done": True}


class Client:
    """A client of the control socket."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self._count = 0

    async def say(self, *lines):
        for line in lines:
            raw = line if isinstance(line, bytes) else json.dumps(line).encode()
            self.writer.write(raw + b"\n")
        await self.writer.drain()

    async def hear(self, limit_s=100.0):
        async with asyncio.timeout(limit_s):
            line = await self.reader.readline()
        return json.loads(line) if line else None

    async def ask(self, method, **params):
        """Return the whole answer to a request, passing over notifications."""
        self._count += 1
        await self.say(
            {"jsonrpc": "2.0", "id": self._count, "method": method, "params": params}
        )
        while "id" not in (answer := await self.hear()):
            pass
        assert answer["jsonrpc"] == "2.0"
        assert answer["id"] == self._count
        return answer

    async def call(self, method, **params):
        """Return the result of a request."""
        return (await self.ask(method, **params))["result"]

    async def refusal(self, method, **params):
        """Return code and reason of a request that is refused."""
        error = (await self.ask(method, **params))["error"]
        return error["code"], error["message"]

    async def events(self, kind, limit_s=5.0):
        """Return the next event of a kind, None when there is none in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while (event := await self.hear(limit_s)) is not None:
                    if event["params"]["kind"] == kind:
                        return event["params"]
        return None

    async def is_closed(self):
        """Tell whether the agent hangs up."""
        async with asyncio.timeout(100):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65_536):
                    pass
        return True


class Rig(Talk):
    """A station with a control socket."""

    def __init__(self, tmp_path, **options):
        super().__init__(VERSION, socket=tmp_path / "control.sock", **options)
        self._writers = []

    async def client(self, **options):
        reader, writer = await asyncio.open_unix_connection(
            str(self.socket), limit=10_000_000, **options
        )
        self._writers.append(writer)
        return Client(reader, writer)

    async def __aenter__(self):
        await super().__aenter__()
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *args):
        await super().__aexit__(*args)
        for writer in self._writers:
            writer.close()
        await asyncio.sleep(0.1)


@pytest.fixture
def story(tmp_path):
    """Tell a story of a station that is online, and of one client."""

    def tell(told, *, online=True, **options):
        async def lived():
            async with Rig(tmp_path, **options) as rig:
                if online:
                    await rig.online()
                await told(rig, await rig.client())

        run(lived())

    return tell


# --- methods ---


def test_status_is_the_snapshot(story):
    async def told(rig, client):
        status = await client.call("status")
        assert status["station"]["identity"] == "CP001"
        assert status["csms"]["connected"] is True
        assert status["evses"][0]["connectors"][0]["status"] == "Available"

    story(told)


def test_settings_are_listed_with_all_that_there_is_to_know(story):
    async def told(rig, client):
        settings = await client.call("settings.list")
        assert len(settings) == len(variables.TABLE)
        names = {"name", "key", "value", "type", "unit", "access", "origin"}
        assert names <= settings[0].keys()

    story(told)


def test_a_setting_is_read_by_key_and_by_name_and_written(story):
    async def told(rig, client):
        by_key = await client.call("settings.get", name="HeartbeatInterval")
        assert by_key == await client.call(
            "settings.get", name="OCPPCommCtrlr.HeartbeatInterval"
        )
        assert by_key["unit"] == "s"
        written = await client.call("settings.set", name="HeartbeatInterval", value=77)
        assert written["value"] == "77"
        assert written["origin"] == "local"
        flag = await client.call("settings.set", name="LocalPreAuthorize", value=False)
        assert flag["value"] == "false"

    story(told)


def test_a_setting_that_is_refused_says_what_is_allowed(story):
    async def told(rig, client):
        code, reason = await client.refusal("settings.get", name="Colour")
        assert code == REFUSED
        assert "'Colour' is no setting; settings.list names them all" in reason
        code, reason = await client.refusal("settings.set", name="HeartbeatInterval", value=-1)
        assert code == REFUSED
        assert "allowed is 0 to" in reason
        _, reason = await client.refusal(
            "settings.set", name="LocalPreAuthorize", value="maybe"
        )
        assert "allowed is a boolean" in reason
        option = next(item for item in variables.TABLE if item.members and item.key)
        _, reason = await client.refusal("settings.set", name=option.name, value="nonsense")
        assert "allowed are" in reason or "access ReadOnly" in reason

    story(told)


def test_a_setting_that_the_disk_cannot_keep_is_not_taken(story):
    async def told(rig, client):
        rig.disk.refusal = "disk I/O error"
        answer = await client.ask("settings.set", name="HeartbeatInterval", value=77)
        assert answer["error"] == {"code": REFUSED, "message": "storage cannot write"}
        rig.disk.refusal = None

    story(told)


def test_the_link_is_held_down_and_released(story):
    async def told(rig, client):
        assert await client.call("csms.disconnect") is True
        await asyncio.sleep(1)
        status = await client.call("status")
        assert (status["csms"]["connected"], status["csms"]["held"]) == (False, True)
        assert await client.call("csms.connect") is True
        rig.link = await rig.dialer.accept()
        await asyncio.sleep(1)
        assert (await client.call("status"))["csms"]["connected"] is True

    story(told)


def test_a_token_is_presented_as_if_a_reader_had_read_it(story):
    async def told(rig, client):
        seen = watched(rig, TokenPresented)
        assert await client.call("token.present", id_token="04AA", evse_id=1) is True
        assert await client.call("token.present", id_token="04BB", type="KeyCode") is True
        await asyncio.sleep(1)
        assert [(item.id_token.value, item.evse_id) for item in seen] == [
            ("04AA", 1),
            ("04BB", None),
        ]
        assert await client.refusal("token.present", id_token="04AA", evse_id=9) == (
            PARAMS,
            "evse_id 9: there is 1",
        )
        for wrong in (
            {"id_token": ""},
            {"id_token": "x" * 37},
            {"id_token": "x", "type": "RFID"},
        ):
            assert (await client.refusal("token.present", **wrong))[0] == PARAMS

    story(told)


def test_availability_is_set_for_station_evse_and_connector(story):
    async def told(rig, client):
        for place in ({}, {"evse_id": 1}, {"evse_id": 1, "connector_id": 1}):
            status = await client.call("availability.set", operative=False, **place)
            assert status == {"status": "accepted"}
        assert rig.station.availability.inoperative == {"station", "1", "1.1"}
        assert await client.refusal("availability.set", operative=False, evse_id=9) == (
            REFUSED,
            "UnknownEvse",
        )

    story(told)


def test_a_security_event_becomes_a_record(story):
    async def told(rig, client):
        seen = watched(rig, SecurityEventRaised)
        assert await client.call(
            "security.event", type="TamperDetectionActivated", tech_info="x"
        )
        await asyncio.sleep(0.1)
        assert seen == [SecurityEventRaised("TamperDetectionActivated", "x")]
        assert (await client.refusal("security.event", type="x" * 51))[0] == PARAMS

    story(told)


def test_vendor_data_brings_the_csms_answer(story):
    async def told(rig, client):
        asking = asyncio.create_task(
            client.call("data_transfer.send", vendor_id="Vendor", message_id="m", data="d")
        )
        call = await rig.hear_call("DataTransfer")
        await rig.answer(call, {"status": "Rejected", "data": "no"})
        assert await asking == {"status": "Rejected", "data": "no"}
        assert (await client.refusal("data_transfer.send", vendor_id="x" * 256))[0] == PARAMS

    story(told)


def test_vendor_data_offline_is_refused_at_once(story):
    async def told(rig, client):
        assert await client.refusal("data_transfer.send", vendor_id="Vendor") == (
            REFUSED,
            "offline",
        )

    story(told, online=False)


def test_a_request_that_nobody_answers_is_given_up(story):
    async def told(rig, client):
        rig.disk.commit_s = 10 * ANSWER_S
        code, reason = await client.refusal("settings.set", name="HeartbeatInterval", value=7)
        assert (code, reason) == (REFUSED, "no answer in time")
        assert not rig.shell._requests._open
        await asyncio.sleep(10 * ANSWER_S)
        rig.disk.commit_s = 0.0

    story(told)


def test_a_restart_is_asked_for(story):
    async def told(rig, client):
        assert await client.call("station.reset", immediate=True) == {"status": "accepted"}
        await asyncio.sleep(10)
        assert rig.shell.restart is not None

    story(told)


def test_a_bundle_is_written_where_it_is_asked_for(story):
    places = []

    async def written(path):
        places.append(path)
        return Written(7) if path.name == "ok.gz" else Unwritten("no room")

    async def told(rig, client):
        assert await client.refusal("log.bundle", path="/logs/ok.gz") == (
            REFUSED,
            "this agent writes no bundles",
        )
        rig.shell.control.bundle = written
        done = await client.call("log.bundle", path="/logs/ok.gz")
        assert done == {"path": "/logs/ok.gz", "size": 7}
        refused = await client.refusal("log.bundle", path="/logs/bad.gz")
        assert refused == (REFUSED, "no room")
        code, _ = await client.refusal("log.bundle", path="relative.gz")
        assert code == -32602
        assert [path.name for path in places] == ["ok.gz", "bad.gz"]

    story(told)


def test_what_a_bundle_shows_is_what_everybody_may_see(story):
    async def told(rig, client):
        status, settings = rig.shell.control.facts()
        assert status["station"] == (await client.call("status"))["station"]
        assert list(settings) == await client.call("settings.list")

    story(told)


def test_the_simulator_is_moved_and_its_refusals_are_told(story):
    board = Board()

    async def told(rig, client):
        assert await client.call("sim.plug", evse_id=1) == {"done": True}
        assert board.calls == [("sim.plug", {"evse_id": 1})]
        assert await client.refusal("sim.fault", evse_id=7) == (REFUSED, "no EVSE 7")
        assert await client.refusal("sim.bus") == (REFUSED, "the board does not answer")
        await client.say(b'{"id":"x","method":"sim.plug","params":[1]}')
        assert (await client.hear())["error"]["code"] == PARAMS

    story(told, simulator=board)


def test_a_board_that_is_not_simulated_has_no_such_methods(story):
    async def told(rig, client):
        assert await client.refusal("sim.plug", evse_id=1) == (
            METHOD,
            "the board is not a simulated one",
        )

    story(told)


# --- lines ---


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"hello", PARSE),
        (b"\xff\xfe", PARSE),
        (b'{"id":1', PARSE),
        (b"[" * 60_000, REQUEST),
        (b"[]", REQUEST),
        (b"17", REQUEST),
        (b'{"id":1,"method":7}', REQUEST),
        (b'{"id":1}', REQUEST),
        (b'{"id":{"a":1},"method":"status"}', REQUEST),
        (b'{"id":1,"method":"make.coffee"}', METHOD),
        (b'{"id":1,"method":"log.burn","params":{"path":"/x"}}', METHOD),
        (b'{"id":1,"method":"status","params":{"a":1}}', PARAMS),
        (b'{"id":1,"method":"status","params":[]}', PARAMS),
        (b'{"id":1,"method":"settings.get","params":{"name":7}}', PARAMS),
        (b'{"id":1,"method":"settings.get","params":{"name":"\xc3\x28"}}', PARAMS),
        (b'{"id":1,"method":"settings.get","params":{"name":"\\ud800"}}', PARSE),
        (b'{"id":1,"method":"settings.get","params":' + b'{"a":' * 9000 + b"}" * 9001, PARSE),
        (b'{"id":1,"method":"events","params":{"a":1}}', PARAMS),
    ],
)
def test_a_line_that_is_no_request_is_refused_and_the_next_is_served(story, line, code):
    async def told(rig, client):
        await client.say(line)
        answer = await client.hear()
        assert answer["error"]["code"] == code
        assert answer["error"]["message"]
        assert await client.call("csms.connect") is True

    story(told)


def test_a_method_that_is_unknown_is_told_those_that_are(story):
    async def told(rig, client):
        _, reason = await client.refusal("make.coffee")
        assert "known are status, settings.list" in reason
        assert reason.endswith("events, sim.*")

    story(told)


def test_a_line_that_is_too_long_ends_the_connection_with_a_word(story):
    async def told(rig, client):
        client.writer.write(b"x" * (2 * LONGEST_LINE))
        answer = await client.hear()
        assert answer["error"] == {
            "code": REQUEST,
            "message": f"a line has at most {LONGEST_LINE} bytes",
        }
        assert await client.is_closed()
        assert await (await rig.client()).call("csms.connect") is True

    story(told)


def test_ids_are_echoed_and_requests_without_one_are_not_answered(story):
    async def told(rig, client):
        await client.say(
            b'{"method":"csms.connect"}',
            b'{"method":"make.coffee"}',
            b"",
            b'{"id":"a","method":"csms.connect"}',
            b'{"id":null,"method":"csms.connect"}',
        )
        assert (await client.hear())["id"] == "a"
        assert (await client.hear())["id"] is None

    story(told)


def test_a_last_line_needs_no_end(story):
    async def told(rig, client):
        client.writer.write(b'{"id":1,"method":"csms.connect"}')
        client.writer.write_eof()
        assert (await client.hear())["result"] is True
        assert await client.is_closed()

    story(told)


def test_a_defect_in_a_method_is_told_and_logged_and_harms_nobody(story, caplog):
    async def told(rig, client):
        assert await client.refusal("sim.set") == (INTERNAL, "internal error, see the log")
        assert await client.call("csms.connect") is True

    story(told, simulator=Board())
    assert "defect in the control socket" in caplog.text


# --- clients ---


def test_the_socket_is_for_owner_and_group_and_is_gone_afterwards(story, tmp_path):
    async def told(rig, client):
        mode = rig.socket.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o660

    story(told)
    assert not (tmp_path / "control.sock").exists()


def test_a_socket_that_an_earlier_life_left_behind_is_replaced(story, tmp_path):
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(tmp_path / "control.sock"))

    async def told(rig, client):
        assert await client.call("csms.connect") is True

    story(told)


def test_a_file_in_the_place_of_the_socket_is_never_removed(tmp_path):
    path = tmp_path / "control.sock"
    path.write_text("precious")

    async def told():
        rig = Rig(tmp_path)
        try:
            await rig.shell.run([], socket=path)
        finally:
            await rig.disk.close()

    with pytest.raises(ExceptionGroup) as caught:
        run(told())
    assert caught.group_contains(OSError)
    assert path.read_text() == "precious"


def test_many_clients_are_served_and_one_too_many_is_told_so(story):
    async def told(rig, client):
        clients = [client, *[await rig.client() for _ in range(MOST_CLIENTS - 1)]]
        for index, one in enumerate(clients):
            await one.say({"id": index, "method": "csms.connect"})
        assert [(await one.hear())["id"] for one in clients] == list(range(MOST_CLIENTS))
        late = await rig.client()
        assert (await late.hear())["error"]["code"] == REFUSED
        assert await late.is_closed()
        clients[0].writer.close()
        await asyncio.sleep(0.1)
        assert await (await rig.client()).call("csms.connect") is True

    story(told)


def test_clients_do_not_wait_for_one_another(story):
    async def told(rig, client):
        waiting = asyncio.create_task(client.call("data_transfer.send", vendor_id="Vendor"))
        call = await rig.hear_call("DataTransfer")
        assert await (await rig.client()).call("csms.connect") is True
        assert not waiting.done()
        await rig.answer(call, {"status": "Accepted"})
        await waiting

    story(told)


def test_a_client_that_vanishes_while_it_is_served_harms_nobody(story):
    async def told(rig, client):
        await client.call("events")
        await client.say(
            {"id": 1, "method": "data_transfer.send", "params": {"vendor_id": "V"}}
        )
        call = await rig.hear_call("DataTransfer")
        client.writer.transport.abort()
        await asyncio.sleep(0.1)
        await rig.answer(call, {"status": "Accepted"})
        await asyncio.sleep(1)
        other = await rig.client()
        assert await other.call("csms.connect") is True
        assert not rig.shell.control._subscribers
        assert rig.shell.control._clients == 1

    story(told)


def test_the_end_does_not_wait_for_clients(story):
    async def told(rig, client):
        await client.call("events")
        idle = await rig.client()
        rig.shell.stop()
        assert await client.is_closed()
        assert await idle.is_closed()

    story(told)


# --- events ---


def test_state_changes_messages_limits_and_faults_are_told(story):
    async def told(rig, client):
        assert await client.call("events") is True
        rig.evse.plug(1, Vehicle(ampacity_a=20.0))
        change = await client.events("state")
        assert change["what"] == "evse"
        assert change["evse_id"] == 1
        while "limits" not in change:
            change = await client.events("state")
        assert {"origin": "cable", "limit_a": 20.0} in change["limits"]
        assert change["at"].startswith("2027-01-15T08:00:")
        sent = await client.events("message.sent")
        assert "StatusNotification" in sent["frame"]
        await rig.answer(await rig.hear_call("StatusNotification"))
        received = await client.events("message.received")
        assert json.loads(received["frame"])[0] == 3
        rig.post(SecurityEventRaised("First"))
        raised = await client.events("SecurityEventRaised")
        assert raised["event"]["type"] == "First"
        assert "First" in (await client.events("message.sent"))["frame"]
        rig.evse.fault(__import__("hal.types").types.Fault.GROUND_FAILURE)
        fault = await client.events("FaultRaised")
        assert fault["event"]["fault"] == "GroundFailure"
        change = await client.events("state")
        while "faults" not in change:
            change = await client.events("state")
        assert change["faults"][0]["fault"] == "GroundFailure"

    story(told)


def test_the_begin_and_the_end_of_a_transaction_are_told(story):
    async def told(rig, client):
        rig.evse.plug(1, Vehicle())
        await asyncio.sleep(1)
        await client.call("events")
        rig.evse.present(IdToken("04AA"))
        change = {}
        while "transaction" not in change:
            frame = await rig.hear()
            await rig.answer(frame, {"idTokenInfo": {"status": "Accepted"}})
            change = await client.events("state", 0.5) or {}
        assert change["transaction"]["id_token"] == "04AA"

    story(told)


def test_notes_and_the_link_and_the_disk_are_told(story):
    async def told(rig, client):
        await client.call("events")
        rig.disk.refusal = "disk I/O error"
        rig.post(SecurityEventRaised("First"))
        change = await client.events("state")
        while change["what"] != "storage":
            change = await client.events("state")
        assert change["value"] == {"writes": False}
        rig.evse.present(IdToken("04AA"))
        note = await client.events("token.refused")
        assert note["text"]
        rig.disk.refusal = None
        await rig.link.close(1000, "bye")
        change = await client.events("state", 30)
        while change["what"] != "csms":
            change = await client.events("state", 30)
        assert change["value"]["connected"] is False
        rig.link = await rig.dialer.accept()

    story(told)


def test_readings_are_no_news(story):
    async def told(rig, client):
        await client.call("events")
        rig.post(MeterRead(1, reading(1000.0)), MeterRead(1, reading(1001.0)))
        assert await client.events("MeterRead", 3.0) is None

    story(told)


def test_bytes_that_are_no_text_are_shown_as_well_as_can_be(story):
    async def told(rig, client):
        await client.call("events")
        await rig.say(b"\xff\xfe")
        received = await client.events("message.received")
        assert received["frame"] == "\ufffd\ufffd"
        await rig.hear()

    story(told)


def test_who_has_not_asked_for_events_gets_none(story):
    async def told(rig, client):
        rig.evse.plug(1, Vehicle())
        await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            await client.hear(1.0)

    story(told)


def test_a_reader_that_is_too_slow_loses_its_connection_and_nobody_else_does(story, caplog):
    async def told(rig, client):
        await client.call("events")
        slow_reader, slow_writer = await asyncio.open_unix_connection(
            str(rig.socket), limit=1024
        )
        rig._writers.append(slow_writer)
        slow_writer.write(b'{"id":1,"method":"events"}\n')
        await slow_reader.readline()
        received = asyncio.create_task(drained(client))
        slow_reader._transport.pause_reading()
        for _ in range(400):
            await rig.say("x" * 10_000)
            await rig.hear()
            await asyncio.sleep(0.01)
        assert len(rig.shell.control._subscribers) == 1
        rig.shell.stop()
        assert await received >= 400
        assert rig.shell.control._clients <= 2

    async def drained(client):
        count = 0
        while (event := await client.hear()) is not None:
            count += event["params"]["kind"] == "message.received"
        return count

    story(told)
    assert "too slow, its connection is closed" in caplog.text
    assert MOST_UNREAD < 400 * 10_000
