"""What CSMSs of 1.6 do to sessions, and that the bill is right all the same.

Named after rows 15 to 20, 23, 27, 28 and 33 to 43 of the 1.6 reference, chapter 11. The test
is the CSMS, frame by frame, of a station with one simulated EVSE.
"""

import asyncio
from contextlib import suppress

import pytest

from agent.core import variables
from agent.core.events import DialRefusal
from agent.core.states import Active
from agent.core.values import RegistrationStatus
from agent.ocppj.quirks import Quirk
from agent.transport.link import DialError
from hal.sim.vehicle import Vehicle
from tests.quirks.test_ocpp16 import counts, meet, tell
from tests.support.core import TAG
from tests.support.lab import IDENTITY, Lab
from tests.support.lab import run as lab_run
from tests.support.shell import Talk, story

NOW = "2027-01-15T08:00:00Z"
GOOD = {"idTagInfo": {"status": "Accepted"}}


async def next_call(talk: Talk, action: str, **answers):
    """Return the station's next call of an action; answer all others before it."""
    for _ in range(30):
        frame = await talk.hear()
        assert frame[0] == 2, frame
        if frame[2] == action:
            return frame
        usual = {"Authorize": GOOD, "Heartbeat": {"currentTime": NOW}}
        await talk.answer(frame, answers.get(frame[2], usual.get(frame[2])))
    raise AssertionError([text[:90] for text in talk.heard])


def plugged(talk: Talk, token=TAG) -> None:
    talk.evse.plug(1, Vehicle())
    talk.evse.present(token)


async def charging(talk: Talk, answer=None):
    """Lead the station to a transaction, whose start is answered so."""
    plugged(talk)
    start = await next_call(talk, "StartTransaction")
    await talk.answer(start, {"transactionId": 7, **GOOD} if answer is None else answer)
    await talk.answer(await next_call(talk, "StatusNotification"))
    return start


async def quiet(talk: Talk, for_s: float = 5.0) -> list[str]:
    """Answer the station until it says nothing for a while; return what it said."""
    said = []
    with suppress(TimeoutError):
        while len(said) < 100:
            frame = await talk.hear(for_s)
            said.append(frame[2])
            usual = {"Authorize": GOOD, "Heartbeat": {"currentTime": NOW}}
            await talk.answer(frame, usual.get(frame[2]))
    return said


def unreachable(_):
    raise DialError(DialRefusal.UNREACHABLE, "the network is down")


async def ended(talk: Talk, answer=GOOD):
    """Have the driver end it; return what the station tells."""
    talk.evse.present(TAG)
    stop = await next_call(talk, "StopTransaction")
    await talk.answer(stop, answer)
    return stop[3]


def running(talk: Talk) -> bool:
    return isinstance(talk.station.evses[1].session, Active)


# --- answers ---


def test_15_the_answer_of_a_cold_cloud_counts_however_late_it_is():
    async def told(talk):
        plugged(talk)
        first = await next_call(talk, "StartTransaction")
        await asyncio.sleep(40)
        await talk.answer(first, {"transactionId": 7, **GOOD})
        assert "StartTransaction" not in await quiet(talk, 100.0)
        assert counts(talk) == {Quirk.LATE_ANSWER: 1}
        assert (await ended(talk))["transactionId"] == 7

    tell(told)


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ({"transactionId": 7, "heartbeatInterval": 300, "vendor": {"x": 1}, **GOOD}, 7),
        ({"transactionId": 7}, 7),
        ({"transactionId": "7", **GOOD}, 7),
    ],
    ids=["members that nobody knows", "no idTagInfo", "a number as text"],
)
def test_17_an_answer_to_a_start_that_is_not_quite_right_counts(answer, number):
    async def told(talk):
        await charging(talk, answer)
        assert running(talk)
        noted = counts(talk)
        assert (Quirk.NO_ID_TAG_INFO in noted) is ("idTagInfo" not in answer)
        assert (Quirk.NUMBER_AS_TEXT in noted) is isinstance(answer["transactionId"], str)
        assert (await ended(talk))["transactionId"] == number

    tell(told)


@pytest.mark.parametrize("number", [0, -1, -2_147_483_648])
def test_18_any_number_is_one_even_of_two_transactions(number):
    async def told(talk):
        for _ in range(2):
            await charging(talk, {"transactionId": number, **GOOD})
            assert (await ended(talk))["transactionId"] == number
            talk.evse.unplug(1)
            await quiet(talk)

    tell(told)


def test_18_a_transaction_that_is_refused_with_number_0_is_ended_under_it():
    async def told(talk):
        refusal = {"transactionId": 0, "idTagInfo": {"status": "Invalid"}}
        await charging(talk, refusal)
        stop = await next_call(talk, "StopTransaction")
        assert stop[3]["transactionId"] == 0
        assert stop[3]["reason"] == "DeAuthorized"

    tell(told)


def test_19_a_number_beyond_32_bits_comes_back_as_it_was():
    async def told(talk):
        await charging(talk, {"transactionId": 2**53 + 1, **GOOD})
        assert (await ended(talk))["transactionId"] == 2**53 + 1

    tell(told)


def test_20_a_status_in_another_case_is_understood_and_counted():
    async def told(talk):
        answer = {"transactionId": 7, "idTagInfo": {"status": "ACCEPTED"}}
        await charging(talk, answer)
        assert running(talk)
        assert Quirk.OTHER_CASE in counts(talk)

    tell(told)


@pytest.mark.parametrize(
    ("expiry", "is_kept"),
    [("", True), ("9999-12-31T23:59:59Z", True), (NOW, False), ("2001-01-01T00:00:00Z", False)],
)
def test_23_an_accepted_token_charges_whatever_its_expiry_says(expiry, is_kept):
    """It is what the CSMS says now; whether the cache may say it later, the date decides."""

    async def told(talk):
        info = {"status": "Accepted", "expiryDate": expiry}
        plugged(talk)
        start = await next_call(talk, "StartTransaction", Authorize={"idTagInfo": info})
        await talk.answer(start, {"transactionId": 7, "idTagInfo": info})
        await talk.answer(await next_call(talk, "StatusNotification"))
        assert running(talk)
        assert (Quirk.EMPTY_TEXT in counts(talk)) is (not expiry)
        await ended(talk, {"idTagInfo": info})
        talk.evse.unplug(1)
        await quiet(talk)
        talk.dialer.choose = unreachable
        await talk.link.close(1000, "away")
        plugged(talk)
        await asyncio.sleep(30)
        assert running(talk) is is_kept

    story("ocpp1.6", told, **{variables.OFFLINE_UNKNOWN.name: "false"})


# --- registration ---


def test_27_a_station_that_waits_for_ever_keeps_asking_at_the_interval():
    async def told(talk):
        for _ in range(20):
            await talk.boot("Pending", 60)
            await talk.silent(59.0)
        await talk.boot()
        await talk.answer(await talk.hear_call("StatusNotification"))
        assert talk.station.provisioning.registration is RegistrationStatus.ACCEPTED

    meet(told)


def test_28_a_csms_that_resets_after_every_boot_is_obeyed_every_time():
    async def lived(lab):
        for life in range(1, 6):
            await lab.start() if life == 1 else None
            await lab.until(lambda life=life: lab.lives == life and lab.station.is_online)
            assert await lab.csms.reset(IDENTITY, hard=False) == "Accepted"
        await lab.until(lambda: lab.lives == 6 and lab.station.is_online)

    lab = lab_run(Lab("ocpp1.6"), lived)
    assert len(lab.csms.ledger.station(IDENTITY).boots) == 6


def test_33_a_key_in_plain_text_is_the_password():
    async def told(talk):
        change = {"key": "AuthorizationKey", "value": "OCA_OCTT_admin_test"}
        assert (await talk.call("ChangeConfiguration", change))[2] == {"status": "Accepted"}
        text = talk.station.presented(0, None).password
        assert variables.password_bytes(text) == b"OCA_OCTT_admin_test"

    tell(told)


# --- from afar ---


def test_35_a_remote_start_without_a_connector_finds_the_one_that_is_meant():
    async def told(talk):
        talk.evse.plug(1, Vehicle())
        await quiet(talk)
        frame = await talk.call("RemoteStartTransaction", {"idTag": "04A1B2C3"})
        assert frame[2] == {"status": "Accepted"}
        start = await next_call(talk, "StartTransaction")
        assert start[3]["connectorId"] == 1

    tell(told)


def test_36_a_double_click_is_one_start_and_another_driver_is_refused():
    async def told(talk):
        ask = {"idTag": "04A1B2C3", "connectorId": 1}
        for _ in range(2):
            frame = await talk.call("RemoteStartTransaction", ask)
            assert frame[2] == {"status": "Accepted"}
            await quiet(talk)
        other = {**ask, "idTag": "0BADCAFE"}
        frame = await talk.call("RemoteStartTransaction", other)
        assert frame[2] == {"status": "Rejected"}
        talk.evse.plug(1, Vehicle())
        assert (await quiet(talk)).count("StartTransaction") == 1

    tell(told)


def test_37_a_remote_stop_on_the_heels_of_the_number_stops_it():
    async def told(talk):
        plugged(talk)
        start = await next_call(talk, "StartTransaction")
        await talk.answer(start, {"transactionId": 7, **GOOD})
        await talk.say([2, "stop", "RemoteStopTransaction", {"transactionId": 7}])
        said = []
        for _ in range(10):
            frame = await talk.hear()
            said.append(frame)
            if frame[0] == 2:
                await talk.answer(frame)
            if frame[2] == "StopTransaction":
                break
        assert [3, "stop", {"status": "Accepted"}] in said
        assert said[-1][3]["reason"] == "Remote"

    tell(told)


def test_37_a_remote_stop_before_the_number_is_refused_and_changes_nothing():
    async def told(talk):
        plugged(talk)
        start = await next_call(talk, "StartTransaction")
        frame = await talk.call("RemoteStopTransaction", {"transactionId": 7})
        assert frame[2] == {"status": "Rejected"}
        await talk.answer(start, {"transactionId": 7, **GOOD})
        await quiet(talk)
        assert running(talk)

    tell(told)


# --- bills ---


def test_38_a_start_that_is_refused_for_good_leaves_a_bill_under_no_number():
    async def told(talk):
        plugged(talk)
        for _ in range(3):  # TransactionMessageAttempts
            start = await next_call(talk, "StartTransaction")
            await talk.say([4, start[1], "FormationViolation", "too old", {}])
        await quiet(talk)
        stop = await ended(talk)
        assert stop["transactionId"] == -1
        assert stop["meterStop"] > start[3]["meterStart"]

    tell(told)


def test_39_readings_come_before_the_stop_of_their_transaction():
    async def told(talk):
        await charging(talk)
        talk.dialer.choose = unreachable
        await talk.link.close(1001, "deploy")
        await asyncio.sleep(200)
        talk.evse.present(TAG)
        await asyncio.sleep(5)
        talk.dialer.choose = lambda _: "ocpp1.6"
        talk.link = await talk.dialer.accept()
        said = await quiet(talk)
        assert "MeterValues" in said
        assert "MeterValues" not in said[said.index("StopTransaction") :]

    tell(told)


@pytest.mark.parametrize("refused", ["StatusNotification", "StartTransaction"])
def test_40_neither_of_charging_and_started_waits_for_the_other(refused):
    async def told(talk):
        plugged(talk)
        seen = set()
        for _ in range(20):
            frame = await talk.hear()
            seen.add(frame[3].get("status", frame[2]))
            if frame[2] == refused:
                await talk.say([4, frame[1], "GenericError", "the other one first", {}])
            else:
                await talk.answer(frame, GOOD)
            if {"Charging", "StartTransaction"} <= seen:
                break
        assert {"Charging", "StartTransaction"} <= seen
        assert running(talk)

    tell(told)


def test_41_the_token_stands_in_every_stop_where_the_settings_say_so():
    async def told(talk):
        await charging(talk)
        frame = await talk.call("RemoteStopTransaction", {"transactionId": 7})
        assert frame[2] == {"status": "Accepted"}
        stop = await next_call(talk, "StopTransaction")
        assert stop[3]["idTag"] == TAG.value
        assert stop[3]["reason"] == "Remote"

    tell(told, variables.START_TOKEN_IN_STOP)


def test_42_unlocking_ends_the_session():
    async def told(talk):
        await charging(talk)
        frame = await talk.call("UnlockConnector", {"connectorId": 1})
        assert frame[2] == {"status": "Unlocked"}
        stop = await next_call(talk, "StopTransaction")
        assert stop[3]["reason"] == "UnlockCommand"

    tell(told)


def test_43_a_token_that_charges_elsewhere_is_a_refused_one():
    async def told(talk):
        refusal = {"transactionId": 8, "idTagInfo": {"status": "ConcurrentTx"}}
        await charging(talk, refusal)
        stop = await next_call(talk, "StopTransaction")
        assert (stop[3]["transactionId"], stop[3]["reason"]) == (8, "DeAuthorized")

    tell(told)
