"""A transpiled circuit as Pauli strings meet it: what each gate turns them into, and what its noise leaves of them.

Noise is that of ``backends.noise``: relaxation for as long as a gate or a wait lasts, and depolarising by what is
missing to the published error; coherent parts are left out. A Pauli channel multiplies each Pauli by a factor. Decay is
none: it takes Z to (1 - g) Z + g 1, and the 1 counts as Z / <Z> with the qubit's ideal <Z> at that moment (ours, right
to first order in g), so that a qubit in its ground state loses nothing and an excited one twice the mean. Readout, and
the wait before it, are kept apart, since they act exactly on the outcomes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr

from backends.calibration import Calibration, GateCalibration, QubitCalibration
from backends.schedule import Wait, schedule

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]

MAX_QUBITS = 10
"""Most active qubits whose ideal <Z> is followed; in wider circuits decay acts as its Pauli twirl (ours)."""

_SMALLEST = 1e-6


@dataclass(frozen=True)
class Gate:
    """A gate, or those on one qubit between two others, or a wait, and the noise behind it.

    Attributes:
        qubits: positions among the active ones.
        matrix: unitary, complex128 (2^k, 2^k), the first qubit least significant.
        log_kept: as in :class:`Step`, decay apart.
        decayed: probability of each qubit to decay if it is excited.
    """

    qubits: tuple[int, ...]
    matrix: Complex
    log_kept: Array
    decayed: tuple[float, ...]


@dataclass(frozen=True)
class Step:
    """Gates on the same one or two qubits in a row, and the noise behind them.

    Attributes:
        qubits: positions among the active ones.
        transfer: Pauli transfer matrix, float64 (4^k, 4^k): the expectation of row P behind the step is a sum over
            columns Q before it. Codes I, X, Y, Z = 0..3, the first qubit in the lower two bits.
        log_kept: logarithm of what the noise leaves of each Pauli, float64 (4^k,).
        branching: entropy of each row's squares, in nats, float64 (4^k,): 0 where a Pauli stays one.
    """

    qubits: tuple[int, ...]
    transfer: Array
    log_kept: Array
    branching: Array


@dataclass(frozen=True)
class Course:
    """A static circuit as its parities meet it.

    Attributes:
        num_qubits: active ones.
        gates: in the order of the circuit.
        steps: the same in blocks, decay written as a factor.
        measured: position of each measured qubit, ascending.
        bits: classical bit -> place in ``measured`` of the qubit that it is read from last.
        flips: of each measured qubit, P(1 read | 0) and P(0 read | 1), with its decay while it waits for its readout.
    """

    num_qubits: int
    gates: tuple[Gate, ...]
    steps: tuple[Step, ...]
    measured: tuple[int, ...]
    bits: Mapping[int, int]
    flips: tuple[tuple[float, float], ...]


def course(circuit: QuantumCircuit, calibration: Calibration) -> Course:
    """The circuit as its parities meet it.

    Args:
        circuit: static, without free parameters, transpiled to the device and measured.
        calibration: of the device.

    Raises:
        CalibrationMissing: the circuit has a gate that the calibration does not list.
    """
    from circuits.structure import drop_idle_qubits, measurements

    small = drop_idle_qubits(circuit)
    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    place = {bit: position for position, bit in enumerate(small.qubits)}
    there = [index[bit] for bit in small.qubits]
    qubits = [calibration.qubits[position] for position in there]
    waits: dict[int, list[Wait]] = {}
    for wait in schedule(small, calibration, there).waits:
        waits.setdefault(wait.before, []).append(wait)
    gates, decayed = _Gates(), [0.0] * len(there)
    for number, item in enumerate(small.data):
        for wait in waits.get(number, ()):
            lost = -math.expm1(-wait.duration_s / qubits[wait.qubit].t1_s)
            if wait.then_measured:
                decayed[wait.qubit] = lost
            else:
                gates.wait(wait.qubit, _dephased(qubits[wait.qubit], wait.duration_s), lost)
        if item.name not in ("measure", "barrier", "delay", "reset"):
            local = tuple(place[bit] for bit in item.qubits)
            gate = calibration.gate_table[item.name, tuple(there[position] for position in local)]
            noise = _gate_noise(gate, tuple(qubits[position] for position in local))
            gates.add(Gate(local, _matrix(item.name, tuple(map(float, item.params))), *noise))
    done, targets = gates.finish(), measurements(small)
    measured = tuple(sorted(set(targets.values())))
    return Course(
        num_qubits=len(there),
        gates=tuple(done),
        steps=_blocks(done, len(there)),
        measured=measured,
        bits={clbit: measured.index(qubit) for clbit, qubit in targets.items()},
        flips=tuple(_flips(qubits[qubit], decayed[qubit]) for qubit in measured),
    )


class _Gates:
    """Collects gates; those on one qubit in a row become one, since their own noise hardly cares where it stands."""

    def __init__(self) -> None:
        self._done: list[Gate] = []
        self._open: dict[int, Gate] = {}

    def add(self, gate: Gate) -> None:
        if len(gate.qubits) == 1:
            (qubit,) = gate.qubits
            before = self._open.get(qubit)
            self._open[qubit] = gate if before is None else _joined(before, gate)
        else:
            self._close(*gate.qubits)
            self._done.append(gate)

    def wait(self, qubit: int, log_kept: Array, lost: float) -> None:
        self.add(Gate((qubit,), _PAULIS[0], log_kept, (lost,)))
        self._close(qubit)

    def finish(self) -> list[Gate]:
        self._close(*list(self._open))
        return self._done

    def _close(self, *qubits: int) -> None:
        self._done += [self._open.pop(qubit) for qubit in qubits if qubit in self._open]


def _joined(first: Gate, second: Gate) -> Gate:
    lost = 1.0 - (1.0 - first.decayed[0]) * (1.0 - second.decayed[0])
    return Gate(first.qubits, second.matrix @ first.matrix, first.log_kept + second.log_kept, (lost,))


def _blocks(gates: Sequence[Gate], num_qubits: int) -> tuple[Step, ...]:
    """Gates in a row on the same pair put together: fewer branches, and within a block paths do interfere.

    Noise inside a block is moved behind it: what it leaves of a Pauli there is the mean over what that was before.
    """
    done: list[tuple[tuple[int, ...], Complex, Array]] = []
    running: dict[int, int] = {}
    turned = [np.square(transfer) for transfer in transfers([gate.matrix for gate in gates])]
    for gate, turn, means in zip(gates, turned, _means(gates, num_qubits), strict=True):
        log_kept = gate.log_kept + _decay(gate.decayed, means)
        block = running.get(gate.qubits[0], -1)
        if block >= 0 and all(running.get(qubit) == block for qubit in gate.qubits):
            qubits, matrix, before = done[block]
            own, turn, log_kept = (_widened(part, gate.qubits, qubits) for part in (gate.matrix, turn, log_kept))
            done[block] = qubits, own @ matrix, turn @ before + log_kept
            continue
        done.append((gate.qubits, gate.matrix, log_kept))
        running |= dict.fromkeys(gate.qubits, len(done) - 1)
    whole = transfers([matrix for _, matrix, _ in done])
    return tuple(
        Step(qubits, transfer, log_kept, entr(np.square(transfer)).sum(axis=1))
        for (qubits, _, log_kept), transfer in zip(done, whole, strict=True)
    )


def _widened(part: NDArray[Any], qubits: tuple[int, ...], block: tuple[int, ...]) -> NDArray[Any]:
    """A matrix, or a vector over Paulis, of some of a block's qubits, on all of them."""
    if qubits == block:
        return part
    if len(qubits) == 1:
        axis_of_one = np.eye(len(part)) if part.ndim == 2 else np.ones(len(part))
        return np.kron(axis_of_one, part) if qubits[0] == block[0] else np.kron(part, axis_of_one)
    size = math.isqrt(len(part))
    swapped = part.reshape((size,) * 2 * part.ndim)
    return swapped.transpose((1, 0, 3, 2)[: 2 * part.ndim]).reshape(part.shape)


# ── gates and noise ───────────────────────────────────────────────────────────────────────────────────────────────────
_PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
_PAIRS = np.array([np.kron(_PAULIS[code >> 2], _PAULIS[code & 3]) for code in range(16)])
_ACROSS, _ALONG = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])


@lru_cache(maxsize=16384)
def _matrix(name: str, params: tuple[float, ...]) -> Complex:
    if name == "rz":
        return np.diag(np.exp(np.array([-0.5j, 0.5j]) * params[0]))
    if name == "sqrt_iswap":
        from backends.fsim import SqrtISwap

        return np.asarray(SqrtISwap().to_matrix())
    from qiskit.circuit.library import get_standard_gate_name_mapping

    return np.asarray(type(get_standard_gate_name_mapping()[name])(*params).to_matrix())


def _dephased(qubit: QubitCalibration, duration_s: float) -> Array:
    """Logarithm of what relaxation leaves of I, X, Y and, decay apart, Z; T2 is capped at 2 T1."""
    return _ACROSS * (-duration_s / min(qubit.t2_s, 2.0 * qubit.t1_s))


@lru_cache(maxsize=16384)
def _gate_noise(gate: GateCalibration, qubits: tuple[QubitCalibration, ...]) -> tuple[Array, tuple[float, ...]]:
    """``log_kept`` and ``decayed`` of a gate: relaxation, and what is missing to its published error depolarises.

    The split is that of ``backends.noise.gate_error``, p = d (r - 1 + F) / (d F - 1); a coherent part is left out.
    """
    log_kept, log_relaxed = np.zeros(1), np.zeros(1)
    for qubit in qubits:
        across = _dephased(qubit, gate.duration_s)
        log_kept = np.add.outer(across, log_kept).ravel()
        log_relaxed = np.add.outer(across - _ALONG * gate.duration_s / qubit.t1_s, log_relaxed).ravel()
    dimension = 2.0 ** len(qubits)
    fidelity = (dimension * float(np.exp(log_relaxed).mean()) + 1.0) / (dimension + 1.0)
    depolarised = dimension * (gate.error - 1.0 + fidelity) / (dimension * fidelity - 1.0)
    if depolarised > 0.0:
        log_kept[1:] += math.log(max(_SMALLEST, 1.0 - depolarised))
    return log_kept, tuple(-math.expm1(-gate.duration_s / qubit.t1_s) for qubit in qubits)


def _flips(qubit: QubitCalibration, decayed: float) -> tuple[float, float]:
    up, down = qubit.misread
    return up, decayed * (1.0 - up) + (1.0 - decayed) * down


def transfers(matrices: Sequence[Complex]) -> list[Array]:
    """Pauli transfer matrices of unitaries, R[P, Q] = tr(Q U^dagger P U) / d."""
    found: list[Array] = [np.empty(0)] * len(matrices)
    for paulis in (_PAULIS, _PAIRS):
        chosen = [number for number, matrix in enumerate(matrices) if len(matrix) == len(paulis[0])]
        if chosen:
            whole = np.stack([matrices[number] for number in chosen])
            back = whole.conj().transpose(0, 2, 1)[:, None] @ paulis @ whole[:, None]
            flat = paulis.transpose(0, 2, 1).reshape(len(paulis), -1).T
            expectations = (back.reshape(len(chosen), len(paulis), -1) @ flat).real / whole.shape[1]
            for number, transfer in zip(chosen, expectations, strict=True):
                found[number] = transfer
    return found


def _decay(decayed: Sequence[float], means: Sequence[float]) -> Array:
    """Logarithm of what decay leaves of each Pauli, given each qubit's <Z>: Z becomes (1 - g + g <Z>) Z."""
    log_kept = np.zeros(1)
    for lost, mean in zip(decayed, means, strict=True):
        log_kept = np.add.outer(_ALONG * math.log(max(_SMALLEST, 1.0 - lost * (1.0 - mean))), log_kept).ravel()
    return log_kept


def _means(gates: Sequence[Gate], num_qubits: int) -> list[tuple[float, ...]]:
    """Ideal <Z> of each gate's qubits behind it; 0, which is the Pauli twirl, where the state is too large."""
    if num_qubits > MAX_QUBITS:
        return [(0.0,) * len(gate.qubits) for gate in gates]
    found: list[tuple[float, ...]] = []
    state: Complex = np.zeros(2**num_qubits, dtype=np.complex128)
    state[0] = 1.0
    for gate in gates:
        low, high = min(gate.qubits), max(gate.qubits)
        if len(gate.qubits) == 1:
            view = gate.matrix @ state.reshape(-1, 2, 2**low)
            weights = np.sum(np.abs(view) ** 2, axis=(0, 2))
            state = view.reshape(-1)
            found.append((float(weights[0] - weights[1]),))
        else:
            axes = (3, 1, 0, 2, 4) if gate.qubits[1] == low else (1, 3, 0, 2, 4)
            view = state.reshape(-1, 2, 2 ** (high - low - 1), 2, 2**low).transpose(axes)
            shape = view.shape
            view = gate.matrix @ view.reshape(4, -1)
            weights = np.sum(np.abs(view) ** 2, axis=1)
            state = view.reshape(shape).transpose(np.argsort(axes)).reshape(-1)
            found.append((float(weights @ (1, -1, 1, -1)), float(weights @ (1, 1, -1, -1))))
    return found
