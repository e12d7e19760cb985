"""Charging profiles that make no sense, as frames from a CSMS: refused with the reason of the
reference (2.0.1 5.2, 1.6 6.4), and nothing has changed: not what is installed, not the offer,
not the link.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest

from agent.bench.desk import Payload, ProfileWish
from agent.bench.ledger import Transaction
from agent.bench.script import Refusal
from tests.support.lab import IDENTITY, VERSIONS, Lab, check_bills, run

LONG_AGO, FAR_AHEAD = "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"
BEYOND_32_BITS, BEYOND_64_BITS = 2**40, 10**30
NAN, INFINITE = msgspec.Raw(b"NaN"), msgspec.Raw(b"-Infinity")

Change = Callable[[Payload, Payload], None]
"""Spoils a profile and its schedule; the words are the same in both versions."""


class Bad(NamedTuple):
    """A profile that is refused.

    Attributes:
        reason: of 2.0.1, a reasonCode of the answer or the code of an error.
        code: of 1.6, where it is an error; "": the answer is Rejected.
    """

    wish: ProfileWish
    reason: str
    code: str = ""
    change: Change = lambda profile, schedule: None


def wish(*periods: tuple[int, Any], **more: Any) -> ProfileWish:
    facts: dict[str, Any] = {"purpose": "default", "evse_id": 1, **more}
    return ProfileWish(profile_id=2, periods=periods or ((0, 32),), **facts)


def schedule(**members: Any) -> Change:
    return lambda _, schedule: schedule.update(members)


def profile(**members: Any) -> Change:
    return lambda profile, _: profile.update(members)


def bad_profiles(mine: Transaction) -> dict[str, Bad]:
    """Return what is wrong by name, at a station with a transaction at EVSE 1 of 2."""
    format_, value = "FormatViolation", "PropertyConstraintViolation"
    many = tuple((second, 16.0) for second in range(10_000))
    other = Transaction(IDENTITY, transaction_id="nobody-knows-it", number=4711)
    absolute = "2027-01-15T08:00:00Z"
    return {
        "NaN": Bad(wish((0, NAN)), format_, "FormationViolation"),
        "infinite": Bad(wish((0, INFINITE)), format_, "FormationViolation"),
        "1e308": Bad(wish((0, 1e308)), "InvalidSchedule"),
        "beyond any float": Bad(wish((0, msgspec.Raw(b"1e400"))), value, value),
        "negative": Bad(wish((0, -0.1)), "InvalidSchedule"),
        "negative minChargingRate": Bad(
            wish(), "InvalidSchedule", change=schedule(minChargingRate=-1)
        ),
        "no periods": Bad(
            wish(),
            "OccurrenceConstraintViolation",
            "OccurenceConstraintViolation",
            schedule(chargingSchedulePeriod=[]),
        ),
        "49 periods": Bad(wish(*many[:49]), "InvalidSchedule"),
        "1025 periods": Bad(wish(*many[:1025]), "OccurrenceConstraintViolation"),
        "10,000 periods": Bad(wish(*many), format_, "FormationViolation"),
        "unsorted": Bad(wish((0, 32), (60, 16), (30, 8)), "InvalidSchedule"),
        "twice the same period": Bad(wish((0, 32), (60, 16), (60, 8)), "InvalidSchedule"),
        "first period not at 0": Bad(wish((1, 32)), "InvalidSchedule"),
        "first period before 0": Bad(wish((-1, 32), (0, 16)), "InvalidSchedule"),
        "a period of 40 bits": Bad(wish((0, 32), (BEYOND_32_BITS, 16)), "InvalidSchedule"),
        "a period of 100 bits": Bad(wish((0, 32), (BEYOND_64_BITS, 16)), value),
        "no duration": Bad(wish(lasts_s=0), "InvalidSchedule"),
        "a negative duration": Bad(wish(lasts_s=-1), "InvalidSchedule"),
        "a duration of 40 bits": Bad(wish(lasts_s=BEYOND_32_BITS), "InvalidSchedule"),
        "a duration of 100 bits": Bad(wish(lasts_s=BEYOND_64_BITS), value),
        "over since 1970": Bad(wish(starts_at=LONG_AGO, lasts_s=60), "InvalidSchedule"),
        "from 9999 on": Bad(wish(starts_at=FAR_AHEAD), "InvalidSchedule"),
        "valid until 1970": Bad(wish(), "InvalidProfile", change=profile(validTo=LONG_AGO)),
        "valid from 9999": Bad(wish(), "InvalidProfile", change=profile(validFrom=FAR_AHEAD)),
        "a day that is none": Bad(wish(starts_at="2027-02-30T00:00:00Z"), value, value),
        "the station's maximum for an EVSE": Bad(
            wish(purpose="station", starts_at=absolute), "InvalidProfile"
        ),
        "a relative maximum": Bad(wish(purpose="station", evse_id=0), "InvalidProfile"),
        "TxProfile for the station": Bad(
            wish(purpose="tx", evse_id=0, transaction=mine), "InvalidProfile"
        ),
        "TxProfile where nothing runs": Bad(
            wish(purpose="tx", evse_id=2, transaction=mine), "TxNotFound"
        ),
        "TxProfile for another transaction": Bad(
            wish(purpose="tx", transaction=other), "UnknownTxId"
        ),
        "an EVSE that is none": Bad(wish(evse_id=3), "UnknownEvse", value),
        "level 10": Bad(wish(level=10), "InvalidStackLevel"),
        "level -1": Bad(wish(level=-1), "InvalidStackLevel", value),
        "recurring without a rhythm": Bad(
            wish(starts_at=absolute),
            "InvalidProfile",
            change=profile(chargingProfileKind="Recurring"),
        ),
        "a word that is none": Bad(
            wish(), value, value, profile(chargingProfilePurpose="Mood")
        ),
    }


ONLY_201 = {
    "relative with a start": Bad(
        wish(starts_at=LONG_AGO),
        "InvalidSchedule",
        change=profile(chargingProfileKind="Relative"),
    ),
    "absolute without a start": Bad(
        wish(), "InvalidSchedule", change=profile(chargingProfileKind="Absolute")
    ),
    "TxProfile without its transaction": Bad(wish(purpose="tx"), "MissingParam"),
    "an external constraint": Bad(
        wish(),
        "InvalidProfile",
        change=profile(chargingProfilePurpose="ChargingStationExternalConstraints"),
    ),
    "the level of another profile": Bad(wish(), "DuplicateProfile"),
    "the level of the station's": Bad(wish(evse_id=0), "DuplicateProfile"),
    "several schedules": Bad(
        wish(),
        "InvalidSchedule",
        change=lambda profile, schedule: profile.update(
            chargingSchedule=[schedule, {**schedule, "id": 2}]
        ),
    ),
    "a phase without one phase": Bad(
        wish(),
        "InvalidSchedule",
        change=lambda _, schedule: schedule["chargingSchedulePeriod"][0].update(phaseToUse=2),
    ),
    "four phases": Bad(wish(phases=4), "InvalidSchedule"),
}
"""What 1.6 has no words for, or has a meaning for (1.6 6.4)."""


async def asked(lab: Lab, bad: Bad) -> Payload | Refusal:
    """Send a profile, spoiled, and return the station's answer."""
    request = lab.csms._session(IDENTITY).clerk.profile(bad.wish)
    inner = "csChargingProfiles" if lab.version == "ocpp1.6" else "chargingProfile"
    found = request.payload[inner]["chargingSchedule"]
    bad.change(request.payload[inner], found if isinstance(found, dict) else found[0])
    return await lab.csms.request(IDENTITY, request.action, request.payload)


def said(answer: Payload | Refusal) -> str:
    """Return the reason of an answer, else its status."""
    if isinstance(answer, Refusal):
        return answer.code
    reason: str = answer.get("statusInfo", {}).get("reasonCode", answer["status"])
    return reason


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bad_profile_is_refused_with_its_reason_and_changes_nothing(version: str) -> None:
    is_16 = version == "ocpp1.6"

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await lab.charging()
        good = ProfileWish(1, "default", 1, ((0, 10.0),))
        assert await lab.csms.set_profile(IDENTITY, good) == "Accepted"
        await asyncio.sleep(10)
        (mine,) = lab.csms.ledger.station(IDENTITY).open_transactions
        before, found, expected = lab.station.smart_charging.book, {}, {}
        cases = bad_profiles(mine) | ({} if is_16 else ONLY_201)
        for name, bad in cases.items():
            found[name] = said(await asked(lab, bad))
            expected[name] = (bad.code or "Rejected") if is_16 else bad.reason
        assert found == expected
        assert lab.station.smart_charging.book is before
        assert lab.evse().offer_a == 10.0
        assert lab.evse().reading().current_a.l1 == 10.0
        assert len(lab.dials) == 1
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version, evses=2), story))


@pytest.mark.parametrize("version", VERSIONS)
def test_one_profile_too_many_is_refused_and_a_replacement_is_not(version: str) -> None:
    """Row 12."""

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        for number in range(3):
            good = ProfileWish(number, "default", 1, ((0, 10.0),), level=number)
            assert await lab.csms.set_profile(IDENTITY, good) == "Accepted"
        answer = await asked(lab, Bad(wish(evse_id=0, level=5), ""))
        is_16 = version == "ocpp1.6"
        # The profile has the id 2, which is installed: it takes that one's place.
        assert said(answer) == "Accepted"
        more = ProfileWish(9, "default", 1, ((0, 10.0),), level=7)
        found = said(await asked(lab, Bad(more, "")))
        assert found == ("Rejected" if is_16 else "TooManyElements")
        assert sorted(lab.station.smart_charging.book.entries) == ["0", "1", "2"]

    run(Lab(version, settings={"SmartChargingCtrlr.MaxProfiles": 3}), story)


def test_what_comes_too_early_or_to_a_station_that_is_switched_off_is_refused() -> None:
    """Rows 29 and 2."""

    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        assert said(await asked(lab, ONLY_201["several schedules"])) == "InvalidMessageSeq"
        off = await lab.csms.set_setting(IDENTITY, "SmartChargingCtrlr.Enabled", "false")
        assert off == "Accepted"
        assert said(await asked(lab, Bad(wish(), ""))) == "NotEnabled"
        assert not lab.station.smart_charging.book.entries

    run(Lab("ocpp2.0.1", settings={"ISO15118Ctrlr.Enabled": True}), story)
