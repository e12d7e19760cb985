"""Waits: doubling, its end, and the random part."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.backoff import LONGEST_S, redial_s, resend_s


def waits(count: int, *, minimum_s: float = 5.0, repeat: int = 3) -> list[float]:
    return [
        redial_s(n, minimum_s=minimum_s, repeat=repeat, random_range_s=0.0, jitter=0.9)
        for n in range(1, count + 1)
    ]


def test_the_wait_doubles_as_often_as_the_settings_say() -> None:
    assert waits(6) == [5.0, 10.0, 20.0, 40.0, 40.0, 40.0]


def test_doubling_ends_at_five_minutes() -> None:
    assert waits(8, repeat=16) == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_a_longer_minimum_is_obeyed() -> None:
    assert waits(3, minimum_s=600.0) == [600.0, 600.0, 600.0]


def test_the_random_part_comes_on_top() -> None:
    wait = redial_s(1, minimum_s=5.0, repeat=0, random_range_s=10.0, jitter=0.25)
    assert wait == 7.5


@settings(deadline=None)
@given(
    failures=st.integers(1, 10**6),
    minimum_s=st.integers(1, 3600),
    repeat=st.integers(0, 16),
    random_range_s=st.integers(0, 3600),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_no_wait_is_zero_shrinks_or_grows_without_end(
    failures: int, minimum_s: int, repeat: int, random_range_s: int, jitter: float
) -> None:
    def wait(count: int) -> float:
        return redial_s(
            count,
            minimum_s=minimum_s,
            repeat=repeat,
            random_range_s=random_range_s,
            jitter=jitter,
        )

    assert minimum_s <= wait(failures) <= wait(failures + 1)
    assert wait(failures) <= max(minimum_s, LONGEST_S) + random_range_s


def test_a_refused_record_waits_longer_after_every_transmission() -> None:
    assert [resend_s(n, 60.0) for n in (1, 2, 3)] == [60.0, 120.0, 180.0]
