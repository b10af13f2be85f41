"""Which of a device's qubits a circuit should sit on, by what the device publishes about them.

A transpiled circuit says what it needs: gates on qubits, gates on pairs, waiting, readouts. A beam search places that
graph anew on the device's good edges, cheapest first, by the losses that :func:`backends.calibration.survival` counts.
Everything is decided by published figures and, between equals, by the smaller qubit numbers, so the answer is the same
in every process.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.schedule import schedule

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

    from backends.calibration import Calibration

BEAM = 96
"""Partial placements that are followed at once (ours: 256 won nothing on the circuits of the benchmark)."""
_STARTS = 6  # where a part that hangs together with nothing placed so far may begin
_EMBEDDING_STEPS = 200_000
_LOST = 1e-300


@dataclass(frozen=True)
class Terrain:
    """What a device's qubits and pairs cost, as minus the logarithm of a survival.

    Attributes:
        neighbours: of each qubit, over pairs that work.
        gate: of each qubit's worst one-qubit gate.
        readout: of each qubit.
        idle_per_s: of each qubit, a second of waiting.
        pair: of each undirected pair, the better direction.
        ranking: working qubits, those with the better readout and gates first.
    """

    neighbours: tuple[tuple[int, ...], ...]
    gate: tuple[float, ...]
    readout: tuple[float, ...]
    idle_per_s: tuple[float, ...]
    pair: dict[tuple[int, int], float]
    ranking: tuple[int, ...]


def terrain(calibration: Calibration) -> Terrain:
    """Read a calibration as costs. Idle time counts to first order in t / T1 and t / T2 (ours)."""
    size = len(calibration.qubits)
    pair: dict[tuple[int, int], float] = {}
    gate = [math.inf] * size  # a qubit without gates is out of order
    for (_, qubits), weight in calibration.gate_weights.items():
        loss = -math.log(max(weight, _LOST))
        if len(qubits) == 1:
            known = gate[qubits[0]]
            gate[qubits[0]] = loss if math.isinf(known) else max(known, loss)
        elif len(qubits) == 2:
            edge = min(qubits), max(qubits)
            pair[edge] = min(loss, pair.get(edge, math.inf))
    beside: list[list[int]] = [[] for _ in range(size)]
    for low, high in sorted(pair):
        beside[low].append(high)
        beside[high].append(low)
    readout = tuple(-math.log(max(1.0 - qubit.readout_error, _LOST)) for qubit in calibration.qubits)
    return Terrain(
        neighbours=tuple(map(tuple, beside)),
        gate=tuple(gate),
        readout=readout,
        idle_per_s=tuple(0.25 / qubit.t1_s + 0.5 / min(qubit.t2_s, 2.0 * qubit.t1_s) for qubit in calibration.qubits),
        pair=pair,
        ranking=tuple(
            sorted((q for q in range(size) if math.isfinite(gate[q])), key=lambda q: (readout[q] + gate[q], q))
        ),
    )


@dataclass
class Demand:
    """What a transpiled circuit asks of one of the qubits it sits on."""

    gates: int = 0
    readouts: int = 0
    idle_s: float = 0.0


def demand(circuit: QuantumCircuit, calibration: Calibration) -> tuple[dict[int, Demand], dict[tuple[int, int], int]]:
    """What a transpiled circuit asks of its qubits, by number, and of its pairs, as counts of gates."""
    plan = schedule(circuit, calibration)
    nodes: dict[int, Demand] = {}
    pairs: dict[tuple[int, int], int] = {}
    for name, qubits in plan.gates:
        for qubit in qubits:
            nodes.setdefault(qubit, Demand())
        if len(qubits) == 2:
            edge = min(qubits), max(qubits)
            pairs[edge] = pairs.get(edge, 0) + 1
        elif calibration.gate_table[name, qubits].error > 0.0:
            nodes[qubits[0]].gates += 1
    for qubit in plan.measured:
        nodes.setdefault(qubit, Demand()).readouts += 1
    for wait in plan.waits:
        nodes.setdefault(wait.qubit, Demand()).idle_s += wait.duration_s
    return nodes, pairs


def embedding(
    pairs: Sequence[tuple[int, int]], num_qubits: int, coupling: Sequence[tuple[int, int]]
) -> list[int] | None:
    """A device qubit for each circuit qubit such that all pairs are coupled; None if none is found in bounded steps.

    Args:
        pairs: of circuit qubits that meet in a gate, each once.
        num_qubits: of the circuit; those in no pair get what is left over.
        coupling: of the device.
    """
    import rustworkx

    joined = sorted({qubit for pair in pairs for qubit in pair})
    place = {qubit: position for position, qubit in enumerate(joined)}
    asked, offered = rustworkx.PyGraph(), rustworkx.PyGraph()
    asked.add_nodes_from(joined)
    asked.add_edges_from_no_data([(place[a], place[b]) for a, b in sorted(pairs)])
    live = sorted({qubit for pair in coupling for qubit in pair})
    where = {qubit: position for position, qubit in enumerate(live)}
    offered.add_nodes_from(live)
    offered.add_edges_from_no_data([(where[a], where[b]) for a, b in sorted(coupling)])
    found = next(
        iter(rustworkx.vf2_mapping(offered, asked, subgraph=True, induced=False, call_limit=_EMBEDDING_STEPS)), None
    )
    if found is None:
        return None
    layout = {joined[mine]: live[theirs] for theirs, mine in found.items()}
    taken = set(layout.values())
    free = iter(qubit for qubit in live if qubit not in taken)
    spare = [qubit for qubit in range(num_qubits) if qubit not in layout]
    layout |= dict(zip(spare, free, strict=False))
    return [layout[qubit] for qubit in range(num_qubits)] if len(layout) == num_qubits else None


def placements(
    nodes: dict[int, Demand], pairs: dict[tuple[int, int], int], ground: Terrain, *, keep: int
) -> list[dict[int, int]]:
    """The cheapest placements that a beam search finds: a device qubit for each of the circuit's.

    Args:
        nodes, pairs: as from :func:`demand`.
        ground: the device.
        keep: most placements to return, cheapest first; fewer, or none, if no more are found.
    """
    partners: dict[int, list[tuple[int, int]]] = {node: [] for node in nodes}
    for (low, high), count in sorted(pairs.items()):
        partners[low].append((high, count))
        partners[high].append((low, count))
    order = _order(partners)
    beam: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    turn = {node: step for step, node in enumerate(order)}
    for step, node in enumerate(order):
        before = [(turn[other], count) for other, count in partners[node] if turn[other] < step]
        wanted = nodes[node]
        grown = []
        for cost, placed in beam:
            for qubit in _open(ground, placed, before, len(partners[node])):
                more = wanted.gates * ground.gate[qubit] + wanted.readouts * ground.readout[qubit]
                more += wanted.idle_s * ground.idle_per_s[qubit]
                for other, count in before:
                    there = placed[other]
                    more += count * ground.pair[(there, qubit) if there < qubit else (qubit, there)]
                grown.append((cost + more, (*placed, qubit)))
        grown.sort()
        beam = grown[: max(BEAM, keep)]
    return [dict(zip(order, placed, strict=True)) for cost, placed in beam[:keep] if math.isfinite(cost)]


def _order(partners: dict[int, list[tuple[int, int]]]) -> list[int]:
    """The busiest first, then always the one with most gates to those before it."""
    order: list[int] = []
    pull = dict.fromkeys(partners, 0)
    load = {node: sum(count for _, count in mine) for node, mine in partners.items()}
    while pull:
        node = max(pull, key=lambda one: (pull[one], load[one], -one))
        del pull[node]
        order.append(node)
        for other, count in partners[node]:
            if other in pull:
                pull[other] += count
    return order


def _open(ground: Terrain, placed: tuple[int, ...], before: list[tuple[int, int]], degree: int) -> list[int]:
    """Free qubits that touch all placed partners and have room for the others; a few good ones where none is placed."""
    choices = ground.neighbours[placed[before[0][0]]] if before else ground.ranking
    rest = [placed[position] for position, _ in before[1:]]
    most = len(choices) if before or not placed else _STARTS
    found: list[int] = []
    for qubit in choices:
        if (
            qubit not in placed
            and len(ground.neighbours[qubit]) >= degree
            and math.isfinite(ground.gate[qubit])
            and all(other in ground.neighbours[qubit] for other in rest)
        ):
            found.append(qubit)
            if len(found) == most:
                break
    return found
