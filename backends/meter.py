"""What a piece of work took of this machine: CPU time, and energy where the processor tells (Linux's powercap, RAPL).

RAPL counts whole packages: cores, caches, on some machines memory, whoever uses them. A run gets the share of the
package's energy that its CPU time has in the CPU time of all processes meanwhile, so idle power is shared out with the
rest. Counters are updated about once a millisecond and wrap around; many systems let only root read them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
PROC_STAT = Path("/proc/stat")

LEAST_S = 0.05
"""Shorter work is not attributed: the counters' granularity, 1 ms, and that of /proc/stat, 10 ms, would show (ours)."""


@dataclass(frozen=True)
class Reading:
    """The counters at one moment.

    Attributes:
        cpu_s: CPU time of this process so far.   busy_s: CPU time of all processes of the machine so far.
        packages_uj: energy counter of each package, microjoules; empty where none can be read.
    """

    at: float
    cpu_s: float
    busy_s: float
    packages_uj: Mapping[str, int]


@dataclass
class Spent:
    """What the work took; filled when it has ended.

    Attributes:
        cpu_s: CPU time.   rapl_j: its share of the packages' energy; None where that cannot be told.
    """

    cpu_s: float = 0.0
    rapl_j: float | None = None


@cache
def packages(root: Path = POWERCAP) -> dict[str, int]:
    """Folders of the packages whose counter can be read here, each with the value at which it wraps around, µJ."""
    found = {}
    for folder in sorted(root.glob("intel-rapl:*")):
        try:
            if folder.name.count(":") == 1 and (folder / "name").read_text().startswith("package"):
                int((folder / "energy_uj").read_text())
                found[str(folder)] = int((folder / "max_energy_range_uj").read_text())
        except (OSError, ValueError):  # not for us, or not what it looks like
            continue
    return found


def read(root: Path = POWERCAP, stat: Path = PROC_STAT) -> Reading:
    """The counters now. Where the packages cannot be read this is the CPU time alone, in a microsecond."""
    at, cpu_s = time.perf_counter(), time.process_time()
    known = packages(root)
    if not known:
        return Reading(at, cpu_s, 0.0, {})
    try:
        energies = {folder: int((Path(folder) / "energy_uj").read_text()) for folder in known}
        return Reading(at, cpu_s, _busy_s(stat.read_text()), energies)
    except (OSError, ValueError):
        return Reading(at, cpu_s, 0.0, {})


def _busy_s(stat: str) -> float:
    """CPU time of all processes, from the first line of /proc/stat: user, nice, system, idle, iowait and so on."""
    ticks = [int(field) for field in stat.partition("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def rapl_j(before: Reading, after: Reading, wraps_uj: Mapping[str, int]) -> float | None:
    """Energy of what this process did between two readings, joules; None where that cannot be told.

    Args:
        wraps_uj: value at which the counter of each package begins anew.
    """
    busy_s, cpu_s = after.busy_s - before.busy_s, after.cpu_s - before.cpu_s
    both = before.packages_uj.keys() & after.packages_uj.keys()
    if not both or after.at - before.at < LEAST_S or busy_s <= 0.0:
        return None
    used_uj = 0
    for folder in both:
        step_uj = after.packages_uj[folder] - before.packages_uj[folder]
        used_uj += step_uj if step_uj >= 0 else step_uj + wraps_uj[folder]
    return 1e-6 * used_uj * min(1.0, cpu_s / busy_s)


@contextmanager
def metered(root: Path = POWERCAP, stat: Path = PROC_STAT) -> Iterator[Spent]:
    """Meter what this process does inside the block."""
    found, before = Spent(), read(root, stat)
    yield found
    after = read(root, stat)
    found.cpu_s = after.cpu_s - before.cpu_s
    found.rapl_j = rapl_j(before, after, packages(root))
