"""Updates from the order to the confirmed image, and everything that can go wrong between."""

import pytest

from agent.core import updates, variables
from agent.core.effects import (
    Done,
    Note,
    Outcome,
    Reply,
    Restart,
    SecurityEvent,
    StatusRepeated,
    Verdict,
)
from agent.core.events import (
    DialFailed,
    DialRefusal,
    InstallerFound,
    LinkDown,
    LinkUp,
    PilotChanged,
    SecurityEventRaised,
    SettingsWriteRequested,
    StorageFailed,
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
    UpdateWork,
    bounded,
    scheme,
)
from agent.core.updates import Phase
from agent.core.values import BootReason
from hal.types import PilotState
from tests.support.core import OTHER, TAG, WALL_S, Bench

S = FirmwareStatus
SIGNED = UpdateOrder(
    7, "https://host/image", None, None, "PEM", "c2ln", retries=1, retry_interval_s=60
)
UNSIGNED = UpdateOrder(None, "https://host/image", retries=0)
DOWNLOADED = [S.DOWNLOADING, S.DOWNLOADED]
VERIFIED = [*DOWNLOADED, S.SIGNATURE_VERIFIED]
INSTALLED = [*VERIFIED, S.INSTALLING, S.INSTALL_REBOOTING]
ALLOW_NEW = "ChargingStation__AllowNewSessionsPendingFirmwareUpdate"
POLICY = "FirmwareCtrlr__UnsignedRequests"
WHILE_CHARGING = "FirmwareCtrlr__DownloadWhileCharging"


def ready(evses: int = 1, **more: str) -> Bench:
    bench = Bench(evses, protocols=("HTTPS",), **more).ready(evses)
    bench.post(InstallerFound("slots", "a"))
    return bench


def order(bench: Bench, wanted: UpdateOrder = SIGNED, request_id: int = 1) -> Outcome:
    """Ask for an update; a certificate is found to be good."""
    bench.post(UpdateRequested(request_id, wanted))
    if step(bench) is Step.CHECK:
        end(bench)
    outcome = bench.reply(request_id)
    assert isinstance(outcome, Done)
    return outcome


def work(bench: Bench) -> UpdateWork | None:
    return updates.work(bench.station.firmware)


def step(bench: Bench) -> Step | None:
    present = work(bench)
    return None if present is None else present.step


def phase(bench: Bench) -> Phase | None:
    update = bench.station.firmware.update
    return None if update is None else update.phase


def end(bench: Bench, failure: Failure | None = None, slot: str | None = None) -> None:
    present = work(bench)
    assert present is not None
    bench.post(UpdateWorkEnded(present, failure, "why", slot))


def lead(bench: Bench, *steps: Step) -> Bench:
    """Let steps succeed, in this order."""
    for expected in steps:
        assert step(bench) is expected
        end(bench, slot="b" if expected is Step.INSTALL else None)
    return bench


def statuses(bench: Bench) -> list[FirmwareStatus]:
    return [record.status for record in bench.told_records(FirmwareReported)]


def security(bench: Bench) -> list[str]:
    return [record.type for record in bench.told_records(SecurityEvent)]


def activated(**more: str) -> Bench:
    """Return a station that restarts into what it has installed."""
    bench = ready(**more)
    order(bench)
    return lead(bench, Step.DOWNLOAD, Step.VERIFY, Step.INSTALL, Step.ACTIVATE)


def restarted(bench: Bench, slot: str = "b", *, has_failed: bool = False) -> Bench:
    bench.power_cut(BootReason.APPLICATION_RESET)
    bench.hardware()
    bench.post(InstallerFound("slots", slot, has_failed))
    return bench


# --- from the order to the confirmed image ------------------------------------------------


def test_an_update_is_told_step_by_step_and_proves_itself_after_the_restart():
    bench = activated()
    assert statuses(bench) == INSTALLED
    assert bench.told(Restart) == [Restart(BootReason.FIRMWARE_UPDATE)]
    restarted(bench)
    assert bench.station.provisioning.boot_reason is BootReason.FIRMWARE_UPDATE
    assert phase(bench) is Phase.TRIAL
    assert step(bench) is None
    bench.connect()
    lead(bench, Step.CONFIRM)
    assert statuses(bench) == [*INSTALLED, S.INSTALLED]
    assert "FirmwareUpdated" in security(bench)
    assert phase(bench) is None
    assert {record.request_id for record in bench.told_records(FirmwareReported)} == {7}


def test_an_update_without_signature_says_nothing_of_signatures():
    bench = ready()
    assert order(bench, UNSIGNED) == Done(Verdict.ACCEPTED)
    lead(bench, Step.DOWNLOAD, Step.VERIFY, Step.INSTALL, Step.ACTIVATE)
    assert statuses(bench) == [*DOWNLOADED, S.INSTALLING, S.INSTALL_REBOOTING]


def test_an_installer_without_slots_is_done_when_it_is_done():
    bench = ready()
    order(bench)
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    end(bench)
    assert statuses(bench) == [*VERIFIED, S.INSTALLING, S.INSTALLED]
    assert bench.told(Restart) == []


def test_nothing_is_done_before_the_installer_is_known():
    bench = Bench(protocols=("HTTPS",)).ready()
    assert order(bench).verdict is Verdict.NOT_SUPPORTED
    assert statuses(bench) == []


# --- asking -------------------------------------------------------------------------------


def test_the_certificate_is_looked_at_before_the_request_is_answered():
    bench = ready()
    bench.post(UpdateRequested(1, SIGNED))
    assert work(bench) == UpdateWork(1, Step.CHECK, SIGNED)
    assert bench.told(Reply) == []
    end(bench)
    assert bench.reply(1) == Done(Verdict.ACCEPTED)
    assert work(bench) == UpdateWork(1, Step.DOWNLOAD, SIGNED)


@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (Failure.CERTIFICATE, Verdict.INVALID_CERTIFICATE),
        (Failure.REVOKED, Verdict.REVOKED_CERTIFICATE),
    ],
)
def test_a_certificate_that_is_not_good_ends_the_matter(failure, verdict):
    bench = ready()
    bench.post(UpdateRequested(1, SIGNED))
    end(bench, failure)
    assert bench.reply(1) == Done(verdict, "InvalidCertificate", "why")
    assert "InvalidFirmwareSigningCertificate" in security(bench)
    assert (statuses(bench), work(bench)) == ([], None)


def test_a_certificate_that_nobody_could_look_at_is_not_taken():
    bench = ready()
    bench.post(UpdateRequested(1, SIGNED))
    end(bench, Failure.IMPOSSIBLE)
    assert bench.reply(1) == Done(Verdict.REJECTED, "InternalError", "why")


def test_one_request_is_looked_at_after_the_other():
    bench = ready()
    bench.post(UpdateRequested(1, SIGNED))
    bench.post(UpdateRequested(2, SIGNED))
    assert bench.reply(2) == Done(
        Verdict.REJECTED, "FwUpdateInProgress", "another request is being looked at"
    )


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (UpdateOrder(7, "https://h/", certificate="PEM"), "MissingParam"),
        (UpdateOrder(7, "https://h/", signature="c2ln"), "MissingParam"),
        (UpdateOrder(7, "file:///etc/shadow", None, None, "PEM", "c2ln"), "InvalidURL"),
        (UpdateOrder(7, "/etc/shadow"), "InvalidURL"),
    ],
)
def test_an_order_that_cannot_be_carried_out_is_refused(wanted, reason):
    outcome = order(ready(), wanted)
    assert (outcome.verdict, outcome.reason) == (Verdict.REJECTED, reason)


@pytest.mark.parametrize(
    ("policy", "profile", "verdict"),
    [
        ("Profile0", 0, Verdict.ACCEPTED),
        ("Profile0", 2, Verdict.NOT_SUPPORTED),
        ("Always", 2, Verdict.ACCEPTED),
        ("Never", 0, Verdict.NOT_SUPPORTED),
    ],
)
def test_a_request_without_signature_is_served_by_policy(policy, profile, verdict):
    bench = ready(**{POLICY: policy})
    bench.post(LinkUp(0, "ocpp1.6", "wss://csms", profile))
    assert order(bench, UNSIGNED).verdict is verdict


def test_a_16_request_with_an_unserved_scheme_fails_as_a_download():
    bench = ready()
    assert order(bench, UpdateOrder(None, "gopher://h/")).verdict is Verdict.ACCEPTED
    end(bench, Failure.IMPOSSIBLE)
    assert statuses(bench) == [S.DOWNLOADING, S.DOWNLOAD_FAILED]


@pytest.mark.parametrize(
    "until",
    [
        (),
        (Step.DOWNLOAD,),
    ],
)
def test_another_order_takes_the_place_of_one_that_is_not_installing(until):
    bench = ready()
    order(bench)
    lead(bench, *until)
    stale = work(bench)
    assert stale is not None
    assert order(bench, SIGNED, 2).verdict is Verdict.ACCEPTED_CANCELED
    assert work(bench) == UpdateWork(2, Step.DOWNLOAD, SIGNED)
    before = statuses(bench)
    bench.post(UpdateWorkEnded(stale))
    assert statuses(bench) == before


def test_an_installation_is_not_cancelled():
    bench = ready()
    order(bench)
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    assert order(bench, SIGNED, 2) == Done(
        Verdict.REJECTED, "FwUpdateInProgress", "an update is installing"
    )
    assert step(bench) is Step.INSTALL


def test_an_installation_that_began_while_a_certificate_was_looked_at_is_not_cancelled():
    bench = ready()
    order(bench)
    bench.charge(1)
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    bench.post(UpdateRequested(2, SIGNED))
    bench.tap(TAG)
    bench.obey()
    bench.meter(1500.0)
    assert phase(bench) is Phase.INSTALLING
    assert step(bench) is Step.CHECK
    end(bench)
    outcome = bench.reply(2)
    assert isinstance(outcome, Done)
    assert outcome.reason == "FwUpdateInProgress"
    assert step(bench) is Step.INSTALL


# --- downloading --------------------------------------------------------------------------


def test_a_download_is_tried_again_after_the_interval_as_often_as_asked():
    bench = ready()
    order(bench)
    end(bench, Failure.TRANSFER)
    assert step(bench) is None
    bench.wait(59.0)
    assert step(bench) is None
    bench.wait(1.0)
    assert work(bench) == UpdateWork(1, Step.DOWNLOAD, SIGNED, attempt=1)
    end(bench, Failure.TRANSFER)
    assert statuses(bench) == [S.DOWNLOADING, S.DOWNLOAD_FAILED]
    assert "firmware.failed" in {note.kind for note in bench.told(Note)}


def test_no_retries_means_one_attempt():
    bench = ready()
    order(bench, UNSIGNED)
    end(bench, Failure.TRANSFER)
    assert statuses(bench) == [S.DOWNLOADING, S.DOWNLOAD_FAILED]


def test_what_cannot_succeed_is_not_tried_again():
    bench = ready()
    order(bench)
    end(bench, Failure.IMPOSSIBLE)
    assert statuses(bench) == [S.DOWNLOADING, S.DOWNLOAD_FAILED]


def test_a_download_of_tomorrow_waits_for_it():
    bench = ready()
    order(bench, UpdateOrder(7, "https://h/", WALL_S + 3600.0, None, "PEM", "c2ln"))
    assert (statuses(bench), step(bench)) == ([S.DOWNLOAD_SCHEDULED], None)
    bench.wait(3590.0)
    assert step(bench) is None
    bench.wait(20.0)
    assert statuses(bench) == [S.DOWNLOAD_SCHEDULED, S.DOWNLOADING]


def test_a_date_is_kept_across_a_restart_and_a_step_of_the_clock():
    bench = ready()
    order(bench, UpdateOrder(7, "https://h/", WALL_S + 3600.0, None, "PEM", "c2ln"))
    bench.power_cut(off_s=600.0)
    bench.post(InstallerFound("slots", "a"))
    assert statuses(bench) == [S.DOWNLOAD_SCHEDULED]
    bench.post(TimeLearned(WALL_S + 3550.0))
    bench.wait(49.0)
    assert step(bench) is None
    bench.wait(2.0)
    assert step(bench) is Step.DOWNLOAD


def test_without_a_clock_a_date_has_come():
    bench = Bench(wall_s=None, protocols=("HTTPS",)).ready()
    bench.post(InstallerFound("slots", "a"))
    order(bench, UpdateOrder(7, "https://h/", WALL_S, None, "PEM", "c2ln"))
    assert step(bench) is Step.DOWNLOAD


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((), Step.DOWNLOAD),
        ((Step.DOWNLOAD,), Step.VERIFY),
        ((Step.DOWNLOAD, Step.VERIFY), Step.INSTALL),
    ],
)
def test_a_power_cut_is_followed_by_the_same_work(steps, expected):
    bench = ready()
    order(bench)
    lead(bench, *steps)
    before = statuses(bench)
    bench.power_cut()
    assert step(bench) is None
    bench.post(InstallerFound("slots", "a"))
    assert step(bench) is expected
    assert statuses(bench) == before


def test_a_power_cut_between_two_attempts_is_followed_by_the_next():
    bench = ready()
    order(bench)
    end(bench, Failure.TRANSFER)
    bench.power_cut()
    bench.post(InstallerFound("slots", "a"))
    assert work(bench) == UpdateWork(1, Step.DOWNLOAD, SIGNED, attempt=1)


# --- giving way to who charges ------------------------------------------------------------


def leave(bench: Bench, evse_id: int = 1, energy_wh: float = 1500.0) -> None:
    """Let a vehicle go."""
    bench.pilot(PilotState.A, evse_id)
    bench.obey(evse_id)
    bench.meter(energy_wh, evse_id)
    bench.wait(10.0)
    assert bench.station.evses[evse_id].transaction is None


def test_firmware_is_fetched_while_somebody_charges_unless_told_otherwise():
    bench = ready()
    order(bench)
    bench.charge()
    assert (statuses(bench), step(bench)) == ([S.DOWNLOADING], Step.DOWNLOAD)


def test_a_download_pauses_as_soon_as_somebody_charges_and_goes_on_when_nobody_does():
    bench = ready(2, **{WHILE_CHARGING: "false", ALLOW_NEW: "true"})
    order(bench)
    before = work(bench)
    bench.charge(1)
    assert (statuses(bench), step(bench)) == ([S.DOWNLOADING, S.DOWNLOAD_PAUSED], None)
    bench.charge(2, OTHER)
    leave(bench, 1)
    assert (phase(bench), step(bench)) == (Phase.PAUSED, None)
    leave(bench, 2)
    assert statuses(bench) == [S.DOWNLOADING, S.DOWNLOAD_PAUSED, S.DOWNLOADING]
    assert work(bench) == before, "the same attempt, which goes on with the part"
    end(bench)
    assert statuses(bench)[-1] is S.DOWNLOADED


def test_an_attempt_that_ends_while_the_download_pauses_is_made_again():
    bench = ready(**{WHILE_CHARGING: "false"})
    order(bench)
    late = work(bench)
    assert late is not None
    bench.charge()
    bench.post(UpdateWorkEnded(late))
    bench.post(UpdateWorkEnded(late, Failure.TRANSFER, "cut off"))
    assert phase(bench) is Phase.PAUSED
    leave(bench)
    assert work(bench) == late


def test_a_download_that_is_due_waits_for_the_last_transaction():
    bench = ready(2, **{WHILE_CHARGING: "false"})
    bench.charge(1)
    order(bench)
    assert (statuses(bench), step(bench)) == ([S.DOWNLOAD_SCHEDULED], None)
    assert [status.is_operative for status in bench.station.statuses()] == [False, True, False]
    bench.charge(2, OTHER)
    assert bench.station.evses[2].transaction is None
    leave(bench, 1)
    assert (statuses(bench), step(bench)) == (
        [S.DOWNLOAD_SCHEDULED, S.DOWNLOADING],
        Step.DOWNLOAD,
    )
    assert bench.station.statuses()[1].is_operative


def test_new_sessions_may_be_allowed_while_a_download_waits():
    bench = ready(2, **{WHILE_CHARGING: "false", ALLOW_NEW: "true"})
    bench.charge(1)
    order(bench)
    assert statuses(bench) == [S.DOWNLOAD_SCHEDULED]
    bench.charge(2, OTHER)
    assert bench.station.evses[2].transaction is not None


def test_a_download_of_tomorrow_locks_nobody_out_today():
    bench = ready(**{WHILE_CHARGING: "false"})
    order(bench, UpdateOrder(7, "https://h/", WALL_S + 3600.0, None, "PEM", "c2ln"))
    assert bench.station.statuses()[1].is_operative
    bench.charge()
    bench.wait(3700.0)
    assert (statuses(bench), step(bench)) == ([S.DOWNLOAD_SCHEDULED], None)
    leave(bench)
    assert step(bench) is Step.DOWNLOAD


def test_between_two_attempts_a_download_pauses_as_well():
    bench = ready(**{WHILE_CHARGING: "false"})
    order(bench)
    end(bench, Failure.TRANSFER)
    bench.charge()
    assert phase(bench) is Phase.PAUSED
    bench.wait(120.0)
    assert step(bench) is None
    leave(bench)
    assert work(bench) == UpdateWork(1, Step.DOWNLOAD, SIGNED, attempt=1)


def test_a_paused_download_survives_a_power_cut():
    bench = ready(**{WHILE_CHARGING: "false"})
    order(bench)
    bench.charge()
    restarted(bench, "a")
    bench.connect()
    bench.wait(60.0)
    assert bench.station.evses[1].transaction is None
    assert step(bench) is Step.DOWNLOAD
    assert statuses(bench) == [S.DOWNLOADING, S.DOWNLOAD_PAUSED, S.DOWNLOADING]


def test_the_setting_holds_from_the_next_thing_that_happens():
    bench = ready(**{WHILE_CHARGING: "false"})
    order(bench)
    bench.charge()
    name = "FirmwareCtrlr.DownloadWhileCharging"
    bench.post(SettingsWriteRequested(9, ((name, "true"),)))
    assert step(bench) is Step.DOWNLOAD


@pytest.mark.parametrize("until", [Phase.SCHEDULED, Phase.PAUSED])
def test_another_order_takes_the_place_of_one_that_waits_or_pauses(until):
    bench = ready(**{WHILE_CHARGING: "false"})
    if until is Phase.SCHEDULED:
        bench.charge()
        order(bench)
    else:
        order(bench)
        bench.charge()
    assert phase(bench) is until
    outcome = order(bench, UpdateOrder(8, "https://h/", None, None, "PEM", "c2ln"), 2)
    assert outcome == Done(Verdict.ACCEPTED_CANCELED)
    assert (phase(bench), statuses(bench)[-1]) == (Phase.SCHEDULED, S.DOWNLOAD_SCHEDULED)


# --- verifying ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "told", "events"),
    [
        (Failure.SIGNATURE, [S.INVALID_SIGNATURE], ["InvalidFirmwareSignature"]),
        (Failure.CERTIFICATE, [S.INVALID_SIGNATURE], ["InvalidFirmwareSigningCertificate"]),
        (Failure.REVOKED, [S.INVALID_SIGNATURE], ["InvalidFirmwareSigningCertificate"]),
        (Failure.IMAGE, [S.SIGNATURE_VERIFIED, S.INSTALL_VERIFICATION_FAILED], []),
        (Failure.IMPOSSIBLE, [S.INSTALLATION_FAILED], []),
    ],
)
def test_an_image_that_is_not_what_it_should_be_is_not_installed(failure, told, events):
    bench = ready()
    order(bench)
    lead(bench, Step.DOWNLOAD)
    end(bench, failure)
    assert statuses(bench) == [*DOWNLOADED, *told]
    assert security(bench) == events
    assert (phase(bench), work(bench)) == (None, None)


@pytest.mark.parametrize("failure", [Failure.SIGNATURE, Failure.IMAGE])
def test_without_a_signed_request_a_bad_image_is_a_failed_installation(failure):
    bench = ready()
    order(bench, UNSIGNED)
    lead(bench, Step.DOWNLOAD)
    end(bench, failure)
    assert statuses(bench) == [*DOWNLOADED, S.INSTALL_VERIFICATION_FAILED]
    assert ("InvalidFirmwareSignature" in security(bench)) is (failure is Failure.SIGNATURE)


# --- waiting ------------------------------------------------------------------------------


def test_an_installation_of_tonight_waits_for_it():
    bench = ready()
    order(bench, UpdateOrder(7, "https://h/", None, WALL_S + 3600.0, "PEM", "c2ln"))
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    assert statuses(bench) == [*VERIFIED, S.INSTALL_SCHEDULED]
    assert bench.station.statuses()[1].is_operative
    bench.wait(3610.0)
    assert statuses(bench) == [*VERIFIED, S.INSTALL_SCHEDULED, S.INSTALLING]


def test_an_installation_waits_for_the_last_transaction_and_lets_no_other_begin():
    bench = ready(2)
    order(bench)
    bench.charge(1)
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    assert statuses(bench) == [*VERIFIED, S.INSTALL_SCHEDULED]
    assert [status.is_operative for status in bench.station.statuses()] == [False, True, False]
    bench.charge(2, OTHER)
    assert bench.station.evses[2].transaction is None
    bench.tap(TAG)
    bench.obey()
    bench.meter(1500.0)
    bench.wait(10.0)
    assert bench.station.evses[1].transaction is None
    assert statuses(bench) == [*VERIFIED, S.INSTALL_SCHEDULED, S.INSTALLING]
    assert [status.is_operative for status in bench.station.statuses()] == [False] * 3


def test_charging_may_go_on_until_nobody_charges_by_chance():
    bench = ready(2, **{ALLOW_NEW: "true"})
    order(bench)
    bench.charge(1)
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    bench.charge(2, OTHER)
    assert bench.station.evses[2].transaction is not None
    assert step(bench) is None


def test_connectors_are_free_again_when_an_update_is_over():
    bench = ready()
    order(bench)
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    assert not bench.station.statuses()[1].is_operative
    end(bench, Failure.INSTALLATION)
    assert statuses(bench)[-1] is S.INSTALLATION_FAILED
    assert bench.station.statuses()[1].is_operative


# --- installing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "status", "events"),
    [
        (Failure.INSTALLATION, S.INSTALLATION_FAILED, []),
        (Failure.IMAGE, S.INSTALL_VERIFICATION_FAILED, []),
        (Failure.SIGNATURE, S.INSTALL_VERIFICATION_FAILED, ["InvalidFirmwareSignature"]),
    ],
)
def test_an_installation_that_fails_leaves_the_old_image(failure, status, events):
    bench = ready()
    order(bench)
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    end(bench, failure)
    assert statuses(bench) == [*VERIFIED, S.INSTALLING, status]
    assert security(bench) == events
    assert bench.told(Restart) == []


def test_an_installation_that_brings_the_machine_down_every_time_is_given_up():
    bench = ready()
    order(bench)
    lead(bench, Step.DOWNLOAD, Step.VERIFY)
    for _ in range(2):
        bench.power_cut()
        bench.post(InstallerFound("slots", "a"))
        assert step(bench) is Step.INSTALL
    bench.power_cut()
    bench.post(InstallerFound("slots", "a"))
    assert statuses(bench)[-1] is S.INSTALLATION_FAILED


def test_an_activation_that_a_power_cut_has_prevented_is_done_again():
    bench = ready()
    order(bench)
    lead(bench, Step.DOWNLOAD, Step.VERIFY, Step.INSTALL)
    restarted(bench, "a")
    assert step(bench) is Step.ACTIVATE


def test_an_activation_that_fails_ends_the_update():
    bench = ready()
    order(bench)
    lead(bench, Step.DOWNLOAD, Step.VERIFY, Step.INSTALL)
    end(bench, Failure.INSTALLATION)
    assert statuses(bench) == [*INSTALLED, S.INSTALLATION_FAILED]


# --- on trial -----------------------------------------------------------------------------


def test_an_image_that_did_not_start_was_rolled_back_without_us():
    bench = restarted(activated(), "a", has_failed=True)
    assert statuses(bench) == [*INSTALLED, S.INSTALLATION_FAILED]
    assert phase(bench) is None


def test_an_image_that_does_not_reach_the_csms_is_rolled_back():
    bench = restarted(activated())
    bench.wait(299.0)
    assert phase(bench) is Phase.TRIAL
    bench.wait(1.0)
    assert step(bench) is Step.ROLL_BACK
    end(bench)
    assert bench.told(Restart)[-1] == Restart(BootReason.FIRMWARE_UPDATE)
    restarted(bench, "a")
    assert statuses(bench) == [*INSTALLED, S.INSTALLATION_FAILED]
    assert bench.station.statuses()[1].is_operative


def test_an_image_that_cannot_reach_the_csms_for_want_of_a_network_is_kept():
    bench = restarted(activated())
    bench.post(DialFailed(0, DialRefusal.UNREACHABLE, "no route"))
    bench.wait(299.0)
    assert phase(bench) is Phase.TRIAL
    bench.wait(1.0)
    assert step(bench) is Step.CONFIRM


def test_an_image_that_the_csms_refuses_is_rolled_back():
    bench = restarted(activated())
    bench.post(DialFailed(0, DialRefusal.UNREACHABLE, "no route"))
    bench.post(DialFailed(0, DialRefusal.CREDENTIALS, "401"))
    bench.wait(300.0)
    assert step(bench) is Step.ROLL_BACK


def test_an_image_that_does_not_find_the_hardware_is_rolled_back():
    bench = activated()
    bench.power_cut(BootReason.APPLICATION_RESET)
    bench.post(InstallerFound("slots", "b"))
    bench.connect()
    assert phase(bench) is Phase.TRIAL
    bench.wait(300.0)
    assert step(bench) is Step.ROLL_BACK


def test_hardware_that_is_found_late_is_found():
    bench = activated()
    bench.power_cut(BootReason.APPLICATION_RESET)
    bench.post(InstallerFound("slots", "b"))
    bench.connect()
    bench.wait(200.0)
    bench.post(PilotChanged(1, PilotState.A))
    assert step(bench) is Step.CONFIRM


def test_an_image_that_cannot_write_is_rolled_back():
    bench = restarted(activated())
    bench.post(StorageFailed("read-only"))
    bench.connect()
    bench.wait(300.0)
    assert step(bench) is Step.ROLL_BACK


def test_a_link_that_was_there_and_went_has_shown_enough():
    bench = activated()
    bench.power_cut(BootReason.APPLICATION_RESET)
    bench.post(InstallerFound("slots", "b"))
    bench.connect()
    bench.post(LinkDown("gone"))
    bench.hardware()
    assert step(bench) is Step.CONFIRM


def test_nothing_begins_while_an_image_is_on_trial():
    bench = restarted(activated())
    assert not any(status.is_operative for status in bench.station.statuses())


def test_a_trial_begins_anew_after_a_power_cut():
    bench = restarted(activated())
    bench.wait(250.0)
    restarted(bench)
    bench.wait(250.0)
    assert phase(bench) is Phase.TRIAL
    bench.connect()
    assert step(bench) is Step.CONFIRM
    restarted(bench)
    assert phase(bench) is Phase.TRIAL


def test_an_image_that_cannot_be_confirmed_is_rolled_back():
    bench = restarted(activated())
    bench.connect()
    end(bench, Failure.INSTALLATION)
    assert step(bench) is Step.ROLL_BACK
    restarted(bench, "b")
    assert step(bench) is Step.ROLL_BACK
    end(bench, Failure.INSTALLATION)
    assert statuses(bench)[-1] is S.INSTALLATION_FAILED


# --- telling ------------------------------------------------------------------------------


def repeated(bench: Bench, kind: TriggerKind = TriggerKind.SIGNED_FIRMWARE_STATUS) -> object:
    reply, told = bench.post(TriggerRequested(99, kind))
    assert reply == Reply(99, Done(Verdict.ACCEPTED))
    assert isinstance(told, StatusRepeated)
    assert told.is_extended is (kind is TriggerKind.SIGNED_FIRMWARE_STATUS)
    return told.record.status, told.record.request_id


def test_who_asks_is_told_the_last_status():
    bench = ready()
    assert repeated(bench) == (S.IDLE, None)
    order(bench)
    assert repeated(bench) == (S.DOWNLOADING, 7)
    assert repeated(bench, TriggerKind.FIRMWARE_STATUS) == (S.IDLE, None)
    end(bench, Failure.IMPOSSIBLE)
    assert repeated(bench) == (S.DOWNLOAD_FAILED, 7)
    bench.power_cut()
    bench.ready()
    bench.post(InstallerFound("slots", "a"))
    assert repeated(bench) == (S.DOWNLOAD_FAILED, 7)


def test_other_triggers_are_none_of_this_block():
    bench = ready()
    bench.post(TriggerRequested(99, TriggerKind.HEARTBEAT))
    assert bench.told(StatusRepeated) == []


def test_after_an_update_that_succeeded_there_is_nothing_to_tell():
    bench = restarted(activated())
    bench.connect()
    end(bench)
    assert statuses(bench)[-1] is S.INSTALLED
    assert repeated(bench) == (S.IDLE, None)


def test_an_unsigned_update_is_forgotten_when_it_is_over():
    bench = ready()
    order(bench, UNSIGNED)
    assert repeated(bench, TriggerKind.FIRMWARE_STATUS) == (S.DOWNLOADING, None)
    end(bench, Failure.IMPOSSIBLE)
    assert repeated(bench, TriggerKind.FIRMWARE_STATUS) == (S.IDLE, None)


def test_the_version_that_runs_is_named_in_the_security_event():
    bench = restarted(activated())
    bench.connect()
    end(bench)
    (event,) = [e for e in bench.told_records(SecurityEvent) if e.type == "FirmwareUpdated"]
    assert event.tech_info == bench.station.settings.text(variables.FIRMWARE_VERSION)


def test_events_that_have_nothing_to_do_with_updates_change_nothing():
    bench = ready()
    before = bench.station.firmware
    bench.post(SecurityEventRaised("TamperDetectionActivated"))
    bench.post(TimeLearned(WALL_S))
    assert bench.station.firmware is before


def test_attempts_and_intervals_are_bounded():
    assert bounded(None, None) == (3, 60)
    assert bounded(-1, -5) == (0, 0)
    assert bounded(2**62, 2**62) == (20, 86_400)


def test_the_scheme_of_a_location_is_read_without_regard_to_case():
    assert scheme("Https://host/") == "HTTPS"
    assert scheme("/etc/passwd") == ""
