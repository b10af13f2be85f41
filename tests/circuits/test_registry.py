"""The registry: names to families, bad names and parameters refused, and nothing heavy imported by a light client."""

import math
import subprocess
import sys
from typing import Any

import pytest

from circuits import load
from circuits.errors import InvalidParameter, UnknownCircuit


def test_a_light_client_imports_no_sdk() -> None:
    code = (
        "import sys, circuits, circuits.program, circuits.counts, circuits.family, circuits.registry, circuits.errors\n"
        "from circuits.program import Program\n"
        "Program.from_any('OPENQASM 2.0;qreg q[1];').content_hash()\n"
        "print(sorted({'qiskit', 'numpy', 'scipy', 'openqasm3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(UnknownCircuit, match=r"steane.*Did you mean 'steane'"):
        load("stean")


@pytest.mark.parametrize(
    ("family", "parameters", "field"),
    [
        ("steane", {"rounds": 0}, "rounds"),
        ("steane", {"rounds": 1.0}, "rounds"),
        ("steane", {"rounds": True}, "rounds"),
        ("steane", {"rounds": "2"}, "rounds"),
        ("steane", {"rounds": 10**5000}, "rounds"),
        ("steane", {"basis": "y"}, "basis"),
        ("steane", {"colour": 1}, "colour"),
        ("steane", {"name": 1}, "name"),
        ("autoencoder", {"field": math.nan}, "field"),
        ("autoencoder", {"field": math.inf}, "field"),
        ("autoencoder", {"num_latent": 6}, "num_latent"),
        ("autoencoder", {"num_qubits": 5}, "num_qubits"),
        ("raytracing", {"num_primitives": 7}, "num_primitives"),
        ("raytracing", {"x0": 15, "width": 2}, "width"),
        ("raytracing", {"delta": None}, "delta"),
    ],
)
def test_bad_parameters_are_refused_by_name(family: str, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidParameter, match=field):
        load(family, **parameters)


def test_an_int_stands_for_a_float() -> None:
    assert repr(load("autoencoder", field=1)) == repr(load("autoencoder", field=1.0))
