import asyncio
import contextlib
import logging

import pytest

from agent.core.effects import Restart
from agent.core.events import LinkUp, PowerUp, ResetKind, ResetRequested, SecurityEventRaised
from agent.core.values import BootReason
from agent.runtime.hardware import RELEASE_S
from agent.runtime.shell import FLUSH_S
from agent.transport.memory import CAPACITY
from hal.errors import BusError
from hal.sim.evse import SimulatedEvse
from hal.sim.vehicle import Vehicle
from hal.types import Fault, IdToken
from tests.support.shell import Talk, story, watched
from tests.support.vloop import run

VERSION = "ocpp2.0.1"


class DefectError(Exception):
    pass


def now_s():
    return asyncio.get_running_loop().time()


async def charging(talk):
    """Lead the station to the flow of energy; the CSMS has nothing to say about it."""
    talk.evse.plug(1, Vehicle())
    await asyncio.sleep(1)
    talk.evse.present(IdToken("04A1B2C3"))
    while not talk.evse.outlet_closed:
        with contextlib.suppress(TimeoutError):
            frame = await talk.hear(1)
            await talk.answer(frame, {"idTokenInfo": {"status": "Accepted"}})


def test_an_end_makes_the_outputs_safe_without_waiting_for_the_last_frames():
    async def told(talk):
        await charging(talk)
        for index in range(CAPACITY + 10):  # nobody reads the answers
            await talk.say([2, f"c{index}", "MakeCoffee", {}])
        await asyncio.sleep(0.1)
        begun = now_s()
        talk.shell.stop()
        await asyncio.sleep(0.2)
        assert not talk.evse.outlet_closed
        assert talk.evse.offer_a == 0.0
        await talk._task
        assert FLUSH_S <= now_s() - begun <= 5.0

    story(VERSION, told)


def test_an_end_takes_less_than_five_seconds_whatever_does_not_answer():
    async def told(talk):
        await charging(talk)
        talk.evse.fault(Fault.COMMUNICATION_FAULT)
        for index in range(CAPACITY + 10):
            await talk.say([2, f"c{index}", "MakeCoffee", {}])
        await asyncio.sleep(0.1)
        begun = now_s()
        talk.shell.stop()
        await talk._task
        assert now_s() - begun < 5.0
        assert 2 * RELEASE_S + FLUSH_S < 5.0

    story(VERSION, told)


def test_an_end_twice_is_an_end():
    async def told(talk):
        talk.shell.stop()
        talk.shell.stop()
        await talk._task

    story(VERSION, told)


def test_events_that_come_after_the_end_are_in_nobodys_way():
    async def told(talk):
        talk.shell.stop()
        await talk._task
        talk.post(SecurityEventRaised("Late"))
        assert talk.shell.restart is None

    story(VERSION, told)


def test_a_restart_that_the_station_wants_ends_the_run_and_says_why():
    async def told(talk):
        talk.post(ResetRequested(7, ResetKind.IMMEDIATE))
        await talk._task
        assert talk.shell.restart is BootReason.REMOTE_RESET

    story(VERSION, told)


def test_the_answer_to_a_reset_is_sent_before_the_end():
    async def told(talk):
        assert (await talk.call("Reset", {"type": "Immediate"}))[2] == {"status": "Accepted"}
        await talk._task

    story(VERSION, told)


def test_what_is_told_goes_through_a_wrapper_if_there_is_one():
    told_effects = []

    async def lived():
        talk = Talk(VERSION)
        dispatch = talk.shell.on_turn

        def wrapper(station, effects):
            told_effects.extend(effects)
            dispatch(station, effects)

        talk.shell.on_turn = wrapper
        async with talk:
            await talk.online()
            talk.post(ResetRequested(7, ResetKind.IMMEDIATE))
            await talk._task

    run(lived())
    assert [effect for effect in told_effects if isinstance(effect, Restart)]


def test_a_service_that_fails_ends_everything_with_the_outputs_safe():
    async def service(talk):
        await asyncio.sleep(60)
        raise DefectError

    async def lived():
        talk = Talk(VERSION)
        running = asyncio.create_task(talk.shell.run([PowerUp()], service(talk), socket=None))
        talk.link = await talk.dialer.accept()
        await talk.online()
        await charging(talk)
        assert talk.evse.outlet_closed
        with pytest.raises(ExceptionGroup) as caught:
            await running
        assert caught.group_contains(DefectError)
        await asyncio.sleep(0.1)
        assert not talk.evse.outlet_closed
        await talk.disk.close()

    run(lived())


def test_a_service_beside_is_cancelled_at_the_end():
    ended = []

    async def service():
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    async def lived():
        talk = Talk(VERSION)
        running = asyncio.create_task(talk.shell.run([PowerUp()], service(), socket=None))
        await talk.dialer.accept()
        talk.shell.stop()
        await running
        await talk.disk.close()

    run(lived())
    assert ended


def test_a_run_that_is_cancelled_from_outside_leaves_the_outputs_safe():
    async def told(talk):
        await charging(talk)
        talk._task.cancel()
        await asyncio.gather(talk._task, return_exceptions=True)
        await asyncio.sleep(0.1)
        assert not talk.evse.outlet_closed
        talk._task = asyncio.create_task(asyncio.sleep(0))

    story(VERSION, told)


@pytest.mark.parametrize("turns", range(0, 60, 3))
def test_a_run_may_be_cancelled_at_any_moment(turns):
    async def lived():
        talk = Talk(VERSION)
        running = asyncio.create_task(talk.shell.run([PowerUp()], socket=None))
        accepting = asyncio.create_task(talk.dialer.accept())
        talk.evse.plug(1, Vehicle())
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        accepting.cancel()
        assert not talk.evse.outlet_closed
        assert talk.evse.offer_a == 0.0
        await talk.disk.close()

    run(lived())


def test_notes_are_logged_and_name_no_token(caplog):
    caplog.set_level(logging.INFO)

    async def told(talk):
        talk.disk.refusal = "disk I/O error"
        talk.post(SecurityEventRaised("First"))
        await asyncio.sleep(1)
        talk.evse.present(IdToken("04A1B2C3"))
        await asyncio.sleep(1)
        talk.disk.refusal = None

    story(VERSION, told)
    assert "evse=1 token.refused: " in caplog.text
    assert "04A1B2C3" not in caplog.text


def test_hardware_that_is_missing_does_not_keep_the_station_offline():
    class Absent(SimulatedEvse):
        async def run(self, listener):
            raise BusError("no such port")

    async def lived():
        talk = Talk(VERSION, evse=Absent)
        up = watched(talk, LinkUp)
        async with talk:
            await talk.boot()
            await asyncio.sleep(1)
            assert up

    run(lived())
