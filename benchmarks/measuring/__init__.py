"""Measuring for the suites: candidates that take turns in one process, and what their times are judged by.

Every claim is a ratio within one run, so that what else the machine does hits all candidates alike.
"""

from benchmarks.measuring.clocks import Clock, CpuClock, CudaClock
from benchmarks.measuring.made_with import commit, versions
from benchmarks.measuring.records import Figure, Record, Results, judge, keep
from benchmarks.measuring.table import print_table
from benchmarks.measuring.targets import Bounds, ExtraSeconds, PerSecond, Seconds, Speed, Target, Time
from benchmarks.measuring.turns import TakingTurns, Turns, rounds_within
from kdkit.machine import Machine

__all__ = [
    "Bounds",
    "Clock",
    "CpuClock",
    "CudaClock",
    "ExtraSeconds",
    "Figure",
    "Machine",
    "PerSecond",
    "Record",
    "Results",
    "Seconds",
    "Speed",
    "TakingTurns",
    "Target",
    "Time",
    "Turns",
    "commit",
    "judge",
    "keep",
    "print_table",
    "rounds_within",
    "versions",
]
