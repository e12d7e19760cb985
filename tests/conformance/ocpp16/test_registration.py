"""Table 1.10 of the 1.6 reference, cell by cell: what is said before the CSMS accepts."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from agent.core import variables
from agent.core.events import SecurityEventRaised
from agent.security.keystore import Keystore
from hal.sim.evse import SimulatedEvse
from hal.sim.vehicle import Vehicle
from hal.types import IdToken
from tests.support.ca import Authority
from tests.support.core import TAG, WALL_S
from tests.support.power import directory_in_memory
from tests.support.shell import Talk
from tests.support.vloop import run

STATES = ("Booting", "Pending", "Rejected")
INTERVAL_S = 60
READ = {"key": ["HeartbeatInterval"]}

row = pytest.mark.parametrize


def told(
    state: str, steps: Callable[[Talk], Coroutine[Any, Any, None]], **settings: str
) -> None:
    """Live the steps on a station in a registration state."""

    async def lived() -> None:
        strict = {variables.TX_BEFORE_ACCEPTED.name: "false", **settings}
        async with Talk("ocpp1.6", **strict) as talk:
            if state == "Booting":
                await talk.hear_call("BootNotification")
            else:
                await talk.boot(state, INTERVAL_S)
                await talk.silent(0.1)
            await steps(talk)

    run(lived())


async def ask(talk: Talk, action: str, payload: dict[str, Any]) -> Any:
    """Ask, and return the payload of the answer."""
    frame = await talk.call(action, payload)
    assert frame[0] == 3, frame
    return frame[2]


# --- calls of the station ---


@row("state", STATES)
def test_the_station_says_nothing_of_its_own(state: str) -> None:
    async def steps(talk: Talk) -> None:
        talk.evse.plug(1, Vehicle())
        talk.evse.present(TAG)
        talk.post(SecurityEventRaised("TamperDetectionActivated"))
        await talk.silent(20)

    told(state, steps)


@row("state", ["Pending", "Rejected"])
def test_it_introduces_itself_again_once_the_interval_is_over(state: str) -> None:
    async def steps(talk: Talk) -> None:
        await talk.silent(INTERVAL_S - 0.2)
        await talk.boot()
        assert (await talk.hear_call("StatusNotification"))[3]["connectorId"] == 0

    told(state, steps)


@row(("interval_s", "least_s", "most_s"), [(0, 59, 62), (-5, 9, 62), (10**9, 604_000, 605_000)])
def test_an_interval_that_makes_no_sense_is_replaced(
    interval_s: int, least_s: float, most_s: float
) -> None:
    async def lived() -> None:
        # A meter that reports every few seconds would make a week long.
        quiet = partial(SimulatedEvse, idle_report_s=1e6)
        async with Talk("ocpp1.6", evse=quiet) as talk:
            await talk.boot("Pending", interval_s)
            await talk.silent(least_s)
            await talk.hear(most_s - least_s)

    run(lived())


def test_without_an_answer_it_introduces_itself_again_after_half_a_minute() -> None:
    async def steps(talk: Talk) -> None:
        limit_s = talk.station.settings.integer(variables.MESSAGE_TIMEOUT)
        await talk.silent(limit_s + 29.0)
        await talk.hear_call("BootNotification", 10.0)

    told("Booting", steps)


# --- calls of the CSMS ---


@row("state", ["Booting", "Pending"])
def test_what_the_csms_asks_is_answered(state: str) -> None:
    async def steps(talk: Talk) -> None:
        read = await ask(talk, "GetConfiguration", READ)
        assert read["configurationKey"][0]["value"] == "300"
        change = {"key": "HeartbeatInterval", "value": "90"}
        assert await ask(talk, "ChangeConfiguration", change) == {"status": "Accepted"}
        assert await ask(talk, "ClearCache", {}) == {"status": "Accepted"}

    told(state, steps)


@row("state", ["Booting", "Pending"])
def test_nothing_can_be_started_or_stopped_remotely(state: str) -> None:
    async def steps(talk: Talk) -> None:
        talk.evse.plug(1, Vehicle())
        await asyncio.sleep(1)
        start = {"idTag": "A", "connectorId": 1}
        assert await ask(talk, "RemoteStartTransaction", start) == {"status": "Rejected"}
        stop = {"transactionId": 1}
        assert await ask(talk, "RemoteStopTransaction", stop) == {"status": "Rejected"}
        await talk.silent(10)
        assert not talk.evse.outlet_closed

    told(state, steps)


def test_keys_and_roots_can_be_provisioned_before_acceptance() -> None:
    """A new key is used on a new link, where the station introduces itself again."""

    async def lived(keys: Path) -> None:
        keystore = Keystore(keys)
        async with Talk("ocpp1.6", security_profile=1, keystore=keystore) as talk:
            await talk.boot("Pending", INTERVAL_S)
            shown: list[bytes | None] = []
            talk.dialer.choose = lambda target: (shown.append(target.password), "ocpp1.6")[1]
            root = {
                "certificateType": "CentralSystemRootCertificate",
                "certificate": Authority("root", now_s=WALL_S).pem,
            }
            assert await ask(talk, "InstallCertificate", root) == {"status": "Accepted"}
            kind = {"certificateType": root["certificateType"]}
            listed = await ask(talk, "GetInstalledCertificateIds", kind)
            assert len(listed["certificateHashData"]) == 1
            key = {"key": "AuthorizationKey", "value": "30313233343536373839414243444546"}
            assert await ask(talk, "ChangeConfiguration", key) == {"status": "Accepted"}
            talk.link = await talk.dialer.accept()
            assert shown == [b"0123456789ABCDEF"]
            await talk.boot("Pending", INTERVAL_S)
            await talk.silent(INTERVAL_S - 1)
            await talk.boot()

    keys = directory_in_memory()
    try:
        run(lived(keys))
    finally:
        shutil.rmtree(keys)


def test_rejected_means_that_nothing_is_answered() -> None:
    async def steps(talk: Talk) -> None:
        await talk.say([2, "1", "GetConfiguration", READ])
        await talk.say([2, "2", "MakeCoffee", {}])
        await talk.say([2, "3", "ChangeConfiguration", {"key": "HeartbeatInterval"}])
        await talk.silent(20)

    told("Rejected", steps)


@row("message", ["StatusNotification", "Heartbeat", "MeterValues"])
def test_what_is_triggered_may_be_said(message: str) -> None:
    async def steps(talk: Talk) -> None:
        trigger = {"requestedMessage": message, "connectorId": 1}
        assert await ask(talk, "TriggerMessage", trigger) == {"status": "Accepted"}
        call = await talk.hear_call(message, 1.0)
        await talk.answer(call, {"currentTime": "2027-01-15T08:00:00Z"})
        await talk.silent(10)

    told("Pending", steps)


def test_a_triggered_boot_shortens_the_wait() -> None:
    async def steps(talk: Talk) -> None:
        trigger = {"requestedMessage": "BootNotification"}
        assert await ask(talk, "TriggerMessage", trigger) == {"status": "Accepted"}
        await talk.boot()

    told("Pending", steps)


def test_an_accepted_station_does_not_boot_on_request() -> None:
    async def lived() -> None:
        async with Talk("ocpp1.6") as talk:
            await talk.online()
            trigger = {"requestedMessage": "BootNotification"}
            assert await ask(talk, "TriggerMessage", trigger) == {"status": "Rejected"}
            await talk.silent(30)

    run(lived())


# --- what the station does meanwhile ---


@row("state", STATES)
def test_nobody_charges(state: str) -> None:
    async def steps(talk: Talk) -> None:
        talk.evse.plug(1, Vehicle())
        talk.evse.present(IdToken("A"))
        await talk.silent(30)
        assert not talk.evse.outlet_closed
        assert talk.evse.offer_a == 0.0

    told(state, steps)


def test_unless_the_station_was_told_to_let_them() -> None:
    async def steps(talk: Talk) -> None:
        talk.evse.plug(1, Vehicle())
        talk.evse.present(IdToken("A"))
        await talk.silent(30)
        assert talk.evse.outlet_closed

    told("Pending", steps, **{variables.TX_BEFORE_ACCEPTED.name: "true"})


@row("state", ["Pending", "Rejected"])
def test_the_link_is_kept(state: str) -> None:
    async def steps(talk: Talk) -> None:
        await talk.silent(INTERVAL_S - 1)
        assert talk.link.is_open

    told(state, steps)


@row(("interval_s", "kept"), [(90, "90"), (0, "300")])
def test_the_accepted_interval_is_that_of_the_heartbeat(interval_s: int, kept: str) -> None:
    async def lived() -> None:
        async with Talk("ocpp1.6", **{variables.HEARTBEAT_INTERVAL.name: "300"}) as talk:
            await talk.boot("Accepted", interval_s)
            for _ in range(2):
                await talk.answer(await talk.hear_call("StatusNotification"))
            read = await ask(talk, "GetConfiguration", READ)
            assert read["configurationKey"][0]["value"] == kept
            await talk.silent(float(kept) - 10)
            await talk.hear_call("Heartbeat", 20.0)

    run(lived())


def test_after_the_boot_come_statuses_then_what_had_waited() -> None:
    async def steps(talk: Talk) -> None:
        talk.post(SecurityEventRaised("TamperDetectionActivated"))
        await talk.silent(INTERVAL_S - 0.2)
        await talk.boot()
        for connector in (0, 1):
            call = await talk.hear_call("StatusNotification")
            assert call[3]["connectorId"] == connector
            await talk.answer(call)
        event = await talk.hear_call("SecurityEventNotification")
        assert event[3]["type"] == "TamperDetectionActivated"

    told("Pending", steps)
