"""The benchmark of the overhead runs, says what became of every target, and leaves nobody behind."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "benchmarks" / "overhead.py"


def started(folder: Path, *parts: str) -> subprocess.Popen[str]:
    arguments = ["--quick", "--out", str(folder), *(word for part in parts for word in ("--only", part))]
    environment = os.environ | {"TMPDIR": str(folder), "QORCH_DATA_DIR": str(folder / "nobody")}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_a_quick_run_compares_every_system_with_bare_celery(tmp_path: Path) -> None:
    run = started(tmp_path, "bare", "sqlite", "embedded", "growth", "placement")
    said, _ = run.communicate()
    assert run.returncode == 0, said
    lines = (tmp_path / "overhead.csv").read_text().splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    measured = {(row["figure"], row["program"], row["system"]): float(row["median"]) for row in rows}
    for system in ("sqlite", "embedded"):
        bare = max(measured["one by one", "2 qubits", f"bare {pool}"] for pool in ("prefork", "solo", "threads"))
        ratio = measured["one by one", "2 qubits", system] / bare
        assert measured["one by one, of bare", "2 qubits", system] == pytest.approx(ratio, rel=1e-3)
        assert measured["notification p95", "2 qubits", system] > 0.0
    assert measured["batch, full over fresh", "2 qubits", "sqlite"] > 0.0
    assert measured["store", "2 qubits, mixed", "sqlite"] > 0.0
    assert measured["decisions of eft", "2 qubits, mixed", "in process"] > 0.0
    assert "met" in said or "missed" in said
    assert not (tmp_path / "nobody").exists(), "what a user has set is left alone"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("overhead-")] == []


@pytest.mark.slow
def test_a_run_that_is_ended_ends_its_workers(tmp_path: Path) -> None:
    run = started(tmp_path, "bare")
    family: set[psutil.Process] = set()
    while len(family) < 2:  # Redis and a first worker
        assert run.poll() is None, run.communicate()[0]
        family |= set(psutil.Process(run.pid).children(recursive=True))
    run.send_signal(signal.SIGTERM)
    said, _ = run.communicate()
    assert run.returncode == 128 + signal.SIGTERM, said
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
