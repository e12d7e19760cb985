"""The coverage gates notice what falls short."""

from tests.support.gates import short


def summary(percent: float) -> dict[str, dict[str, float]]:
    return {"summary": {"percent_covered": percent}}


def test_a_pure_module_with_a_missing_branch_falls_short():
    files = {"agent/core/session.py": summary(99.9), "agent/cli.py": summary(50.0)}
    assert len(short(files, 95.0)) == 1


def test_complete_pure_modules_and_a_high_whole_pass():
    assert short({"agent/core/session.py": summary(100.0)}, 92.0) == []


def test_a_low_whole_falls_short():
    assert short({}, 91.9) == ["overall: 91.9 % (92 % is asked for)"]
