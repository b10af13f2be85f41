"""`qorch steane`: what it prints about keeping a logical qubit, and about what that costs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from workers.cli import app


def said(*words: str) -> str:
    done = CliRunner().invoke(app, ["steane", *words], env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    return done.stdout


def document(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(*words, "--json"))
    return found


@pytest.mark.parametrize("engine", ["stim", "aer"])
def test_memory_tells_the_error_with_its_interval_and_the_acceptance(engine: str) -> None:
    found = document("memory", "--p", "1e-2", "--rounds", "2", "--shots", "300", "--engine", engine, "--seed", "3")
    assert (found["engine"], found["scheme"], found["p"], found["rounds"]) == (engine, "steane", 0.01, 2)
    low, high = found["interval"]
    assert 0.0 <= low <= found["logical_error_per_round"] <= high <= 0.5
    assert found["acceptance"] == found["accepted"] / 300
    assert found["acceptance_interval"][0] < found["acceptance"] < found["acceptance_interval"][1]


def test_the_same_seed_gives_the_same_figures() -> None:
    words = ("memory", "--p", "5e-3", "--shots", "5000", "--scheme", "flag", "--basis", "x")
    first, again, other = document(*words), document(*words), document(*words, "--seed", "8")
    for found in (first, again, other):
        del found["run_s"]
    assert first == again
    assert first["failures"] != other["failures"]
    assert first["acceptance"] == 1.0


def test_a_person_reads_the_same() -> None:
    text = said("memory", "--p", "1e-2", "--shots", "2000")
    assert "logical error per round" in text
    assert "acceptance" in text
    assert "no shot was kept" in said("memory", "--p", "0.5", "--shots", "10", "--rounds", "20")


def test_resources_of_level_2() -> None:
    found = document("resources", "--k", "2", "--qubits", "3", "--depth", "10")
    assert found["physical_qubits"] == 3 * 91**2
    assert found["gates"]["num_2q"] == pytest.approx(3 * 64 / 185 * (64**2 - (7 / 3) ** 2))
    assert found["gates_leading_term"]["num_2q"] == pytest.approx(3 * 64 / 185 * 64**2)
    assert found["success_probability"] == pytest.approx(1 - 30 * 2e-4 * 0.5**4)
    assert "24 843".replace(" ", "\N{NARROW NO-BREAK SPACE}") in said("resources", "--k", "2", "--qubits", "3")
