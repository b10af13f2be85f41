"""The constants that backends announce are those that the measured rows give."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends import load
from backends.curves import Row, fit, solved, sweeps_of

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"


def rows(name: str, backend: str = "") -> list[dict[str, str]]:
    """Of a result file, those of one backend."""
    with (BENCHMARKS / "results" / f"{name}.csv").open() as file:
        table = csv.DictReader(line for line in file if not line.startswith("#"))
        return [row for row in table if not backend or row["backend"] == backend]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Imports a benchmark."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield __import__
    for name in ("mps_costs", "evidence"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["aer_statevector", "aer_density_matrix", "aer_stabilizer", "sparse"])
def test_a_curve_is_what_its_rows_give(name: str) -> None:
    device = load(name).device()
    assert device.cost_curve is not None
    (sweep,) = sweeps_of(device)
    measured = [
        Row(int(row["qubits"]), int(row["gates"]), int(row["shots"]), float(row["median_run_s"]), 0.0, 0.0)
        for row in rows(f"cost_curves_{name}", name)
    ]
    found = fit(sweep, measured).curve
    for constant in ("overhead_s", "shot_s", "fixed_gate_s", "gate_s", "shot_gate_s", "shot_qubit_s"):
        assert getattr(device.cost_curve, constant) == pytest.approx(getattr(found, constant), rel=0.05), constant


def test_the_curve_of_matrix_product_states_is_what_its_rows_give(script: Callable[[str], Any]) -> None:
    benchmark, curve = script("mps_costs"), load("aer_mps").device().cost_curve
    assert curve is not None
    fitted = [row for row in rows("mps_costs") if row["set"] == "fitted"]
    counts = ("qubits", "layers", "shots", "gates", "widest_bond_qubits")
    floats = ("gate_work", "cut_work", "run_cpu_s")
    records = [("", "", *(int(row[key]) for key in counts), *(float(row[key]) for key in floats)) for row in fitted]
    columns = list(zip(*map(benchmark.bond_terms, records), strict=True))
    constants, _ = solved(columns, [record[-1] for record in records])
    announced = (curve.overhead_s, curve.fixed_gate_s, curve.shot_qubit_s, curve.bond_gate_s, curve.bond_shot_s)
    assert announced == pytest.approx(tuple(constants), rel=0.05)
