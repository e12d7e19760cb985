import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bench import ledger as module
from agent.bench.ledger import (
    Boot,
    Ledger,
    Sample,
    SecurityEvent,
    StationLedger,
    Status,
    Transaction,
    from_json,
    to_json,
)
from tests.bench.station import instant


def entry(**fields):
    return Transaction(identity="CP001", transaction_id="tx-1", **fields)


@given(st.lists(st.integers(0, 40), max_size=60))
def test_sequence_numbers_are_new_once_and_gaps_are_exact(numbers):
    one, seen = entry(first_seq_no=0), set()
    for number in numbers:
        assert one.take_seq_no(number) is (number not in seen)
        seen.add(number)
    expected = sorted(set(range(max(seen, default=-1))) - seen)
    assert one.missing_seq_nos == expected


def test_absurd_sequence_numbers_cost_nothing():
    one = entry(first_seq_no=0)
    one.take_seq_no(0)
    one.take_seq_no(2**62)
    assert one.missing_seq_nos == list(range(1, 101))


def test_runs_of_sequence_numbers_are_bounded():
    one = entry()
    for number in range(0, 2 * module.MOST_RANGES + 10, 2):
        one.take_seq_no(number)
    assert len(one.told) == module.MOST_RANGES


def test_energy_is_unknown_without_readings():
    assert entry().energy_wh is None
    assert entry(meter_start_wh=5.0).energy_wh is None
    assert entry(meter_stop_wh=5.0).energy_wh is None
    assert entry(meter_start_wh=5.0, register_wh=7.0).energy_wh == 2.0
    assert entry(meter_start_wh=5.0, register_wh=7.0, meter_stop_wh=8.0).energy_wh == 3.0


def test_samples_are_bounded_and_keep_begin_and_end():
    one = entry()
    for number in range(2_000):
        at = f"2025-01-06T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
        one.take_samples([Sample(at=at, energy_wh=float(number))])
    assert len(one.samples) <= module.MOST_SAMPLES
    assert one.samples[0].energy_wh == 0.0
    assert one.samples[-1].energy_wh == one.register_wh == 1_999.0


def test_samples_without_energy_leave_the_register_alone():
    one = entry()
    assert one.take_samples([Sample(at=instant(1), power_w=5.0)]) == []
    assert one.register_wh is None


def test_an_instant_that_cannot_be_read_is_refused():
    with pytest.raises(ValueError, match="no date and time"):
        entry().take_samples([Sample(at="noon")])


def test_histories_are_bounded():
    station = StationLedger("CP001")
    for number in range(module.MOST_HISTORY + 5):
        station.take_boot(Boot("ocpp1.6", "v", str(number), None, "Accepted"))
        station.take_status(Status(None, number, "Available"))
        station.take_security_event(SecurityEvent(str(number), instant(0)))
    for kept in (
        station.boots,
        station.statuses,
        station.status_history,
        station.security_events,
    ):
        assert len(kept) == module.MOST_HISTORY
    assert station.boots[0].model == "5"
    assert "/4" not in station.statuses


def test_transactions_and_stations_are_bounded():
    station = StationLedger("CP001")
    for number in range(module.MOST_TRANSACTIONS + 1):
        station.add(entry(number=number))
    assert station.transactions[0].number == 1
    ledger = Ledger()
    for number in range(module.MOST_STATIONS + 1):
        ledger.station(str(number))
    assert "0" not in ledger.stations
    assert len(ledger.stations) == module.MOST_STATIONS


def test_stations_are_apart_and_their_transactions_together():
    ledger = Ledger()
    ledger.station("A").add(entry(number=1))
    ledger.station("B").add(entry(number=2, ended_at=instant(1)))
    assert [one.number for one in ledger.transactions] == [1, 2]
    assert ledger.station("A").open_transactions == ledger.transactions[:1]
    assert ledger.station("B").open_transactions == []
    assert ledger.station("A").by_number(2) is None
    assert ledger.station("A").by_id("1") is ledger.station("A").by_id("tx-1")
    assert ledger.station("A").by_id("2") is None


def test_no_two_ledgers_share_their_lists():
    StationLedger("A").boots.append(Boot("ocpp1.6", "v", "m", None, "Accepted"))
    assert StationLedger("B").boots == []


def test_a_written_ledger_is_read_back_and_tells_the_bills():
    ledger = Ledger(next_number=9)
    one = entry(started_at=instant(0), meter_start_wh=1.0, meter_stop_wh=4.0, first_seq_no=0)
    one.take_seq_no(0)
    one.take_seq_no(2)
    ledger.station("CP001").add(one)
    ledger.station("CP001").take_status(Status(1, 1, "Occupied"))
    text = to_json(ledger)
    assert from_json(text) == ledger
    written = msgspec.json.decode(text)["stations"]["CP001"]["transactions"][0]
    assert written["energy_wh"] == 3.0
    assert written["complete"] is False
    assert written["missing_seq_nos"] == [1]


def test_another_file_is_no_ledger():
    with pytest.raises(msgspec.MsgspecError):
        from_json(b'{"stations": 5}')
