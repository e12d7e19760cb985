from agent.bench.script import Verdict
from tests.bench.station import (
    NOON,
    TOKEN,
    boot,
    connected,
    event201,
    instant,
    new_csms,
    start16,
    values16,
)
from tests.support.vloop import run

P = "ocpp2.0.1"


def told(scenario, **more):
    """Run a scenario with a fresh CSMS and one station; return the CSMS."""

    async def main():
        csms = new_csms(**more)
        async with connected(csms, P) as station:
            await scenario(csms, station)
        return csms

    return run(main())


def tell(*events):
    async def scenario(csms, station):
        for event in events:
            assert isinstance(await station.call("TransactionEvent", event), dict)

    return told(scenario)


def test_a_session_becomes_one_complete_bill():
    async def scenario(csms, station):
        answer = await station.call("TransactionEvent", event201("Started", 0, 1000.5))
        assert answer == {"idTokenInfo": {"status": "Accepted"}}
        assert await station.call("TransactionEvent", event201("Updated", 1, 1200.5)) == {}
        assert csms.ledger.transactions[0].energy_wh == 200
        assert not csms.ledger.transactions[0].complete
        await station.call("TransactionEvent", event201("Ended", 2, 1500.5))

    csms = told(scenario)
    (entry,) = csms.ledger.transactions
    assert entry.complete
    assert entry.energy_wh == 500
    assert entry.missing_seq_nos == []
    assert (entry.id_token, entry.reason) == (TOKEN, "Local")
    assert (entry.evse_id, entry.connector_id) == (1, 1)
    assert (entry.started_at, entry.ended_at) == (instant(0), instant(2))
    assert entry.told == [[0, 2]]
    assert not csms.violations


def test_missing_sequence_numbers_are_named():
    csms = tell(
        event201("Started", 0, 1000),
        event201("Updated", 2, 1100),
        event201("Updated", 5, 1200),
        event201("Ended", 6, 1300),
    )
    assert csms.ledger.transactions[0].missing_seq_nos == [1, 3, 4]


def test_a_missing_start_is_missed_from_zero_on():
    (entry,) = tell(event201("Updated", 2, 1100)).ledger.transactions
    assert entry.missing_seq_nos == [0, 1]
    assert entry.energy_wh is None
    assert not entry.complete


def test_a_station_that_counts_per_evse_misses_nothing():
    csms = tell(event201("Started", 40, 1000), event201("Ended", 41, 1300))
    assert csms.ledger.transactions[0].missing_seq_nos == []


def test_a_repeated_event_gets_the_same_answer_and_changes_nothing():
    async def scenario(csms, station):
        first = await station.call("TransactionEvent", event201("Started", 0, 1000))
        csms.behaviour.verdicts[TOKEN] = Verdict("Blocked")
        again = event201("Started", 0, 1000, offline=True)
        assert await station.call("TransactionEvent", again) == first

    csms = told(scenario)
    (entry,) = csms.ledger.transactions
    assert entry.duplicates == 1
    assert len(entry.samples) == 1
    assert not csms.violations


def test_a_sequence_number_that_tells_something_else_is_a_violation():
    csms = tell(event201("Started", 0, 1000), event201("Updated", 0, 1100))
    assert csms.ledger.transactions[0].energy_wh == 0
    assert "different" in csms.violations[0].description


def test_events_that_make_no_sense_are_answered_and_noted():
    csms = tell(
        event201("Started", 0, 1000),
        event201("Started", 1, 1000),
        event201("Ended", 2, 1100),
        event201("Updated", 3, 1200),
    )
    texts = [one.description for one in csms.violations]
    assert "started twice" in texts[0]
    assert "goes on after its end" in texts[1]


def test_an_end_without_a_reading_is_billed_by_the_last_one():
    csms = tell(
        event201("Started", 0, 1000), event201("Updated", 1, 1250), event201("Ended", 2)
    )
    assert csms.ledger.transactions[0].energy_wh == 250


def test_a_start_without_an_evse_gets_its_reading_later():
    started = event201("Started", 0)
    del started["evse"], started["idToken"]
    plugged = event201("Updated", 1, 700, evse={"id": 2})
    plugged["meterValue"][0]["sampledValue"][0]["context"] = "Transaction.Begin"
    authorized = event201("Updated", 2, idToken={"idToken": "LATE", "type": "Central"})
    ended = event201("Ended", 3, 900, idToken={"idToken": "STOP", "type": "Central"})
    (entry,) = tell(started, plugged, authorized, ended).ledger.transactions
    assert entry.energy_wh == 200
    assert (entry.evse_id, entry.id_token, entry.stop_token) == (2, "LATE", "STOP")


def test_the_end_may_repeat_the_samples_of_the_whole_transaction():
    ended = event201("Ended", 2, 1300)
    begin = event201("Started", 0, 1000)["meterValue"]
    ended["meterValue"] = begin + ended["meterValue"]
    (entry,) = tell(event201("Started", 0, 1000), ended).ledger.transactions
    assert [sample.energy_wh for sample in entry.samples] == [1000, 1300]
    assert entry.energy_wh == 300


def test_a_reason_that_is_left_out_is_local():
    ended = event201("Ended", 1, 1300)
    del ended["transactionInfo"]["stoppedReason"]
    csms = tell(event201("Started", 0, 1000), ended)
    assert csms.ledger.transactions[0].reason == "Local"


def test_values_are_read_with_their_units_and_multipliers():
    started = event201("Started", 0)
    sampled = [
        {"value": 2.0, "unitOfMeasure": {"unit": "kWh"}, "context": "Transaction.Begin"},
        {
            "value": 11.0,
            "measurand": "Power.Active.Import",
            "unitOfMeasure": {"unit": "W", "multiplier": 3},
        },
        {"value": 3.0, "measurand": "Power.Active.Import", "phase": "L1"},
        {"value": 230.0, "measurand": "Voltage"},
    ]
    started["meterValue"] = [{"timestamp": NOON, "sampledValue": sampled}]
    (sample,) = tell(started).ledger.transactions[0].samples
    assert (sample.energy_wh, sample.power_w) == (2000, 11_000)


def test_an_absurd_multiplier_does_no_harm():
    started = event201("Started", 0)
    sampled = {"value": 1.0, "unitOfMeasure": {"unit": "Wh", "multiplier": 10**15}}
    started["meterValue"] = [{"timestamp": NOON, "sampledValue": [sampled]}]
    assert tell(started).ledger.transactions[0].meter_start_wh == 1e30


def test_a_transaction_that_began_under_16_goes_on_under_its_number():
    async def main():
        csms = new_csms()
        async with connected(csms, "ocpp1.6") as station:
            await station.call("StartTransaction", start16())
            await station.call("MeterValues", values16(1, 1, "1100"))
        async with connected(csms, P) as station:
            info = {"transactionId": "1", "chargingState": "EVConnected"}
            for event in (
                event201("Updated", 2, 1150, transactionInfo=info),
                event201("Ended", 3, 1300, transactionInfo={**info, "stoppedReason": "Local"}),
            ):
                await station.call("TransactionEvent", event)
        return csms

    csms = run(main())
    (entry,) = csms.ledger.transactions
    assert entry.protocols == ["ocpp1.6", P]
    assert entry.complete
    assert entry.energy_wh == 300
    assert entry.missing_seq_nos == []
    assert not csms.violations


def test_boots_statuses_heartbeats_and_the_rest_are_kept():
    async def scenario(csms, station):
        answer = await station.call("BootNotification", boot(P))
        assert (answer["status"], answer["interval"]) == ("Accepted", 300)
        status = {
            "timestamp": NOON,
            "connectorStatus": "Available",
            "evseId": 1,
            "connectorId": 2,
        }
        assert await station.call("StatusNotification", status) == {}
        assert await station.call("Heartbeat", {}) == {"currentTime": NOON}
        event = {"type": "StartupOfTheDevice", "timestamp": NOON}
        assert await station.call("SecurityEventNotification", event) == {}
        answer = await station.call("DataTransfer", {"vendorId": "x", "data": [None]})
        assert answer == {"status": "UnknownVendorId"}
        values = {"evseId": 0, "meterValue": event201("Updated", 1, 5)["meterValue"]}
        assert await station.call("MeterValues", values) == {}
        assert await station.call("SignCertificate", {"csr": "x"}) == {"status": "Rejected"}

    csms = told(scenario)
    ledger = csms.ledger.stations["CP001"]
    assert ledger.boots[0].reason == "PowerUp"
    assert ledger.boots[0].firmware_version == "1.0.0"
    assert ledger.statuses["1/2"].status == "Available"
    assert ledger.heartbeats == 1
    assert ledger.security_events[0].at == NOON
    assert not csms.violations


def test_verdicts_carry_group_and_expiry():
    async def scenario(csms, station):
        csms.behaviour.verdicts["A"] = Verdict("NoCredit", group="G", expires_at=NOON)
        payload = {"idToken": {"idToken": "A", "type": "ISO14443"}}
        info = (await station.call("Authorize", payload))["idTokenInfo"]
        assert info["status"] == "NoCredit"
        assert info["groupIdToken"] == {"idToken": "G", "type": "Central"}
        assert info["cacheExpiryDateTime"] == NOON

    told(scenario)


def test_custom_data_is_welcome_everywhere():
    custom = {"vendorId": "x", "anything": None}
    event = event201("Started", 0, 1000, customData=custom)
    event["meterValue"][0]["customData"] = custom
    assert not tell(event).violations


def test_a_wrong_payload_is_refused_in_the_spelling_of_201():
    async def scenario(csms, station):
        event = event201("Started", 0, 1000)
        del event["seqNo"]
        answer = await station.call("TransactionEvent", event)
        assert answer == "OccurrenceConstraintViolation"
        assert await station.call("Heartbeat", {"x": 1}) == "FormatViolation"

    csms = told(scenario)
    assert csms.ledger.transactions == []
    assert len(csms.violations) == 2
