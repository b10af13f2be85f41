"""On a real GPU: what is installed there is exact, and keeps the contract."""

from __future__ import annotations

import pytest
from qiskit.circuit.random import random_circuit

from backends import load
from backends.backend import TranspileOptions
from backends.contract import check
from backends.cuquantum import CuQuantum
from backends.errors import NotHere
from circuits.family import Run

pytestmark = pytest.mark.gpu


@pytest.fixture
def gpu() -> CuQuantum:
    """The backend, where there is one."""
    found = CuQuantum()
    try:
        found.device()
    except NotHere as error:
        pytest.skip(str(error))
    return found


@pytest.mark.usefixtures("gpu")
def test_it_keeps_the_contract() -> None:
    check("cuquantum")


@pytest.mark.parametrize("seed", range(5))
def test_its_counts_are_those_of_aer(gpu: CuQuantum, seed: int) -> None:
    circuit = random_circuit(10, 10, max_operands=3, seed=seed).measure_all(inplace=False)
    counts = [
        backend.run_seeded(backend.prepare([circuit], TranspileOptions()), [Run(2000)], [seed]).counts  # type: ignore[attr-defined]
        for backend in (gpu, load("aer_statevector"))
    ]
    assert counts[0] == counts[1]
