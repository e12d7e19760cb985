"""Tables 1.8 and 1.9 of the 1.6 reference, a test per row: what becomes of a received frame."""

from collections.abc import Callable
from typing import Any

import pytest

from agent.core import variables
from agent.core.events import SecurityEventRaised
from agent.core.variables import Variable
from tests.support.shell import Talk, defective, story, watched

V16 = "ocpp1.6"

row = pytest.mark.parametrize
Frames = list[Any]

SWITCHES = row(
    "switch",
    [variables.SMART_CHARGING_AVAILABLE, variables.SMART_CHARGING_ENABLED],
    ids=lambda one: one.name,
)


def told(steps: Callable[[Talk], Any], **options: Any) -> None:
    """Live the steps on an accepted station, which is alive and well afterwards."""

    async def lived(talk: Talk) -> None:
        await steps(talk)
        await talk.lives()

    story(V16, lived, **options)


def error(code: str, message_id: Any = "q") -> Any:
    """Return how a CALLERROR begins."""
    return [4, message_id, code]


async def answered(talk: Talk, frame: Any, beginning: list[Any]) -> Any:
    """Send a frame and find that the answer begins so; return the answer."""
    await talk.say(frame)
    answer = await talk.hear()
    assert answer[: len(beginning)] == beginning, answer
    return answer


PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}],
    },
}


# --- 1.8 ---------------------------------------------------------------------------------


@row(
    "frame",
    [
        b'[2,"q","ClearCache",{"\xff":1}]',
        "what is this",
        '{"2": "ClearCache"}',
        '"ClearCache"',
        "[]",
        '[2,"q","ClearCache",{}',
    ],
    ids=["no UTF-8", "no JSON", "an object", "a text", "an empty array", "an open array"],
)
def test_row_1_what_is_no_json_array_is_dropped_and_logged(frame: str | bytes) -> None:
    async def steps(talk: Talk) -> None:
        events = watched(talk, SecurityEventRaised)
        await talk.say(frame)
        await talk.silent()
        assert [event.type for event in events] == ["InvalidMessages"]

    told(steps)


@row("kind", [0, 1, 5, 99, -2, "2", None, 2.5, [], True])
def test_row_2_an_unknown_message_type_is_ignored(kind: Any) -> None:
    async def steps(talk: Talk) -> None:
        await talk.say([kind, "q", "ClearCache", {}])
        await talk.silent()

    told(steps)


def test_row_3_an_id_that_is_far_too_long_is_echoed_in_the_refusal() -> None:
    async def steps(talk: Talk) -> None:
        long = "x" * 129
        await answered(talk, [2, long, "ClearCache", {}], error("FormationViolation", long))

    told(steps)


@row("message_id", ["x" * 37, "x" * 128, 7, 7.5, 10**20])
def test_row_3_one_that_the_field_is_known_to_send_is_taken(message_id: Any) -> None:
    async def steps(talk: Talk) -> None:
        frame = [2, message_id, "ClearCache", {}]
        await answered(talk, frame, [3, message_id, {"status": "Accepted"}])

    told(steps)


@row("message_id", [None, [], {}, True])
def test_row_3_one_that_is_neither_text_nor_number_drops_the_frame(message_id: Any) -> None:
    async def steps(talk: Talk) -> None:
        await talk.say([2, message_id, "ClearCache", {}])
        await talk.silent()

    told(steps)


def test_row_4_a_call_without_a_payload_has_an_empty_one() -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", "ClearCache"], [3, "q", {"status": "Accepted"}])

    told(steps)


@row("frame", [[2, "q"], [2, "q", 7, {}], [2, "q", None, {}]])
def test_row_4_a_call_without_an_action_is_refused(frame: Frames) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, frame, error("FormationViolation"))

    told(steps)


def test_row_5_the_id_of_a_call_in_process_is_refused_and_nothing_runs_twice() -> None:
    async def steps(talk: Talk) -> None:
        off = {"connectorId": 1, "type": "Inoperative"}
        await talk.say([2, "q", "ChangeAvailability", off])
        await talk.say([2, "q", "ClearCache", {}])
        answers = [await talk.hear(), await talk.hear()]
        assert [3, "q", {"status": "Accepted"}] in answers
        assert [one[:3] for one in answers if one[0] == 4] == [error("GenericError")]
        await talk.answer(await talk.hear_call("StatusNotification"))

    told(steps)


@row("action", ["MakeCoffee", "clearcache", "", "x" * 10_000, "BootNotificationResponse"])
def test_row_6_an_unknown_action_is_not_implemented(action: str) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", action, {}], error("NotImplemented"))

    told(steps)


@row("action", ["Heartbeat", "BootNotification", "StartTransaction", "SignCertificate"])
def test_row_7_an_action_of_the_station_itself_is_not_supported(action: str) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", action, {}], error("NotSupported"))

    told(steps)


@row("payload", [[], "text", 7, True, 1.5])
def test_row_9_a_payload_that_is_no_object_is_a_formation_violation(payload: Any) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", "Reset", payload], error("FormationViolation"))

    told(steps)


def test_row_9_a_payload_that_is_null_counts_as_empty() -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", "ClearCache", None], [3, "q", {"status": "Accepted"}])

    told(steps)


@row(
    ("action", "payload"),
    [
        ("Reset", {}),
        ("ChangeAvailability", {"connectorId": 1}),
        ("ChangeConfiguration", {"key": "HeartbeatInterval"}),
        ("RemoteStartTransaction", {"connectorId": 1}),
        ("SendLocalList", {"listVersion": 1}),
        ("ReserveNow", {"connectorId": 1, "idTag": "A", "reservationId": 1}),
        ("DataTransfer", {}),
    ],
)
def test_row_10_a_missing_member_is_an_occurence_violation(
    action: str, payload: dict[str, Any]
) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", action, payload], error("OccurenceConstraintViolation"))

    told(steps)


@row(
    ("action", "payload"),
    [
        ("Reset", {"type": 7}),
        ("ChangeAvailability", {"connectorId": "one", "type": "Operative"}),
        ("ChangeAvailability", {"connectorId": 1.5, "type": "Operative"}),
        ("ChangeAvailability", {"connectorId": True, "type": "Operative"}),
        ("GetConfiguration", {"key": "HeartbeatInterval"}),
        ("RemoteStartTransaction", {"idTag": ["A"]}),
        ("RemoteStopTransaction", {"transactionId": {}}),
    ],
)
def test_row_11_a_wrong_type_is_a_type_violation(action: str, payload: dict[str, Any]) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", action, payload], error("TypeConstraintViolation"))

    told(steps)


@row("connector", [1.0, "1", " 1 ", "+1"])
def test_row_11_a_harmless_difference_of_type_is_mended(connector: Any) -> None:
    async def steps(talk: Talk) -> None:
        payload = {"connectorId": connector, "type": "Operative"}
        await answered(
            talk, [2, "q", "ChangeAvailability", payload], [3, "q", {"status": "Accepted"}]
        )

    told(steps)


@row(
    ("action", "payload"),
    [
        ("Reset", {"type": "Gentle"}),
        ("Reset", {"type": "hard"}),
        ("RemoteStartTransaction", {"idTag": "x" * 21}),
        ("ChangeConfiguration", {"key": "x" * 51, "value": "1"}),
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "x" * 501}),
        ("DataTransfer", {"vendorId": "x" * 256}),
        (
            "ReserveNow",
            {"connectorId": 1, "idTag": "A", "reservationId": 1, "expiryDate": "tomorrow"},
        ),
    ],
)
def test_row_12_a_value_out_of_bounds_is_a_property_violation(
    action: str, payload: dict[str, Any]
) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", action, payload], error("PropertyConstraintViolation"))

    told(steps)


def test_row_13_an_unknown_member_is_ignored() -> None:
    async def steps(talk: Talk) -> None:
        payload = {"vendorMood": {"is": ["good"]}}
        await answered(talk, [2, "q", "ClearCache", payload], [3, "q", {"status": "Accepted"}])

    told(steps)


def test_row_14_an_optional_member_that_is_null_is_absent() -> None:
    async def steps(talk: Talk) -> None:
        payload = {"idTag": "A", "connectorId": 1, "chargingProfile": None}
        await answered(
            talk,
            [2, "q", "RemoteStartTransaction", payload],
            [3, "q", {"status": "Accepted"}],
        )
        await talk.answer(await talk.hear_call("StatusNotification"))

    told(steps)


@row(
    ("action", "payload", "word"),
    [
        ("ChangeAvailability", {"connectorId": 99, "type": "Operative"}, "Rejected"),
        ("ChangeConfiguration", {"key": "Coffee", "value": "1"}, "NotSupported"),
        ("RemoteStartTransaction", {"connectorId": 99, "idTag": "A"}, "Rejected"),
        ("RemoteStopTransaction", {"transactionId": 99}, "Rejected"),
        ("UnlockConnector", {"connectorId": 99}, "NotSupported"),
        ("CancelReservation", {"reservationId": 99}, "Rejected"),
    ],
)
def test_row_15_what_an_answer_can_say_is_no_error(
    action: str, payload: dict[str, Any], word: str
) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", action, payload], [3, "q", {"status": word}])

    told(steps)


def test_row_16_a_defect_of_ours_is_an_internal_error_without_secrets() -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("0badcafe-secret")

    async def steps(talk: Talk) -> None:
        frame = [2, "q", "ClearCache", {}]
        answer = await answered(talk, frame, error("InternalError"))
        assert "secret" not in str(answer)

    async def lived(talk: Talk) -> None:
        await steps(talk)

    story(V16, lived, adapters=defective(V16, decode=fails))


@row(("limit", "told_limit"), [(8.1, 8.1), (16.3, 16.3), (13.19, 13.1), (6.25, 6.2)])
def test_row_17_tenths_are_neither_refused_nor_rounded_up(
    limit: float, told_limit: float
) -> None:
    async def steps(talk: Talk) -> None:
        schedule = {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}],
        }
        profile = {**PROFILE, "chargingSchedule": schedule}
        payload = {"connectorId": 1, "csChargingProfiles": profile}
        await answered(
            talk, [2, "q", "SetChargingProfile", payload], [3, "q", {"status": "Accepted"}]
        )
        asked = {"connectorId": 1, "duration": 60, "chargingRateUnit": "A"}
        answer = await answered(talk, [2, "q", "GetCompositeSchedule", asked], [3, "q"])
        (period,) = answer[2]["chargingSchedule"]["chargingSchedulePeriod"]
        assert period["limit"] == told_limit

    told(steps)


# --- 1.9 ---------------------------------------------------------------------------------


def test_without_a_list_its_version_is_minus_one() -> None:
    async def steps(talk: Talk) -> None:
        frame = [2, "q", "GetLocalListVersion", {}]
        await answered(talk, frame, [3, "q", {"listVersion": -1}])

    told(steps, **{variables.LIST_ENABLED.name: "false"})


def test_without_a_list_none_can_be_sent() -> None:
    async def steps(talk: Talk) -> None:
        frame = [2, "q", "SendLocalList", {"listVersion": 1, "updateType": "Full"}]
        await answered(talk, frame, [3, "q", {"status": "NotSupported"}])

    told(steps, **{variables.LIST_ENABLED.name: "false"})


@row(
    ("action", "payload"),
    [
        (
            "ReserveNow",
            {
                "connectorId": 1,
                "expiryDate": "2099-01-01T00:00:00Z",
                "idTag": "A",
                "reservationId": 1,
            },
        ),
        ("CancelReservation", {"reservationId": 1}),
    ],
)
def test_without_reservations_nothing_can_be_reserved_or_cancelled(
    action: str, payload: dict[str, Any]
) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", action, payload], [3, "q", {"status": "Rejected"}])

    told(steps, **{variables.RESERVATIONS.name: "false"})


@SWITCHES
@row(
    ("action", "payload"),
    [
        ("SetChargingProfile", {"connectorId": 0, "csChargingProfiles": PROFILE}),
        ("ClearChargingProfile", {}),
        ("GetCompositeSchedule", {"connectorId": 1, "duration": 60}),
    ],
)
def test_without_smart_charging_its_messages_are_not_supported(
    action: str, payload: dict[str, Any], switch: Variable
) -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", action, payload], error("NotSupported"))

    told(steps, **{switch.name: "false"})


@SWITCHES
def test_without_smart_charging_the_profile_of_a_remote_start_is_ignored(
    switch: Variable,
) -> None:
    async def steps(talk: Talk) -> None:
        own = {**PROFILE, "chargingProfilePurpose": "TxProfile"}
        payload = {"connectorId": 1, "idTag": "A", "chargingProfile": own}
        await answered(
            talk,
            [2, "q", "RemoteStartTransaction", payload],
            [3, "q", {"status": "Accepted"}],
        )
        await talk.answer(await talk.hear_call("StatusNotification"))

    told(steps, **{switch.name: "false"})


def test_a_cache_that_is_switched_off_can_be_cleared() -> None:
    async def steps(talk: Talk) -> None:
        await answered(talk, [2, "q", "ClearCache", {}], [3, "q", {"status": "Accepted"}])

    told(steps, **{variables.CACHE_ENABLED.name: "false"})


def test_a_trigger_that_nobody_knows_is_not_implemented() -> None:
    async def steps(talk: Talk) -> None:
        frame = [2, "q", "TriggerMessage", {"requestedMessage": "Coffee"}]
        await answered(talk, frame, [3, "q", {"status": "NotImplemented"}])

    told(steps)


def test_an_unknown_connector_cannot_be_unlocked() -> None:
    async def steps(talk: Talk) -> None:
        frame = [2, "q", "UnlockConnector", {"connectorId": 9}]
        await answered(talk, frame, [3, "q", {"status": "NotSupported"}])

    told(steps)


def test_data_for_an_unknown_vendor_gets_none_back() -> None:
    async def steps(talk: Talk) -> None:
        frame = [2, "q", "DataTransfer", {"vendorId": "nobody.example", "data": "?"}]
        await answered(talk, frame, [3, "q", {"status": "UnknownVendorId"}])

    told(steps)
