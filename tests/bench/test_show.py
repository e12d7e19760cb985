import pytest

from agent.bench import show
from agent.bench.events import (
    CommandAnswered,
    ConnectionRefused,
    HeartbeatReceived,
    MessageReceived,
    StationBooted,
    StationConnected,
    StationDisconnected,
    StatusTold,
    TokenJudged,
    TransactionTold,
    ViolationFound,
)
from agent.bench.ledger import Ledger, Status, Transaction
from tests.bench.station import NOON_S

BASE = {"at_s": NOON_S, "identity": "CP001"}
BEGUN = {**BASE, "transaction_id": "8f0d1234-0000"}


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (StationConnected(**BASE, protocol="ocpp1.6"), "connected, speaks ocpp1.6"),
        (StationDisconnected(**BASE, reason="bye"), "disconnected: bye"),
        (StationDisconnected(**BASE, reason=""), "disconnected"),
        (ConnectionRefused(**BASE, reason="HTTP 404"), "refused: HTTP 404"),
        (
            StationBooted(**BASE, vendor="V", model="M", status="Pending"),
            "boot: V M: Pending",
        ),
        (
            StationBooted(
                **BASE,
                vendor="V",
                model="M",
                status="Accepted",
                firmware_version="1.0",
                reason="PowerUp",
            ),
            "boot (PowerUp): V M 1.0: Accepted",
        ),
        (StatusTold(**BASE, connector_id=0, status="Available"), "the station is Available"),
        (
            StatusTold(**BASE, connector_id=2, status="Faulted", error="GroundFailure"),
            "connector 2 is Faulted (GroundFailure)",
        ),
        (
            StatusTold(**BASE, connector_id=1, evse_id=2, status="Occupied"),
            "EVSE 2 connector 1 is Occupied",
        ),
        (TokenJudged(**BASE, id_token="04AA", status="Blocked"), "token 04AA: Blocked"),
        (
            TransactionTold(**BEGUN, phase="started", id_token="04AA", trigger="Authorized"),
            "transaction 8f0d1234 started (Authorized) for token 04AA",
        ),
        (
            TransactionTold(**BEGUN, phase="updated", energy_wh=12.34, power_w=11_040.0),
            "transaction 8f0d1234 updated 12.3 Wh at 11.0 kW",
        ),
        (
            TransactionTold(
                **BEGUN, phase="ended", energy_wh=1234.5, reason="Local", is_repeated=True
            ),
            "transaction 8f0d1234 ended 1.234 kWh by Local - told again, billed once",
        ),
        (TransactionTold(**BEGUN, phase="updated"), "transaction 8f0d1234 updated"),
        (HeartbeatReceived(**BASE), "heartbeat"),
        (
            MessageReceived(**BASE, action="NotifyEvent", payload={"seqNo": 0}),
            'NotifyEvent {"seqNo":0}',
        ),
        (
            MessageReceived(
                **BASE,
                action="SecurityEventNotification",
                payload={"type": "StartupOfTheDevice", "techInfo": "PowerUp"},
            ),
            "security event StartupOfTheDevice: PowerUp",
        ),
        (
            MessageReceived(
                **BASE, action="SecurityEventNotification", payload={"type": "Tampering"}
            ),
            "security event Tampering",
        ),
        (
            CommandAnswered(**BASE, action="Reset", payload={"status": "Accepted"}),
            'answers Reset: {"status":"Accepted"}',
        ),
        (
            CommandAnswered(**BASE, action="Reset", code="NotSupported"),
            "answers Reset: NotSupported",
        ),
        (
            ViolationFound(
                **BASE, action="Heartbeat", description="no", code="FormatViolation"
            ),
            "VIOLATION Heartbeat: no (FormatViolation)",
        ),
        (ViolationFound(**BASE, action="", description="no"), "VIOLATION no"),
    ],
)
def test_every_event_is_one_line(event, text):
    assert show.line(event) == f"12:00:00  CP001  {text}"


def test_events_as_json_name_their_kind():
    assert show.json_line(HeartbeatReceived(**BASE)) == (
        '{"kind":"HeartbeatReceived","at_s":1736164800.0,"identity":"CP001"}'
    )


def test_a_long_payload_is_cut():
    event = MessageReceived(**BASE, action="NotifyReport", payload={"x": "y" * 1000})
    assert len(show.text(event)) < 200


def test_what_a_station_says_cannot_command_the_terminal():
    event = StatusTold(**BASE, connector_id=1, status="\x1b[2J")
    assert "\x1b" not in show.line(event)


def test_energy_is_told_in_the_unit_people_use():
    assert show.energy(None) == "unknown energy"
    assert show.energy(999.94) == "999.9 Wh"
    assert show.energy(-5.0) == "-5.0 Wh"
    assert show.energy(12_345.6) == "12.346 kWh"


def test_a_bill_says_what_is_wrong_with_it():
    entry = Transaction(identity="CP001", transaction_id="8f0d1234-0000", told=[[0, 0], [3, 3]])
    entry.first_seq_no, entry.duplicates = 0, 2
    assert show.bill(entry) == (
        "transaction 8f0d1234 | token unknown | start unknown to still open | "
        "unknown energy | MISSING 1, 2 | 2 told twice"
    )


def test_a_good_bill_is_short():
    entry = Transaction(
        identity="CP001",
        transaction_id="7",
        id_token="04AA",
        started_at="a",
        ended_at="b",
        meter_start_wh=0.0,
        meter_stop_wh=5.0,
        reason="Local",
    )
    assert show.bill(entry) == ("transaction 7 | token 04AA | a to b | 5.0 Wh | ended by Local")


def test_a_ledger_lists_stations_and_their_bills():
    ledger = Ledger()
    assert show.ledger_lines(ledger) == ["no station has been here"]
    station = ledger.station("CP001")
    assert show.ledger_lines(ledger) == ["CP001: registration unknown, 0 boots, no status"]
    station.take_status(Status(1, 1, "Available"))
    station.add(Transaction(identity="CP001", transaction_id="7"))
    first, second = show.ledger_lines(ledger)
    assert "1/1: Available" in first
    assert second.startswith("  transaction 7 |")
