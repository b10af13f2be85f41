"""The examples do what they say, as a user would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def ran(script: Path, folder: Path, *arguments: str) -> str:
    environment = os.environ | {"QORCH_DATA_DIR": str(folder / "data"), "COLUMNS": "80"}
    words = [sys.executable, str(script), *arguments]
    done = subprocess.run(words, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


PROMISES = {
    "01_first_job": "fidelity 1.000",
    "02_autoencoder": "Ky Fan bound",
    "03_ray_tracing": "\n0 wrong pixels",
    "04_steane": "kept 1.000",
    "05_write_a_backend": "1000 shots on qiskit_statevector, fidelity",
    "06_qprimaldual": "qprimaldual           ",
    "07_dpem": "epsilon 6.57 at delta 1e-5",
    "08_distributed_circuit": "balanced           -> over pairs",
    "09_share_the_shots": "3000 shots",
    "10_why_there": "4 measured",
    "11_bring_your_own": "OpenQASM   on",
}
"""Words that an example ends up saying."""


@pytest.mark.parametrize("name", PROMISES)
def test_an_example_shows_what_it_promises(name: str, tmp_path: Path) -> None:
    assert PROMISES[name] in ran(EXAMPLES / f"{name}.py", tmp_path)


def test_every_example_is_tried() -> None:
    assert sorted(path.stem for path in EXAMPLES.glob("[01]*.py")) == list(PROMISES)


@pytest.mark.slow
def test_a_small_demo_leaves_raw_data_and_a_picture(tmp_path: Path) -> None:
    words = ["--jobs", "6", "--horizon-s", "1", "--policy", "eft", "--policy", "greedy", "--sampled", "1"]
    said = ran(EXAMPLES / "demo.py", tmp_path, *words, "--out", str(tmp_path / "runs"))
    assert "12 of 12 jobs done" in said
    (folder,) = (tmp_path / "runs").iterdir()
    rows = [json.loads(line) for line in (folder / "jobs.jsonl").read_text().splitlines()]
    assert [row["state"] for row in rows] == ["done"] * 12
    assert {row["policy"] for row in rows} == {"eft", "greedy"}
    assert sum(row["regret"] is not None for row in rows) == 2
    by_index = {(row["policy"], row["index"]): row["kind"] for row in rows}
    assert all(by_index["eft", index] == by_index["greedy", index] for index in range(6)), "the same jobs for both"
    assert (folder / "overview.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "declaration.json").read_text())["seed"] == 7
