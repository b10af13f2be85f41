"""The GPU's engines: exact, chosen as installed, and their failures in our words.

torch runs here on the processor, cuStateVec and cuTensorNet as ``fake_cuda`` has them; ``test_cuquantum_real`` is for a
machine with a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Statevector

import backends
from backends import cuquantum, cuquantum_engines, load
from backends.backend import TranspileOptions
from backends.contract import check
from backends.cuquantum import CuQuantum, choose, in_our_words
from backends.cuquantum_engines import by_custatevec, by_cutensornet, by_torch, read
from backends.errors import (
    BackendError,
    DependencyNotInstalled,
    ExecutionFailed,
    HardwareMissing,
    TransientFailure,
    UnsupportedCircuit,
)
from backends.sampling import Draw
from circuits.family import Run
from tests.backends import fake_cuda
from tests.backends.fake_cuda import A100, GB
from workers.node import devices_here

OPTIONS = TranspileOptions()
CUQUANTUM_13 = {"cuquantum-python-cu13": "26.9.0", "torch": "2.13.0"}
ENGINES: dict[str, Callable[..., Draw]] = {
    "custatevec": by_custatevec,
    "cutensornet": by_cutensornet,
    "torch": partial(by_torch, device="cpu"),
}


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """NVIDIA's libraries, as fakes."""
    cuquantum_engines._handle.cache_clear()
    fakes: dict[str, Any] = fake_cuda.modules()
    for name, module in fakes.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    return fakes


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, libraries: dict[str, Any]) -> Callable[..., CuQuantum]:
    """Makes this a machine with a GPU and these packages."""

    def make(packages: dict[str, str] = CUQUANTUM_13, *, free_byte: int = A100.free_byte) -> CuQuantum:
        monkeypatch.setattr(cuquantum, "find_gpu", lambda: replace(A100, free_byte=free_byte))
        monkeypatch.setattr(cuquantum, "choose", partial(choose, installed=packages.get))
        return CuQuantum()

    monkeypatch.setitem(cuquantum.ENGINES, "torch_cuda", ENGINES["torch"])
    return make


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    return circuit.measure_all(inplace=False)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("num_qubits", "seed"), [(1, 0), (2, 1), (3, 2), (5, 3), (8, 4), (10, 5)])
@pytest.mark.usefixtures("libraries")
def test_every_outcome_has_its_exact_probability(engine: str, num_qubits: int, seed: int) -> None:
    """The chance in the middle of an outcome's share of [0, 1) must give that outcome."""
    circuit = random_circuit(num_qubits, 8, max_operands=min(3, num_qubits), seed=seed)
    circuit.h(range(0, num_qubits, 2))
    prepared = CuQuantumOnCpu().prepare([measured(circuit)], OPTIONS)[0].remove_final_measurements(inplace=False)
    kept = sorted({0, num_qubits // 2, num_qubits - 1})
    for qubits in (list(range(num_qubits)), kept):
        weights = Statevector(circuit).probabilities(qubits)
        ends = np.cumsum(weights)
        likely = np.flatnonzero(weights > 1e-9)
        drawn = ENGINES[engine](read(prepared, qubits))((ends - weights / 2)[likely])
        assert drawn.tolist() == likely.tolist()


class CuQuantumOnCpu(CuQuantum):
    """A machine with a large GPU, as far as preparing is concerned."""

    _gpu = A100  # type: ignore[assignment]
    _engines = choose(A100, CUQUANTUM_13.get)  # type: ignore[assignment]


def test_controls_stay_controls_whatever_they_wait_for() -> None:
    circuit = QuantumCircuit(4)
    circuit.mcx([3, 1, 0], 2, ctrl_state="010")
    circuit.crz(0.3, 2, 0)
    first, second = read(circuit, range(4)).steps
    assert (first.targets, first.controls, first.values) == ((2,), (3, 1, 0), (0, 1, 0))
    assert (second.targets, second.controls, second.values) == ((0,), (2,), (1,))


@pytest.mark.parametrize("packages", [CUQUANTUM_13, {"torch": "2.13.0"}], ids=["cuquantum", "torch"])
def test_it_keeps_the_contract(
    packages: dict[str, str], machine: Callable[..., CuQuantum], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = machine(packages)
    monkeypatch.setattr(cuquantum, "CuQuantum", lambda: made)
    check("cuquantum")


@pytest.mark.parametrize("packages", [CUQUANTUM_13, {"torch": "2.13.0"}], ids=["cuquantum", "torch"])
def test_its_counts_are_those_of_aer(packages: dict[str, str], machine: Callable[..., CuQuantum]) -> None:
    """Both draw from exact probabilities by the same chances, so even the counts are the same."""
    gpu, aer = machine(packages), load("aer_statevector")
    for seed in range(4):
        circuit = measured(random_circuit(7, 6, max_operands=3, seed=seed))
        counts = [
            backend.run_seeded(backend.prepare([circuit], OPTIONS), [Run(500)], [seed]).counts  # type: ignore[attr-defined]
            for backend in (gpu, aer)
        ]
        assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("packages", "cuda", "dense", "qubits", "wide"),
    [
        (CUQUANTUM_13, (13, 0), "custatevec", 32, "cutensornet"),
        ({"cuquantum-python-cu12": "26.9.0"}, (12, 4), "custatevec", 32, "cutensornet"),
        ({"cuquantum-python-cu12": "26.9.0"}, (13, 0), "custatevec", 32, "cutensornet"),
        (CUQUANTUM_13, (12, 4), "torch_cuda", 30, None),
        ({"torch": "2.13.0"}, (13, 0), "torch_cuda", 30, None),
    ],
)
def test_the_engine_is_what_is_installed_and_fits_the_driver(
    packages: dict[str, str], cuda: tuple[int, int], dense: str, qubits: int, wide: str | None
) -> None:
    found = choose(replace(A100, cuda=cuda), packages.get)
    assert (found.dense, found.dense_qubits, found.wide) == (dense, qubits, wide)


def test_what_does_not_fit_says_what_would() -> None:
    old = replace(A100, cuda=(12, 4))
    with pytest.raises(HardwareMissing, match=r"wants a driver for CUDA 13, this one is for 12\.4.*qorch\[cuda12\]"):
        choose(old, {"cuquantum-python-cu13": "26.9.0", "torch": "2.13.0+cpu"}.get)
    with pytest.raises(DependencyNotInstalled, match=r"qorch\[cuda13\]"):
        choose(A100, {"torch": "2.13.0+cpu"}.get)
    with pytest.raises(DependencyNotInstalled, match=r"qorch\[cuda12\]"):
        choose(old, {}.get)


def test_without_a_gpu_nothing_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise HardwareMissing("no GPU")

    monkeypatch.setattr(cuquantum, "find_gpu", none)
    assert "cuquantum" in backends.BACKENDS
    assert "cuquantum" not in devices_here([])
    assert devices_here(["cuq*"]) == {}
    with pytest.raises(HardwareMissing, match="no GPU"):
        devices_here(["cuquantum"])


def test_with_one_it_is_offered_as_large_as_its_memory(machine: Callable[..., CuQuantum]) -> None:
    assert machine().device().num_qubits == 60, "wide ones as tensor networks"
    assert machine().device().power_w == 400.0
    assert machine({"torch": "2.13.0"}).device().num_qubits == 30
    assert machine({"torch": "2.13.0"}, free_byte=2 * GB).device().num_qubits == 25
    assert "cuquantum" in devices_here(["cuq*"])


def ghz(num_qubits: int) -> QuantumCircuit:
    circuit = QuantumCircuit(num_qubits)
    circuit.h(0)
    circuit.cx(range(num_qubits - 1), range(1, num_qubits))
    return measured(circuit)


@pytest.mark.parametrize("marginal_qubits", [20, 2])
def test_what_is_too_wide_for_the_memory_is_a_tensor_network(
    marginal_qubits: int, machine: Callable[..., CuQuantum], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has more outcomes than can be listed, and draws samples itself."""
    monkeypatch.setattr(cuquantum_engines, "MARGINAL_QUBITS", marginal_qubits)
    small = machine(free_byte=300)
    assert small._engines.dense_qubits == 4
    prepared = small.prepare([ghz(4), ghz(9)], OPTIONS)
    done = small.run(prepared, [Run(400), Run(300, 1)], seed=3, memory=True)
    assert done.method == "custatevec+cutensornet"
    assert [set(counts) for counts in done.counts] == [{"0000", "1111"}, {"0" * 9, "1" * 9}]
    assert 100 < done.counts[1]["0" * 9] < 200
    assert done.memory is not None
    first_half = done.memory[1][:150].count("0" * 9)
    assert 45 < first_half < 105, "samples are dealt out in no order of their own"
    assert done.counts == small.run(prepared, [Run(400), Run(300, 1)], seed=3).counts
    assert done.counts != small.run(prepared, [Run(400), Run(300, 1)], seed=4).counts


def test_wide_and_deep_is_refused_before_it_runs(machine: Callable[..., CuQuantum]) -> None:
    circuit = QuantumCircuit(9)
    for layer in range(12):
        circuit.rx(0.3, range(9))
        circuit.cx(range(layer % 2, 8, 2), range(layer % 2 + 1, 9, 2))
    with pytest.raises(UnsupportedCircuit, match=r"entangle at most 2 qubits .* entangle 4"):
        machine(free_byte=300).prepare([measured(circuit)], OPTIONS)
    with pytest.raises(UnsupportedCircuit, match="has 4 qubits, the circuit uses 9"):
        machine({"torch": "2.13.0"}, free_byte=900).prepare([measured(circuit)], OPTIONS)


def test_samplers_and_networks_are_given_back(machine: Callable[..., CuQuantum], libraries: dict[str, Any]) -> None:
    small = machine(free_byte=300)
    small.run(small.prepare([ghz(3), ghz(6)], OPTIONS), [Run(10), Run(10, 1)], seed=1)
    assert libraries["cuquantum.bindings.custatevec"].num_gates > 0
    assert libraries["cuquantum.bindings.custatevec"].samplers == {}
    assert fake_cuda.NetworkState.num_live == 0


def test_memory_that_somebody_else_has_is_no_fault_of_the_circuit(
    machine: Callable[..., CuQuantum], libraries: dict[str, Any]
) -> None:
    gpu = machine()
    libraries["cupy"].cuda.runtime.memGetInfo = lambda: (100, 80 * GB)
    with pytest.raises(TransientFailure, match=r"got 0\.0 GB that are free.*QORCH_SLOTS=1"):
        gpu.run(gpu.prepare([ghz(4)], OPTIONS), [Run(10)], seed=1)


class OutOfMemoryError(MemoryError):
    """As CuPy's is called."""


class DynamicLibNotFoundError(RuntimeError):
    """As cuda.pathfinder's is called."""


class CUDARuntimeError(RuntimeError):
    """As CuPy's is called."""


INSUFFICIENT = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"


@pytest.mark.parametrize(
    ("raised", "engine", "error", "words"),
    [
        (OutOfMemoryError("Out of memory allocating 16 bytes"), "custatevec", TransientFailure, "QORCH_SLOTS=1"),
        (fake_cuda.cuStateVecError("ALLOC_FAILED (2): …"), "custatevec", TransientFailure, "no memory left"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "torch_cuda", TransientFailure, "no memory left"),
        (MemoryError("Insufficient memory. The memory limit"), "cutensornet", ExecutionFailed, "fewer layers"),
        (CUDARuntimeError(INSUFFICIENT), "custatevec", HardwareMissing, "update the NVIDIA driver"),
        (AssertionError("Torch not compiled with CUDA enabled"), "torch_cuda", HardwareMissing, "no CUDA device"),
        (fake_cuda.cuStateVecError("ARCH_MISMATCH (4)"), "custatevec", HardwareMissing, "no CUDA device"),
        (DynamicLibNotFoundError("libcublasLt.so.13"), "custatevec", DependencyNotInstalled, r"libcublasLt.*cuda13"),
        (ModuleNotFoundError("no", name="cupy"), "custatevec", DependencyNotInstalled, r"'cupy'.*qorch\[cuda13\]"),
        (fake_cuda.cuStateVecError("INTERNAL_ERROR (6)"), "custatevec", ExecutionFailed, "INTERNAL_ERROR"),
        (UnsupportedCircuit("ours"), "custatevec", UnsupportedCircuit, "ours"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_the_libraries_say_reaches_the_user_in_our_words(
    raised: Exception, engine: str, error: type[BackendError], words: str
) -> None:
    with pytest.raises(error, match=words), in_our_words(engine, "cuda13"):
        raise raised
