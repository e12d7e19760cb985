import asyncio
from itertools import pairwise

import pytest

from agent.core import variables
from agent.core.effects import Done, Report, SecurityEvent, Verdict
from agent.core.events import (
    DataTransferRequested,
    DialFailed,
    DialRefusal,
    LinkDown,
    LinkHeld,
    LinkUp,
    PowerUp,
    SecurityEventRaised,
    SettingsWriteRequested,
)
from agent.core.values import Stamp
from agent.runtime.csms import LEAVE_S, RECENT_RECORDS, Recent
from agent.transport.link import DialError, LinkClosed
from agent.transport.memory import MemoryDialer, MemoryLink
from tests.support.shell import Talk, story, watched
from tests.support.vloop import run

VERSION = "ocpp2.0.1"
SECURITY = "SecurityEventNotification"


class Dialer(MemoryDialer):
    """Keeps count of what is dialed and of what is open.

    Attributes:
        refusal: what the next dials meet.
        dial_s: how long a dial takes.
        closes_at_once: the other end closes right after accepting.
    """

    refusal = None
    dial_s = 0.0
    closes_at_once = False

    def __init__(self, choose):
        super().__init__(choose)
        self.dials, self.pings, self.links = [], [], []
        self.under_way = self.most = 0

    async def dial(self, target, *, ping_interval_s, ping_timeout_s):
        assert not any(link.is_open for link in self.links), "two sockets"
        assert not self.under_way, "two dials"
        self.dials.append((asyncio.get_running_loop().time(), target.url))
        self.pings.append((ping_interval_s, ping_timeout_s))
        self.under_way += 1
        try:
            await asyncio.sleep(self.dial_s)
        finally:
            self.under_way -= 1
        if self.refusal is not None:
            raise self.refusal
        link = await super().dial(
            target, ping_interval_s=ping_interval_s, ping_timeout_s=ping_timeout_s
        )
        self.links.append(link)
        if self.closes_at_once:
            await link.close(1000, "")
        return link

    def pauses(self):
        """Return the pauses between dials."""
        return [after - before for (before, _), (after, _) in pairwise(self.dials)]


def refused(refusal, retry_after_s=None):
    return DialError(refusal, "no", retry_after_s)


def offline(told, **settings):
    """Tell a story of a station that nobody has answered yet."""

    async def lived():
        talk = Talk(VERSION, dialer=Dialer, **settings)
        task = asyncio.create_task(talk.shell.run([], socket=None))
        await told(talk)
        talk.shell.stop()
        await task
        await talk.disk.close()
        return talk

    return run(lived())


def powered(talk):
    talk.post(PowerUp())


@pytest.mark.parametrize(
    ("error", "least_s"),
    [
        (refused(DialRefusal.UNREACHABLE), 5.0),
        (refused(DialRefusal.SUBPROTOCOL), 5.0),
        (refused(DialRefusal.CREDENTIALS), 30.0),
        (refused(DialRefusal.UNKNOWN_STATION), 30.0),
        (refused(DialRefusal.BUSY, 77.0), 77.0),
        (refused(DialRefusal.BUSY), 5.0),
    ],
)
def test_a_refused_dial_is_repeated_after_a_pause_that_suits_the_refusal(
    error, least_s, caplog
):
    async def told(talk):
        failed = watched(talk, DialFailed)
        talk.dialer.refusal = error
        powered(talk)
        await asyncio.sleep(600)
        assert talk.dialer.pauses()[0] >= least_s
        assert talk.dialer.pauses()[0] <= least_s + 20.0
        assert {event.refusal for event in failed} == {error.refusal}
        assert {event.retry_after_s for event in failed} == {error.retry_after_s}

    offline(told)
    assert "dial memory://csms0: no" in caplog.text


def test_every_dial_is_later_than_the_last_and_has_its_own_random_part():
    async def told(talk):
        talk.dialer.refusal = refused(DialRefusal.UNREACHABLE)
        powered(talk)
        await asyncio.sleep(3000)
        pauses = talk.dialer.pauses()
        assert all(pause >= 5.0 for pause in pauses)
        assert pauses[2] > pauses[0]
        last = pauses[-5:]
        assert len({round(pause, 3) for pause in last}) == len(last)

    offline(told)


def test_a_refusal_while_the_disk_is_slow_does_not_dial_twice():
    async def told(talk):
        talk.dialer.refusal = refused(DialRefusal.UNREACHABLE)
        talk.dialer.dial_s = 1.0
        powered(talk)
        await asyncio.sleep(0.5)
        talk.disk.commit_s = 2.0
        talk.post(SecurityEventRaised("First"))  # its turn is under way when the dial fails
        await asyncio.sleep(4.9)
        assert len(talk.dialer.dials) == 1
        talk.disk.commit_s = 0.0

    offline(told)


def test_a_csms_that_closes_right_after_accepting_is_not_dialed_without_pause():
    async def told(talk):
        talk.dialer.closes_at_once = True
        powered(talk)
        await asyncio.sleep(600)
        assert all(pause >= 5.0 for pause in talk.dialer.pauses())

    offline(told)


def test_profiles_have_their_turn_in_a_ring():
    async def told(talk):
        talk.dialer.refusal = refused(DialRefusal.UNREACHABLE)
        powered(talk)
        await asyncio.sleep(3600)
        urls = [url[-5:] for _, url in talk.dialer.dials]
        assert urls[:7] == ["csms0"] * 3 + ["csms1"] * 3 + ["csms0"]

    offline(told, profiles=2, **{variables.PROFILE_ATTEMPTS.name: "3"})


@pytest.mark.parametrize(("interval", "timeout_s"), [("0", 5.0), ("17", 17.0), ("3600", 30.0)])
def test_a_ping_is_given_its_interval_within_bounds(interval, timeout_s):
    async def told(talk):
        powered(talk)
        await asyncio.sleep(1)
        assert talk.dialer.pings == [(float(interval), timeout_s)]

    offline(told, **{variables.PING_INTERVAL.name: interval})


def test_a_ping_interval_that_changes_during_the_dial_is_not_forgotten():
    async def told(talk):
        talk.dialer.dial_s = 5.0
        powered(talk)
        await asyncio.sleep(1)
        talk.post(SettingsWriteRequested(1, ((variables.PING_INTERVAL.name, "17"),)))
        await asyncio.sleep(5)
        assert talk.dialer.links[0].ping_interval_s == 17.0

    offline(told)


def test_a_link_that_is_held_is_closed_and_dialed_again_once_released():
    async def told(talk):
        up, down = watched(talk, LinkUp), watched(talk, LinkDown)
        powered(talk)
        await asyncio.sleep(1)
        talk.post(LinkHeld(held=True))
        await asyncio.sleep(600)
        assert len(talk.dialer.dials) == 1
        assert [event.reason for event in down] == ["held down locally"]
        talk.post(LinkHeld(held=False))
        await asyncio.sleep(1)
        assert len(up) == 2

    offline(told)


def test_a_link_that_comes_after_somebody_took_it_down_is_closed_at_once():
    async def told(talk):
        talk.dialer.dial_s = 5.0
        powered(talk)
        await asyncio.sleep(1)
        talk.post(LinkHeld(held=True))
        await asyncio.sleep(60)
        assert not talk.dialer.links[0].is_open
        assert talk.station.connection.up is None
        talk.post(LinkHeld(held=False))
        await asyncio.sleep(1)
        talk.post(LinkHeld(held=True))
        talk.post(LinkHeld(held=False))
        await asyncio.sleep(60)
        assert talk.station.connection.up is not None

    offline(told)


def test_a_link_that_is_lost_tells_so_and_is_dialed_again_after_a_pause():
    async def told(talk):
        down = watched(talk, LinkDown)
        powered(talk)
        await asyncio.sleep(1)
        for _ in range(3):
            csms = await talk.dialer.accept()
            await csms.close(1000, "bye")
            await asyncio.sleep(100)
        assert len(talk.dialer.dials) == 4
        assert [event.reason for event in down] == ["closed with 1000 bye"] * 3

    offline(told)


def test_vendor_data_between_two_links_fails_at_once():
    async def told(talk):
        request_id, outcome = talk.shell._requests.awaited()
        talk.disk.commit_s = 1.0
        talk.post(SecurityEventRaised("First"))
        await asyncio.sleep(0)
        await talk.link.close(1000, "")  # the station learns of it behind the data
        talk.post(DataTransferRequested(request_id, "Vendor"))
        answer = await outcome
        assert isinstance(answer, Done)
        assert answer.verdict is Verdict.FAILED
        assert answer.info == "the link is down"
        talk.disk.commit_s = 0.0
        talk.link = await talk.dialer.accept()

    story(VERSION, told)


def test_at_the_end_what_was_said_is_sent_and_the_link_is_closed_as_going_away():
    async def told(talk):
        payload = {"operationalStatus": "Operative"}
        await talk.say([2, "a", "ChangeAvailability", payload])
        await asyncio.sleep(0.1)
        talk.shell.stop()
        assert (await talk.hear())[:2] == [3, "a"]
        with pytest.raises(LinkClosed, match="closed with 1001 the station goes away"):
            await talk.hear()

    story(VERSION, told)


class Stuck(MemoryLink):
    async def close(self, code, reason):
        await asyncio.sleep(3600)


class StuckDialer(Dialer):
    async def dial(self, target, **options):
        link = await super().dial(target, **options)
        return Stuck(link.subprotocol, link.url, link._outward, link._inward)


def test_a_csms_that_does_not_answer_a_close_does_not_hold_the_end_back():
    async def lived():
        talk = Talk(VERSION, dialer=StuckDialer)
        task = asyncio.create_task(talk.shell.run([], socket=None))
        powered(talk)
        await asyncio.sleep(1)
        begun = asyncio.get_running_loop().time()
        talk.shell.stop()
        await task
        assert asyncio.get_running_loop().time() - begun <= LEAVE_S + 0.1
        await talk.disk.close()

    run(lived())


def test_the_end_does_not_wait_for_a_dial():
    async def told(talk):
        talk.dialer.dial_s = 3600.0
        powered(talk)
        await asyncio.sleep(1)
        talk.shell.stop()
        await asyncio.sleep(0.1)
        assert not talk.dialer.under_way

    offline(told)


def test_what_was_just_written_is_sent_without_reading_the_disk():
    async def told(talk):
        talk.disk.read_refusal = "disk I/O error"
        talk.post(SecurityEventRaised("First"))
        await talk.answer(await talk.hear_call(SECURITY))

    story(VERSION, told)


def test_only_the_newest_records_are_kept_in_memory_and_each_once():
    read = []

    async def from_disk(record_id):
        read.append(record_id)

    async def told():
        recent = Recent(from_disk, 3)
        record = SecurityEvent("First", Stamp(1, 0.0, None), "")
        for record_id in range(4, 4 + RECENT_RECORDS + 6):
            recent.keep(Report(record_id, record))
        assert recent.saved_up_to == RECENT_RECORDS + 9
        assert len(recent._records) == RECENT_RECORDS
        assert await recent.read(RECENT_RECORDS + 9) == record
        await recent.read(RECENT_RECORDS + 9)
        await recent.read(4)
        assert read == [RECENT_RECORDS + 9, 4]

    run(told())
