import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from websockets.asyncio.client import connect
from websockets.sync.client import connect as sync_connect

from agent.bench import console
from agent.bench.console import Console
from tests.bench.station import connected, new_csms, start16
from tests.support.vloop import run

P = "ocpp1.6"


def said(*lines, answers=None):
    """Execute commands with one station; return what each prints."""

    async def main():
        csms = new_csms()
        shell = Console(csms, lambda _: None)
        async with connected(csms, P) as station:
            station.answers.update(answers or {})
            await station.call("StartTransaction", start16())
            return [await shell.execute(line) for line in lines]

    return run(main())


YES = {"status": "Accepted"}


@pytest.mark.parametrize(
    ("line", "action", "answer", "printed"),
    [
        ("remote-start CP001 04AA", "RemoteStartTransaction", YES, "Accepted"),
        ("remote-start 04AA", "RemoteStartTransaction", YES, "Accepted"),
        ("remote-stop", "RemoteStopTransaction", YES, "Accepted"),
        ("remote-stop CP001", "RemoteStopTransaction", YES, "Accepted"),
        ("reset CP001 soft", "Reset", YES, "Accepted"),
        ("reset hard", "Reset", "InternalError", "InternalError"),
        ("limit 10", "SetChargingProfile", YES, "Accepted"),
        ("list 3 04AA,-04BB", "SendLocalList", YES, "Accepted"),
        ("list-version", "GetLocalListVersion", {"listVersion": 7}, "7"),
        ("reserve 1 04AA", "ReserveNow", YES, "Accepted, number 1"),
        ("unreserve 1", "CancelReservation", YES, "Accepted"),
        ("unlock 1", "UnlockConnector", {"status": "Unlocked"}, "Unlocked"),
        ("trigger Heartbeat", "TriggerMessage", YES, "Accepted"),
        ("set A B", "ChangeConfiguration", YES, "Accepted"),
        ("set CP001 A 'B C'", "ChangeConfiguration", YES, "Accepted"),
        (
            "get A",
            "GetConfiguration",
            {"configurationKey": [{"key": "A", "readonly": True, "value": "5"}]},
            "A = 5",
        ),
        ("call ClearCache {}", "ClearCache", YES, '{"status":"Accepted"}'),
        ("call CP001 ClearCache {}", "ClearCache", "NotSupported", "NotSupported no"),
    ],
)
def test_commands_reach_the_station_and_print_its_answer(line, action, answer, printed):
    assert said(line, answers={action: answer}) == [printed]


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("dance", "'dance' is no command; help shows them all"),
        ("set 'A", "set 'A: No closing quotation"),
        ("reset sometimes", "reset: 'sometimes': soft and hard are allowed"),
        ("list new 04AA", "list: 'new' is no version"),
        ("reserve first 04AA", "reserve: 'first' is no EVSE"),
        ("limit much", "limit: 'much' is no number of amperes"),
        ("call ClearCache []", "call: the payload must be a JSON object"),
        ("get", "get: 1 words are expected after the station; see help"),
        ("set CP001 A", "set: 2 words are expected after the station; see help"),
        ("remote-start CP002 04AA", "remote-start: CP002 is not connected: CP001"),
        ("", ""),
    ],
)
def test_wrong_commands_say_what_is_allowed(line, printed):
    assert said(line)[0].startswith(printed)


def test_a_station_that_refuses_a_setting_is_quoted():
    (printed,) = said("get A", answers={"GetConfiguration": {"unknownKey": ["A"]}})
    assert printed == "get: A: the station answers unknownKey"


def test_a_station_without_a_local_list_is_quoted():
    (printed,) = said("list-version", answers={"GetLocalListVersion": "NotSupported"})
    assert printed == "list-version: GetLocalListVersion: NotSupported"


def test_help_and_ledger_need_no_station():
    async def main():
        shell = Console(new_csms(), lambda _: None)
        assert "remote-start" in await shell.execute("help")
        assert await shell.execute("ledger") == "no station has been here"
        assert await shell.execute("remote-stop") == (
            "remote-stop: name a station: none is connected"
        )

    run(main())


def test_with_two_stations_one_has_to_be_named():
    async def main():
        csms = new_csms()
        shell = Console(csms, lambda _: None)
        async with connected(csms, P, "A"), connected(csms, P, "B") as station:
            station.answers["Reset"] = YES
            assert await shell.execute("reset soft") == "reset: name a station: A, B"
            assert await shell.execute("reset B soft") == "Accepted"
            assert await shell.execute("drop A") == "dropped"

    run(main())


def test_commands_come_through_a_pipe_until_it_ends():
    async def main():
        printed, full = [], asyncio.Event()

        def take(line):
            printed.append(line)
            if len(printed) == 3:
                full.set()

        shell = Console(new_csms(), take)
        reading, writing = os.pipe()
        running = asyncio.create_task(shell.run(reading))
        os.write(writing, b"led")
        await asyncio.sleep(0)
        os.write(writing, b"ger\n\nledger\n")
        os.close(writing)
        async with asyncio.timeout(10):
            await full.wait()
        running.cancel()
        await asyncio.wait({running})
        os.close(reading)
        return printed

    assert asyncio.run(main()) == ["no station has been here", "", "no station has been here"]


def test_a_file_brings_no_commands(tmp_path):
    path = tmp_path / "commands"
    path.write_text("ledger\n")

    async def main():
        printed = []
        with path.open() as file:
            await Console(new_csms(), printed.append).run(file.fileno())
        await Console(new_csms(), printed.append).run(9999)
        return printed

    assert asyncio.run(main()) == []


def test_unknown_versions_and_used_ports_and_broken_ledgers_are_refused(tmp_path, capsys):
    assert console.main(protocols=["ocpp1.5"]) == 1
    assert "allowed are ocpp2.0.1, ocpp1.6" in capsys.readouterr().err
    assert console.main(protocols=[]) == 1
    (tmp_path / "ledger").write_text("5")
    assert console.main(ledger_file=tmp_path / "ledger") == 1
    assert console.main(host="192.0.2.1") == 1
    assert "cannot listen on 192.0.2.1:9000" in capsys.readouterr().err


def test_events_are_json_lines_when_asked_for(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def visit():
        while True:
            try:
                link = sync_connect(f"ws://127.0.0.1:{port}/CP001", subprotocols=["ocpp1.6"])
            except ConnectionRefusedError:
                continue
            break
        with link:
            link.send('[2,"1","StartTransaction",' + json.dumps(start16()) + "]")
            numbers.append(json.loads(link.recv())[2]["transactionId"])
        os.kill(os.getpid(), signal.SIGINT)

    numbers = []
    visitor = threading.Thread(target=visit)
    visitor.start()
    assert console.main(port=port, as_json=True) == 0
    visitor.join()
    kinds = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
    assert kinds == ["StationConnected", "TransactionTold", "StationDisconnected"]
    # Numbers of a run without a ledger do not begin at 1 again.
    assert numbers[0] > 1000


SERVE = """
import sys
from pathlib import Path
from agent.bench import console
sys.exit(console.main(port=0, password="sesame", ledger_file=Path(sys.argv[1])))
"""


def test_the_command_serves_commands_ends_and_leaves_its_ledger(tmp_path):
    path = tmp_path / "ledger.json"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    port = int(first.split("127.0.0.1:")[1].split("/")[0])

    async def visit():
        credentials = {"Authorization": "Basic Q1AwMDE6c2VzYW1l"}  # CP001:sesame
        url = f"ws://127.0.0.1:{port}/CP001"
        async with connect(
            url, subprotocols=["ocpp1.6"], additional_headers=credentials
        ) as socket:
            await socket.send(json.dumps([2, "1", "StartTransaction", start16()]))
            return json.loads(await socket.recv())[2]["transactionId"]

    number = asyncio.run(visit())
    process.stdin.write("ledger\n")
    process.stdin.flush()
    seen = []
    while not seen or not seen[-1].startswith("  transaction"):
        seen.append(process.stdout.readline())
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    process.stdin.close()
    process.stdout.close()
    assert any("connected, speaks ocpp1.6" in line for line in seen)
    written = json.loads(path.read_text())
    assert written["stations"]["CP001"]["transactions"][0]["number"] == number
