from agent.bench.ledger import Ledger
from agent.bench.script import BootAnswer, Verdict
from tests.bench.station import (
    NOON,
    TOKEN,
    boot,
    connected,
    event201,
    instant,
    new_csms,
    start16,
    stop16,
    values16,
)
from tests.support.vloop import run

P = "ocpp1.6"


def told(scenario, **more):
    """Run a scenario with a fresh CSMS and one station; return the CSMS."""

    async def main():
        csms = new_csms(**more)
        async with connected(csms, P) as station:
            await scenario(csms, station)
        return csms

    return run(main())


def test_a_session_becomes_one_complete_bill():
    async def scenario(csms, station):
        started = await station.call("StartTransaction", start16())
        assert started == {"transactionId": 1, "idTagInfo": {"status": "Accepted"}}
        await station.call("MeterValues", values16(1, 10, "1200"))
        assert csms.ledger.transactions[0].energy_wh == 200
        assert not csms.ledger.transactions[0].complete
        await station.call("StopTransaction", stop16(1))

    csms = told(scenario)
    (entry,) = csms.ledger.transactions
    assert entry.complete
    assert entry.energy_wh == 500
    assert (entry.reason, entry.stop_token, entry.id_token) == ("Local", TOKEN, TOKEN)
    assert (entry.connector_id, entry.evse_id) == (1, None)
    assert entry.duplicates == 0
    assert not csms.violations


def test_a_repeated_start_gets_the_same_number_and_no_second_bill():
    async def scenario(csms, station):
        first = await station.call("StartTransaction", start16())
        csms.behaviour.transaction_verdicts[TOKEN] = Verdict("Blocked")
        assert await station.call("StartTransaction", start16()) == first

    csms = told(scenario)
    (entry,) = csms.ledger.transactions
    assert entry.duplicates == 1
    assert not csms.violations


def test_a_repeated_start_is_known_to_a_csms_that_was_restarted():
    async def scenario(csms, station):
        assert (await station.call("StartTransaction", start16()))["transactionId"] == 1

    before = told(scenario)
    csms = told(scenario, ledger=before.ledger)
    assert [entry.duplicates for entry in csms.ledger.transactions] == [1]


def test_starts_that_differ_in_one_member_are_different_transactions():
    async def scenario(csms, station):
        for change in (
            {},
            {"connectorId": 2},
            {"timestamp": instant(1)},
            {"meterStart": 1001},
            {"idTag": "OTHER"},
        ):
            await station.call("StartTransaction", start16(**change))

    csms = told(scenario)
    assert [entry.number for entry in csms.ledger.transactions] == [1, 2, 3, 4, 5]


def test_numbers_are_unique_over_all_stations():
    async def main():
        csms = new_csms(ledger=Ledger(next_number=70))
        async with connected(csms, P, "A") as one, connected(csms, P, "B") as other:
            first = await one.call("StartTransaction", start16())
            second = await other.call("StartTransaction", start16())
        return first["transactionId"], second["transactionId"]

    assert run(main()) == (70, 71)


def test_repeated_samples_and_stops_are_counted_and_change_nothing():
    async def scenario(csms, station):
        await station.call("StartTransaction", start16())
        await station.call("MeterValues", values16(1, 10, "1200"))
        await station.call("MeterValues", values16(1, 10, "1200"))
        await station.call("StopTransaction", stop16(1))
        answer = await station.call("StopTransaction", stop16(1))
        assert answer == {"idTagInfo": {"status": "Accepted"}}

    csms = told(scenario)
    (entry,) = csms.ledger.transactions
    assert entry.duplicates == 2
    assert len(entry.samples) == 1
    assert entry.energy_wh == 500
    assert not csms.violations


def test_a_second_end_that_differs_is_a_violation_and_does_not_change_the_bill():
    async def scenario(csms, station):
        await station.call("StartTransaction", start16())
        await station.call("StopTransaction", stop16(1))
        await station.call("StopTransaction", stop16(1, meterStop=9999))

    csms = told(scenario)
    assert csms.ledger.transactions[0].energy_wh == 500
    assert [one.code for one in csms.violations] == [None]
    assert "differently" in csms.violations[0].description


def test_unknown_numbers_are_answered_and_noted():
    async def scenario(csms, station):
        assert await station.call("MeterValues", values16(77, 10, "1200")) == {}
        assert await station.call("StopTransaction", stop16(77, idTag="X")) == {
            "idTagInfo": {"status": "Accepted"}
        }

    csms = told(scenario)
    (entry,) = csms.ledger.transactions
    assert not entry.complete
    assert entry.energy_wh is None
    assert ["77" in one.description for one in csms.violations] == [True, True]


def test_ends_of_lost_starts_share_a_number_and_are_still_told_apart():
    async def scenario(csms, station):
        assert await station.call("MeterValues", values16(-1, 10, "1200")) == {}
        payload = stop16(-1)
        del payload["idTag"]
        assert await station.call("StopTransaction", payload) == {}
        assert await station.call("StopTransaction", payload) == {}
        await station.call("StopTransaction", stop16(-1, meterStop=2000))

    csms = told(scenario)
    assert [entry.duplicates for entry in csms.ledger.transactions] == [1, 0]
    assert not csms.violations


def test_values_are_read_in_their_units_and_single_phases_are_not_the_whole():
    async def scenario(csms, station):
        await station.call("StartTransaction", start16())
        payload = values16(1, 10, "1.25", unit="kWh")
        payload["meterValue"][0]["sampledValue"] += [
            {"value": "11.5", "measurand": "Power.Active.Import", "unit": "kW"},
            {"value": "3", "measurand": "Power.Active.Import", "phase": "L1"},
            {"value": "00FF", "format": "SignedData"},
            {"value": "230", "measurand": "Voltage"},
        ]
        await station.call("MeterValues", payload)

    (sample,) = told(scenario).ledger.transactions[0].samples
    assert (sample.energy_wh, sample.power_w) == (1250, 11_500)


def test_values_that_are_no_numbers_are_refused_and_change_nothing():
    async def scenario(csms, station):
        await station.call("StartTransaction", start16())
        for text in ("many", "nan", "inf"):
            answer = await station.call("MeterValues", values16(1, 10, text))
            assert answer == "PropertyConstraintViolation"
        data = values16(1, 10, "many")["meterValue"]
        answer = await station.call("StopTransaction", stop16(1, transactionData=data))
        assert answer == "PropertyConstraintViolation"

    csms = told(scenario)
    assert csms.ledger.transactions[0].samples == []
    assert csms.ledger.transactions[0].ended_at is None
    assert len(csms.violations) == 4


def test_a_meter_that_runs_backwards_is_a_violation():
    async def scenario(csms, station):
        await station.call("StartTransaction", start16())
        await station.call("MeterValues", values16(1, 10, "1200"))
        await station.call("MeterValues", values16(1, 20, "1100"))
        await station.call("StopTransaction", stop16(1, meterStop=900))

    texts = [one.description for one in told(scenario).violations]
    assert len(texts) == 2
    assert "went back to 1100 Wh" in texts[0]
    assert "-100 Wh are billed" in texts[1]


def test_an_older_sample_that_comes_late_is_no_meter_that_runs_backwards():
    async def scenario(csms, station):
        await station.call("StartTransaction", start16())
        await station.call("MeterValues", values16(1, 20, "1200"))
        await station.call("MeterValues", values16(1, 10, "1100"))
        assert csms.ledger.transactions[0].energy_wh == 200

    assert not told(scenario).violations


def test_samples_in_the_stop_are_entered_and_the_reason_defaults_to_local():
    async def scenario(csms, station):
        await station.call("StartTransaction", start16())
        payload = stop16(1, transactionData=values16(1, 30, "1300")["meterValue"])
        del payload["reason"]
        await station.call("StopTransaction", payload)

    (entry,) = told(scenario).ledger.transactions
    assert [sample.energy_wh for sample in entry.samples] == [1300]
    assert entry.reason == "Local"


def test_a_transaction_that_began_under_201_goes_on_as_one_entry():
    async def main():
        csms = new_csms()
        async with connected(csms, "ocpp2.0.1") as station:
            await station.call("TransactionEvent", event201("Started", 0, 1000.7))
        async with connected(csms, P) as station:
            answer = await station.call("StartTransaction", start16(timestamp=instant(0)))
            again = await station.call("StartTransaction", start16(timestamp=instant(0)))
            assert answer == again
            await station.call("StopTransaction", stop16(answer["transactionId"]))
        return csms

    csms = run(main())
    (entry,) = csms.ledger.transactions
    assert entry.transaction_id == "tx-1"
    assert entry.protocols == ["ocpp2.0.1", P]
    assert entry.complete
    assert entry.energy_wh == 500  # 1.6 tells whole Wh, of the start as well
    assert entry.missing_seq_nos == []
    assert entry.duplicates == 1
    assert not csms.violations


def test_a_retold_start_may_lack_a_token_that_16_cannot_carry():
    async def main():
        csms = new_csms()
        token = {"idToken": "DE-AAA-CA2B3C4D5-LONGER-THAN-20", "type": "eMAID"}
        async with connected(csms, "ocpp2.0.1") as station:
            started = event201("Started", 0, 1000.0, idToken=token)
            await station.call("TransactionEvent", started)
        async with connected(csms, P) as station:
            await station.call("StartTransaction", start16(timestamp=instant(0), idTag=""))
        return csms

    assert len(run(main()).ledger.transactions) == 1


def test_boots_statuses_heartbeats_and_the_rest_are_kept():
    async def scenario(csms, station):
        csms.behaviour.boots = [BootAnswer("Pending", 5), BootAnswer("Accepted", 60)]
        csms.behaviour.clock_offset_s = 3600.0
        first = await station.call("BootNotification", boot(P))
        assert first["status"] == "Pending"
        assert first["interval"] == 5
        assert first["currentTime"].startswith("2025-01-06T13:00:00")
        for _ in range(2):
            answer = await station.call("BootNotification", boot(P))
            assert answer["status"] == "Accepted"
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        await station.call("StatusNotification", status)
        faulted = {"connectorId": 1, "errorCode": "GroundFailure", "status": "Faulted"}
        await station.call("StatusNotification", faulted)
        assert (await station.call("Heartbeat", {}))["currentTime"]
        event = {"type": "StartupOfTheDevice", "timestamp": NOON}
        assert await station.call("SecurityEventNotification", event) == {}
        answer = await station.call("DataTransfer", {"vendorId": "example"})
        assert answer == {"status": "UnknownVendorId"}
        assert await station.call("MeterValues", values16(None, 1, "5")) == {}
        assert await station.call("FirmwareStatusNotification", {"status": "Idle"}) == {}

    csms = told(scenario)
    ledger = csms.ledger.stations["CP001"]
    assert [one.status for one in ledger.boots] == ["Pending", "Accepted", "Accepted"]
    assert ledger.registration == "Accepted"
    assert ledger.statuses["/1"].error == "GroundFailure"
    assert [one.status for one in ledger.status_history] == ["Available", "Faulted"]
    assert (ledger.heartbeats, ledger.connections) == (1, 1)
    assert ledger.security_events[0].type == "StartupOfTheDevice"
    assert ledger.messages["BootNotification"] == 3
    assert not csms.violations


def test_what_leaves_nothing_in_the_ledger_is_held_to_its_type_all_the_same():
    async def scenario(csms, station):
        for action in ("FirmwareStatusNotification", "DiagnosticsStatusNotification"):
            assert await station.call(action, {"status": "Idle"}) == {}
            refused = await station.call(action, {"status": "Nonsense"})
            assert refused == "PropertyConstraintViolation"

    assert len(told(scenario).violations) == 2


def test_verdicts_are_given_in_the_words_of_16():
    async def scenario(csms, station):
        csms.behaviour.verdicts["A"] = Verdict("Blocked", group="G", expires_at=NOON)
        csms.behaviour.verdicts["B"] = Verdict("NoCredit")
        csms.behaviour.transaction_verdicts["C"] = Verdict("ConcurrentTx")
        info = (await station.call("Authorize", {"idTag": "A"}))["idTagInfo"]
        assert info == {"status": "Blocked", "parentIdTag": "G", "expiryDate": NOON}
        info = (await station.call("Authorize", {"idTag": "B"}))["idTagInfo"]
        assert info == {"status": "Invalid"}
        info = (await station.call("Authorize", {"idTag": "C"}))["idTagInfo"]
        assert info == {"status": "Accepted"}
        started = await station.call("StartTransaction", start16(idTag="C"))
        assert started["idTagInfo"] == {"status": "ConcurrentTx"}

    told(scenario)


def test_a_wrong_payload_is_refused_in_the_spelling_of_16():
    async def scenario(csms, station):
        payload = start16()
        del payload["idTag"]
        assert await station.call("StartTransaction", payload) == "OccurenceConstraintViolation"
        assert await station.call("Heartbeat", {"x": 1}) == "FormationViolation"
        assert await station.call("Reboot", {}) == "NotImplemented"

    csms = told(scenario)
    assert csms.ledger.transactions == []
    assert [one.code for one in csms.violations] == [
        "OccurenceConstraintViolation",
        "FormationViolation",
        "NotImplemented",
    ]
