"""When each pair is needed: an as-soon-as-possible schedule of the distributed circuit (ours).

Every instruction begins when its qubits are free; a copy is a qubit of its own. Pairs are taken to be there: what
waiting for them adds is the allocator's to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from qiskit import QuantumCircuit

from circuits.distributed.ebits import Ebit, ebits
from circuits.distributed.gates import is_joint


@dataclass(frozen=True)
class Times:
    """How long things take, in seconds (ours: round figures of superconducting devices, and 1 km of fibre).

    Attributes:
        message_s: from a measured bit to the other QPU that acts on it: light and control.
    """

    one_qubit_s: float = 50e-9
    two_qubit_s: float = 300e-9
    measure_s: float = 1e-6
    message_s: float = 5e-6


@dataclass(frozen=True)
class Schedule:
    """When things happen, in seconds from the start of a shot.

    Attributes:
        release_s: moment at which each pair is needed, in the order of ``ebits``.
        end_s: when all is done.
    """

    release_s: tuple[float, ...]
    end_s: float


def schedule(circuit: QuantumCircuit, parts: Sequence[int], times: Times = Times()) -> Schedule:
    """As soon as possible, of a circuit in the basis of :mod:`circuits.distributed.gates`."""
    pairs = ebits(circuit, parts)
    by_gate = {gate: number for number, pair in enumerate(pairs) for gate in pair.gates}
    free: dict[tuple[str, int], float] = defaultdict(float)
    release = [0.0] * len(pairs)
    place = {qubit: index for index, qubit in enumerate(circuit.qubits)}
    for index, item in enumerate(circuit.data):
        wires = [("qubit", place[qubit]) for qubit in item.qubits]
        number = by_gate.get(index)
        if number is not None:
            if pairs[number].gates[0] == index:
                release[number] = _copy(free, number, pairs[number], times)
            wires = [("copy", number) if wire == ("qubit", pairs[number].qubit) else wire for wire in wires]
        start = max((free[wire] for wire in wires), default=0.0)
        for wire in wires:
            free[wire] = start + _lasts(item.operation.name, joint=is_joint(item), times=times)
        if number is not None and pairs[number].gates[-1] == index:
            _uncopy(free, number, pairs[number], times)
    return Schedule(tuple(release), max(free.values(), default=0.0))


def _lasts(name: str, *, joint: bool, times: Times) -> float:
    if name in ("barrier", "delay"):
        return 0.0
    if joint:
        return times.two_qubit_s
    return times.measure_s if name in ("measure", "reset") else times.one_qubit_s


def _copy(free: dict[tuple[str, int], float], number: int, pair: Ebit, times: Times) -> float:
    """The cat-entangler: when it began."""
    began = free["qubit", pair.qubit]
    free["qubit", pair.qubit] = began + times.two_qubit_s
    free["copy", number] = began + times.two_qubit_s + times.measure_s + times.message_s + times.one_qubit_s
    return began


def _uncopy(free: dict[tuple[str, int], float], number: int, pair: Ebit, times: Times) -> None:
    """The cat-disentangler: the copy is measured, the qubit corrected."""
    told = free["copy", number] + times.one_qubit_s + times.measure_s + times.message_s
    free["qubit", pair.qubit] = max(free["qubit", pair.qubit], told) + times.one_qubit_s
    free["copy", number] = told


def needs(pairs: Sequence[Ebit], release_s: Sequence[float]) -> dict[tuple[int, int], list[float]]:
    """Demand of one shot: two QPUs -> moments at which they need a pair, ascending."""
    found: dict[tuple[int, int], list[float]] = defaultdict(list)
    for pair, moment in zip(pairs, release_s, strict=True):
        found[pair.ends].append(moment)
    return {ends: sorted(moments) for ends, moments in sorted(found.items())}
