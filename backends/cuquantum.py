"""State vectors and tensor networks on an NVIDIA GPU, ideal: cuStateVec, cuTensorNet for what is wider, or torch.

Which of them runs is chosen by what is installed and by the width of the circuit; an execution's method tells. Where no
CUDA device is at hand there is no such backend: a worker does not announce it. The packages (``qorch[cuda13]`` or
``qorch[cuda12]``) belong into an environment of their own, see OPERATIONS.md. Not used: Aer's GPU build, which
overwrites the files of the Aer that the other backends run on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from backends.backend import CostCurve, Device, Execution, TranspileOptions
from backends.cuquantum_engines import AMPLITUDE_BYTE, ENGINES, read
from backends.errors import (
    BackendError,
    DependencyNotInstalled,
    ExecutionFailed,
    HardwareMissing,
    TransientFailure,
    UnsupportedCircuit,
)
from backends.gpu import Gpu, find_gpu
from backends.pricing import TARIFFS
from backends.sampling import Draw, rehearse, run_by_sampling
from backends.transpilation import transpile
from circuits.family import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

_NAME = "cuquantum"
_KNOWN = (
    "id x y z h s sdg t tdg sx sxdg p r rx ry rz u cx cy cz cp crx cry crz csx swap iswap ecr rxx ryy rzz rzx ccx ccz "
    "cswap mcx mcphase"
)
MAX_QUBITS = 60
"""Of a circuit that runs as a tensor network: an outcome is one integer of 64 bits."""

_SPARE = 0.9
"""Part of the free memory that a state may take; the rest is for workspaces and the libraries themselves (ours)."""

# Assumed, not measured: no GPU was at hand. A gate reads and writes 16 bytes an amplitude at 1 TB/s, at a tenth of that
# in torch, which makes copies; the rest are orders of magnitude. Every job that runs corrects them, and
# examples/benchmarks/gpu.py measures them.
_COST_CURVES = {
    "custatevec": CostCurve(overhead_s=2e-3, shot_s=1e-7, fixed_gate_s=2e-5, gate_s=3.2e-11, qubit_exponent=1.0),
    "torch_cuda": CostCurve(overhead_s=2e-3, shot_s=1e-7, fixed_gate_s=1e-4, gate_s=3.2e-10, qubit_exponent=1.0),
    "cutensornet": CostCurve(overhead_s=1.0, shot_s=1e-3, fixed_gate_s=1e-3, gate_s=0.0, qubit_exponent=0.0),
}


@dataclass(frozen=True)
class Engines:
    """What of this backend a machine can do.

    Attributes:
        dense: engine of circuits up to ``dense_qubits``.
        dense_qubits: widest state vector that the free memory holds.
        wide: engine of wider ones; None if there is none.
        versions: of the packages behind them.
        extra: ours that brings cuQuantum for this driver.
    """

    dense: str
    dense_qubits: int
    wide: str | None
    versions: str
    extra: str


def installed(package: str) -> str | None:
    """Version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def choose(gpu: Gpu, installed: Callable[[str], str | None] = installed) -> Engines:
    """The engines for a device: cuQuantum where its CUDA version fits the driver, else torch.

    Args:
        gpu: the device.
        installed: version of a package by its name.

    Raises:
        DependencyNotInstalled: neither is installed.
        HardwareMissing: what is installed is not for this driver.
    """
    major, minor = gpu.cuda
    extra = "cuda13" if major >= 13 else "cuda12"
    found = {number: words for number in (13, 12) if (words := installed(f"cuquantum-python-cu{number}"))}
    fitting = next((number for number in found if number <= major), None)
    if fitting is not None:
        versions = f"cuquantum-python-cu{fitting} {found[fitting]}"
        return Engines("custatevec", _widest(gpu, "custatevec"), "cutensornet", versions, extra)
    torch = installed("torch")
    if torch is not None and not torch.endswith("+cpu"):
        return Engines("torch_cuda", _widest(gpu, "torch_cuda"), None, f"torch {torch}", extra)
    if found:
        wanted = max(found)
        raise HardwareMissing(
            f"{_NAME}: cuquantum-python-cu{wanted} wants a driver for CUDA {wanted}, this one is for {major}.{minor}: "
            f"update the driver, or, where it is for CUDA 12, pip install 'qorch[cuda12]' in an environment of its own"
        )
    raise DependencyNotInstalled(_NAME, "cuquantum", extra)


def _widest(gpu: Gpu, engine: str) -> int:
    return min(MAX_QUBITS, int(math.log2(max(2.0, _SPARE * gpu.free_byte / AMPLITUDE_BYTE[engine]))))


class CuQuantum:
    """The GPU's simulators."""

    def device(self) -> Device:
        """The record of this machine's GPU. Neither cuQuantum, CuPy, torch nor Qiskit is imported."""
        return self._device

    @cached_property
    def _gpu(self) -> Gpu:
        return find_gpu()

    @cached_property
    def _engines(self) -> Engines:
        return choose(self._gpu)

    @cached_property
    def _device(self) -> Device:
        engines = self._engines
        widest = engines.dense_qubits if engines.wide is None else max(MAX_QUBITS, engines.dense_qubits)
        beyond = None if engines.wide is None else _COST_CURVES[engines.wide]
        return Device(
            name=_NAME,
            kind="simulator",
            num_qubits=widest,
            max_active_qubits=widest,
            basis_gates=tuple(_KNOWN.split()),
            coupling=None,
            clifford_only=False,
            dynamic=False,
            max_gates=None,
            calibration=None,
            cost_curve=replace(_COST_CURVES[engines.dense], up_to_qubits=engines.dense_qubits, beyond=beyond),
            price=TARIFFS["own_simulator"],
            power_w=self._gpu.power_w,
            sdk_version=engines.versions,
            warm_up_s=5.0,
            max_bond_qubits=engines.dense_qubits // 2,
        )

    def warm_up(self) -> None:
        """Import the libraries and run a circuit of two qubits."""
        rehearse(self)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        """Transpile; controlled gates stay as they are."""
        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        """Run prepared circuits on the GPU."""
        return self._run(prepared, runs, seed=seed, seeds=None, memory=memory)

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        """Run prepared circuits, each run with its own seed."""
        return self._run(prepared, runs, seed=0, seeds=seeds, memory=memory)

    def _run(
        self,
        prepared: Sequence[QuantumCircuit],
        runs: Sequence[Run],
        *,
        seed: int,
        seeds: Sequence[int] | None,
        memory: bool,
    ) -> Execution:
        engines, used = self._engines, set[str]()

        def law(circuit: QuantumCircuit) -> tuple[Draw, Mapping[int, int]]:
            from circuits.structure import drop_idle_qubits, measurements

            small = drop_idle_qubits(circuit)
            engine = engine_for(engines, small.num_qubits)
            used.add(engine)
            readout = measurements(small)
            measured = sorted(set(readout.values()))
            place = {qubit: position for position, qubit in enumerate(measured)}
            with in_our_words(engine, engines.extra):
                draw = ENGINES[engine](read(small, measured))
            return _guarded(draw, engine, engines.extra), {clbit: place[qubit] for clbit, qubit in readout.items()}

        done = run_by_sampling(prepared, runs, law, seed=seed, seeds=seeds, memory=memory, method="")
        return replace(done, method="+".join(sorted(used)))


def engine_for(engines: Engines, num_qubits: int) -> str:
    """What runs a circuit of so many active qubits.

    Raises:
        UnsupportedCircuit: nothing here does.
    """
    if num_qubits <= engines.dense_qubits:
        return engines.dense
    if engines.wide is None:
        raise UnsupportedCircuit(
            f"{_NAME}: wanted at most {engines.dense_qubits} active qubits, which this GPU's memory holds, got "
            f"{num_qubits}: install cuTensorNet with 'qorch[{engines.extra}]', or choose a larger backend"
        )
    return engines.wide


def _guarded(draw: Draw, engine: str, extra: str) -> Draw:
    def guarded(chances: NDArray[np.float64]) -> NDArray[np.int64]:
        with in_our_words(engine, extra):
            return draw(chances)

    return guarded


_NO_DEVICE = ("InsufficientDriver", "cudaErrorNoDevice", "ARCH_MISMATCH", "NVIDIA driver", "not compiled with CUDA")
_NO_MEMORY = ("ALLOC_FAILED", "DEVICE_ALLOCATOR_ERROR", "cudaErrorMemoryAllocation", "CUDA out of memory")


@contextmanager
def in_our_words(engine: str, extra: str) -> Iterator[None]:
    """Turn what the libraries raise into the house's errors.

    They are told by name and text, since nothing of theirs may be imported here. Seen with cuquantum-python-cu13
    26.9.0, CuPy 14.2 and torch 2.13 on a machine without a GPU, or read in their sources.

    Args:
        engine: what is running.
        extra: ours that brings what may be missing.

    Raises:
        TransientFailure: the memory is taken at this moment.
        ExecutionFailed: the contraction needs more memory than there is, or anything that would happen again.
        HardwareMissing: no driver, or a device that the library does not know.
        DependencyNotInstalled: a library behind the library is missing.
    """
    try:
        yield
    except BackendError:
        raise
    except ImportError as error:
        raise DependencyNotInstalled(_NAME, error.name or str(error), extra) from error
    except Exception as error:
        raise _translated(error, engine, extra) from error


def _translated(error: Exception, engine: str, extra: str) -> BackendError:
    names, words = {kind.__name__ for kind in type(error).__mro__}, f"{type(error).__name__}: {error}"[:500]
    if "DynamicLibNotFoundError" in names:
        return DependencyNotInstalled(_NAME, " ".join(str(error).split())[:200], extra)
    if any(sign in words for sign in _NO_DEVICE):
        return HardwareMissing(f"{engine} finds no CUDA device that it can use ({words}): update the NVIDIA driver")
    no_memory = {"MemoryError", "OutOfMemoryError"} & names or any(sign in words for sign in _NO_MEMORY)
    if no_memory and engine == "cutensornet":
        return ExecutionFailed(
            f"the tensor network needs more memory than the GPU has ({words}): choose a circuit with fewer layers of "
            "entangling gates, or aer_mps"
        )
    if no_memory:
        return TransientFailure(
            f"the GPU has no memory left ({words}): wait for the other process to end, or give this worker one slot "
            "(QORCH_SLOTS=1)"
        )
    return ExecutionFailed(f"{engine}: {words}")
