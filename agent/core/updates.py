"""What an update is in the core: its phases, and what they mean to shell and connectors.

The machine that leads through the phases is agent.core.firmware.
"""

import enum
from typing import Final

from agent.core.orders import FirmwareReported, FirmwareStatus, Step, UpdateOrder, UpdateWork
from agent.core.values import Value


class Phase(enum.Enum):
    """Where an update stands; the names are on disk."""

    SCHEDULED = "scheduled"
    DOWNLOADING = "downloading"
    PAUSED = "paused"
    RETRYING = "retrying"
    VERIFYING = "verifying"
    WAITING = "waiting"
    INSTALLING = "installing"
    ACTIVATING = "activating"
    TRIAL = "trial"
    CONFIRMING = "confirming"
    ROLLING_BACK = "rolling back"


_WORK: Final = {
    Phase.DOWNLOADING: Step.DOWNLOAD,
    Phase.VERIFYING: Step.VERIFY,
    Phase.INSTALLING: Step.INSTALL,
    Phase.ACTIVATING: Step.ACTIVATE,
    Phase.CONFIRMING: Step.CONFIRM,
    Phase.ROLLING_BACK: Step.ROLL_BACK,
}
CANCELLABLE: Final = frozenset(
    {
        Phase.SCHEDULED,
        Phase.DOWNLOADING,
        Phase.PAUSED,
        Phase.RETRYING,
        Phase.VERIFYING,
        Phase.WAITING,
    }
)
ACTIVATED: Final = frozenset(
    {Phase.ACTIVATING, Phase.TRIAL, Phase.CONFIRMING, Phase.ROLLING_BACK}
)
"""Phases in which the slot that runs says how it went."""


class Update(Value, frozen=True):
    """The update that is under way; durable.

    Attributes:
        attempt: of the download from 0; later, how often this phase was begun.
        status: last told, None before the first.
        slot: that the image was installed into, None before that or when there is none.
    """

    serial: int
    order: UpdateOrder
    phase: Phase
    attempt: int = 0
    status: FirmwareStatus | None = None
    slot: str | None = None


class Check(Value, frozen=True):
    """A request whose certificate is being looked at, before it is answered."""

    rpc_id: int
    serial: int
    order: UpdateOrder


class Firmware(Value, frozen=True):
    """The slice of this block.

    Attributes:
        update: durable.
        last: the status last told; durable.
        serial: of the latest order; durable.
        installer: its name, None before it was found or when the station has none.
        slot: that runs, None when the installer has none.
        wake_at_s: when the present phase wants to be woken, monotonic seconds.
        reached: the CSMS was reached in this boot.
        is_cut_off: the last dial failed for reasons of the network.
    """

    update: Update | None = None
    last: FirmwareReported | None = None
    serial: int = 0
    check: Check | None = None
    installer: str | None = None
    slot: str | None = None
    wake_at_s: float | None = None
    reached: bool = False
    is_cut_off: bool = False


def work(state: Firmware) -> UpdateWork | None:
    """Return what the shell should be doing now."""
    if state.installer is None:
        return None
    if state.check is not None:
        return UpdateWork(state.check.serial, Step.CHECK, state.check.order)
    update = state.update
    if update is None or update.phase not in _WORK:
        return None
    return UpdateWork(update.serial, _WORK[update.phase], update.order, update.attempt)


def is_locking(state: Firmware, *, allows_new: bool) -> bool:
    """Tell whether no new transaction may begin, because of an update.

    Args:
        allows_new: charging may begin while an update waits for all to end.
    """
    update = state.update
    if update is None:
        return False
    match update.phase:
        case Phase.WAITING:
            return state.wake_at_s is None and not allows_new
        case Phase.SCHEDULED | Phase.PAUSED:  # before it is found, nobody has looked at them
            return state.wake_at_s is None and state.installer is not None and not allows_new
        case phase:
            return phase not in CANCELLABLE


def last_told(state: Firmware, *, is_signed: bool) -> FirmwareReported | None:
    """Return the last status; after an update that succeeded there is none (L01.FR.20).

    In 1.6 one message is about signed updates and the other about those without signature,
    which are forgotten as soon as they are over (1.6 reference 8.1).
    """
    last = state.last
    if last is None or (last.request_id is not None) is not is_signed:
        return None
    is_over = last.status is FirmwareStatus.INSTALLED
    return None if is_over or (state.update is None and not is_signed) else last
