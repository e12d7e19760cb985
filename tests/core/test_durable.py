"""What survives a power cut, as rows, and how it comes back."""

import msgspec
import pytest

from agent.core import durable, variables
from agent.core.effects import TransactionEnded
from agent.core.events import (
    AuthorizationAnswered,
    AvailabilityRequested,
    CertificatesProvisioned,
    ChargingProfileOffered,
    ExternalLimitSet,
    FaultRaised,
    InstallerFound,
    ListedToken,
    LocalListSent,
    LogRequested,
    ReservationRequested,
    SettingsWriteRequested,
    TransactionAcknowledged,
    TriggerKind,
    TriggerRequested,
    UpdateRequested,
)
from agent.core.orders import LogKind, LogOrder, UpdateOrder
from agent.core.standing import digest
from agent.core.states import Active, Authorized, Ending, Idle, Resuming
from agent.core.station import Station
from agent.core.timebase import EARLIEST_WALL_S
from agent.core.values import AuthorizationStatus, IdToken, TokenInfo
from agent.core.variables import Kind, Variable
from hal.types import Fault, PilotState
from tests.support.core import (
    INFO,
    OTHER,
    TAG,
    WALL_S,
    Bench,
    certificate_of,
)
from tests.support.profiles import profile

Stored = dict[str, dict[str, bytes]]


def stored(station: Station) -> Stored:
    """Return all rows of a station as a store would hold them."""
    found: Stored = {}
    for name, key, raw in durable.changed({}, durable.rows(station)):
        assert raw is not None
        found.setdefault(name, {})[key] = raw
    return found


def restored(rows: Stored, evses: int = 2) -> Station:
    return durable.restored(
        rows, [], info=INFO, specs=Bench(evses).specs, profiles=1, factory={}
    )


def lived() -> Bench:
    """Return a station with something in every slice."""
    bench = Bench(3, protocols=("HTTPS",)).ready(3)
    bench.charge(1, group="FAMILY")
    (transaction_id,) = bench.station.outbox.deliveries
    bench.post(TransactionAcknowledged(transaction_id, remote_id=7))
    bench.post(SettingsWriteRequested(1, (("ConnectionTimeOut", "45"),)))
    bench.post(AuthorizationAnswered(2, OTHER, TokenInfo(AuthorizationStatus.BLOCKED)))
    bench.post(AvailabilityRequested(2, operative=False, evse_id=1))
    bench.post(AvailabilityRequested(3, operative=False, evse_id=2))
    bench.post(ReservationRequested(5, 11, OTHER, WALL_S + 3600, 3, "FLEET"))
    listed = ListedToken(TAG, TokenInfo(AuthorizationStatus.ACCEPTED, group="FAMILY"))
    bench.post(ExternalLimitSet(5, "ems", 60.0, limit_a=16.0))
    bench.post(LocalListSent(4, 3, is_full=True, items=(listed,)))
    bench.post(ChargingProfileOffered(5, 0, profile(1, [(0, 16)])))
    bench.post(InstallerFound("slots", "a"))
    bench.post(UpdateRequested(5, UpdateOrder(None, "https://host/image")))
    bench.post(LogRequested(6, LogOrder(None, LogKind.DIAGNOSTICS, "https://host/")))
    bench.post(CertificatesProvisioned("source", (certificate_of("root"),)))
    bench.post(SettingsWriteRequested(7, (("CpoName", "Example CPO"),)))
    bench.post(SettingsWriteRequested(8, (("AuthorizationKey", "0123456789abcdef"),)))
    bench.post(TriggerRequested(9, TriggerKind.CERTIFICATE))
    return bench


# --- rows ---


def test_a_station_that_lived_has_something_in_every_slice() -> None:
    assert stored(lived().station).keys() == durable.SLICES.keys()


def test_what_was_written_comes_back_as_it_was() -> None:
    station = lived().station
    back = restored(stored(station))
    assert durable.rows(back) == durable.rows(station)
    assert back.evses[1].session == station.evses[1].session
    assert back.evses[2].session == Idle()
    assert back.settings.integer(variables.CONNECTION_TIMEOUT) == 45
    assert back.authorization.cache == station.authorization.cache
    assert back.local_list == station.local_list
    assert back.firmware.update == station.firmware.update
    assert back.firmware.last == station.firmware.last
    assert back.diagnostics.upload == station.diagnostics.upload
    assert back.availability.inoperative == {"2"}
    assert back.reservations.items == station.reservations.items
    assert back.availability.scheduled == {"1"}
    assert list(back.outbox.remote_ids.values()) == [7]
    assert back.certificates == station.certificates
    assert back.credentials.changed == station.credentials.changed
    assert back.timebase.floor_s > WALL_S


@pytest.mark.parametrize("kind", [Active, Ending, Resuming])
def test_a_session_with_a_transaction_is_a_row_in_every_state(kind: type) -> None:
    bench = Bench(TxCtrlr__ResumeAfterPowerLoss="true").ready()
    bench.charge()
    if kind is Ending:
        bench.tap()
    if kind is Resuming:
        bench.power_cut()
    assert isinstance(bench.session(), kind)
    assert restored(stored(bench.station), 1).evses[1].session == bench.session()


def test_an_authorization_without_a_transaction_is_no_row() -> None:
    bench = Bench().ready()
    bench.tap()
    bench.grant()
    assert isinstance(bench.session(), Authorized)
    assert "session" not in stored(bench.station)


def test_a_new_station_begins_with_the_beginning_of_all_boots() -> None:
    station = restored({})
    assert durable.boot_row({}) == durable.BootRow()
    assert (station.timebase.boot, station.timebase.floor_s) == (0, EARLIEST_WALL_S)
    assert [evse.session for evse in station.evses.values()] == [Idle(), Idle()]


def test_what_the_last_boot_left_is_read() -> None:
    bench = Bench()
    bench.power_cut()
    row = durable.boot_row(stored(bench.station))
    assert (row.boot, row.intended) == (2, None)


# --- differences ---


def test_an_event_without_consequences_writes_nothing() -> None:
    bench = lived()
    before = durable.rows(bench.station)
    bench.meter(1010.0)
    bench.post(FaultRaised(2, Fault.READER_FAILURE))
    assert durable.changed(before, durable.rows(bench.station)) == []


def test_only_what_changed_is_written() -> None:
    bench = lived()
    before = durable.rows(bench.station)
    bench.post(SettingsWriteRequested(9, (("MeterValueSampleInterval", "30"),)))
    (row,) = durable.changed(before, durable.rows(bench.station))
    assert row == ("setting", variables.SAMPLE_INTERVAL.name, b'["30","CSMS"]')


def test_what_is_gone_is_deleted() -> None:
    bench = lived()
    before = durable.rows(bench.station)
    bench.pilot(PilotState.A, 1)
    bench.obey(1)
    bench.meter(1100.0, 1)
    assert bench.told_records(TransactionEnded)
    rows = durable.changed(before, durable.rows(bench.station))
    assert ("session", "1", None) in rows
    bench.deliver()
    assert bench.station.outbox.deliveries == {}
    kinds = {
        (name, raw is None)
        for name, _, raw in durable.changed(before, durable.rows(bench.station))
    }
    assert ("delivery", True) in kinds


# --- rows that cannot be read ---


@pytest.mark.parametrize("name", list(durable.SLICES))
@pytest.mark.parametrize("raw", [b"", b"garbage", b"null", b"[1]", b"\xff"])
def test_a_row_that_cannot_be_read_is_left_out_and_named(name: str, raw: bytes) -> None:
    rows = stored(lived().station)
    (key, *_) = rows[name]
    rows[name] = {**rows[name], key: raw}
    back = restored(rows)
    assert durable.unreadable(rows) == [f"{name}/{key}"]
    assert key not in durable.rows(back)[name] or name in {"boot", "availability"}


def test_rows_that_can_be_read_are_not_named() -> None:
    assert durable.unreadable(stored(lived().station)) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (variables.CONNECTION_TIMEOUT.name, "a minute"),
        (variables.CONNECTION_TIMEOUT.name, "99999999"),
        (variables.SAMPLED_MEASURANDS.name, "Energy.Of.Tomorrow"),
        (variables.CACHE_ENABLED.name, "True"),
        ("Ctrlr.OfTomorrow", "1"),
    ],
)
def test_a_setting_of_another_release_is_left_out_and_kept(name: str, text: str) -> None:
    rows = {"setting": {name: msgspec.json.encode((text, "CSMS"))}}
    back = restored(rows)
    assert back.settings.changed == {}
    assert durable.unreadable(rows) == [f"setting/{name}"]
    after = durable.rows(back)
    assert durable.changed(after, after) == []


def test_slices_that_nobody_knows_are_ignored_and_no_evse_is_invented() -> None:
    rows = stored(lived().station)
    rows["garden"] = {"1": b"{}"}
    rows["session"]["first"] = rows["session"]["1"]
    back = restored(rows, 1)
    assert list(back.evses) == [1]
    assert isinstance(back.evses[1].session, Active)
    assert not back.lost


def test_the_session_of_an_evse_that_is_gone_is_kept_until_it_has_ended() -> None:
    rows = stored(lived().station)
    rows["session"] = {"2": rows["session"]["1"]}
    back = restored(rows, 1)
    assert back.evses[1].session == Idle()
    assert isinstance(back.lost[2], Active)
    assert stored(back)["session"] == rows["session"]


def test_the_station_computes_some_settings_itself() -> None:
    back = restored({})
    text = back.settings.text
    assert text(variables.CONNECTORS) == "2"
    assert text(variables.IDENTITY) == "CP001"
    assert text(variables.SERIAL_NUMBER) == "EX-0001"
    nameless = msgspec.structs.replace(INFO, serial_number=None, firmware_version=None)
    found = durable.derived(nameless, Bench(1, connectors=3).specs)
    assert found[variables.CONNECTORS.name] == "3"
    assert found[variables.SERIAL_NUMBER.name] == found[variables.FIRMWARE_VERSION.name] == ""


def test_no_card_is_stored_in_clear_by_the_cache() -> None:
    rows = stored(lived().station)
    assert digest(OTHER) in rows["cache"]
    assert OTHER.value.encode() not in b"".join(rows["cache"].values())


def test_a_mere_reading_touches_nothing_durable() -> None:
    bench = Bench().ready()
    before = bench.station
    bench.meter(1001.0)
    assert bench.station is not before
    assert durable.is_untouched(before, bench.station)


def test_a_session_and_a_setting_are_noticed() -> None:
    bench = Bench().ready()
    before = bench.station
    bench.pilot(PilotState.B)
    bench.grant()
    assert not durable.is_untouched(before, bench.station)


def test_one_change_of_a_long_list_writes_its_row_and_the_version() -> None:
    bench = Bench(LocalAuthListCtrlr__ItemsPerMessage="1000").ready()
    good = TokenInfo(AuthorizationStatus.ACCEPTED)
    items = tuple(ListedToken(IdToken(f"N{number}"), good) for number in range(999))
    bench.post(LocalListSent(1, 1, is_full=True, items=items))
    before = durable.rows(bench.station)
    assert len(before["listed"]) == 999
    bench.post(LocalListSent(2, 2, is_full=False, items=(ListedToken(OTHER, good),)))
    changed = durable.changed(before, durable.rows(bench.station))
    assert [(name, raw) for name, key, raw in changed if name != "listed"] == [
        ("list", b'{"version":2}')
    ]
    assert [key for name, key, _ in changed if name == "listed"] == [digest(OTHER)]
    bench.post(LocalListSent(3, 3, is_full=True, items=items))
    again = durable.changed(before, durable.rows(bench.station))
    assert [name for name, *_ in again] == ["list"]  # the same entries cost nothing


def test_the_operators_own_settings_survive() -> None:
    own = Variable("CustomKeys", "Rows", Kind.INTEGER, "3", "Rows.", key="Rows", maximum=9)
    rows = {"setting": {"CustomKeys.Rows": b'["7","CSMS"]', "Rows": b'["8","CSMS"]'}}
    back = durable.restored(
        rows, [], info=INFO, specs=(), profiles=1, factory={}, custom=(own,)
    )
    assert back.settings.text(own) == "7"
    assert durable.unreadable(rows, back.settings) == ["setting/Rows"]
    assert len(durable.unreadable(rows)) == 2
