"""Result files: a CSV under ``results/`` that says which command, commit, machine and seeds are behind it."""

from __future__ import annotations

import csv
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("qiskit", "qiskit-aer", "stim", "numpy", "celery", "redis", "sqlalchemy")


@contextmanager
def results(
    name: str, columns: Sequence[str], *, seeds: str, folder: Path = RESULTS, packages: Sequence[str] = PACKAGES
) -> Iterator[Any]:
    """A CSV writer into ``folder/name.csv``; read it with ``comment="#"``. It names the versions of the packages."""
    folder.mkdir(parents=True, exist_ok=True)
    cores = f"{os.cpu_count()} shared cores (load {os.getloadavg()[0]:.0f})"
    machine = f"{platform.machine()}, {cores}, Python {platform.python_version()}"
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        for key, value in (
            ("command", " ".join(["python", Path(sys.argv[0]).as_posix(), *sys.argv[1:]])),
            ("commit", _commit()),
            ("date", f"{datetime.now(UTC):%Y-%m-%d}"),
            ("machine", f"{machine}; {versions}"),
            ("seeds", seeds),
        ):
            file.write(f"# {key}: {value}\n")
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        yield table


def rates(run: Callable[[], int], repeats: int) -> list[float]:
    """Slots, or whatever ``run`` counts, a second of processor time, of each run but the first."""
    run()
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        num_slots = run()
        found.append(num_slots / (time.process_time() - begun))
    return found


def _commit() -> str:
    """The commit, "-dirty" if anything but results differs from it."""
    asked = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    code = ["git", "diff", "--quiet", "HEAD", "--", ":/", f":(exclude,top){RESULTS.relative_to(RESULTS.parents[2])}"]
    changed = subprocess.run(code, capture_output=True, check=False).returncode == 1
    return (asked.stdout.strip() or "unknown") + "-dirty" * changed
