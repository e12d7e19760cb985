"""One cut of every scenario with every run of the tests; `make powercut` makes them all."""

import random

import pytest

from tests.powercut.everywhere import Case, cases


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_cut_loses_nothing(case: Case) -> None:
    count, is_whole = case.boundaries()
    case.cut(random.Random(case.name).randint(1, count), is_whole=is_whole)


def test_a_scenario_whose_bill_is_wrong_after_a_cut_is_found(monkeypatch) -> None:
    def wrong(_: object) -> None:
        raise AssertionError("a start was lost")

    [case] = [case for case in cases() if "test_plug_first_then_a_token[ocpp1.6]" in case.name]
    count, is_whole = case.boundaries()
    assert is_whole
    monkeypatch.setattr("tests.powercut.everywhere.check_bills", wrong)
    with pytest.raises(AssertionError, match="a start was lost") as caught:
        case.cut(count // 2, is_whole=is_whole)
    assert case.name in caught.value.__notes__[0]
