"""Connector numbers over all EVSEs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.values import EvseSpec
from agent.ocpp.v16 import numbering

THREE = (EvseSpec(1, 2, 32.0, 3), EvseSpec(2, 1, 32.0, 3), EvseSpec(3, 2, 16.0, 1))


def test_connectors_are_counted_over_the_evses_in_order():
    places = [(1, 1), (1, 2), (2, 1), (3, 1), (3, 2)]
    assert [numbering.number(THREE, *place) for place in places] == [1, 2, 3, 4, 5]
    assert [numbering.place(THREE, number) for number in range(1, 6)] == places


def test_the_station_is_zero():
    assert numbering.number(THREE, 0, 0) == 0


@pytest.mark.parametrize("number", [-1, 0, 6, 10**30])
def test_other_numbers_have_no_place(number):
    assert numbering.place(THREE, number) is None


def test_an_evse_that_is_gone_is_numbered_after_all_others():
    assert numbering.number(THREE, 4, 1) == 6
    assert numbering.number(THREE, 5, 1) == 7


def test_a_connector_that_is_gone_is_its_evses_last_one():
    assert numbering.number(THREE, 2, 2) == 3
    assert numbering.number(THREE, 2, 0) == 3


def test_an_unknown_evse_is_one_that_no_board_has():
    assert numbering.unknown_evse(THREE) == 4


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_number_and_place_are_inverse(connectors):
    specs = tuple(EvseSpec(index, count, 32.0, 3) for index, count in enumerate(connectors, 1))
    for number in range(1, numbering.count(specs) + 1):
        assert numbering.number(specs, *numbering.place(specs, number)) == number
    assert numbering.place(specs, numbering.count(specs) + 1) is None
