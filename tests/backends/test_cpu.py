"""The classical candidate: it refuses circuits and answers families that know how."""

import pytest
from qiskit import QuantumCircuit

from backends import load
from backends.backend import TranspileOptions
from backends.errors import UnsupportedCircuit
from circuits.family import Run, SolvableFamily
from circuits.raytracing import RayTracing


def test_it_runs_no_circuits() -> None:
    cpu = load("cpu")
    assert cpu.device().kind == "cpu"
    cpu.warm_up()
    with pytest.raises(UnsupportedCircuit, match="no circuits"):
        cpu.prepare([QuantumCircuit(1)], TranspileOptions())
    with pytest.raises(UnsupportedCircuit, match="no circuits"):
        cpu.run([QuantumCircuit(1)], [Run(1)], seed=1)


@pytest.mark.parametrize("light_x", [0, 2])
def test_the_classical_picture_is_the_searched_one(light_x: int) -> None:
    family = RayTracing(width=4, height=4, x0=5, y0=5, light_x=light_x, light_z=-1 if light_x else 0)
    assert isinstance(family, SolvableFamily)
    solved = family.solve()
    assert solved.score == family.ideal_outcome_score
    assert [len(row) for row in solved.value["hits"]] == [4] * 4
    assert any(hit for row in solved.value["hits"] for hit in row)
