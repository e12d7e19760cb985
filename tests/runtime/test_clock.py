import asyncio
import time
import uuid

import pytest

from agent.core.timebase import EARLIEST_WALL_S
from agent.runtime.clock import START_WALL_S, ScriptedWorld, SystemWorld, World
from tests.support import vloop


def worlds():
    return [SystemWorld(7), ScriptedWorld(3, boot=7)]


@pytest.mark.parametrize("world", worlds(), ids=lambda world: type(world).__name__)
def test_every_env_has_its_boot_a_fresh_uuid_and_a_jitter_below_1(world: World):
    envs = [world.env() for _ in range(1_000)]
    assert {env.now.boot for env in envs} == {7}
    ids = {env.fresh_id for env in envs} | {world.fresh_id()}
    assert len(ids) == 1_001
    assert {uuid.UUID(text).version for text in ids} == {4}
    assert {len(text) for text in ids} == {36}
    assert all(0.0 <= env.jitter < 1.0 for env in envs)
    assert len({env.jitter for env in envs}) > 900


@pytest.mark.parametrize("world", worlds(), ids=lambda world: type(world).__name__)
def test_monotonic_time_is_the_running_loops(world):
    async def life():
        await asyncio.sleep(86_400)
        return world.monotonic_s(), world.env().now.monotonic_s

    assert vloop.run(life()) == (86_400.0, 86_400.0)


def test_without_a_loop_the_system_clock_runs_and_the_scripted_one_stands():
    world = SystemWorld(1)
    told = [world.monotonic_s() for _ in range(3)]
    assert told == sorted(told)
    assert told[0] > 0.0
    assert ScriptedWorld().monotonic_s() == 0.0


def test_the_system_clock_is_told_when_it_is_plausible(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: EARLIEST_WALL_S)
    assert SystemWorld(1).env().now.wall_s == EARLIEST_WALL_S
    monkeypatch.setattr(time, "time", lambda: EARLIEST_WALL_S - 1.0)
    assert SystemWorld(1).env().now.wall_s is None


def test_the_same_seed_does_the_same_again():
    def told(seed):
        world = ScriptedWorld(seed)
        return [world.env() for _ in range(5)]

    assert told(4) == told(4)
    assert told(4) != told(5)


def test_a_scripted_wall_clock_runs_with_the_loop():
    async def life():
        world = ScriptedWorld()
        await asyncio.sleep(100)
        return world.env().now.wall_s

    assert vloop.run(life()) == START_WALL_S + 100


def test_a_world_begun_later_starts_its_wall_clock_then():
    async def life():
        await asyncio.sleep(100)
        return ScriptedWorld(boot=2).env().now

    now = vloop.run(life())
    assert (now.boot, now.monotonic_s, now.wall_s) == (2, 100.0, START_WALL_S)


def test_a_scripted_wall_clock_can_be_set_lost_and_moved():
    async def life():
        world = ScriptedWorld(wall_s=None)
        told = [world.env().now.wall_s]
        world.jump(5.0)
        told.append(world.env().now.wall_s)
        await asyncio.sleep(50)
        world.set_wall(START_WALL_S)
        told.append(world.env().now.wall_s)
        world.jump(-3_600.0)
        told.append(world.env().now.wall_s)
        world.set_wall(0.0)
        told.append(world.env().now.wall_s)
        assert world.monotonic_s() == 50.0
        return told

    expected = [None, None, START_WALL_S, START_WALL_S - 3_600.0, None]
    assert vloop.run(life()) == expected
