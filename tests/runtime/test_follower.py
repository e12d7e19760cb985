"""The follower: one piece of work at a time, interrupted by another level."""

import asyncio

from agent.core.events import SecurityEventRaised
from agent.runtime.follower import Follower


class Rig:
    """Work that ends when it is told to; notes what began and what was interrupted."""

    def __init__(self):
        self.began, self.interrupted, self.posted = [], [], []
        self.ends = {}
        self.follower = Follower(self.do, self.posted.append)

    async def do(self, work):
        self.began.append(work)
        self.ends[work] = asyncio.get_running_loop().create_future()
        try:
            await self.ends[work]
        except asyncio.CancelledError:
            self.interrupted.append(work)
            raise
        return SecurityEventRaised(work)

    async def settle(self):
        for _ in range(10):
            await asyncio.sleep(0)


def lived(story):
    async def life():
        rig = Rig()
        task = asyncio.ensure_future(rig.follower.run())
        await story(rig)
        await rig.settle()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return rig

    return asyncio.run(life())


def test_work_that_is_done_is_told_and_not_begun_again():
    async def story(rig):
        rig.follower.want("download")
        await rig.settle()
        rig.ends["download"].set_result(None)
        await rig.settle()
        rig.follower.want("download")

    rig = lived(story)
    assert rig.began == ["download"]
    assert rig.posted == [SecurityEventRaised("download")]


def test_other_work_interrupts_and_the_first_is_begun_anew():
    async def story(rig):
        rig.follower.want("download")
        await rig.settle()
        rig.follower.want("check")
        await rig.settle()
        rig.ends["check"].set_result(None)
        await rig.settle()
        rig.follower.want("download")
        await rig.settle()
        rig.ends["download"].set_result(None)

    rig = lived(story)
    assert rig.began == ["download", "check", "download"]
    assert rig.interrupted == ["download"]
    assert rig.posted == [SecurityEventRaised("check"), SecurityEventRaised("download")]


def test_work_that_is_wanted_again_after_its_end_was_missed_is_done_again():
    async def story(rig):
        rig.follower.want("download")
        await rig.settle()
        rig.ends["download"].set_result(None)
        rig.follower.want(None)  # at the very instant at which it ends
        await rig.settle()
        rig.follower.want("download")
        await rig.settle()

    assert lived(story).began == ["download", "download"]


def test_work_that_nobody_wants_any_more_is_ended():
    async def story(rig):
        rig.follower.want("download")
        await rig.settle()
        rig.follower.want(None)

    rig = lived(story)
    assert (rig.interrupted, rig.posted) == (["download"], [])


def test_work_ends_with_the_follower():
    async def story(rig):
        rig.follower.want("download")

    assert lived(story).interrupted == ["download"]
