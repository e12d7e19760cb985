"""All benchmarks, in the order of the table."""

from tests.benchmarks import (
    day,
    firmware,
    messages,
    polling,
    processes,
    profiles,
    registers,
    setpoint,
    storage,
    transfer,
)
from tests.benchmarks.measure import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = (
    messages.DECODE,
    messages.ENCODE,
    processes.SERVE,
    processes.MEMORY,
    processes.START,
    storage.STORAGE,
    day.DAY,
    registers.REGISTERS,
    polling.POLLING,
    profiles.COMPOSITE,
    setpoint.SETPOINT,
    firmware.FIRMWARE,
    transfer.TRANSFER,
)
