"""How long to wait before the next try."""

LONGEST_S = 300.0
"""Doubling leads no further than this (1.6 reference 1.4); a setting that says more by itself
is obeyed."""


def redial_s(
    failures: int, *, minimum_s: float, repeat: int, random_range_s: float, jitter: float
) -> float:
    """Return the wait before a dial (OCPP 2.0.1 part 4, 5.3; 1.6 reference 1.4).

    Args:
        failures: dials or links that failed in a row, at least 1.
        repeat: how often the minimum is doubled.
        jitter: uniform in [0, 1); a fresh one for every wait.
    """
    doublings = min(failures - 1, repeat)
    base_s = min(minimum_s * 2.0**doublings, max(minimum_s, LONGEST_S))
    return base_s + random_range_s * jitter


def resend_s(transmissions: int, interval_s: float) -> float:
    """Return the wait before a refused record is sent again (1.6 4.5, 2.0.1 E13.FR.03)."""
    return interval_s * transmissions
