"""Outbound conversion: a transpiled QuantumCircuit to Cirq, Braket, PennyLane and stim. One hub, one table a spoke.

The hub is a static circuit over ``COMMON_BASIS``; transpiling to it first makes every gate one entry of a table, so no
text is written or parsed; the tables are those of ``circuits.dialects``. Qubit i becomes ``LineQubit(i)`` in Cirq,
qubit i in Braket and wire i in PennyLane. Barriers and delays are dropped, and so are measurements: what is measured is
told apart, because the SDKs disagree about bit order, measurement keys and registers. Qubits that do nothing are left
out; global phase is lost.

stim is the exception: its circuits are Clifford, may measure and reset in mid-circuit, and keep their measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.errors import UnsupportedCircuit

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

_NAMES = "id x y z h s sdg t tdg sx rx ry rz p cx cy cz cp swap iswap rxx ryy rzz ccx cswap"
COMMON_BASIS = tuple(_NAMES.split())
"""Qiskit's names of the gates that all spokes have."""

STIM_GATES = {
    "id": "I",
    "x": "X",
    "y": "Y",
    "z": "Z",
    "h": "H",
    "s": "S",
    "sdg": "S_DAG",
    "sx": "SQRT_X",
    "sxdg": "SQRT_X_DAG",
    "cx": "CX",
    "cy": "CY",
    "cz": "CZ",
    "swap": "SWAP",
    "iswap": "ISWAP",
    "measure": "M",
    "reset": "R",
}
"""Qiskit's name -> stim's."""

_SILENT = frozenset({"barrier", "delay", "measure"})


@dataclass(frozen=True)
class Converted:
    """A circuit in another SDK, without measurements except in stim.

    Attributes:
        circuit: the SDK's own object.
        qubits: indices of the qubits in it, ascending; each of them occurs in ``circuit``.
        readout: classical bit -> position in ``qubits`` of what it holds; in stim, number of its last measurement.
    """

    circuit: Any
    qubits: tuple[int, ...]
    readout: Mapping[int, int]


def to_cirq(circuit: QuantumCircuit) -> Converted:
    """Convert to a ``cirq.Circuit``.

    Raises:
        UnsupportedCircuit: dynamic, with free parameters, or with a gate outside ``COMMON_BASIS``.
    """
    import cirq

    from circuits.dialects.cirq import gates

    table = gates()

    def build(steps: list[_Step]) -> Any:
        return cirq.Circuit(table[name](*params).on(*map(cirq.LineQubit, qubits)) for name, params, qubits in steps)

    return _convert(circuit, build)


def to_braket(circuit: QuantumCircuit) -> Converted:
    """Convert to a ``braket.circuits.Circuit``.

    Raises:
        UnsupportedCircuit: dynamic, with free parameters, or with a gate outside ``COMMON_BASIS``.
    """
    from braket.circuits import Circuit, Instruction

    from circuits.dialects.braket import gates

    table = gates()

    def build(steps: list[_Step]) -> Any:
        return Circuit([Instruction(table[name](*params), qubits) for name, params, qubits in steps])

    return _convert(circuit, build)


def to_stim(circuit: QuantumCircuit) -> Converted:
    """Convert to a ``stim.Circuit`` that measures; ``readout`` tells the record behind each classical bit.

    Raises:
        UnsupportedCircuit: classical control, or an instruction outside ``STIM_GATES``.
    """
    import stim

    from circuits.structure import active_qubits

    qubits, bits = active_qubits(circuit), circuit.qubits
    place = {bits[qubit]: str(position) for position, qubit in enumerate(qubits)}
    clbits = {bit: position for position, bit in enumerate(circuit.clbits)}
    lines: list[str] = []
    readout: dict[int, int] = {}
    num_measurements = 0
    for item in circuit.data:
        name = item.name
        if name in ("barrier", "delay"):
            continue
        if name not in STIM_GATES:
            raise UnsupportedCircuit(
                f"circuit {circuit.name!r}: wanted instructions of {' '.join(STIM_GATES)}, got {name!r}: transpile it "
                "for stim, or choose a backend with feed-forward"
            )
        if name == "measure":
            readout[clbits[item.clbits[0]]] = num_measurements
            num_measurements += 1
        lines.append(" ".join((STIM_GATES[name], *(place[qubit] for qubit in item.qubits))))
    return Converted(stim.Circuit("\n".join(lines)), tuple(qubits), readout)


def to_pennylane(circuit: QuantumCircuit) -> Converted:
    """Convert to a PennyLane ``QuantumScript``, without return values.

    Raises:
        UnsupportedCircuit: dynamic, with free parameters, or with a gate outside ``COMMON_BASIS``.
    """
    from pennylane.tape import QuantumScript

    from circuits.dialects.pennylane import gates

    table = gates()

    def build(steps: list[_Step]) -> Any:
        return QuantumScript([table[name](*params, wires=qubits) for name, params, qubits in steps])

    return _convert(circuit, build)


_Step = tuple[str, list[float], list[int]]
"""Gate, angles in radians, qubits."""


def _convert(circuit: QuantumCircuit, build: Callable[[list[_Step]], Any]) -> Converted:
    from circuits.structure import active_qubits, is_dynamic, measurements

    if circuit.num_parameters or is_dynamic(circuit):
        what = "free parameters" if circuit.num_parameters else "mid-circuit operations"
        raise UnsupportedCircuit(
            f"circuit {circuit.name!r}: wanted a static circuit without free parameters, got {what}: "
            "bind them, or choose a dynamic backend"
        )
    index = {bit: position for position, bit in enumerate(circuit.qubits)}
    steps: list[_Step] = []
    touched: set[int] = set()
    for item in circuit.data:
        name, qubits = item.operation.name, [index[bit] for bit in item.qubits]
        if name in _SILENT or name == "reset":  # in a static circuit a reset finds its qubit fresh
            continue
        if name not in COMMON_BASIS:
            raise UnsupportedCircuit(
                f"circuit {circuit.name!r}: wanted gates of {_NAMES}, got {name!r}: transpile it first"
            )
        steps.append((name, [float(angle) for angle in item.operation.params], qubits))
        touched.update(qubits)
    qubits = active_qubits(circuit)
    # a qubit that is only measured, or only reset, must still exist on the other side
    steps += [("id", [], [qubit]) for qubit in qubits if qubit not in touched]
    place = {qubit: position for position, qubit in enumerate(qubits)}
    readout = {clbit: place[qubit] for clbit, qubit in measurements(circuit).items()}
    return Converted(build(steps), tuple(qubits), readout)
