"""Every member of ``BACKENDS`` keeps the contract of ``backends.backend``: a new one is tested once it is named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import lru_cache
from pathlib import Path

import msgspec
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.quantum_info import Statevector, random_clifford

from backends import BACKENDS, load
from backends.backend import Backend, Device, Execution, SeededBackend, TranspileOptions
from backends.errors import ExecutionFailed, UnknownBackend, UnsupportedCircuit
from backends.remote import RemoteBackend
from circuits.counts import finite_shot_floor, hellinger_fidelity
from circuits.family import Run
from workers.node import devices_here

OPTIONS = TranspileOptions()
NAMES = [name for name in sorted(BACKENDS) if load(name).device().kind not in ("cpu", "qpu")]  # no circuits; no money
EVERY = pytest.mark.parametrize("name", NAMES)


@lru_cache
def backend(name: str) -> Backend:
    made = load(name)
    made.warm_up()
    return made


def run(name: str, circuit: QuantumCircuit, *runs: Run, seed: int = 5, memory: bool = False) -> Execution:
    prepared = backend(name).prepare([circuit], OPTIONS)
    return backend(name).run(prepared, runs, seed=seed, memory=memory)


def flip(num_qubits: int, qubit: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits, num_qubits)
    circuit.x(qubit)
    circuit.measure(range(num_qubits), range(num_qubits))
    return circuit


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


@EVERY
def test_it_is_a_backend_whose_device_has_its_name(name: str) -> None:
    assert isinstance(load(name), Backend)
    assert load(name).device().name == name


@EVERY
def test_qubit_0_is_the_rightmost_character(name: str) -> None:
    counts = run(name, flip(2, 0), Run(shots=400)).counts[0]
    assert max(counts, key=counts.__getitem__) == "01"
    assert counts["01"] > 360


@EVERY
def test_counts_sum_to_shots_and_runs_keep_their_order(name: str) -> None:
    prepared = backend(name).prepare([flip(2, 0), flip(2, 1)], OPTIONS)
    wanted = [Run(30, circuit=0), Run(50, circuit=1), Run(30, circuit=1), Run(7, circuit=0), Run(30, circuit=0)]
    done = backend(name).run(prepared, wanted, seed=3)
    assert [sum(counts.values()) for counts in done.counts] == [30, 50, 30, 7, 30]
    assert [max(c, key=c.__getitem__) for c in done.counts] == ["01", "10", "10", "01", "01"]
    assert done.memory is None
    assert done.run_s > 0.0
    assert done.method


@EVERY
def test_the_seed_decides_the_counts(name: str) -> None:
    wanted = (Run(200), Run(200))
    first, again, other = (run(name, bell(), *wanted, seed=seed, memory=True) for seed in (11, 11, 12))
    assert first.counts == again.counts
    assert first.memory == again.memory
    assert first.memory != other.memory
    assert first.memory is not None
    assert first.memory[0] != first.memory[1], "runs of one call must not repeat each other's shots"


@EVERY
def test_memory_is_the_counts_shot_by_shot(name: str) -> None:
    done = run(name, bell(), Run(100), Run(60), memory=True)
    assert done.memory is not None
    assert [len(shots) for shots in done.memory] == [100, 60]
    assert [dict(Counter(shots)) for shots in done.memory] == list(done.counts)


@EVERY
def test_a_bell_pair_is_half_and_half(name: str) -> None:
    counts = run(name, bell(), Run(4000)).counts[0]
    assert hellinger_fidelity(counts, {"00": 0.5, "11": 0.5}) > (0.9 if backend(name).device().calibration else 0.995)


@EVERY
def test_free_parameters_stay_free_until_the_run(name: str) -> None:
    theta, phi = Parameter("theta"), Parameter("phi")
    circuit = QuantumCircuit(2, 2)
    circuit.rx(theta, 0)
    circuit.ry(phi, 1)
    circuit.measure([0, 1], [0, 1])
    if backend(name).device().clifford_only:
        with pytest.raises(UnsupportedCircuit, match="Clifford"):
            backend(name).prepare([circuit], OPTIONS)
        return
    pi = 3.141592653589793
    angles = [(0.0, 0.0), (pi, 0.0), (0.0, pi), (pi, pi)]
    prepared = backend(name).prepare([circuit], OPTIONS)
    assert prepared[0].num_parameters == 2
    done = backend(name).run(prepared, [Run(100, 0, {"theta": a, "phi": b}) for a, b in angles], seed=1)
    assert [max(c, key=c.__getitem__) for c in done.counts] == ["00", "01", "10", "11"]
    with pytest.raises(ExecutionFailed, match="theta"):
        backend(name).run(prepared, [Run(10, 0, {"phi": 0.0})], seed=1)


@EVERY
def test_a_subset_measured_into_swapped_bits_of_several_registers(name: str) -> None:
    first, second = ClassicalRegister(2, "b"), ClassicalRegister(3, "a")
    circuit = QuantumCircuit(QuantumRegister(4, "q"), first, second)
    circuit.x([0, 3])
    circuit.measure(3, second[0])  # classical bit 2
    circuit.measure(0, second[2])  # classical bit 4
    circuit.measure(1, first[1])  # classical bit 1
    counts = run(name, circuit, Run(200)).counts[0]
    assert max(counts, key=counts.__getitem__) == "10100"
    assert all(bits[1] == "0" and bits[4] == "0" for bits in counts), "bits that nothing is measured into stay 0"


@EVERY
def test_idle_qubits_of_a_wide_register_cost_nothing(name: str) -> None:
    width = backend(name).device().num_qubits + 5
    circuit = QuantumCircuit(width, 2)
    circuit.x(width - 1)
    circuit.measure([width - 1, 0], [0, 1])
    counts = run(name, circuit, Run(100)).counts[0]
    assert max(counts, key=counts.__getitem__) == "01"


@EVERY
def test_a_circuit_too_wide_is_refused_with_both_numbers(name: str) -> None:
    device = backend(name).device()
    width = min(device.num_qubits, device.max_active_qubits) + 1
    with pytest.raises(UnsupportedCircuit, match=rf"{name} .*\b{width}\b"):
        backend(name).prepare([flip(width, 0).compose(_x_on_all(width), front=True)], OPTIONS)


def _x_on_all(width: int) -> QuantumCircuit:
    circuit = QuantumCircuit(width)
    circuit.x(range(width))
    return circuit


@EVERY
def test_a_circuit_that_measures_nothing_is_refused(name: str) -> None:
    circuit = QuantumCircuit(1)
    circuit.x(0)
    with pytest.raises(UnsupportedCircuit, match="add measurements"):
        backend(name).prepare([circuit], OPTIONS)


@EVERY
def test_dynamic_circuits_run_or_are_refused_as_announced(name: str) -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(1)
    circuit.measure(1, 1)
    if backend(name).device().dynamic and backend(name).device().feed_forward:
        counts = run(name, circuit, Run(100)).counts[0]
        assert max(counts, key=counts.__getitem__) == "11"
    else:
        with pytest.raises(UnsupportedCircuit, match="dynamic"):
            backend(name).prepare([circuit], OPTIONS)


@EVERY
def test_measuring_and_resetting_in_mid_circuit_runs_or_is_refused_as_announced(name: str) -> None:
    circuit = QuantumCircuit(2, 3)
    circuit.x(0)
    circuit.measure(0, 0)
    circuit.reset(0)
    circuit.measure(0, 1)
    circuit.x(0)
    circuit.cx(0, 1)
    circuit.measure(1, 2)
    if backend(name).device().dynamic:
        counts = run(name, circuit, Run(100)).counts[0]
        assert max(counts, key=counts.__getitem__) == "101"
    else:
        with pytest.raises(UnsupportedCircuit, match="static circuits alone"):
            backend(name).prepare([circuit], OPTIONS)


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
    counts = run(name, unitary.measure_all(inplace=False), Run(20_000)).counts[0]
    assert hellinger_fidelity(counts, ideal) > finite_shot_floor(ideal, 20_000) - 2e-3


@EVERY
def test_the_device_record_is_plain_json(name: str) -> None:
    device = load(name).device()
    text = msgspec.json.encode(device)
    assert msgspec.json.decode(text, type=Device) == device
    assert msgspec.json.decode(text, type=Device).target_version == device.target_version
    assert json.loads(text)["name"] == name


@pytest.mark.parametrize("name", [name for name in sorted(BACKENDS) if load(name).device().kind == "qpu"])
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
        "[(b.device(), b.device().target_version) for b in map(backends.load, backends.BACKENDS)]\n"
        "heavy = 'qiskit qiskit_aer qiskit_ibm_runtime cirq braket boto3 stim numba scipy torch'.split()\n"
        "print(json.dumps([early, [m for m in heavy if m in sys.modules]]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [[], []]


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(UnknownBackend, match=r"fake_hanoi.*Did you mean 'fake_hanoi'"):
        load("fake_hanoy")


SEEDED = [name for name in NAMES if isinstance(load(name), SeededBackend)]


@pytest.mark.parametrize("name", SEEDED)
def test_runs_with_seeds_of_their_own_do_not_depend_on_each_other(name: str) -> None:
    """Several users' runs in one call: each gets what it would get alone."""
    found = backend(name)
    assert isinstance(found, SeededBackend)
    prepared = found.prepare([bell()], OPTIONS)
    wanted, seeds = [Run(100), Run(60), Run(100), Run(100)], [1, 2, 1, 5]
    together = found.run_seeded(prepared, wanted, seeds).counts
    assert [sum(counts.values()) for counts in together] == [100, 60, 100, 100]
    assert together[0] == together[2] != together[3]
    for run_, seed, counts in zip(wanted, seeds, together, strict=True):
        assert found.run_seeded(prepared, [run_], [seed]).counts[0] == counts
    kept = found.run_seeded(prepared, wanted, seeds, memory=True)
    assert kept.memory is not None
    assert [dict(Counter(shots)) for shots in kept.memory] == list(together) == list(kept.counts)
