"""What a CSMS asks of a station of 1.6, asked by one that was written by others."""

import asyncio
import json
from math import nan

import pytest
from ocpp.v16 import call
from ocpp.v16.enums import ResetType

from tests.interop.station import TAG, meeting, word

pytestmark = pytest.mark.interop

BROKEN = {
    "an unknown action": ("MakeCoffee", {}, "NotImplemented"),
    "a missing member": ("RemoteStartTransaction", {}, "OccurenceConstraintViolation"),
    "a wrong type": ("RemoteStartTransaction", {"idTag": 7}, "TypeConstraintViolation"),
    "a word that is none": ("Reset", {"type": "Gentle"}, "PropertyConstraintViolation"),
    "a text too long": (
        "RemoteStartTransaction",
        {"idTag": "x" * 21},
        "PropertyConstraintViolation",
    ),
    "no object": ("ClearCache", ["?"], "FormationViolation"),
    "no number": (
        "GetCompositeSchedule",
        {"connectorId": 1, "duration": nan},
        "FormationViolation",
    ),
    "half a megabyte": ("ClearCache", {"x": "x" * 500_000}, "FormationViolation"),
}


def test_a_csms_starts_and_stops_a_transaction():
    async def story():
        async with meeting("ocpp1.6") as (peer, station):
            await peer.until(lambda: peer.heard("StatusNotification"))
            await station.until(lambda status: status["evses"][0]["meter"])
            answer = await peer.ask(call.RemoteStartTransaction(id_tag=TAG, connector_id=1))
            assert answer.status == "Accepted"
            await station.plug()
            await peer.until(lambda: peer.bills and peer.bill.samples_wh)
            (transaction_id,) = peer.bills
            stop = await peer.ask(call.RemoteStopTransaction(transaction_id=transaction_id))
            assert stop.status == "Accepted"
            await peer.until(peer.has_ended)
            assert peer.bill.id_token == TAG
            assert peer.bill.reason == "Remote"
            unknown = await peer.ask(call.RemoteStopTransaction(transaction_id=4711))
            assert unknown.status == "Rejected"

    asyncio.run(story())


def test_settings_are_read_written_and_kept_through_a_reset():
    async def story():
        async with meeting("ocpp1.6") as (peer, _):
            await peer.until(lambda: peer.heard("StatusNotification"))
            key = "MeterValueSampleInterval"
            written = await peer.ask(call.ChangeConfiguration(key=key, value="7"))
            assert written.status == "Accepted"
            refused = await peer.ask(call.ChangeConfiguration(key=key, value="soon"))
            assert refused.status == "Rejected"
            unknown = await peer.ask(call.ChangeConfiguration(key="Coffee", value="7"))
            assert unknown.status == "NotSupported"
            fixed = await peer.ask(
                call.ChangeConfiguration(key="NumberOfConnectors", value="7")
            )
            assert fixed.status == "Rejected"
            reset = await peer.ask(call.Reset(type=ResetType.soft))
            assert reset.status == "Accepted"
            await peer.until(lambda: len(peer.heard("BootNotification")) == 2)
            await peer.until(lambda: peer.answered.count("StatusNotification") >= 4)
            read = await peer.ask(call.GetConfiguration(key=[key, "Coffee"]))
            assert read.configuration_key == [{"key": key, "readonly": False, "value": "7"}]
            assert read.unknown_key == ["Coffee"]
            every = await peer.ask(call.GetConfiguration())
            assert len(every.configuration_key) > 20

    asyncio.run(story())


def test_a_hard_reset_ends_the_transaction_first():
    async def story():
        async with meeting("ocpp1.6") as (peer, station):
            await peer.until(lambda: peer.heard("StatusNotification"))
            await station.charging()
            await peer.until(lambda: peer.bills and peer.bill.samples_wh)
            assert (await peer.ask(call.Reset(type=ResetType.hard))).status == "Accepted"
            await peer.until(lambda: len(peer.heard("BootNotification")) == 2)
            await peer.until(peer.has_ended)
            assert peer.bill.reason == "HardReset"
            status = await station.until(lambda status: status["evses"][0]["meter"])
            register_wh = status["evses"][0]["meter"]["energy_import_wh"]
            assert peer.bill.energy_wh == pytest.approx(register_wh, abs=1.0)

    asyncio.run(story())


def test_what_is_broken_gets_its_code_and_changes_nothing():
    async def story():
        async with meeting("ocpp1.6") as (peer, station):
            await peer.until(lambda: peer.heard("StatusNotification"))
            for name, (action, payload, code) in BROKEN.items():
                frame = json.dumps([2, name, action, payload])
                answer = await peer.ask_raw(frame, name)
                assert answer[:3] == [4, name, code]
            answer = await peer.ask(call.ClearCache())
            assert answer.status == "Accepted"
            assert peer.links == 1
            assert word(await station.status()) == "Available"

    asyncio.run(story())
