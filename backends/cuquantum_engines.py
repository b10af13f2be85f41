"""What runs on a CUDA device: NVIDIA's cuStateVec and cuTensorNet, and plain torch where they are not installed.

Each engine takes a :class:`Circuit` and gives back what draws its outcomes. All chance comes from outside, so a seed
means the same with each of them. Amplitude index and outcome have bit i for qubit i, as in Qiskit. Double precision.

Calls of cuquantum-python: the 26.9 bindings, ``cuquantum.bindings.custatevec`` and
``cuquantum.tensornet.experimental.NetworkState``.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from backends.errors import TransientFailure
from backends.sampling import Draw, by_inversion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

MAX_SHOTS_AT_ONCE = 2**20
"""Outcomes that one call of a sampler draws."""

MARGINAL_QUBITS = 20
"""Measured qubits up to which a tensor network is asked for all their probabilities instead of for samples (ours)."""

AMPLITUDE_BYTE = {"custatevec": 16, "torch_cuda": 48}
"""Device memory for each amplitude at the peak; torch makes a gate's image of the state and one more term of it."""

HYPER_SAMPLES = 8
"""Contraction paths that cuTensorNet tries (ours)."""


@dataclass(frozen=True)
class Step:
    """One gate.

    Attributes:
        matrix: complex128 (2**k, 2**k), contiguous by rows; bit j of an index is ``targets[j]``.
        targets: the k qubits that it acts on.
        controls: qubits on which it depends.
        values: what each of those has to be.
    """

    matrix: NDArray[np.complex128]
    targets: tuple[int, ...]
    controls: tuple[int, ...] = ()
    values: tuple[int, ...] = ()


@dataclass(frozen=True)
class Circuit:
    """A static circuit without free parameters.

    Attributes:
        num_qubits: n.
        steps: its gates.
        measured: qubits whose outcome is wanted, ascending; bit i of an outcome is ``measured[i]``.
    """

    num_qubits: int
    steps: tuple[Step, ...]
    measured: tuple[int, ...]


def read(circuit: QuantumCircuit, measured: Sequence[int]) -> Circuit:
    """A bound Qiskit circuit as an engine takes it. Controls stay controls, which costs a GPU nothing."""
    from circuits.structure import NOT_GATES

    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    steps = [
        _step(item.operation, tuple(index[bit] for bit in item.qubits))
        for item in circuit.data
        if item.operation.name not in NOT_GATES
    ]
    return Circuit(circuit.num_qubits, tuple(steps), tuple(measured))


def _step(operation: Any, qubits: tuple[int, ...]) -> Step:
    import numpy as np
    from qiskit.circuit import ControlledGate

    if not isinstance(operation, ControlledGate):
        return Step(np.ascontiguousarray(operation.to_matrix(), dtype=np.complex128), qubits)
    num, state = operation.num_ctrl_qubits, operation.ctrl_state
    matrix = np.ascontiguousarray(operation.base_gate.to_matrix(), dtype=np.complex128)
    return Step(matrix, qubits[num:], qubits[:num], tuple(state >> control & 1 for control in range(num)))


def by_custatevec(circuit: Circuit) -> Draw:
    """Gates and sampling by cuStateVec; the state rests in the device's memory, once."""
    import cupy
    import numpy as np
    from cuquantum import ComputeType, cudaDataType
    from cuquantum.bindings import custatevec

    kind, num_qubits, handle = int(cudaDataType.CUDA_C_64F), circuit.num_qubits, _handle()
    cupy.get_default_memory_pool().free_all_blocks()
    _check_room(AMPLITUDE_BYTE["custatevec"] << num_qubits, cupy.cuda.runtime.memGetInfo()[0])
    state = cupy.zeros(2**num_qubits, dtype=cupy.complex128)
    state[0] = 1.0
    for step in circuit.steps:
        gate = (step.matrix.ctypes.data, kind, int(custatevec.MatrixLayout.ROW), 0)
        sizes, precision = (len(step.targets), len(step.controls)), int(ComputeType.COMPUTE_64F)
        num_byte = custatevec.apply_matrix_get_workspace_size(handle, kind, num_qubits, *gate, *sizes, precision)
        space = cupy.cuda.alloc(num_byte)
        custatevec.apply_matrix(
            handle, state.data.ptr, kind, num_qubits, *gate, step.targets, sizes[0],
            step.controls, step.values, sizes[1], precision, space.ptr, num_byte,
        )  # fmt: skip
    sampler, num_byte = custatevec.sampler_create(handle, state.data.ptr, kind, num_qubits, MAX_SHOTS_AT_ONCE)
    space = cupy.cuda.alloc(num_byte)
    custatevec.sampler_preprocess(handle, sampler, space.ptr, num_byte)

    def draw(chances: NDArray[np.float64]) -> NDArray[np.int64]:
        outcomes = np.empty(len(chances), dtype=np.int64)
        for start in range(0, len(chances), MAX_SHOTS_AT_ONCE):
            some = np.ascontiguousarray(chances[start : start + MAX_SHOTS_AT_ONCE])
            custatevec.sampler_sample(
                handle, sampler, outcomes[start:].ctypes.data, circuit.measured, len(circuit.measured),
                some.ctypes.data, len(some), int(custatevec.SamplerOutput.RANDNUM_ORDER),
            )  # fmt: skip
        return outcomes

    _at_end_of(draw, custatevec.sampler_destroy, sampler, reads=(state, space))
    return draw


def _at_end_of(draw: Draw, give_back: Callable[..., object], *what: Any, reads: Any = None) -> None:
    """Give a resource back when nobody draws any more; what it ``reads`` lives until then."""

    def end(_: Any) -> None:
        give_back(*what)

    weakref.finalize(draw, end, reads).atexit = False  # with the process the driver's context is gone, too


@cache
def _handle() -> Any:
    """The library's context; one for the life of the process."""
    from cuquantum.bindings import custatevec

    return custatevec.create()


def by_cutensornet(circuit: Circuit) -> Draw:
    """The circuit as a tensor network, contracted by cuTensorNet: no state vector, so width costs little.

    Up to ``MARGINAL_QUBITS`` measured qubits it is asked for their probabilities; beyond, for samples, with a seed of
    its own drawn from the first chance; the order of the chances then says which shot shows which sample.
    """
    import numpy as np
    from cuquantum.tensornet.experimental import NetworkState, TNConfig

    config = TNConfig(num_hyper_samples=HYPER_SAMPLES)
    network = NetworkState((2,) * circuit.num_qubits, dtype="complex128", config=config)
    for step in circuit.steps or (Step(np.eye(2, dtype=np.complex128), (0,)),):  # it refuses a network without any
        network.apply_tensor_operator(
            step.targets[::-1],  # the first axis of a matrix written out is its highest bit
            step.matrix.reshape((2,) * (2 * len(step.targets))),
            control_modes=step.controls,
            control_values=step.values,
            unitary=True,
        )
    if len(circuit.measured) <= MARGINAL_QUBITS:
        marginal = network.compute_reduced_density_matrix(circuit.measured[::-1], diagonal=True)
        network.free()
        return by_inversion(np.clip(np.asarray(marginal).real.ravel(), 0.0, None))

    def draw(chances: NDArray[np.float64]) -> NDArray[np.int64]:
        seed = 1 + int(chances[0] * (2**31 - 2))
        counts = network.compute_sampling(len(chances), modes=circuit.measured, seed=seed)
        bits = np.array([[int(bit) for bit in text] for text in counts], dtype=np.int64)
        samples = np.repeat(bits @ (1 << np.arange(len(circuit.measured))), list(counts.values()))
        dealt: NDArray[np.int64] = samples[np.argsort(np.argsort(chances))]
        return dealt

    _at_end_of(draw, network.free)
    return draw


def by_torch(circuit: Circuit, device: str = "cuda") -> Draw:
    """The state vector in plain torch, gate by gate on the blocks between its qubits.

    Args:
        circuit: what to run.
        device: torch's name of where it runs; on "cpu" it needs no GPU.
    """
    import torch

    if device != "cpu":
        torch.cuda.empty_cache()
        _check_room(AMPLITUDE_BYTE["torch_cuda"] << circuit.num_qubits, torch.cuda.mem_get_info()[0])
    state = torch.zeros(2**circuit.num_qubits, dtype=torch.complex128, device=device)
    state[0] = 1.0
    for step in circuit.steps:
        _apply(state, circuit.num_qubits, step)
    weights = state.real**2 + state.imag**2
    for qubit in reversed(range(circuit.num_qubits)):
        if qubit not in circuit.measured:
            weights = weights.view(-1, 2, 2**qubit).sum(1)
    cumulative = weights.flatten().cumsum(0)

    def draw(chances: NDArray[np.float64]) -> NDArray[np.int64]:
        passed = torch.from_numpy(chances).to(device) * cumulative[-1]
        outcomes: NDArray[np.int64] = torch.searchsorted(cumulative, passed, right=True).cpu().numpy()
        return outcomes

    return draw


def _apply(state: Any, num_qubits: int, step: Step) -> None:
    """Multiply a state by a gate, in place."""
    touched = sorted((*step.targets, *step.controls), reverse=True)
    shape, above = [], num_qubits
    for qubit in touched:
        shape += [2 ** (above - 1 - qubit), 2]
        above = qubit
    blocks = state.view(*shape, 2**above)
    axis = {qubit: 2 * position + 1 for position, qubit in enumerate(touched)}
    where: list[Any] = [slice(None)] * blocks.dim()
    for control, value in zip(step.controls, step.values, strict=True):
        where[axis[control]] = value
    parts = []
    for index in range(len(step.matrix)):
        for bit, target in enumerate(step.targets):
            where[axis[target]] = index >> bit & 1
        parts.append(blocks[tuple(where)])
    images = {}
    for row, weights in enumerate(step.matrix.tolist()):
        terms = [(weight, part) for weight, part in zip(weights, parts, strict=True) if weight != 0.0]
        if len(terms) > 1 or weights[row] != 1.0:  # else the gate leaves this part alone
            images[row] = sum((weight * part for weight, part in terms[1:]), terms[0][0] * terms[0][1])
    for row, image in images.items():
        parts[row].copy_(image)


def _check_room(wanted_byte: int, free_byte: int) -> None:
    """Refuse before the driver does.

    Raises:
        TransientFailure: somebody else has the memory at this moment.
    """
    if wanted_byte > free_byte:
        raise TransientFailure(
            f"wanted {wanted_byte / 1e9:.1f} GB of the GPU's memory, got {free_byte / 1e9:.1f} GB that are free: "
            "wait for the other process to end, or give this worker one slot (QORCH_SLOTS=1)"
        )


ENGINES: dict[str, Callable[[Circuit], Draw]] = {
    "custatevec": by_custatevec,
    "cutensornet": by_cutensornet,
    "torch_cuda": by_torch,
}
"""By the name that an execution shows as its method."""
