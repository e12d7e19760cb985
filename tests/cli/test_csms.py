import contextlib
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from agent.cli import main
from tests.support.ca import Authority

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def csms(*argv):
    """The command as a process, and the port it says it listens on."""
    command = [sys.executable, "-m", "agent", "csms", "--port", "0", *argv]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            first = process.stdout.readline()
            yield process, int(re.search(r"wss?://127\.0\.0\.1:(\d+)", first)[1])
        finally:
            process.send_signal(signal.SIGINT)


BOOT = ["BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}]


def test_a_station_is_served_and_ctrl_c_is_the_ordinary_end(place):
    ledger = place / "ledger.json"
    with csms("--password", "open-sesame", "--ocpp", "1.6", "--ledger", str(ledger)) as (
        process,
        port,
    ):
        url = f"ws://CP1:open-sesame@127.0.0.1:{port}/CP1"
        with connect(url, subprotocols=["ocpp2.0.1", "ocpp1.6"]) as station:
            assert station.subprotocol == "ocpp1.6"
            station.send(json.dumps([2, "1", *BOOT]))
            kind, _, answer = json.loads(station.recv(timeout=30))
            assert (kind, answer["status"]) == (3, "Accepted")
        with pytest.raises(InvalidStatus):
            connect(f"ws://127.0.0.1:{port}/CP1", subprotocols=["ocpp1.6"])
    assert process.returncode == 0
    assert "CP1" in ledger.read_text()


def test_without_options_both_versions_are_spoken_and_anybody_may_connect():
    with csms() as (process, port):
        for versions in (["ocpp1.6"], ["ocpp2.0.1"]):
            with connect(f"ws://127.0.0.1:{port}/CP1", subprotocols=versions) as station:
                assert station.subprotocol == versions[0]
    assert process.returncode == 0


def test_a_port_that_is_taken_is_a_failure(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["csms", "--port", str(port)]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--port", "65536"], "'65536' is not from 0 to 65535"),
        (["--port", "http"], "'http' is not from 0 to 65535"),
        (["--ocpp", "1.5"], "invalid choice: '1.5'"),
    ],
)
def test_what_cannot_be_meant_has_code_2(capsys, argv, said):
    assert main(["csms", *argv]) == 2
    assert said in capsys.readouterr().err


def test_with_a_certificate_it_serves_wss(place):
    ca = Authority()
    ca.issue("csms", names=["127.0.0.1"]).write(place, "csms")
    files = ("--certificate", str(place / "csms.pem"), "--key", str(place / "csms.key"))
    with csms(*files) as (_, port):
        context = ssl.create_default_context(cadata=ca.pem)
        url = f"wss://127.0.0.1:{port}/CP1"
        with connect(url, subprotocols=["ocpp1.6"], ssl=context) as station:
            station.send(json.dumps([2, "1", *BOOT]))
            assert json.loads(station.recv(timeout=30))[0] == 3


@pytest.mark.parametrize(
    ("argv", "code", "reason"),
    [
        (["--key", "k.pem"], 2, "go with --certificate"),
        (["--client-roots", "r.pem"], 2, "go with --certificate"),
        (["--certificate", "missing.pem"], 1, "cannot use missing.pem"),
    ],
)
def test_certificates_that_cannot_be_used_end_it(argv, code, reason, capsys):
    assert main(["csms", *argv]) == code
    assert reason in capsys.readouterr().err
