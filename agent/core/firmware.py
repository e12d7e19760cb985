"""Firmware updates (OCPP 2.0.1 block L; 1.6 UpdateFirmware and SignedUpdateFirmware).

                  PAUSED
                    ⇅
    SCHEDULED ─► DOWNLOADING ⇄ RETRYING ─► VERIFYING ─► WAITING ─► INSTALLING
                                                                      │
        CONFIRMING ◄─ TRIAL ◄─(the new image runs)─ ACTIVATING ◄──────┘
                        └─► ROLLING_BACK ─(the old image runs)─► failed

One machine for both versions. What the shell should be doing is `work`, a level: a power cut
anywhere is followed by the same work again, and every step bears to be done twice. A phase is
on disk before its work begins, so the machine is never activated by an update that a power
cut could forget. Every status is a record and reaches the CSMS in order.

Nothing is installed while a transaction is open. Before it, EVSEs that are free become
inoperative, and those in use after their transaction (L01.FR.06, FR.07), unless the setting
AllowNewSessionsPendingFirmwareUpdate lets charging go on until nobody charges by chance. Where
DownloadWhileCharging is off, the download waits in the same way, and one that is under way
pauses; what has come is kept (L01.FR.13, FR.14).

A new image is on trial: the disk has to write, every EVSE has to be found, and the CSMS has to
be reached, or the network is why not. What does not show this in time is rolled back.
"""

from typing import Final

from msgspec.structs import replace

from agent.core import variables
from agent.core.effects import Done, Effect, Note, Reply, StatusRepeated, Verdict
from agent.core.events import (
    DeadlinePassed,
    DialFailed,
    DialRefusal,
    Event,
    InstallerFound,
    LinkUp,
    PowerUp,
    RestartWanted,
    SecurityEventRaised,
    TimeLearned,
    TriggerKind,
    TriggerRequested,
    UpdateRequested,
    UpdateWorkEnded,
)
from agent.core.orders import (
    Failure,
    FirmwareReported,
    FirmwareStatus,
    Step,
    UpdateOrder,
    scheme,
)
from agent.core.turn import Context, Turn
from agent.core.updates import (
    ACTIVATED,
    CANCELLABLE,
    Check,
    Firmware,
    Phase,
    Update,
    last_told,
    work,
)
from agent.core.values import BootReason

TRIAL_S: Final = 300.0
"""How long a new image may take to prove itself (dialing with back-off included)."""

MOST_BEGINNINGS: Final = 3
"""How often an installation or an activation is begun anew after a power cut."""


def deadline_s(state: Firmware) -> float | None:
    """Return when this block wants to be woken."""
    return state.wake_at_s


def step(state: Firmware, event: Event, context: Context) -> Turn[Firmware]:
    """Advance the update by one event."""
    turn = _taken(state, event, context)
    update = turn.state.update
    if update is None or turn.state.installer is None:
        return turn  # or just booted: it is not known yet which image runs
    match update.phase:
        case Phase.SCHEDULED | Phase.DOWNLOADING | Phase.RETRYING | Phase.PAUSED:
            return _after(turn, _given_way(turn.state, update, context))
        case Phase.WAITING:
            return _after(turn, _begun_if_idle(turn.state, update, context))
        case Phase.TRIAL:
            return _after(turn, _tried(turn.state, update, context))
        case _:
            return turn


def _after(turn: Turn[Firmware], then: Turn[Firmware]) -> Turn[Firmware]:
    effects, raised = (*turn.effects, *then.effects), (*turn.raised, *then.raised)
    return Turn(then.state, effects, raised)


def _taken(state: Firmware, event: Event, context: Context) -> Turn[Firmware]:
    match event:
        case PowerUp():
            kept = Firmware(update=state.update, last=state.last, serial=state.serial)
            return Turn(kept)
        case InstallerFound():
            return _found(state, event, context)
        case UpdateRequested():
            return _requested(state, event, context)
        case UpdateWorkEnded():
            return _ended(state, event, context) if event.work == work(state) else Turn(state)
        case TimeLearned():
            return _scheduled(state, context)
        case DeadlinePassed():
            due = state.wake_at_s
            is_due = due is not None and context.now.monotonic_s >= due
            return _woken(state, context) if is_due else Turn(state)
        case LinkUp():
            return Turn(replace(state, reached=True))
        case DialFailed(refusal=refusal):
            return Turn(replace(state, is_cut_off=refusal is DialRefusal.UNREACHABLE))
        case TriggerRequested():
            return _triggered(state, event, context)
        case _:
            return Turn(state)


# --- asking ---


def _requested(state: Firmware, event: UpdateRequested, context: Context) -> Turn[Firmware]:
    order = event.order
    refused = _refusal(state, order, context)
    if refused is not None:
        return Turn(state, (Reply(event.request_id, refused),))
    if not order.is_signed:
        return _accepted(state, event.request_id, state.serial + 1, order, context)
    check = Check(event.request_id, state.serial + 1, order)
    return Turn(replace(state, check=check, serial=check.serial))


def _refusal(state: Firmware, order: UpdateOrder, context: Context) -> Done | None:
    """Return why an order is not even looked at."""
    unsupported, rejected = Verdict.NOT_SUPPORTED, Verdict.REJECTED
    if state.installer is None:
        return Done(unsupported, "UnsupportedRequest", "the station has no installer")
    if (order.certificate is None) is not (order.signature is None):
        return Done(rejected, "MissingParam", "certificate and signature go together")
    if not order.is_signed and not _takes_unsigned(context):
        return Done(unsupported, "MissingParam", "only signed firmware is taken")
    if state.check is not None:
        return Done(rejected, "FwUpdateInProgress", "another request is being looked at")
    if state.update is not None and state.update.phase not in CANCELLABLE:
        return Done(rejected, "FwUpdateInProgress", f"an update is {state.update.phase.value}")
    protocols = context.settings.members(variables.FILE_TRANSFER_PROTOCOLS)
    if order.request_id is not None and scheme(order.location) not in protocols:
        return Done(rejected, "InvalidURL", f"served are: {', '.join(protocols)}")
    return None


def _takes_unsigned(context: Context) -> bool:
    """Tell whether a request without signature is served; the image is signed all the same."""
    policy = context.settings.text(variables.UNSIGNED_UPDATES)
    profile = context.settings.text(variables.SECURITY_PROFILE)
    return policy == "Always" or (policy == "Profile0" and profile == "0")


def _accepted(
    state: Firmware, rpc_id: int, serial: int, order: UpdateOrder, context: Context
) -> Turn[Firmware]:
    """Begin an update; one that was under way ends without another word (L01.FR.24)."""
    verdict = Verdict.ACCEPTED if state.update is None else Verdict.ACCEPTED_CANCELED
    update = Update(serial, order, Phase.SCHEDULED)
    state = replace(state, update=update, serial=serial, check=None)
    turn = _scheduled(state, context)
    reply: Effect = Reply(rpc_id, Done(verdict))
    return Turn(turn.state, (reply, *turn.effects), turn.raised)


def _checked(
    state: Firmware, check: Check, event: UpdateWorkEnded, context: Context
) -> Turn[Firmware]:
    state = replace(state, check=None)
    verdict = {
        Failure.CERTIFICATE: Verdict.INVALID_CERTIFICATE,
        Failure.REVOKED: Verdict.REVOKED_CERTIFICATE,
    }
    match event.failure:
        case None:
            refused = _refusal(state, check.order, context)  # it has taken its time
            if refused is None:
                return _accepted(state, check.rpc_id, check.serial, check.order, context)
            return Turn(state, (Reply(check.rpc_id, refused),))
        case Failure.CERTIFICATE | Failure.REVOKED as failure:
            done = Done(verdict[failure], "InvalidCertificate", event.info)
            raised = SecurityEventRaised("InvalidFirmwareSigningCertificate", event.info)
            return Turn(state, (Reply(check.rpc_id, done),), (raised,))
        case _:
            done = Done(Verdict.REJECTED, "InternalError", event.info)
            return Turn(state, (Reply(check.rpc_id, done),))


# --- downloading and installing ---


def _scheduled(state: Firmware, context: Context) -> Turn[Firmware]:
    """Go on with an update that waits for an instant, or set when to look again.

    Without a known time an instant has come: the CSMS has the time, and it asks now.
    """
    update = state.update
    if update is None or update.phase not in {Phase.SCHEDULED, Phase.WAITING}:
        return Turn(state)
    is_first = update.phase is Phase.SCHEDULED
    at_s = update.order.retrieve_at_s if is_first else update.order.install_at_s
    left_s = 0.0
    if at_s is not None and context.now.wall_s is not None:
        left_s = at_s - context.now.wall_s
    if left_s > 0.0:
        state = replace(state, wake_at_s=context.now.monotonic_s + left_s)
        scheduled = (
            FirmwareStatus.DOWNLOAD_SCHEDULED if is_first else FirmwareStatus.INSTALL_SCHEDULED
        )
        return _told(state, update, scheduled, context)
    state = replace(state, wake_at_s=None)
    if not is_first:
        return Turn(state)
    if _is_held(context):
        return _told(state, update, FirmwareStatus.DOWNLOAD_SCHEDULED, context)
    update = replace(update, phase=Phase.DOWNLOADING)
    return _told(state, update, FirmwareStatus.DOWNLOADING, context)


def _given_way(state: Firmware, update: Update, context: Context) -> Turn[Firmware]:
    """Let a download wait while somebody charges, where it must, and no longer."""
    is_held = _is_held(context)
    match update.phase:
        case Phase.SCHEDULED if state.wake_at_s is None and not is_held:
            return _scheduled(state, context)
        case Phase.PAUSED if not is_held:
            update = replace(update, phase=Phase.DOWNLOADING)
            return _told(state, update, FirmwareStatus.DOWNLOADING, context)
        case Phase.DOWNLOADING | Phase.RETRYING if is_held:
            state = replace(state, wake_at_s=None)
            update = replace(update, phase=Phase.PAUSED)
            return _told(state, update, FirmwareStatus.DOWNLOAD_PAUSED, context)
        case _:
            return Turn(state)


def _is_held(context: Context) -> bool:
    allowed = context.settings.flag(variables.DOWNLOAD_WHILE_CHARGING)
    return not allowed and _is_charging(context)


def _is_charging(context: Context) -> bool:
    return any(evse.transaction is not None for evse in context.evses.values())


def _woken(state: Firmware, context: Context) -> Turn[Firmware]:
    update = state.update
    if update is not None and update.phase is Phase.RETRYING:
        update = replace(update, phase=Phase.DOWNLOADING)
        return Turn(replace(state, update=update, wake_at_s=None))
    if update is not None and update.phase is Phase.TRIAL:
        return Turn(replace(state, wake_at_s=None))
    return _scheduled(state, context)


def _ended(state: Firmware, event: UpdateWorkEnded, context: Context) -> Turn[Firmware]:
    """Take what became of the present work."""
    if state.check is not None:
        return _checked(state, state.check, event, context)
    update = state.update
    assert update is not None  # noqa: S101  the work was its
    match event.work.step:
        case Step.DOWNLOAD:
            return _downloaded(state, update, event, context)
        case Step.VERIFY:
            return _verified(state, update, event, context)
        case Step.INSTALL:
            return _installed(state, update, event, context)
        case Step.CONFIRM:
            return _confirmed(state, update, event, context)
        case _:
            return _switched(state, update, event, context)


def _downloaded(
    state: Firmware, update: Update, event: UpdateWorkEnded, context: Context
) -> Turn[Firmware]:
    if event.failure is None:
        update = replace(update, phase=Phase.VERIFYING, attempt=0)
        return _told(state, update, FirmwareStatus.DOWNLOADED, context)
    is_last = update.attempt >= update.order.retries or event.failure is Failure.IMPOSSIBLE
    if is_last:
        return _failed(state, update, FirmwareStatus.DOWNLOAD_FAILED, event, context)
    update = replace(update, phase=Phase.RETRYING, attempt=update.attempt + 1)
    wake_at_s = context.now.monotonic_s + update.order.retry_interval_s
    return Turn(replace(state, update=update, wake_at_s=wake_at_s), (_note(event),))


def _verified(
    state: Firmware, update: Update, event: UpdateWorkEnded, context: Context
) -> Turn[Firmware]:
    if event.failure is not None:
        return _unverified(state, update, event, context)
    update = replace(update, phase=Phase.WAITING)
    turn = Turn(replace(state, update=update))
    if update.order.is_signed:
        turn = _told(state, update, FirmwareStatus.SIGNATURE_VERIFIED, context)
    return _after(turn, _scheduled(turn.state, context))


_REFUSED: Final = {
    Failure.CERTIFICATE: (
        FirmwareStatus.INVALID_SIGNATURE,
        "InvalidFirmwareSigningCertificate",
    ),
    Failure.REVOKED: (FirmwareStatus.INVALID_SIGNATURE, "InvalidFirmwareSigningCertificate"),
    Failure.SIGNATURE: (FirmwareStatus.INVALID_SIGNATURE, "InvalidFirmwareSignature"),
    Failure.IMAGE: (FirmwareStatus.INSTALL_VERIFICATION_FAILED, None),
}


def _unverified(
    state: Firmware, update: Update, event: UpdateWorkEnded, context: Context
) -> Turn[Firmware]:
    """End an update whose image is not what it should be.

    A signed image for another station is told as verified first: its signature is good.
    """
    other: tuple[FirmwareStatus, str | None] = (FirmwareStatus.INSTALLATION_FAILED, None)
    status, name = _REFUSED.get(event.failure, other) if event.failure else other
    turn: Turn[Firmware] = Turn(state)
    is_genuine = event.failure is Failure.IMAGE and event.work.step is Step.VERIFY
    if is_genuine and update.order.is_signed:
        turn = _told(state, update, FirmwareStatus.SIGNATURE_VERIFIED, context)
    is_late = not update.order.is_signed or event.work.step is Step.INSTALL
    if is_late and status is FirmwareStatus.INVALID_SIGNATURE:
        status = FirmwareStatus.INSTALL_VERIFICATION_FAILED
    turn = _after(
        turn, _failed(turn.state, turn.state.update or update, status, event, context)
    )
    if name is None:
        return turn
    return Turn(turn.state, turn.effects, (*turn.raised, SecurityEventRaised(name, event.info)))


def _begun_if_idle(state: Firmware, update: Update, context: Context) -> Turn[Firmware]:
    """Install once the instant has come and nobody charges."""
    if state.wake_at_s is not None:
        return Turn(state)
    if _is_charging(context):
        return _told(state, update, FirmwareStatus.INSTALL_SCHEDULED, context)
    update = replace(update, phase=Phase.INSTALLING, attempt=0)
    return _told(state, update, FirmwareStatus.INSTALLING, context)


def _installed(
    state: Firmware, update: Update, event: UpdateWorkEnded, context: Context
) -> Turn[Firmware]:
    if event.failure is not None:
        return _unverified(state, update, event, context)
    if event.slot is None:  # the installer has activated it, or nothing has to be
        return _succeeded(state, update, context)
    update = replace(update, phase=Phase.ACTIVATING, attempt=0, slot=event.slot)
    turn = _told(state, update, FirmwareStatus.INSTALL_REBOOTING, context)
    prepared = RestartWanted(BootReason.FIRMWARE_UPDATE, is_now=False)
    return Turn(turn.state, turn.effects, (*turn.raised, prepared))


def _switched(
    state: Firmware, update: Update, event: UpdateWorkEnded, context: Context
) -> Turn[Firmware]:
    """Restart into what was activated or rolled back to."""
    if event.failure is not None:
        return _failed(state, update, FirmwareStatus.INSTALLATION_FAILED, event, context)
    return Turn(state, (), (RestartWanted(BootReason.FIRMWARE_UPDATE),))


# --- after the restart ---


def _found(state: Firmware, event: InstallerFound, context: Context) -> Turn[Firmware]:
    """Learn which image runs, and go on with what a restart has interrupted."""
    state = replace(state, installer=event.installer, slot=event.slot)
    update = state.update
    if update is None:
        return Turn(state)
    if update.phase in ACTIVATED:
        return _activated(state, update, event, context)
    if update.phase is Phase.RETRYING:
        state = replace(state, update=replace(update, phase=Phase.DOWNLOADING))
        return Turn(state)
    if update.phase is Phase.INSTALLING:
        return _begun_again(state, update, context)
    return _scheduled(state, context)


def _activated(
    state: Firmware, update: Update, event: InstallerFound, context: Context
) -> Turn[Firmware]:
    runs = state.slot == update.slot
    match update.phase:
        case Phase.ACTIVATING | Phase.TRIAL | Phase.CONFIRMING if runs:
            update = replace(update, phase=Phase.TRIAL, attempt=0)
            wake_at_s = context.now.monotonic_s + TRIAL_S
            return Turn(replace(state, update=update, wake_at_s=wake_at_s))
        case Phase.ACTIVATING if not event.has_failed:
            return _begun_again(state, update, context)
        case Phase.ROLLING_BACK if runs:
            return Turn(state)
        case _:
            return _failed(state, update, FirmwareStatus.INSTALLATION_FAILED, None, context)


def _begun_again(state: Firmware, update: Update, context: Context) -> Turn[Firmware]:
    """Do a step once more; one that brings the machine down every time is given up."""
    update = replace(update, attempt=update.attempt + 1)
    if update.attempt >= MOST_BEGINNINGS:
        return _failed(state, update, FirmwareStatus.INSTALLATION_FAILED, None, context)
    return Turn(replace(state, update=update))


def _tried(state: Firmware, update: Update, context: Context) -> Turn[Firmware]:
    """Judge a new image by what it has shown so far."""
    works = context.storage_ok and all(
        evse.inputs.pilot is not None for evse in context.evses.values()
    )
    is_over = state.wake_at_s is None
    if works and (state.reached or (is_over and state.is_cut_off)):
        update = replace(update, phase=Phase.CONFIRMING)
        return Turn(replace(state, update=update, wake_at_s=None))
    if not is_over:
        return Turn(state)
    return _rolled_back(
        state, update, Note("firmware.trial", "the new image does not prove itself")
    )


def _rolled_back(state: Firmware, update: Update, note: Note) -> Turn[Firmware]:
    update = replace(update, phase=Phase.ROLLING_BACK)
    prepared = RestartWanted(BootReason.FIRMWARE_UPDATE, is_now=False)
    return Turn(replace(state, update=update), (note,), (prepared,))


def _confirmed(
    state: Firmware, update: Update, event: UpdateWorkEnded, context: Context
) -> Turn[Firmware]:
    if event.failure is None:
        return _succeeded(state, update, context)
    return _rolled_back(state, update, _note(event))


# --- telling ---


def _succeeded(state: Firmware, update: Update, context: Context) -> Turn[Firmware]:
    turn = _told(state, update, FirmwareStatus.INSTALLED, context)
    version = context.settings.text(variables.FIRMWARE_VERSION)
    raised = SecurityEventRaised("FirmwareUpdated", version)
    return Turn(_over(turn.state), turn.effects, (raised,))


def _failed(
    state: Firmware,
    update: Update,
    status: FirmwareStatus,
    event: UpdateWorkEnded | None,
    context: Context,
) -> Turn[Firmware]:
    turn = _told(state, update, status, context)
    notes = () if event is None else (_note(event),)
    return Turn(_over(turn.state), (*turn.effects, *notes))


def _over(state: Firmware) -> Firmware:
    return replace(state, update=None, wake_at_s=None)


def _told(
    state: Firmware, update: Update, status: FirmwareStatus, context: Context
) -> Turn[Firmware]:
    """Take over an update and report its status, unless that was the last one reported."""
    if update.status is status:
        return Turn(state if update is state.update else replace(state, update=update))
    record = FirmwareReported(status, context.now, update.order.request_id)
    update = replace(update, status=status)
    return Turn(replace(state, update=update, last=record), (record,))


def _note(event: UpdateWorkEnded) -> Note:
    failure = event.failure.value if event.failure else "done"
    return Note("firmware.failed", f"{event.work.step.value}: {failure}: {event.info}")


def _triggered(state: Firmware, event: TriggerRequested, context: Context) -> Turn[Firmware]:
    """Tell the last status again, of the kind of update that is asked for."""
    asked = {TriggerKind.FIRMWARE_STATUS: False, TriggerKind.SIGNED_FIRMWARE_STATUS: True}
    if event.kind not in asked or state.installer is None:
        return Turn(state)
    is_signed = asked[event.kind]
    record = last_told(state, is_signed=is_signed)
    record = record or FirmwareReported(FirmwareStatus.IDLE, context.now)
    repeated = StatusRepeated(record, is_extended=is_signed)
    return Turn(state, (Reply(event.request_id, Done(Verdict.ACCEPTED)), repeated))
