"""Every member of ``BACKENDS`` keeps the contract of ``backends.backend``: a new one is tested once it is named."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import msgspec
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector, random_clifford

from backends import BACKENDS, load
from backends.backend import Backend, Device, TranspileOptions
from backends.contract import Clause, clauses
from backends.errors import UnknownBackend
from backends.remote import RemoteBackend
from circuits.counts import finite_shot_floor, hellinger_fidelity
from circuits.family import Run
from tests.here import is_here
from workers.node import devices_here

HERE = [name for name in sorted(BACKENDS) if is_here(name)]
LOCAL = [name for name in HERE if load(name).device().kind != "qpu"]  # which would cost money
NAMES = [name for name in LOCAL if load(name).device().kind != "cpu"]  # which runs no circuits


@lru_cache
def backend(name: str) -> Backend:
    made = load(name)
    made.warm_up()
    return made


@pytest.mark.parametrize("name", LOCAL)
def test_it_is_a_backend_whose_device_has_its_name(name: str) -> None:
    assert isinstance(load(name), Backend)
    assert load(name).device().name == name


@pytest.mark.parametrize(
    ("name", "clause"),
    [(name, clause) for name in LOCAL for clause in clauses(load(name))],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_it_keeps_the_contract(name: str, clause: Clause) -> None:
    clause(backend(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_bell_pair_is_half_and_half(name: str) -> None:
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure_all()
    prepared = backend(name).prepare([bell], TranspileOptions())
    counts = backend(name).run(prepared, [Run(4000)], seed=5).counts[0]
    assert hellinger_fidelity(counts, {"00": 0.5, "11": 0.5}) > (0.9 if backend(name).device().calibration else 0.995)


@pytest.mark.parametrize("name", [name for name in NAMES if load(name).device().kind == "simulator"])
def test_ideal_backends_agree_with_the_state_vector(name: str) -> None:
    device = backend(name).device()
    unitary = random_clifford(4, seed=9).to_circuit()
    if not device.clifford_only:
        for qubit in range(4):
            unitary.u(0.3 + qubit, 0.7 * qubit, 1.1, qubit)
        unitary.ccx(0, 2, 3)
        unitary.rzz(0.4, 1, 3)
        unitary.mcx([3, 1, 0], 2)
        unitary.h([0, 1, 2, 3])
    ideal = Statevector(unitary).probabilities_dict()
    prepared = backend(name).prepare([unitary.measure_all(inplace=False)], TranspileOptions())
    counts = backend(name).run(prepared, [Run(20_000)], seed=5).counts[0]
    assert hellinger_fidelity(counts, ideal) > finite_shot_floor(ideal, 20_000) - 2e-3


@pytest.mark.parametrize("name", [name for name in HERE if load(name).device().kind == "qpu"])
def test_what_costs_money_is_served_only_where_it_is_named_and_known_only_once_asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    remote = load(name)
    device = remote.device()
    assert isinstance(remote, RemoteBackend)
    assert device.name == name
    assert device.opt_in
    assert device.availability.state == "offline"
    assert device.availability.why
    assert msgspec.json.decode(msgspec.json.encode(device), type=Device) == device
    assert name not in devices_here(())
    assert name not in devices_here(("*",))


def test_device_records_import_neither_sdk_nor_qiskit() -> None:
    program = (
        "import sys, json, backends\n"
        "early = sorted(m for m in ('numpy', 'msgspec') if m in sys.modules)\n"
        f"[(b.device(), b.device().target_version) for b in map(backends.load, {HERE})]\n"
        "heavy = 'qiskit qiskit_aer qiskit_ibm_runtime cirq braket boto3 stim numba scipy torch'.split()\n"
        "print(json.dumps([early, [m for m in heavy if m in sys.modules]]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [[], []]


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(UnknownBackend, match=r"fake_hanoi.*Did you mean 'fake_hanoi'"):
        load("fake_hanoy")
