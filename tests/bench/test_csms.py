import asyncio

import msgspec
import pytest

from agent.bench.csms import Csms
from agent.bench.desk import ProfileWish, SettingError
from agent.bench.events import StationConnected, StationDisconnected, ViolationFound
from agent.bench.script import (
    ANY,
    BootAnswer,
    Delay,
    Hangup,
    Refusal,
    Reply,
    Silence,
    Twice,
    Verdict,
)
from agent.bench.session import CsmsError, NoAnswerError, NotConnectedError
from agent.ocppj.rpc import AnswerReceived, Dropped
from agent.transport.memory import pair
from tests.bench.station import (
    TOKEN,
    boot,
    connected,
    event201,
    new_csms,
    start16,
    stop16,
)
from tests.support import schemas
from tests.support.vloop import run

P16, P201 = "ocpp1.6", "ocpp2.0.1"
BOTH = pytest.mark.parametrize("protocol", [P16, P201])


def told(scenario, protocol=P16):
    async def main():
        csms = new_csms()
        async with connected(csms, protocol) as station:
            await scenario(csms, station)
        return csms

    return run(main())


def now():
    return asyncio.get_running_loop().time()


# --- reactions ---


def test_an_answer_can_be_late_while_the_link_goes_on():
    async def scenario(csms, station):
        csms.behaviour.on("Heartbeat", Delay(40.0), times=1)
        assert await station.call("Heartbeat", {}, timeout_s=30.0) is None
        assert await station.call("Heartbeat", {}) is not None
        assert now() == 30.0
        await asyncio.sleep(15.0)
        late = [one for one in station.received if isinstance(one, AnswerReceived)]
        assert [one.is_late for one in late] == [False, True]

    told(scenario)


def test_silence_takes_the_message_and_loses_the_answer():
    async def scenario(csms, station):
        csms.behaviour.on("StartTransaction", Silence(), times=1)
        assert await station.call("StartTransaction", start16()) is None
        answer = await station.call("StartTransaction", start16())
        assert answer["transactionId"] == 1

    csms = told(scenario)
    assert [entry.duplicates for entry in csms.ledger.transactions] == [1]


def test_silence_may_lose_the_message_as_well():
    async def scenario(csms, station):
        csms.behaviour.on("StartTransaction", Silence(takes=False))
        assert await station.call("StartTransaction", start16()) is None

    assert told(scenario).ledger.transactions == []


def test_an_answer_can_come_twice():
    async def scenario(csms, station):
        csms.behaviour.on(ANY, Twice())
        await station.call("Heartbeat", {})
        await asyncio.sleep(1.0)
        assert isinstance(station.received[-1], Dropped)

    told(scenario)


def test_an_action_can_be_refused_a_number_of_times():
    async def scenario(csms, station):
        csms.behaviour.on("StartTransaction", Refusal("InternalError", "later"), times=2)
        assert await station.call("StartTransaction", start16()) == "InternalError"
        assert await station.call("StartTransaction", start16()) == "InternalError"
        assert (await station.call("StartTransaction", start16()))["transactionId"] == 1

    csms = told(scenario)
    assert csms.ledger.transactions[0].duplicates == 0
    assert not csms.violations


def test_an_answer_can_be_replaced_by_anything():
    async def scenario(csms, station):
        csms.behaviour.on("Heartbeat", Reply({"currentTime": "yesterday"}))
        await station.send("Heartbeat", {})
        await asyncio.sleep(1.0)
        assert msgspec.json.decode(station.received[0].payload) == {"currentTime": "yesterday"}

    told(scenario)


@pytest.mark.parametrize("takes", [True, False])
def test_the_link_can_be_closed_instead_of_an_answer(takes):
    async def scenario(csms, station):
        csms.behaviour.on("StartTransaction", Hangup(takes=takes))
        await station.send("StartTransaction", start16())
        await asyncio.sleep(1.0)
        assert station.gone is not None
        assert csms.connected == ()

    assert len(told(scenario).ledger.transactions) == takes


def test_an_answer_that_is_still_due_dies_with_its_link():
    async def scenario(csms, station):
        csms.behaviour.on("Heartbeat", Delay(1000.0))
        await station.send("Heartbeat", {})
        await asyncio.sleep(1.0)
        await csms.drop("CP001")
        assert now() < 10.0

    csms = told(scenario)
    assert [direction for direction, _ in csms.wire] == ["received"]


def test_links_can_be_closed_at_once():
    async def main():
        csms = new_csms()
        csms.behaviour.closes_at_once = True
        async with connected(csms, P16) as station:
            await asyncio.sleep(1.0)
            assert station.gone is not None
        return csms

    assert run(main()).ledger.stations["CP001"].connections == 1


def test_reactions_can_be_forgotten():
    async def scenario(csms, station):
        csms.behaviour.on(ANY, Silence())
        csms.behaviour.clear()
        assert await station.call("Heartbeat", {}) is not None

    told(scenario)


# --- what the station does wrong ---


@BOTH
def test_a_rejected_station_may_only_boot(protocol):
    async def scenario(csms, station):
        csms.behaviour.boots = [BootAnswer("Rejected", 10), BootAnswer()]
        assert (await station.call("BootNotification", boot(protocol)))["status"] == "Rejected"
        assert await station.call("Heartbeat", {}) == "SecurityError"
        assert (await station.call("BootNotification", boot(protocol)))["status"] == "Accepted"
        assert "currentTime" in await station.call("Heartbeat", {})

    assert [one.code for one in told(scenario, protocol).violations] == ["SecurityError"]


@BOTH
def test_broken_frames_are_violations(protocol):
    async def scenario(csms, station):
        for frame in (b"nonsense", b'[2,"x"]', b'[3,"unknown",{}]', b"\xff"):
            await station.link.send(frame)
        await asyncio.sleep(1.0)

    csms = told(scenario, protocol)
    assert len(csms.violations) == 4
    assert csms.violations[0].frame == "nonsense"
    refused = [one.code for one in csms.violations]
    assert refused == ([None, "sent back", None, None] if protocol == P16 else refused)


def test_a_payload_that_is_no_json_is_refused():
    async def scenario(csms, station):
        await station.link.send(b'[2,"1","NotifyEvent",{"a":01}]')
        await station.link.send(b'[2,"2","Heartbeat",{"a":01}]')
        await asyncio.sleep(1.0)

    assert len(told(scenario, P201).violations) == 2


def test_only_the_newest_violations_and_frames_are_kept():
    csms = new_csms()
    assert csms.violations.maxlen == 1000
    assert csms.wire.maxlen == 10_000


def test_the_wire_log_has_every_frame_in_order():
    async def scenario(csms, station):
        await station.call("Heartbeat", {})

    csms = told(scenario)
    assert [direction for direction, _ in csms.wire] == ["received", "sent"]
    assert csms.wire[0][1] == '[2,"s1","Heartbeat",{}]'


# --- links ---


def test_a_newer_link_takes_the_place_of_the_older():
    async def main():
        csms = new_csms()
        async with connected(csms, P16) as older, connected(csms, P201) as newer:
            await asyncio.sleep(1.0)
            assert older.gone is not None
            assert newer.gone is None
            assert csms.protocol("CP001") == P201
            assert await newer.call("Heartbeat", {}) is not None
        assert csms.protocol("CP001") is None

    run(main())


def test_a_version_that_is_not_spoken_here_is_refused():
    async def main():
        _, far = pair("ocpp1.5")
        with pytest.raises(ValueError, match=r"'ocpp1\.5': ocpp2\.0\.1, ocpp1\.6"):
            await new_csms().attend("CP001", far)

    run(main())


def test_whoever_watches_sees_every_event():
    async def main():
        csms = new_csms()
        seen = []
        csms.watch(seen.append)
        async with connected(csms, P16) as station:
            await station.call("Nonsense", {})
        return seen

    assert [type(event) for event in run(main())] == [
        StationConnected,
        ViolationFound,
        StationDisconnected,
    ]


def test_one_can_wait_for_what_is_going_to_happen():
    async def scenario(csms, station):
        task = asyncio.ensure_future(csms.until(lambda: csms.ledger.transactions))
        await asyncio.sleep(5.0)
        assert not task.done()
        await station.call("StartTransaction", start16())
        assert len(await task) == 1
        with pytest.raises(TimeoutError):
            await csms.until(lambda: False, timeout_s=5.0)

    told(scenario)


def test_the_ledger_of_an_earlier_life_goes_on():
    async def scenario(csms, station):
        await station.call("StartTransaction", start16())

    before = told(scenario)

    async def main():
        csms = new_csms(ledger=before.ledger)
        async with connected(csms, P16) as station:
            await station.call("StopTransaction", stop16(1))
        return csms.ledger.transactions

    assert [entry.energy_wh for entry in run(main())] == [500]


# --- requests of the CSMS ---


def test_any_request_can_be_sent_and_is_answered():
    async def scenario(csms, station):
        station.answers["ClearCache"] = {"status": "Accepted"}
        assert await csms.request("CP001", "ClearCache", {}) == {"status": "Accepted"}
        station.answers["ClearCache"] = "NotSupported"
        refusal = await csms.request("CP001", "ClearCache", {})
        assert refusal == Refusal("NotSupported", "no")

    assert not told(scenario).violations


def test_requests_wait_for_each_other():
    async def scenario(csms, station):
        station.answers["ClearCache"] = {"status": "Accepted"}
        station.answers["Reset"] = {"status": "Rejected"}
        answers = await asyncio.gather(
            csms.request("CP001", "ClearCache", {}), csms.reset("CP001", hard=True)
        )
        assert answers == [{"status": "Accepted"}, "Rejected"]

    told(scenario)


def test_an_answer_that_breaks_the_schema_is_a_violation():
    async def scenario(csms, station):
        station.answers["ClearCache"] = {"status": "Perhaps"}
        assert await csms.request("CP001", "ClearCache", {}) == {"status": "Perhaps"}
        station.answers["ClearCache"] = []
        assert await csms.request("CP001", "ClearCache", {}) == {}

    assert [one.action for one in told(scenario).violations] == ["ClearCache", "ClearCache"]


def test_a_station_that_does_not_answer_is_given_up_and_may_be_asked_again():
    async def scenario(csms, station):
        with pytest.raises(NoAnswerError, match="ClearCache: no answer within 30 s"):
            await csms.request("CP001", "ClearCache", {})
        assert now() == 30.0
        station.answers["Reset"] = {"status": "Accepted"}
        assert await csms.reset("CP001", hard=False) == "Accepted"

    told(scenario)


def test_a_link_that_is_lost_ends_the_wait():
    async def scenario(csms, station):
        asking = asyncio.ensure_future(csms.request("CP001", "ClearCache", {}))
        await asyncio.sleep(1.0)
        await station.link.close(1000, "bye")
        with pytest.raises(NotConnectedError):
            await asking

    told(scenario)


def test_nobody_can_be_asked_who_is_not_there():
    async def main():
        with pytest.raises(NotConnectedError, match="CP001 is not connected"):
            await new_csms().request("CP001", "ClearCache", {})

    run(main())


def test_there_must_be_a_transaction_to_stop():
    async def scenario(csms, station):
        with pytest.raises(CsmsError, match="no open transaction"):
            await csms.remote_stop("CP001")

    told(scenario)


async def _transaction(station, protocol):
    if protocol == P16:
        await station.call("StartTransaction", start16())
    else:
        await station.call("TransactionEvent", event201("Started", 0, 1000))


@BOTH
def test_neutral_commands_are_valid_requests_of_each_version(protocol):
    async def scenario(csms, station):
        yes = {"status": "Accepted"}
        for action in (
            "RemoteStartTransaction",
            "RequestStartTransaction",
            "RemoteStopTransaction",
            "RequestStopTransaction",
            "Reset",
            "SetChargingProfile",
        ):
            station.answers[action] = yes
        await _transaction(station, protocol)
        assert await csms.remote_start("CP001", TOKEN, 2) == "Accepted"
        assert await csms.remote_stop("CP001") == "Accepted"
        assert await csms.reset("CP001", hard=True) == "Accepted"
        assert await csms.reset("CP001", hard=False) == "Accepted"
        assert await csms.set_limit("CP001", 10.0) == "Accepted"
        (entry,) = csms.ledger.station("CP001").open_transactions
        wish = ProfileWish(2, "tx", 1, ((0, 10.0),), transaction=entry, lasts_s=60)
        assert await csms.set_profile("CP001", wish) == "Accepted"
        station.answers["ClearChargingProfile"] = yes
        assert await csms.clear_profiles("CP001") == "Accepted"
        assert await csms.clear_profiles("CP001", 2) == "Accepted"
        periods = {"chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.1}]}
        inner = {"chargingRateUnit": "A", **periods}
        is_16 = protocol == "ocpp1.6"
        station.answers["GetCompositeSchedule"] = (
            {"status": "Accepted", "chargingSchedule": inner}
            if is_16
            else {
                "status": "Accepted",
                "schedule": {
                    "evseId": 1,
                    "duration": 60,
                    "scheduleStart": "2026-01-01T00:00:00Z",
                    **inner,
                },
            }
        )
        assert await csms.composite("CP001", 60) == ((0, 8.1),)
        station.answers["GetCompositeSchedule"] = {"status": "Rejected"}
        assert await csms.composite("CP001", 60) == ()
        station.answers["GetCompositeSchedule"] = "NotSupported"
        assert await csms.composite("CP001", 60) == ()
        station.answers["SendLocalList"] = yes
        assert await csms.send_list("CP001", 3, {TOKEN: Verdict(), "B": None}) == "Accepted"
        assert await csms.send_list("CP001", 4, {}, full=True) == "Accepted"
        station.answers["TriggerMessage"] = yes
        assert await csms.trigger("CP001", "StatusNotification", 2) == "Accepted"
        assert await csms.trigger("CP001", "Heartbeat") == "Accepted"
        station.answers["ReserveNow"] = station.answers["CancelReservation"] = yes
        reserve = csms.reserve
        assert await reserve("CP001", 3, TOKEN, evse_id=1, group="FLEET") == "Accepted"
        assert await reserve("CP001", 4, TOKEN, for_s=60) == "Accepted"
        assert await csms.cancel_reservation("CP001", 3) == "Accepted"
        station.answers["UnlockConnector"] = {"status": "Unlocked"}
        assert await csms.unlock("CP001", 2) == "Unlocked"
        assert len(station.asked) == 19
        for action, payload in station.asked:
            encoded = msgspec.json.encode(payload)
            schemas.validate(protocol, action, encoded, response=False)
        kinds = [payload["type"] for action, payload in station.asked if action == "Reset"]
        assert kinds == (["Hard", "Soft"] if protocol == P16 else ["Immediate", "OnIdle"])
        station.answers["Reset"] = "InternalError"
        assert await csms.reset("CP001", hard=False) == "InternalError"

    assert not told(scenario, protocol).violations


@pytest.mark.parametrize("name", ["HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval"])
def test_settings_of_16_are_read_and_written_by_either_name(name):
    async def scenario(csms, station):
        known = {"key": "HeartbeatInterval", "readonly": False, "value": "300"}
        station.answers["GetConfiguration"] = {"configurationKey": [known]}
        station.answers["ChangeConfiguration"] = {"status": "RebootRequired"}
        assert await csms.get_setting("CP001", name) == "300"
        assert await csms.set_setting("CP001", name, "60") == "RebootRequired"
        assert station.asked == [
            ("GetConfiguration", {"key": ["HeartbeatInterval"]}),
            ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
        ]
        station.answers["GetConfiguration"] = {"unknownKey": ["HeartbeatInterval"]}
        with pytest.raises(SettingError, match="unknownKey"):
            await csms.get_setting("CP001", name)
        secret = {"key": "HeartbeatInterval", "readonly": True}
        station.answers["GetConfiguration"] = {"configurationKey": [secret]}
        with pytest.raises(SettingError, match="no value"):
            await csms.get_setting("CP001", name)
        station.answers["GetConfiguration"] = "NotSupported"
        with pytest.raises(SettingError, match="NotSupported"):
            await csms.get_setting("CP001", name)
        station.answers["ChangeConfiguration"] = "NotSupported"
        assert await csms.set_setting("CP001", name, "60") == "NotSupported"

    assert not told(scenario).violations


def _variable(**more):
    return {
        "component": {"name": "OCPPCommCtrlr"},
        "variable": {"name": "HeartbeatInterval"},
        **more,
    }


def test_settings_of_201_are_read_and_written_by_either_name():
    async def scenario(csms, station):
        station.answers["GetVariables"] = {
            "getVariableResult": [_variable(attributeStatus="Accepted", attributeValue="300")]
        }
        station.answers["SetVariables"] = {
            "setVariableResult": [_variable(attributeStatus="Rejected")]
        }
        assert await csms.get_setting("CP001", "HeartbeatInterval") == "300"
        name = "OCPPCommCtrlr.HeartbeatInterval"
        assert await csms.set_setting("CP001", name, "60") == "Rejected"
        assert station.asked == [
            ("GetVariables", {"getVariableData": [_variable()]}),
            ("SetVariables", {"setVariableData": [_variable(attributeValue="60")]}),
        ]
        station.answers["GetVariables"] = {
            "getVariableResult": [_variable(attributeStatus="UnknownVariable")]
        }
        with pytest.raises(SettingError, match="UnknownVariable"):
            await csms.get_setting("CP001", name)
        with pytest.raises(SettingError, match=r"Component\.Variable"):
            await csms.get_setting("CP001", "NoSuchKey")

    assert not told(scenario, P201).violations


def test_instances_are_addressed_in_brackets():
    async def scenario(csms, station):
        station.answers["SetVariables"] = {
            "setVariableResult": [_variable(attributeStatus="Accepted")]
        }
        name = "Connector[a].Message[Default]"
        assert await csms.set_setting("CP001", name, "60") == "Accepted"
        (data,) = station.asked[0][1]["setVariableData"]
        assert data["component"] == {"name": "Connector", "instance": "a"}
        assert data["variable"] == {"name": "Message", "instance": "Default"}

    told(scenario, P201)


def test_message_ids_are_unique_over_the_lives_of_a_csms():
    async def ids(start_s):
        csms = Csms(now=lambda: start_s + now())
        async with connected(csms, P16) as station:
            station.answers["ClearCache"] = {"status": "Accepted"}
            await csms.request("CP001", "ClearCache", {})
            await csms.request("CP001", "ClearCache", {})
        frames = [msgspec.json.decode(text) for way, text in csms.wire if way == "sent"]
        return {frame[1] for frame in frames}

    async def main():
        return await ids(1000.0) | await ids(1001.0)

    assert len(run(main())) == 4
