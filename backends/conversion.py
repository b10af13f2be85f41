"""Outbound conversion: a transpiled QuantumCircuit to Cirq, Braket and stim. One hub, one table for each spoke.

The hub is a static circuit over ``COMMON_BASIS``; transpiling to it first makes every gate one entry of a table, so no
text is written or parsed. Qubit i becomes ``LineQubit(i)`` in Cirq and qubit i in Braket. Barriers and delays are
dropped, and so are measurements: what is measured is told apart, because the three SDKs disagree about bit order,
measurement keys and registers. Qubits that do nothing are left out; global phase is lost.

stim is the exception: its circuits are Clifford, may measure and reset in mid-circuit, and keep their measurements.
"""

from __future__ import annotations

import math
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

    table = _cirq_table()

    def build(steps: list[_Step]) -> Any:
        return cirq.Circuit(table[name](*params).on(*map(cirq.LineQubit, qubits)) for name, params, qubits in steps)

    return _convert(circuit, build)


def to_braket(circuit: QuantumCircuit) -> Converted:
    """Convert to a ``braket.circuits.Circuit``.

    Raises:
        UnsupportedCircuit: dynamic, with free parameters, or with a gate outside ``COMMON_BASIS``.
    """
    from braket.circuits import Circuit, Instruction

    table = _braket_table()

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


def _cirq_table() -> dict[str, Callable[..., Any]]:
    """Qiskit's name -> angles -> Cirq's gate."""
    import cirq

    fixed = {
        "id": cirq.I,
        "x": cirq.X,
        "y": cirq.Y,
        "z": cirq.Z,
        "h": cirq.H,
        "s": cirq.S,
        "sdg": cirq.S**-1,
        "t": cirq.T,
        "tdg": cirq.T**-1,
        "sx": cirq.X**0.5,
        "cx": cirq.CX,
        "cy": cirq.ControlledGate(cirq.Y),
        "cz": cirq.CZ,
        "swap": cirq.SWAP,
        "iswap": cirq.ISWAP,
        "ccx": cirq.CCX,
        "cswap": cirq.CSWAP,
    }
    return {name: lambda gate=gate: gate for name, gate in fixed.items()} | {
        "rx": cirq.rx,
        "ry": cirq.ry,
        "rz": cirq.rz,
        "p": lambda angle: cirq.ZPowGate(exponent=angle / math.pi),
        "cp": lambda angle: cirq.CZPowGate(exponent=angle / math.pi),
        "rxx": lambda angle: cirq.XXPowGate(exponent=angle / math.pi, global_shift=-0.5),
        "ryy": lambda angle: cirq.YYPowGate(exponent=angle / math.pi, global_shift=-0.5),
        "rzz": lambda angle: cirq.ZZPowGate(exponent=angle / math.pi, global_shift=-0.5),
    }


def _braket_table() -> dict[str, Callable[..., Any]]:
    """Qiskit's name -> angles -> Braket's gate."""
    from braket.circuits import gates

    return {
        "id": gates.I,
        "x": gates.X,
        "y": gates.Y,
        "z": gates.Z,
        "h": gates.H,
        "s": gates.S,
        "sdg": gates.Si,
        "t": gates.T,
        "tdg": gates.Ti,
        "sx": gates.V,
        "rx": gates.Rx,
        "ry": gates.Ry,
        "rz": gates.Rz,
        "p": gates.PhaseShift,
        "cx": gates.CNot,
        "cy": gates.CY,
        "cz": gates.CZ,
        "cp": gates.CPhaseShift,
        "swap": gates.Swap,
        "iswap": gates.ISwap,
        "rxx": gates.XX,
        "ryy": gates.YY,
        "rzz": gates.ZZ,
        "ccx": gates.CCNot,
        "cswap": gates.CSwap,
    }
