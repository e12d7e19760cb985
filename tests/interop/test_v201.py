"""What a CSMS asks of a station of 2.0.1, asked by one that was written by others."""

import asyncio
import json
from math import nan

import pytest
from ocpp.v201 import call

from tests.interop.station import TAG, meeting, word

pytestmark = pytest.mark.interop

INTERVAL = {
    "component": {"name": "SampledDataCtrlr"},
    "variable": {"name": "TxUpdatedInterval"},
}
COFFEE = {"component": {"name": "Kitchen"}, "variable": {"name": "Coffee"}}
TOKEN = {"idToken": TAG, "type": "ISO14443"}

BROKEN = {
    "an unknown action": ("MakeCoffee", {}, "NotImplemented"),
    "an action not served": ("GetTransactionStatus", {}, "NotSupported"),
    "a missing member": ("Reset", {}, "OccurrenceConstraintViolation"),
    "a wrong type": ("Reset", {"type": 7}, "TypeConstraintViolation"),
    "a word that is none": ("Reset", {"type": "Gentle"}, "PropertyConstraintViolation"),
    "an empty list": (
        "GetVariables",
        {"getVariableData": []},
        "OccurrenceConstraintViolation",
    ),
    "no number": ("GetCompositeSchedule", {"evseId": 1, "duration": nan}, "FormatViolation"),
    "half a megabyte": ("ClearCache", {"x": "x" * 500_000}, "FormatViolation"),
}


def test_a_csms_starts_and_stops_a_transaction():
    async def story():
        async with meeting("ocpp2.0.1") as (peer, station):
            await peer.until(lambda: peer.heard("StatusNotification"))
            await station.until(lambda status: status["evses"][0]["meter"])
            start = call.RequestStartTransaction(id_token=TOKEN, remote_start_id=42, evse_id=1)
            assert (await peer.ask(start)).status == "Accepted"
            await station.plug()
            await peer.until(lambda: peer.bills and peer.bill.samples_wh)
            (transaction_id,) = peer.bills
            stop = call.RequestStopTransaction(transaction_id=transaction_id)
            assert (await peer.ask(stop)).status == "Accepted"
            await peer.until(peer.has_ended)
            bill = peer.bill
            assert bill.id_token == TAG
            assert bill.reason == "Remote"
            assert [event["info"].get("remote_start_id") for event in bill.events].count(
                42
            ) >= 1
            assert bill.events[-1]["trigger_reason"] == "RemoteStop"
            unknown = call.RequestStopTransaction(transaction_id="nobody-knows-it")
            assert (await peer.ask(unknown)).status == "Rejected"

    asyncio.run(story())


def test_settings_are_read_written_and_kept_through_a_reset():
    async def story():
        async with meeting("ocpp2.0.1") as (peer, _):
            await peer.until(lambda: peer.heard("StatusNotification"))
            data = [
                {"attributeValue": value, **what}
                for value, what in (("7", INTERVAL), ("soon", INTERVAL), ("7", COFFEE))
            ]
            written = await peer.ask(call.SetVariables(set_variable_data=data))
            statuses = [item["attribute_status"] for item in written.set_variable_result]
            assert statuses == ["Accepted", "Rejected", "UnknownComponent"]
            reset = await peer.ask(call.Reset(type="OnIdle"))
            assert reset.status == "Accepted"
            await peer.until(lambda: len(peer.heard("BootNotification")) == 2)
            await peer.until(lambda: peer.answered.count("StatusNotification") >= 2)
            assert peer.heard("BootNotification")[1]["reason"] == "RemoteReset"
            read = await peer.ask(call.GetVariables(get_variable_data=[INTERVAL, COFFEE]))
            first, second = read.get_variable_result
            assert (first["attribute_status"], first["attribute_value"]) == ("Accepted", "7")
            assert second["attribute_status"] == "UnknownComponent"

    asyncio.run(story())


def test_an_immediate_reset_ends_the_transaction_first():
    async def story():
        async with meeting("ocpp2.0.1") as (peer, station):
            await peer.until(lambda: peer.heard("StatusNotification"))
            await station.charging()
            await peer.until(lambda: peer.bills and peer.bill.samples_wh)
            assert (await peer.ask(call.Reset(type="Immediate"))).status == "Accepted"
            await peer.until(lambda: len(peer.heard("BootNotification")) == 2)
            await peer.until(peer.has_ended)
            bill = peer.bill
            assert bill.reason == "ImmediateReset"
            status = await station.until(lambda status: status["evses"][0]["meter"])
            register_wh = status["evses"][0]["meter"]["energy_import_wh"]
            assert bill.energy_wh == pytest.approx(register_wh, abs=0.02)
            assert bill.seq_nos == list(range(len(bill.seq_nos)))

    asyncio.run(story())


def test_what_is_broken_gets_its_code_and_changes_nothing():
    async def story():
        async with meeting("ocpp2.0.1") as (peer, station):
            await peer.until(lambda: peer.heard("StatusNotification"))
            for name, (action, payload, code) in BROKEN.items():
                frame = json.dumps([2, name, action, payload])
                answer = await peer.ask_raw(frame, name)
                assert answer[:3] == [4, name, code]
            answer = await peer.ask_raw("no JSON at all", "-1")
            assert answer[:3] == [4, "-1", "RpcFrameworkError"]
            assert (await peer.ask(call.ClearCache())).status == "Accepted"
            assert peer.links == 1
            assert word(await station.status()) == "Available"

    asyncio.run(story())
