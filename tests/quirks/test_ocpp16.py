"""What CSMSs of 1.6 do in the field, and that the station lives with it.

Named after the rows of the 1.6 reference, chapter 11. Each is seen on the wire, and where it
is against the rules it is counted in `tolerated`.
"""

import asyncio

import pytest

from agent.core import variables
from agent.core.events import LinkDown, SecurityEventRaised
from agent.core.values import RegistrationStatus
from agent.ocppj.quirks import Quirk
from agent.runtime.snapshot import snapshot
from tests.support.shell import Talk, story, watched
from tests.support.vloop import run

KEYS = {"key": ["HeartbeatInterval"]}


def tell(told, *flags):
    """Tell a story of an accepted station with some settings switched on."""
    story("ocpp1.6", told, **{flag.name: "true" for flag in flags})


def meet(told):
    """Tell a story that begins before the CSMS has accepted the station."""

    async def lived():
        async with Talk("ocpp1.6") as talk:
            await told(talk)

    run(lived())


def counts(talk: Talk) -> dict[Quirk, int]:
    return {Quirk(name): count for name, count in talk.station.tolerated.items()}


async def value_of(talk: Talk, key: str) -> str:
    frame = await talk.call("GetConfiguration", {"key": [key]})
    return frame[2]["configurationKey"][0]["value"]


async def heartbeat(talk: Talk) -> list[object]:
    """Let the station's heart beat every ten minutes, and return the next beat."""
    wanted = {"key": "HeartbeatInterval", "value": "600"}
    assert (await talk.call("ChangeConfiguration", wanted))[2] == {"status": "Accepted"}
    beat: list[object] = await talk.hear_call("Heartbeat", 601.0)
    return beat


# --- frames ---


def test_10_null_optional_members_a_null_payload_and_none_at_all():
    async def told(talk):
        frame = await talk.call("GetConfiguration", {"key": None, "vendor": {"extra": [1]}})
        assert len(frame[2]["configurationKey"]) > 20
        await talk.say([2, "a", "ClearCache", None])
        assert (await talk.hear())[:2] == [3, "a"]
        await talk.say([2, "b", "ClearCache"])
        assert (await talk.hear())[:2] == [3, "b"]
        assert counts(talk) == {Quirk.NO_PAYLOAD: 2}

    tell(told)


def test_11_message_ids_that_are_numbers_or_too_long():
    async def told(talk):
        await talk.say([2, 17, "GetConfiguration", KEYS])
        assert (await talk.hear())[:2] == [3, 17]
        await talk.say([2, "x" * 128, "GetConfiguration", KEYS])
        assert (await talk.hear())[:2] == [3, "x" * 128]
        assert counts(talk) == {Quirk.NUMERIC_ID: 1, Quirk.LONG_ID: 1}

    tell(told)


def test_12_several_calls_at_once_are_answered_in_their_order():
    async def told(talk):
        for index in range(5):
            await talk.say([2, f"a{index}", "GetConfiguration", KEYS])
        assert [(await talk.hear())[1] for _ in range(5)] == [f"a{n}" for n in range(5)]
        assert counts(talk)[Quirk.SEVERAL_CALLS] >= 1

    tell(told)


@pytest.mark.parametrize(
    "rest", [["FormatViolation", "", {}], [17, "text", {}], ["", ""], ["GenericError"], []]
)
def test_13_a_call_error_of_any_shape_ends_the_call(rest):
    async def told(talk):
        beat = await heartbeat(talk)
        await talk.say([4, beat[1], *rest])
        await talk.lives()
        assert (Quirk.SHORT_ERROR in counts(talk)) is (rest[:1] == [17])
        assert (Quirk.UNKNOWN_ERROR in counts(talk)) is (rest[:1] != ["GenericError"])

    tell(told)


def test_14_an_answer_twice_and_one_of_another_connection():
    async def told(talk):
        beat = await heartbeat(talk)
        now = {"currentTime": "2027-01-16T08:00:00Z"}
        await talk.answer(beat, now)
        await talk.answer(beat, now)
        await talk.say([3, "of-yesterday", {}])
        await talk.lives()
        assert counts(talk) == {Quirk.UNSOLICITED_ANSWER: 2}

    tell(told)


def test_16_a_csms_that_never_answers_a_status_keeps_its_link():
    async def silent_csms(talk):
        down = watched(talk, LinkDown)
        await talk.boot()
        for _ in range(4):  # both connectors, each told once more after no answer
            await talk.hear_call("StatusNotification")
        await asyncio.sleep(60)
        await talk.lives()
        assert not down
        assert counts(talk)[Quirk.UNANSWERED_ACTION] == 4
        talk.post(SecurityEventRaised("SettingSystemTime"))
        event = await talk.hear_call("SecurityEventNotification")
        await talk.answer(event)

    meet(silent_csms)


# --- time ---


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-15T09:00:00",
        "2027-01-15t09:00:00.1234567z",
        "2027-01-15T10:00:00+0100",
        "2027-01-15 09:00:00Z",
    ],
)
def test_21_a_clock_in_another_form_is_understood(text):
    async def told(talk):
        await talk.answer(await heartbeat(talk), {"currentTime": text})
        await talk.lives()
        assert counts(talk) == {Quirk.TIME_FORM: 1}
        shown = snapshot(talk.station, lambda _: "", talk.world.env().now)
        assert shown["clock"]["at"].startswith("2027-01-15T09:00:0")
        assert shown["tolerated"] == {"time_not_rfc3339": 1}

    tell(told)


ODD_TIMES = {
    "1970-01-01T00:00:00Z": set(),
    "tomorrow": {Quirk.UNREADABLE_TIME},
    "": {Quirk.EMPTY_TEXT},
}


@pytest.mark.parametrize("text", ODD_TIMES)
def test_21_a_clock_that_cannot_be_is_not_believed(text):
    async def told(talk):
        before = talk.station.timebase
        await talk.answer(await heartbeat(talk), {"currentTime": text})
        await talk.lives()
        assert talk.station.timebase.offset_s == before.offset_s
        assert set(counts(talk)) == ODD_TIMES[text]

    tell(told)


@pytest.mark.parametrize(
    ("interval", "kept"), [(1, "10"), (300_000, "86400"), (0, "300"), ("60", "60"), (-5, "300")]
)
def test_22_an_interval_that_cannot_be_meant_is_clamped(interval, kept):
    async def told(talk):
        call = await talk.hear_call("BootNotification")
        now = "2027-01-15T08:00:00Z"
        answer = {"status": "accepted", "currentTime": now, "interval": interval}
        await talk.answer(call, answer)
        await talk.answer(await talk.hear_call("StatusNotification"))
        await talk.answer(await talk.hear_call("StatusNotification"))
        assert await value_of(talk, "HeartbeatInterval") == kept
        assert Quirk.OTHER_CASE in counts(talk)  # 20: status in another case
        assert (Quirk.ODD_INTERVAL in counts(talk)) is (interval in (1, 300_000, -5))

    meet(told)


# --- registration ---


def test_24_a_csms_that_wants_a_boot_on_each_connection_gets_one():
    async def told(talk):
        await talk.link.close(1012, "deploy")
        talk.link = await talk.dialer.accept()
        await talk.boot()
        await talk.hear_call("StatusNotification")
        assert talk.station.provisioning.registration is RegistrationStatus.ACCEPTED

    tell(told, variables.BOOT_ON_RECONNECT)


def test_24_a_csms_that_forgets_statuses_is_told_all_of_them_again():
    async def told(talk):
        await talk.link.close(1012, "deploy")
        talk.link = await talk.dialer.accept()
        for connector in (0, 1):
            call = await talk.hear_call("StatusNotification")
            assert call[3]["connectorId"] == connector
            await talk.answer(call)

    tell(told, variables.STATUS_ON_RECONNECT)


def test_25_calls_before_the_answer_to_the_boot_are_answered():
    async def told(talk):
        boot = await talk.hear_call("BootNotification")
        await talk.call("GetConfiguration", KEYS)
        assert counts(talk) == {Quirk.EARLY_CALL: 1}
        now = "2027-01-15T08:00:00Z"
        await talk.answer(boot, {"status": "Accepted", "currentTime": now, "interval": 300})
        await talk.hear_call("StatusNotification")

    meet(told)


def test_26_a_triggered_boot_is_refused_unless_the_operator_says_otherwise():
    async def refused(talk):
        frame = await talk.call("TriggerMessage", {"requestedMessage": "BootNotification"})
        assert frame[2] == {"status": "Rejected"}

    async def taken(talk):
        frame = await talk.call("TriggerMessage", {"requestedMessage": "BootNotification"})
        assert frame[2] == {"status": "Accepted"}
        await talk.boot()
        await talk.hear_call("StatusNotification")

    tell(refused)
    tell(taken, variables.BOOT_WHEN_TRIGGERED)


# --- configuration ---


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        ("localauthorizeoffline", "0", "false"),
        ("LocalPreAuthorize", "True", "true"),
        ("MeterValuesSampledData", " voltage , Current.Import,", "Voltage,Current.Import"),
        ("HeartbeatInterval", " +60 ", "60"),
    ],
)
def test_29_keys_and_values_in_another_spelling_are_taken(key, value, kept):
    async def told(talk):
        frame = await talk.call("ChangeConfiguration", {"key": key, "value": value})
        assert frame[2] == {"status": "Accepted"}
        assert await value_of(talk, key) == kept
        assert (Quirk.BOOLEAN_AS_DIGIT in counts(talk)) is (value == "0")

    tell(told)


def test_30_one_unsupported_measurand_refuses_the_whole_list():
    async def told(talk):
        before = await value_of(talk, "MeterValuesSampledData")
        wrong = {"key": "MeterValuesSampledData", "value": "Voltage,Mood"}
        assert (await talk.call("ChangeConfiguration", wrong))[2] == {"status": "Rejected"}
        assert await value_of(talk, "MeterValuesSampledData") == before

    tell(told)


def test_31_an_empty_key_is_an_unknown_one():
    async def told(talk):
        frame = await talk.call("GetConfiguration", {"key": [""]})
        assert frame[2] == {"unknownKey": [""]}

    tell(told)


def test_32_keys_of_other_brands_are_not_supported():
    async def told(talk):
        change = {"key": "AuthorizationCacheTimeoutXYZ", "value": "1"}
        assert (await talk.call("ChangeConfiguration", change))[2] == {"status": "NotSupported"}

    tell(told)


# --- requests ---


def test_34_an_id_tag_of_more_than_20_characters_is_refused():
    async def told(talk):
        frame = await talk.call("RemoteStartTransaction", {"idTag": "x" * 21})
        assert frame[2] == "PropertyConstraintViolation"

    tell(told)


def test_50_a_list_around_the_profile_is_taken_off():
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0}],
        },
    }

    async def told(talk):
        request = {"connectorId": 0, "csChargingProfiles": [profile]}
        assert (await talk.call("SetChargingProfile", request))[0] == 3
        assert counts(talk)[Quirk.LIST_FOR_OBJECT] == 1
        request = {"connectorId": 0, "csChargingProfiles": [profile, profile]}
        assert (await talk.call("SetChargingProfile", request))[2] == "TypeConstraintViolation"

    tell(told)


def test_data_that_is_no_text_is_taken_as_its_json():
    async def told(talk):
        frame = await talk.call("DataTransfer", {"vendorId": "Acme", "data": {"a": [1]}})
        assert frame[2] == {"status": "UnknownVendorId"}
        assert counts(talk) == {Quirk.JSON_AS_DATA: 1}

    tell(told)
