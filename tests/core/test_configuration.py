"""Reading and writing settings."""

from agent.core import configuration, variables
from agent.core.effects import SettingResult, SettingsAnswer, SettingStatus
from agent.core.events import (
    BootAnswered,
    Origin,
    SettingsReadRequested,
    SettingsWriteRequested,
)
from agent.core.values import RegistrationStatus
from agent.core.variables import TABLE, Access, Kind, Settings, Variable
from tests.support.core import Bench

TIMEOUT = variables.CONNECTION_TIMEOUT
SECRET = Variable(
    "Some", "Secret", Kind.STRING, "", "A secret.", access=Access.WRITE_ONLY, needs_reboot=True
)


def read(bench: Bench, *names: str) -> tuple[SettingResult, ...]:
    bench.post(SettingsReadRequested(1, names))
    answer = bench.reply(1)
    assert isinstance(answer, SettingsAnswer)
    return answer.results


def write(
    bench: Bench, *items: tuple[str, str], request_id: int = 2, origin: Origin = Origin.CSMS
) -> tuple[SettingResult, ...]:
    bench.post(SettingsWriteRequested(request_id, items, origin))
    answer = bench.reply(request_id)
    assert isinstance(answer, SettingsAnswer)
    return answer.results


def test_all_settings_are_read_when_none_is_named() -> None:
    results = read(Bench())
    readable = [item.name for item in TABLE if item.access is not Access.WRITE_ONLY]
    assert [result.name for result in results] == readable
    assert {result.status for result in results} == {SettingStatus.ACCEPTED}


def test_settings_are_read_in_the_order_of_the_request() -> None:
    results = read(Bench(), "ConnectionTimeOut", "no.such", "chargingstation.model")
    assert results == (
        SettingResult(TIMEOUT.name, SettingStatus.ACCEPTED, value="60"),
        SettingResult("no.such", SettingStatus.UNKNOWN),
        SettingResult(variables.MODEL.name, SettingStatus.ACCEPTED, value="Wallbox One"),
    )


def test_a_secret_is_not_told() -> None:
    settings = Settings(factory={SECRET.name: "secret"})
    result = configuration.read(settings, SECRET)
    assert result == SettingResult(SECRET.name, SettingStatus.REJECTED, reason="WriteOnly")


def test_a_value_is_taken_in_its_canonical_form_and_in_force_at_once() -> None:
    bench = Bench()
    (result,) = write(bench, ("ConnectionTimeOut", " +45 "))
    assert result == SettingResult(TIMEOUT.name, SettingStatus.ACCEPTED, value="45")
    assert bench.station.settings.integer(TIMEOUT) == 45
    assert bench.station.settings.origin(TIMEOUT) == "CSMS"


def test_who_wrote_a_value_is_remembered() -> None:
    bench = Bench()
    write(bench, (TIMEOUT.name, "45"), origin=Origin.LOCAL)
    assert bench.station.settings.origin(TIMEOUT) == "local"


def test_one_refused_item_does_not_hold_up_the_others() -> None:
    bench = Bench()
    results = write(
        bench,
        ("no.such", "1"),
        (variables.MODEL.name, "mine"),
        (variables.TX_STOP_POINT.name, "EVConnected"),
        (TIMEOUT.name, "86401"),
        (variables.CACHE_ENABLED.name, "FALSE"),
    )
    assert [result.status for result in results] == [
        SettingStatus.UNKNOWN,
        SettingStatus.REJECTED,
        SettingStatus.REJECTED,
        SettingStatus.REJECTED,
        SettingStatus.ACCEPTED,
    ]
    assert [result.reason for result in results] == [
        "",
        "ReadOnly",
        "ReadOnly",
        "ValueTooHigh",
        "",
    ]
    assert bench.station.settings.changed.keys() == {variables.CACHE_ENABLED.name}


def test_a_setting_named_twice_in_one_request_keeps_the_later_value() -> None:
    bench = Bench()
    write(bench, (TIMEOUT.name, "10"), (TIMEOUT.name, "20"))
    assert bench.station.settings.integer(TIMEOUT) == 20


def test_a_value_that_is_in_force_already_costs_no_write() -> None:
    bench = Bench()
    before = bench.station.settings
    (result,) = write(bench, (TIMEOUT.name, "60"))
    assert result.status is SettingStatus.ACCEPTED
    assert bench.station.settings is before


def test_a_value_that_needs_a_reboot_says_so() -> None:
    assert configuration.accepted(SECRET) is SettingStatus.REBOOT_REQUIRED
    assert configuration.accepted(TIMEOUT) is SettingStatus.ACCEPTED


def test_what_was_written_survives_a_power_cut() -> None:
    bench = Bench(TxCtrlr__EVConnectionTimeOut="30")
    write(bench, (TIMEOUT.name, "45"))
    bench.power_cut()
    assert bench.station.settings.integer(TIMEOUT) == 45


def test_the_interval_that_the_csms_names_is_kept_as_a_setting() -> None:
    bench = Bench()
    bench.connect()
    bench.post(BootAnswered(RegistrationStatus.ACCEPTED, 900, None))
    assert bench.station.settings.integer(variables.HEARTBEAT_INTERVAL) == 900
    bench.power_cut()
    assert bench.station.settings.integer(variables.HEARTBEAT_INTERVAL) == 900
