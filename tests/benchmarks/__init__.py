"""Benchmarks as ratios: what we need, against a named peer that does the same in the same run.

    python -m tests.benchmarks [--only NAME] [--json FILE]

A figure alone says more about the machine than about the program; a ratio of two figures that
were taken in turns, a moment apart, holds elsewhere too. docs/benchmarks.md says what each row
means and how it is measured fairly.
"""
