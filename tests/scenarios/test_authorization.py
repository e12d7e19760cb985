"""Who may charge when the CSMS is slow, silent, away, or of another opinion afterwards."""

import asyncio

import pytest

from agent.bench.script import Delay, Refusal, Silence, Verdict
from tests.support.lab import IDENTITY, OTHER_TAG, TAG, VERSIONS, Lab, check_bills, run

pytestmark = pytest.mark.parametrize("version", VERSIONS)


async def a_session(lab: Lab) -> None:
    """Charge, stop, leave, and let the CSMS have it all."""
    await lab.charging()
    await asyncio.sleep(20)
    lab.tap()
    await lab.until(lambda: lab.connector() == "Finishing")
    lab.unplug()
    await lab.until(lambda: lab.connector() == "Available")


def test_a_known_token_starts_without_asking_when_the_settings_say_so(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await a_session(lab)
        await a_session(lab)
        await lab.delivered()

    lab = run(Lab(version, settings={"LocalPreAuthorize": True}), story)
    check_bills(lab)
    assert len(lab.bills) == 2
    assert len(lab.wire.calls("Authorize")) == 1


def test_a_token_is_the_same_in_any_case_and_told_as_it_was_read(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await a_session(lab)  # the cache knows it in capitals
        await lab.csms.send_list(IDENTITY, 1, {OTHER_TAG.lower(): Verdict()}, full=True)
        for token in (TAG, OTHER_TAG):
            lab.plug()
            await asyncio.sleep(1)
            lab.tap(token.swapcase())
            await lab.until(lambda: lab.connector() == "Charging")
            await asyncio.sleep(20)
            lab.tap(token)  # ends what the other spelling began
            await lab.until(lambda: lab.connector() == "Finishing")
            lab.unplug()
            await lab.until(lambda: lab.connector() == "Available")
        await lab.csms.reserve(IDENTITY, 11, TAG.lower(), evse_id=1)
        await a_session(lab)
        await lab.delivered()

    lab = run(Lab(version, settings={"LocalPreAuthorize": True}), story)
    check_bills(lab)
    assert len(lab.wire.calls("Authorize")) == 1
    spelled = [TAG, TAG.swapcase(), OTHER_TAG.swapcase(), TAG]
    assert [bill.id_token for bill in lab.bills] == spelled


def test_a_known_token_charges_offline_and_an_unknown_one_does_not(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await a_session(lab)
        await lab.delivered()
        await lab.lose_link()
        lab.plug()
        await asyncio.sleep(1)
        lab.tap(OTHER_TAG)
        await asyncio.sleep(20)
        assert not lab.evse().outlet_closed
        lab.tap(TAG)
        await lab.until(lambda: lab.evse().outlet_closed)
        await asyncio.sleep(20)
        lab.unplug()
        lab.restore_link()
        await lab.delivered()

    lab = run(Lab(version), story)
    check_bills(lab)
    assert [bill.id_token for bill in lab.bills] == [TAG, TAG]


def test_a_known_token_survives_a_power_cut(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        await a_session(lab)
        await lab.delivered()
        await lab.cut()
        await lab.lose_link()
        await lab.start()
        await lab.charging()
        await asyncio.sleep(20)
        lab.unplug()
        lab.restore_link()
        await lab.delivered()

    settings = {"TxCtrlr.TxBeforeAcceptedEnabled": True}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    assert len(lab.bills) == 2


@pytest.mark.parametrize("reaction", [Silence(), Refusal("InternalError"), Delay(25.0)])
def test_without_an_answer_in_time_the_offline_rules_decide(
    version: str, reaction: Silence | Refusal | Delay
) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.on("Authorize", reaction, times=1)
        await lab.start()
        await lab.online()
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await lab.until(lambda: lab.evse().outlet_closed, limit_s=12)
        await asyncio.sleep(60)
        lab.unplug()
        await lab.delivered()

    lab = run(Lab(version, settings={"AllowOfflineTxForUnknownId": True}), story)
    check_bills(lab)
    assert len(lab.bills) == 1


def test_a_late_yes_does_not_start_what_was_refused(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.on("Authorize", Delay(20.0), times=1)
        await lab.start()
        await lab.online()
        lab.plug()
        await asyncio.sleep(1)
        lab.tap()
        await asyncio.sleep(60)
        assert not lab.evse().outlet_closed

    assert not run(Lab(version), story).bills


def test_a_token_refused_after_an_offline_start_ends_its_transaction(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.csms.behaviour.verdicts[TAG] = Verdict("Invalid")
        await lab.lose_link()
        await lab.charging()
        await asyncio.sleep(30)
        lab.restore_link()
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.until(lambda: not lab.evse().outlet_closed)
        await lab.delivered()

    lab = run(Lab(version, settings={"AllowOfflineTxForUnknownId": True}), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.reason == "DeAuthorized"
    assert bill.energy_wh


def test_or_it_goes_on_without_energy_until_it_is_stopped(version: str) -> None:
    async def story(lab: Lab) -> None:
        await lab.start()
        await lab.online()
        lab.csms.behaviour.verdicts[TAG] = Verdict("Invalid")
        await lab.lose_link()
        await lab.charging()
        await asyncio.sleep(30)
        lab.restore_link()
        await lab.until(lambda: lab.connector() == "SuspendedEVSE")
        await lab.until(lambda: not lab.evse().outlet_closed)
        register_wh = lab.energy_wh()
        await asyncio.sleep(600)
        assert lab.energy_wh() == register_wh
        lab.tap()
        await lab.until(lambda: lab.connector() == "Finishing")
        await lab.delivered()

    settings = {"AllowOfflineTxForUnknownId": True, "StopTransactionOnInvalidId": False}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    [bill] = lab.bills
    assert bill.reason == "Local"


def test_a_refused_token_may_draw_its_allowance(version: str) -> None:
    async def story(lab: Lab) -> None:
        lab.csms.behaviour.transaction_verdicts[TAG] = Verdict("Blocked")
        await lab.start()
        await lab.online()
        await lab.charging()
        await asyncio.sleep(60)
        assert lab.evse().outlet_closed
        await lab.until(lambda: lab.connector() == "SuspendedEVSE")
        await asyncio.sleep(60)
        lab.unplug()
        await lab.delivered()

    settings = {"StopTransactionOnInvalidId": False, "MaxEnergyOnInvalidId": 500}
    lab = run(Lab(version, settings=settings), story)
    check_bills(lab)
    [bill] = lab.bills
    # What flows between two readings, and until the vehicle has let go, is beyond it.
    assert 500.0 <= (bill.energy_wh or 0.0) <= 530.0
