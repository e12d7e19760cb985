"""Every way a transaction ends: its reason, whose token stands in it, what becomes of the plug.

The rows are those of the 1.6 reference, 4.2; a row without a word for a version does not end
a transaction there, or is told as something else.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agent.bench.script import Verdict
from agent.core.events import Origin, ResetKind, ResetRequested
from agent.core.values import BootReason
from hal.types import Fault, Value
from tests.support.lab import IDENTITY, OTHER_TAG, TAG, VERSIONS, Lab, check_bills, run

GROUP = "FLEET"
Step = Callable[[Lab], Awaitable[None]]


class Row(Value, frozen=True):
    """One row of the table.

    Attributes:
        event: what happens to a transaction that TAG began.
        words: the reason in 1.6 and in 2.0.1, None where there is none to be told.
        stop_token: who is told to have ended it.
        groups: of the tokens, as the CSMS knows them.
        asked: Authorize requests of the whole session.
        keeps_plug: it stays locked until its owner comes.
    """

    event: Step
    words: tuple[str, str | None]
    stop_token: str | None = None
    groups: tuple[tuple[str, str], ...] = ()
    asked: int = 1
    keeps_plug: bool = False
    settings: tuple[tuple[str, object], ...] = ()


async def same_token(lab: Lab) -> None:
    lab.tap(TAG)


async def other_token(lab: Lab) -> None:
    lab.tap(OTHER_TAG)


async def remote_stop(lab: Lab) -> None:
    assert await lab.csms.remote_stop(IDENTITY) == "Accepted"


async def unplugged(lab: Lab) -> None:
    lab.evse().unplug(leaves_cable=True)


async def unlocked(lab: Lab) -> None:
    assert await lab.csms.unlock(IDENTITY) == "Unlocked"


async def soft_reset(lab: Lab) -> None:
    assert await lab.csms.reset(IDENTITY, hard=False) == "Accepted"
    await lab.until(lambda: lab.lives == 2)


async def hard_reset(lab: Lab) -> None:
    assert await lab.csms.reset(IDENTITY, hard=True) == "Accepted"
    await lab.until(lambda: lab.lives == 2)


async def refused(lab: Lab) -> None:
    """The CSMS learns of the start late, and does not want it."""
    lab.csms.behaviour.transaction_verdicts[TAG] = Verdict("Blocked")
    lab.restore_link()


async def power_loss(lab: Lab) -> None:
    await lab.cut()
    await asyncio.sleep(60)
    await lab.start()


async def local_reboot(lab: Lab) -> None:
    lab.post(ResetRequested(1, ResetKind.IMMEDIATE, origin=Origin.LOCAL))
    await lab.until(lambda: lab.lives == 2)


def rebooted(cause: BootReason) -> Step:
    """Return a start that was no loss of power."""

    async def event(lab: Lab) -> None:
        await lab.cut()
        await lab.start(cause)

    return event


def broken(fault: Fault) -> Step:
    """Return a fault that stays longer than any grace, and is mended."""

    async def event(lab: Lab) -> None:
        lab.evse().fault(fault)
        await asyncio.sleep(90)
        lab.evse().clear(fault)

    return event


FLEET = ((TAG, GROUP), (OTHER_TAG, GROUP))
OFFLINE = (("AllowOfflineTxForUnknownId", True),)

ROWS = {
    "the same token": Row(same_token, ("Local", "Local"), TAG),
    "a token of the group": Row(other_token, ("Local", "Local"), OTHER_TAG, FLEET, asked=2),
    "RemoteStopTransaction": Row(remote_stop, ("Remote", "Remote")),
    "unplugged": Row(unplugged, ("EVDisconnected", "EVDisconnected")),
    "unplugged, the plug kept": Row(
        unplugged,
        ("EVDisconnected", "EVDisconnected"),
        keeps_plug=True,
        settings=(("UnlockConnectorOnEVSideDisconnect", False),),
    ),
    "UnlockConnector": Row(unlocked, ("UnlockCommand", None)),
    "Reset Soft": Row(soft_reset, ("SoftReset", None)),
    "Reset Hard": Row(hard_reset, ("HardReset", "ImmediateReset")),
    "refused": Row(
        refused,
        ("DeAuthorized", "DeAuthorized"),
        asked=0,
        keeps_plug=True,
        settings=OFFLINE,
    ),
    "refused, the plug released": Row(
        refused,
        ("DeAuthorized", "DeAuthorized"),
        asked=0,
        settings=(*OFFLINE, ("UnlockOnDeAuthorized", True)),
    ),
    "emergency stop": Row(broken(Fault.EMERGENCY_STOP), ("EmergencyStop", "EmergencyStop")),
    "power loss": Row(power_loss, ("PowerLoss", "PowerLoss")),
    "watchdog": Row(rebooted(BootReason.WATCHDOG), ("Reboot", "Reboot")),
    "firmware": Row(rebooted(BootReason.FIRMWARE_UPDATE), ("Reboot", "Reboot")),
    "local reboot": Row(local_reboot, ("Reboot", "Reboot")),
    "heat": Row(broken(Fault.HIGH_TEMPERATURE), ("Other", "Other")),
    "ground fault": Row(broken(Fault.GROUND_FAILURE), ("Other", "GroundFault")),
    "overcurrent": Row(broken(Fault.OVER_CURRENT), ("Other", "OvercurrentFault")),
    "overvoltage": Row(broken(Fault.OVER_VOLTAGE), ("Other", "PowerQuality")),
}

CASES = [
    pytest.param(version, row, word, id=f"{name}-{version}")
    for name, row in ROWS.items()
    for version, word in zip(VERSIONS, row.words, strict=True)
    if word is not None
]


async def begun(lab: Lab, row: Row) -> None:
    """Charge for a minute with TAG; where the CSMS is to refuse, without its knowledge."""
    for token, group in row.groups:
        lab.csms.behaviour.verdicts[token] = Verdict(group=group)
    await lab.start()
    await lab.online()
    if row.event is refused:
        await lab.lose_link()
    await lab.charging()
    await asyncio.sleep(60)


@pytest.mark.parametrize(("version", "row", "word"), CASES)
def test_a_transaction_ends_as_the_table_says(version: str, row: Row, word: str) -> None:
    async def story(lab: Lab) -> None:
        await begun(lab, row)
        await row.event(lab)
        await lab.until(lambda: not lab.evse().outlet_closed)
        await lab.delivered()
        await asyncio.sleep(60)
        assert not lab.evse().outlet_closed
        assert lab.evse().locked is row.keeps_plug
        if row.keeps_plug:
            lab.tap(OTHER_TAG)
            await asyncio.sleep(5)
            assert lab.evse().locked
            lab.tap(TAG)
            await lab.until(lambda: not lab.evse().locked)

    lab = run(Lab(version, settings=dict(row.settings)), story)
    check_bills(lab)
    [bill] = lab.bills
    assert (bill.id_token, bill.reason, bill.stop_token) == (TAG, word, row.stop_token)
    assert bill.meter_start_wh is not None
    assert bill.meter_stop_wh is not None
    assert bill.meter_stop_wh > bill.meter_start_wh
    assert len(lab.wire.calls("Authorize")) == row.asked


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("groups", "asked"),
    [
        ((), 1),
        (((OTHER_TAG, GROUP),), 1),
        (((TAG, GROUP),), 2),
        (((TAG, GROUP), (OTHER_TAG, "RIVALS")), 2),
    ],
    ids=["no groups", "only the stranger's", "only the starter's", "two groups"],
)
def test_a_stranger_ends_nothing_and_is_asked_about_only_for_a_group(
    version: str, groups: tuple[tuple[str, str], ...], asked: int
) -> None:
    row = Row(other_token, ("", ""), groups=groups)

    async def story(lab: Lab) -> None:
        await begun(lab, row)
        await row.event(lab)
        await asyncio.sleep(60)
        assert lab.evse().outlet_closed
        assert lab.evse().locked
        assert lab.bills[0].ended_at is None
        assert len(lab.wire.calls("Authorize")) == asked
        lab.unplug()
        await lab.delivered()

    check_bills(run(Lab(version), story))
