import datetime as dt
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ocpp.wire_time import from_text, to_text

NOON = 1_735_732_800.0  # 2025-01-01T12:00:00Z


def test_text_is_utc_with_z_and_three_digits():
    assert to_text(NOON) == "2025-01-01T12:00:00.000Z"
    assert to_text(NOON + 0.0404) == "2025-01-01T12:00:00.040Z"
    assert to_text(NOON + 0.9996) == "2025-01-01T12:00:01.000Z"


def test_instants_beyond_a_32_bit_clock_are_written_and_read():
    assert to_text(2.0**31) == "2038-01-19T03:14:08.000Z"
    assert from_text("2038-01-19T03:14:08Z") == 2.0**31
    assert to_text(from_text("2106-02-07T06:28:17Z")) == "2106-02-07T06:28:17.000Z"


def test_instants_before_1970_are_written_and_read():
    assert to_text(-1.5) == "1969-12-31T23:59:58.500Z"
    assert from_text("1969-12-31T23:59:58.500Z") == -1.5


@pytest.mark.parametrize("wall_s", [math.nan, math.inf, -math.inf, 1e300, 253_402_300_800.0])
def test_what_is_no_instant_of_the_calendar_is_refused(wall_s):
    with pytest.raises(ValueError, match="1970"):
        to_text(wall_s)


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-01T12:00:00Z",
        "2025-01-01t12:00:00z",
        "2025-01-01 12:00:00Z",
        "2025-01-01T12:00:00",
        "2025-01-01T12:00Z",
        "2025-01-01T12:00:00.000000000000Z",
        "2025-01-01T12:00:00,0Z",
        "2025-01-01T14:00:00+02:00",
        "2025-01-01T14:00:00+0200",
        "2025-01-01T14:00:00+02",
        "2025-01-01T06:30:00-05:30",
        "2025-01-01T12:00:00-00:00",
        " 2025-01-01T12:00:00Z ",
        "2025-01-01T11:59:60Z",
    ],
)
def test_the_forms_of_the_field_are_read(text):
    assert from_text(text) == NOON


def test_fractions_of_any_length_are_read():
    assert from_text("2025-01-01T12:00:00.5Z") == NOON + 0.5
    assert from_text("2025-01-01T12:00:00.123456789Z") == pytest.approx(
        NOON + 0.123457, abs=1e-6
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1735732800",
        "2025-01-01",
        "2025-13-01T12:00:00Z",
        "2025-02-30T12:00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01T12:00:61Z",
        "2025-01-01T12:00:00+24:00",
        "2025-01-01T12:00:00+01:60",
        "2025-01-01T12:00:00+1:00",
        "2025-01-01T12:00:00ZZ",
        "\u0662\u0660\u0662\u0665-01-01T12:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_what_names_no_instant_is_refused(text):
    with pytest.raises(ValueError, match="is no date and time"):
        from_text(text)


def test_a_refusal_repeats_only_the_beginning_of_a_long_text():
    with pytest.raises(ValueError, match="RFC 3339") as caught:
        from_text("x" * 100_000)
    assert len(str(caught.value)) < 200


@settings(deadline=None)
@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_milliseconds_survive_the_way_there_and_back(milliseconds):
    assert round(from_text(to_text(milliseconds / 1000)) * 1000) == milliseconds


@settings(deadline=None)
@given(
    st.datetimes(
        min_value=dt.datetime(2, 1, 1),  # noqa: DTZ001  the zone comes with `timezones`
        max_value=dt.datetime(9998, 1, 1),  # noqa: DTZ001  as above
        timezones=st.just(dt.timezone(dt.timedelta(hours=5, minutes=45))),
    )
)
def test_offsets_mean_what_the_standard_library_says(instant):
    assert from_text(instant.isoformat()) == pytest.approx(
        (instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds(), abs=1e-5
    )
