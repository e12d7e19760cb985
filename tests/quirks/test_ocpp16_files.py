"""Places for files and profiles as CSMSs of 1.6 really write them.

Named after rows 44 to 52 of the 1.6 reference, chapter 11.
"""

import asyncio

import pytest

from agent.core import updates
from agent.core.events import InstallerFound
from agent.core.orders import Step, scheme
from agent.core.setpoint import limits
from agent.ocpp.location import mended
from agent.ocppj.quirks import Quirk
from agent.transfer.job import Finished, Place, Reason
from tests.quirks.test_ocpp16 import counts, tell
from tests.quirks.test_ocpp16_sessions import charging, quiet
from tests.support.shell import Talk
from tests.transfer.servers import CONTENT
from tests.transfer.test_process import failed, fetch, send


def profile(purpose="TxDefaultProfile", *, limit=16.0, unit="A", period=None, **fields):
    schedule = {
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit, **(period or {})}],
        **fields.pop("schedule", {}),
    }
    return {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
        **fields,
    }


async def offered(talk: Talk, item, connector=1):
    frame = await talk.call(
        "SetChargingProfile", {"connectorId": connector, "csChargingProfiles": item}
    )
    return frame[2]["status"] if frame[0] == 3 else frame[2]


def limit_a(talk: Talk) -> float:
    return min(limit.limit_a for limit in limits(talk.station.evses[1]))


# --- profiles ---


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"schedule": {"startSchedule": "2027-01-15T07:00:00"}},
        {"validFrom": "2027-01-15T08:00:30Z"},
    ],
    ids=["no start", "no zone", "valid in half a minute"],
)
def test_44_an_absolute_profile_with_an_odd_beginning_limits(fields):
    async def told(talk):
        assert await offered(talk, profile(limit=10.0, **fields)) == "Accepted"
        noted = counts(talk)
        assert (Quirk.NO_START in noted) is ("schedule" not in fields)
        assert (Quirk.TIME_FORM in noted) is ("schedule" in fields)
        await asyncio.sleep(60)
        assert limit_a(talk) == 10.0

    tell(told)


def test_45_a_profile_for_a_transaction_needs_one_and_need_not_name_it():
    async def told(talk):
        assert await offered(talk, profile("TxProfile")) == "Rejected"
        await charging(talk)  # and at once, on the heels of the number:
        assert await offered(talk, profile("TxProfile", limit=10.0)) == "Accepted"
        await quiet(talk)
        assert limit_a(talk) == 10.0

    tell(told)


def test_46_a_profile_for_the_whole_charge_point_is_not_for_a_connector():
    async def told(talk):
        assert await offered(talk, profile("ChargePointMaxProfile")) == "Rejected"
        assert await offered(talk, profile("ChargePointMaxProfile"), 0) == "Accepted"

    tell(told)


@pytest.mark.parametrize(
    ("item", "answer"),
    [
        (profile(limit=13.123456789), "Accepted"),
        (profile(limit=0), "Accepted"),
        (profile(limit=1), "Accepted"),
        (profile(period={"numberPhases": 0}), "Rejected"),
        (profile(chargingProfileId=0), "Accepted"),
        (profile(chargingProfileId=-1), "Accepted"),
        (profile(stackLevel=1_000_000), "Rejected"),
        (profile(limit=-1), "Rejected"),
    ],
    ids=["decimals", "0 A", "1 A", "0 phases", "id 0", "id -1", "too high a level", "-1 A"],
)
def test_47_odd_numbers_of_a_profile_are_taken_or_refused(item, answer):
    async def told(talk):
        assert await offered(talk, item) == answer
        assert len(talk.station.smart_charging.book.entries) == (answer == "Accepted")

    tell(told)


def test_48_the_same_profile_again_and_again_wears_no_flash():
    async def told(talk):
        assert await offered(talk, profile()) == "Accepted"
        written = len(talk.disk.writes)
        for _ in range(100):
            assert await offered(talk, profile()) == "Accepted"
        assert len(talk.disk.writes) == written

    tell(told)


@pytest.mark.parametrize(("duration", "status"), [(0, "Rejected"), (60, "Accepted")])
def test_49_composite_schedules_may_be_polled_and_one_of_no_time_is_refused(duration, status):
    async def told(talk):
        assert await offered(talk, profile(limit=10.0)) == "Accepted"
        written = len(talk.disk.writes)
        for _ in range(20):
            ask = {"connectorId": 1, "duration": duration}
            frame = await talk.call("GetCompositeSchedule", ask)
            assert frame[2]["status"] == status
        assert len(talk.disk.writes) == written

    tell(told)


# --- files ---


@pytest.mark.parametrize(
    "location",
    [
        "https://user:pass%20word@{host}/private",
        "https://{host}/good/image%20of%20today",
        "  https://{host}/good/image of today ",
        "https://{host}/good/image?X-Signature=a%2Bb&X-Expires=60",
    ],
    ids=["credentials", "percent-encoding", "blanks", "signed in advance"],
)
def test_51_odd_locations_are_found(tmp_path, site, location):
    url = location.format(host=site.url.removeprefix("https://"))
    assert scheme(mended(url)) == "HTTPS"
    said, content = fetch(tmp_path, mended(url), roots=site.roots)
    assert said == Finished(len(CONTENT))
    assert content == CONTENT


def test_51_an_address_of_ipv6_is_a_host():
    place = Place("ftp://user@[2001:db8::1]:2121/logs/")
    assert (place.host, place.port, place.user) == ("2001:db8::1", 2121, "user")
    assert place.shown == "ftp://[2001:db8::1]:2121/logs/"


def test_51_an_endpoint_that_wants_a_post_gets_one(tmp_path, site):
    said = send(tmp_path, f"{site.url}/postonly/", roots=site.roots)
    assert said == Finished(len(CONTENT))
    assert site.files == {"/postonly/": CONTENT}


def test_51_a_location_whose_signature_has_expired_is_a_failure(tmp_path, site):
    failed(send(tmp_path, f"{site.url}/denied/x.gz", roots=site.roots), Reason.DENIED)


@pytest.mark.parametrize(
    "retrieve", ["2001-01-01T00:00:00Z", "2027-01-15T07:59:00", "2027-01-15 07:59:00"]
)
def test_52_a_date_in_the_past_or_without_a_zone_is_now(retrieve):
    async def told(talk):
        talk.post(InstallerFound("slots", "a"))
        ask = {"location": " https://files.example/image", "retrieveDate": retrieve}
        assert (await talk.call("UpdateFirmware", ask))[2] == {}
        work = updates.work(talk.station.firmware)
        assert work is not None
        assert work.step is Step.DOWNLOAD
        noted = counts(talk)
        assert noted.pop(Quirk.BLANK_IN_ADDRESS) == 1  # 51
        assert (Quirk.TIME_FORM in noted) is (not retrieve.endswith("00Z"))

    tell(told)
