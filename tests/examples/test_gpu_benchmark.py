"""The GPU's benchmark: silent success without a GPU, rows with one."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backends import cuquantum
from backends.cuquantum import choose
from backends.cuquantum_engines import by_torch
from backends.errors import NotHere
from tests.backends.fake_cuda import A100

BENCHMARKS = Path(__file__).parents[2] / "examples" / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield __import__("gpu")
    for name in ("gpu", "mps_costs", "evidence"):
        sys.modules.pop(name, None)


def test_without_a_gpu_it_says_so_and_writes_nothing() -> None:
    try:
        cuquantum.CuQuantum().device()
    except NotHere:
        before = sorted((BENCHMARKS / "results").iterdir())
        done = subprocess.run([sys.executable, BENCHMARKS / "gpu.py"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("nothing measured: ")
        assert sorted((BENCHMARKS / "results").iterdir()) == before
    else:
        pytest.skip("there is a GPU")


def test_with_one_it_compares(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch on the processor stands for the GPU; what is too wide for it is left out."""
    monkeypatch.setattr(cuquantum, "find_gpu", lambda: replace(A100, free_byte=2000))
    monkeypatch.setattr(cuquantum, "choose", partial(choose, installed={"torch": "2.13.0"}.get))
    monkeypatch.setitem(cuquantum.ENGINES, "torch_cuda", partial(by_torch, device="cpu"))
    monkeypatch.setattr(script, "DENSE_QUBITS", range(3, 8))
    monkeypatch.setattr(script, "WIDE_QUBITS", (9,))
    monkeypatch.setattr(script, "results", partial(script.results, folder=tmp_path))
    script.main(6)
    with (tmp_path / "gpu.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    assert [(row["circuit"], row["engine"], int(row["qubits"])) for row in rows] == [
        ("layered", "torch_cuda", 3),
        ("layered", "statevector", 3),
        ("layered", "torch_cuda", 4),
        ("layered", "statevector", 4),
        ("layered", "torch_cuda", 5),
        ("layered", "statevector", 5),
        ("layered", "statevector", 6),
        ("ising", "matrix_product_state", 9),
    ]
    assert all(0.0 < float(row["fastest_run_s"]) <= float(row["median_run_s"]) for row in rows)
