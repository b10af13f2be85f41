"""A circuit as the sparse simulator runs it: segments that permute basis states, and the few gates that branch.

Definitions of gates are followed, each compiled once for the qubits it acts on, so that a block repeated a thousand
times is kept once. Two Hadamards around a controlled X on its target make a controlled sign, and the other way round:
amplitude amplification then branches on its search register alone. Global phases are dropped.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterExpression

from backends.errors import UnsupportedCircuit
from backends.sparse_kernel import CSWAP, FLIP, FLIP_ROWS, SIGN, SWAP, TOGGLE
from circuits.structure import measurements

if TYPE_CHECKING:
    from qiskit.circuit import Operation

Complex = NDArray[np.complex128]
Floats = NDArray[np.float64]
Qubits: TypeAlias = tuple[int, ...]
Angle: TypeAlias = "float | ParameterExpression"


@dataclass(frozen=True)
class Permute:
    """A stretch of operations of :func:`backends.sparse_kernel.permute`; int32 (length,)."""

    code: NDArray[np.int32]


@dataclass(frozen=True)
class Turn:
    """A phase where all ``controls`` are 1."""

    controls: NDArray[np.int32]
    angle: Angle


@dataclass(frozen=True)
class Branch:
    """A one-qubit gate that is no permutation; ``matrix`` gives it from angles in radians."""

    qubit: int
    matrix: Callable[..., Any]
    angles: tuple[Angle, ...] = ()

    def matrices(self, columns: Mapping[str, Floats]) -> Complex:
        """Of every row, or one for all.      complex128 (1 or num_rows, 2, 2)."""
        return self._of(columns) if self.angles else self._fixed

    @cached_property
    def _fixed(self) -> Complex:
        return self._of({})

    def _of(self, columns: Mapping[str, Floats]) -> Complex:
        angles = [values(angle, columns) for angle in self.angles]
        size = max((angle.size for angle in angles), default=1)
        rows = zip(*(np.resize(angle, size) for angle in angles), strict=True) if angles else [()]
        return np.array([self.matrix(*row) for row in rows], dtype=np.complex128)


Step: TypeAlias = Permute | Turn | Branch


@dataclass
class Program:
    """A compiled circuit.

    Attributes:
        num_qubits: declared.
        num_clbits: declared.
        steps: in time order.
        flips: angles of RX gates that enter as flips, where every row has a whole number of half turns.
        readout: classical bit -> qubit.
        num_lanes: basis states a row needed at most when it was last run; 0 if it never was.
    """

    num_qubits: int
    num_clbits: int
    steps: tuple[Step, ...]
    flips: tuple[ParameterExpression, ...]
    readout: Mapping[int, int]
    num_lanes: int = field(default=0, compare=False)


def compile_circuit(circuit: QuantumCircuit, *, flipping: bool) -> Program:
    """Compile a static circuit.

    Args:
        circuit: measured at its end; free parameters are allowed.
        flipping: whether a parametrised RX may be taken for a flip.

    Raises:
        UnsupportedCircuit: a gate that is neither known nor defined by others.
    """
    compiler = _Compiler(flipping)
    steps = compiler.steps(circuit, tuple(range(circuit.num_qubits)))
    return Program(circuit.num_qubits, circuit.num_clbits, steps, tuple(compiler.flips), measurements(circuit))


def values(angle: Angle, columns: Mapping[str, Floats]) -> Floats:
    """An angle in every row, radians; columns: each parameter's value in every row.

    Returns:
        float64 (1,) for a constant, else (num_rows,)
    """
    if isinstance(angle, Parameter):
        return columns[angle.name]
    if not isinstance(angle, ParameterExpression):
        return np.array([float(angle)])
    names = sorted(parameter.name for parameter in angle.parameters)
    if len(names) == 1:
        (parameter,) = angle.parameters
        slope = angle.gradient(parameter)
        if not isinstance(slope, ParameterExpression):  # affine, as most are: no expression is evaluated row by row
            column = columns[names[0]]
            return complex(slope).real * column + float(angle.bind({parameter: 0.0}))
    rows = zip(*(columns[name] for name in names), strict=True)
    by_name = {parameter.name: parameter for parameter in angle.parameters}
    bound = [angle.bind({by_name[name]: float(value) for name, value in zip(names, row, strict=True)}) for row in rows]
    return np.array([float(value) for value in bound])


@dataclass
class _Item:
    """One operation on its way into a segment, or a step that stands between segments. None: taken back."""

    kind: int
    operands: Qubits
    qubits: Qubits
    step: Step | None = None


_STEP = -1
_HADAMARD = 1.0 / math.sqrt(2.0) * np.array([[1.0, 1.0], [1.0, -1.0]], dtype=np.complex128)


def _hadamard() -> Any:
    return _HADAMARD


class _Compiler:
    def __init__(self, flipping: bool) -> None:
        self._flipping = flipping
        self._known: dict[tuple[int, Qubits], tuple[QuantumCircuit, tuple[Step, ...]]] = {}
        self.flips: dict[ParameterExpression, int] = {}

    def steps(self, circuit: QuantumCircuit, qubits: Qubits) -> tuple[Step, ...]:
        known = self._known.get((id(circuit), qubits))
        if known is None:
            block = _Block()
            place = {bit: qubits[index] for index, bit in enumerate(circuit.qubits)}
            for item in circuit.data:
                self._add(block, item.operation, tuple(place[bit] for bit in item.qubits))
            known = self._known[(id(circuit), qubits)] = circuit, block.steps()
        return known[1]

    def _add(self, block: _Block, operation: Operation, qubits: Qubits) -> None:
        name = operation.name
        if name in _SILENT:
            return
        if name == "rx" and self._flipping and isinstance(operation.params[0], ParameterExpression):
            angle = _unsigned(operation.params[0])
            block.permute(FLIP_ROWS, (self.flips.setdefault(angle, len(self.flips)), *qubits), qubits)
        elif name in _PERMUTATIONS:
            for kind, operands in _PERMUTATIONS[name](qubits):
                block.permute(kind, operands, operands)
        elif name in _PHASES:
            block.step(Turn(np.array(qubits, dtype=np.int32), _PHASES[name](operation)), qubits)
        elif name == "h":
            block.hadamard(qubits[0])
        elif len(qubits) == 1 and hasattr(operation, "to_matrix"):
            _one_qubit(block, operation, qubits[0])
        elif getattr(operation, "definition", None) is not None:
            for step in self.steps(operation.definition, qubits):
                block.step(step, qubits)
        else:
            raise UnsupportedCircuit(f"sparse knows no gate {name!r} and finds no definition: transpile it first")


class _Block:
    """Items of one circuit, with what was last done to each qubit."""

    def __init__(self) -> None:
        self._items: list[_Item | None] = []
        self._last: dict[int, list[int]] = {}

    def permute(self, kind: int, operands: Qubits, qubits: Qubits) -> None:
        self._append(_Item(kind, operands, qubits))

    def step(self, step: Step, qubits: Qubits) -> None:
        self._append(_Item(_STEP, (), qubits, step))

    def hadamard(self, qubit: int) -> None:
        """H, or what becomes of it: H X H = Z, under controls."""
        before = self._last.get(qubit, [])
        if len(before) >= 2:
            middle, first = self._items[before[-1]], self._items[before[-2]]
            if first is not None and _is_hadamard(first, qubit) and middle is not None and _swaps_with(middle, qubit):
                controls = tuple(each for each in middle.operands if each != qubit)
                kind = SIGN if middle.kind == TOGGLE else TOGGLE
                self._items[before[-1]] = _Item(kind, (*controls, qubit), middle.qubits)
                self._items[before[-2]] = None
                del before[-2]
                return
        self.step(Branch(qubit, _hadamard), (qubit,))

    def steps(self) -> tuple[Step, ...]:
        """The items, stretches of permutations put together."""
        steps: list[Step] = []
        code: list[int] = []

        def close() -> None:
            if code:
                steps.append(Permute(np.array(code, dtype=np.int32)))
                code.clear()

        for item in self._items:
            if item is None:
                continue
            if item.step is None:
                code += [item.kind, len(item.operands), *item.operands]
            else:  # of a definition: kept as it is, since it is shared
                close()
                steps.append(item.step)
        close()
        return tuple(steps)

    def _append(self, item: _Item) -> None:
        for qubit in item.qubits:
            self._last.setdefault(qubit, []).append(len(self._items))
        self._items.append(item)


def _unsigned(angle: ParameterExpression) -> ParameterExpression:
    """A parameter for its negative: turned by pi or by -pi, a qubit flips."""
    return next((parameter for parameter in angle.parameters if parameter == -angle), angle)


def _is_hadamard(item: _Item, qubit: int) -> bool:
    return isinstance(item.step, Branch) and item.step.matrix is _hadamard and item.step.qubit == qubit


def _swaps_with(item: _Item, qubit: int) -> bool:
    """Whether H on ``qubit`` turns it from a controlled X into a controlled sign, or back.

    A bare X or Z stays: in the reflection H X (controlled sign) X H, taking H X H for Z would hide the sign.
    """
    return len(item.operands) > 1 and (item.kind == SIGN or (item.kind == TOGGLE and item.operands[-1] == qubit))


def _one_qubit(block: _Block, operation: Operation, qubit: int) -> None:
    """A gate given by its matrix: a permutation with phases where it is one, else a branch."""
    if any(isinstance(angle, ParameterExpression) for angle in operation.params):
        kind = type(operation)
        block.step(Branch(qubit, lambda *angles: kind(*angles).to_matrix(), tuple(operation.params)), (qubit,))
        return
    matrix = np.asarray(operation.to_matrix(), dtype=np.complex128)
    off, on = np.abs(matrix[0, 1]), np.abs(matrix[0, 0])
    if min(off, on) > _EXACT:
        block.step(Branch(qubit, lambda: matrix), (qubit,))
        return
    if on <= _EXACT:  # X after a phase
        matrix = matrix[::-1]
    angle = cmath.phase(matrix[1, 1] / matrix[0, 0])
    if abs(abs(angle) - math.pi) <= _EXACT:
        block.permute(SIGN, (qubit,), (qubit,))
    elif abs(angle) > _EXACT:
        block.step(Turn(np.array([qubit], dtype=np.int32), angle), (qubit,))
    if on <= _EXACT:
        block.permute(FLIP, (qubit,), (qubit,))


_EXACT = 1e-14
"""A matrix element below it is a rounding error of zero."""

_SILENT = frozenset({"barrier", "delay", "measure", "id", "reset", "global_phase"})
"""Instructions that change nothing here: in a static circuit a reset finds its qubit fresh."""

_PERMUTATIONS: Mapping[str, Callable[[Qubits], Sequence[tuple[int, Qubits]]]] = {
    "x": lambda q: [(FLIP, q)],
    "y": lambda q: [(SIGN, q), (FLIP, q)],
    "z": lambda q: [(SIGN, q)],
    "cx": lambda q: [(TOGGLE, q)],
    "ccx": lambda q: [(TOGGLE, q)],
    "mcx": lambda q: [(TOGGLE, q)],
    "cz": lambda q: [(SIGN, q)],
    "ccz": lambda q: [(SIGN, q)],
    "swap": lambda q: [(SWAP, q)],
    "cswap": lambda q: [(CSWAP, q)],
}

_PHASES: Mapping[str, Callable[[Operation], Angle]] = {
    "s": lambda _: math.pi / 2,
    "sdg": lambda _: -math.pi / 2,
    "t": lambda _: math.pi / 4,
    "tdg": lambda _: -math.pi / 4,
    "p": lambda gate: gate.params[0],
    "rz": lambda gate: gate.params[0],
    "cp": lambda gate: gate.params[0],
    "mcphase": lambda gate: gate.params[0],
}
