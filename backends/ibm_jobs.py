"""Runs as IBM's sampler takes them, and what it gives back as our counts.

Runs of one circuit with different parameters and equally many shots travel as one "pub", so that the circuit is sent
once. How runs fall into pubs depends on the runs alone: whoever fetches later, in another process, finds the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from backends.backend import Execution
from backends.errors import ExecutionFailed
from backends.remote import Delivery
from backends.sampling import pool
from circuits.family import Counts, Run

if TYPE_CHECKING:
    from qiskit import QuantumCircuit


def group(runs: Sequence[Run]) -> list[list[int]]:
    """Indices of the runs that share a pub, in the order of the pubs."""
    groups: dict[tuple[int, int, int | None], list[int]] = {}
    for index, run in enumerate(runs):
        groups.setdefault((run.circuit, run.shots, None if run.parameters else index), []).append(index)
    return list(groups.values())


def to_pubs(prepared: Sequence[QuantumCircuit], runs: Sequence[Run]) -> list[tuple[Any, ...]]:
    """The runs as pubs: circuit, parameter values float (num_runs, num_parameters) in the circuit's order, shots.

    Raises:
        ExecutionFailed: a run names no circuit, no shots or not exactly the circuit's free parameters.
    """
    pool(prepared, runs)  # looks at every run
    sent = [_named_bits(circuit) for circuit in prepared]
    pubs = []
    for members in group(runs):
        first = runs[members[0]]
        names = [parameter.name for parameter in sent[first.circuit].parameters]
        values = [[runs[index].parameters[name] for name in names] for index in members] if names else None
        pubs.append((sent[first.circuit], values, first.shots))
    return pubs


def to_delivery(
    result: Sequence[Any], sent: Sequence[Any], metrics: dict[str, Any], runs: Sequence[Run], *, memory: bool
) -> Delivery:
    """What came back for some runs.

    Args:
        result: of the sampler, one entry a pub.
        sent: the pubs as IBM has them; their circuits say which bit is in which register.
        metrics: of the job.
        runs: as they were handed in.
        memory: whether to keep the outcome of every shot.

    Raises:
        ExecutionFailed: it is not the answer to these runs.
    """
    groups = group(runs)
    if not len(result) == len(sent) == len(groups):
        raise ExecutionFailed(f"wanted {len(groups)} results, one a pub, got {len(result)} for {len(sent)} pubs")
    counts: dict[int, Counts] = {}
    kept: dict[int, tuple[str, ...]] = {}
    for entry, pub, members in zip(result, sent, groups, strict=True):
        for row, index in enumerate(members):
            shots = _shots(entry.data, pub[0], row if runs[index].parameters else None)
            if len(shots) != runs[index].shots:
                raise ExecutionFailed(f"run {index}: wanted {runs[index].shots} shots, got {len(shots)}")
            counts[index], kept[index] = dict(Counter(shots)), tuple(shots)
    order = range(len(runs))
    busy_s, waited_s = _times_s(metrics.get("timestamps") or {})
    billed_s = (metrics.get("usage") or {}).get("quantum_seconds")
    execution = Execution(
        counts=tuple(counts[index] for index in order),
        run_s=busy_s or 0.0,
        memory=tuple(kept[index] for index in order) if memory else None,
        method="qpu",
        device_s=busy_s,
        queue_s=waited_s,
    )
    return Delivery(
        execution,
        billed_s=None if billed_s is None else float(billed_s),
        compiled=_texts({runs[members[0]].circuit: pub[0] for pub, members in zip(sent, groups, strict=True)}),
    )


def _named_bits(circuit: QuantumCircuit) -> QuantumCircuit:
    """A circuit whose classical bits are all in registers with names that IBM takes: it returns nothing else."""
    from qiskit.circuit import ClassicalRegister

    held = {bit for register in circuit.cregs for bit in register}
    loose = [bit for bit in circuit.clbits if bit not in held]
    if not loose:
        return circuit
    names = {register.name for register in circuit.cregs}
    name = next(name for name in (f"loose{number}" for number in range(len(names) + 1)) if name not in names)
    named = circuit.copy()
    named.add_register(ClassicalRegister(name=name, bits=loose))
    return named


def _shots(data: Any, circuit: QuantumCircuit, row: int | None) -> list[str]:
    """Every shot of one run as a bit string in Qiskit's order, whatever registers its bits were in."""
    import numpy as np

    columns: list[Any] = [None] * circuit.num_clbits
    for register in circuit.cregs:
        array = data[register.name] if row is None else data[register.name][row]
        bits = array.to_bool_array(order="little").reshape(-1, register.size)
        for position, bit in enumerate(register):
            columns[circuit.find_bit(bit).index] = bits[:, position]
    table = np.stack(columns[::-1], axis=1).astype(np.uint8) + ord("0")
    return [row_.tobytes().decode("ascii") for row_ in table]


def _times_s(stamps: dict[str, str | None]) -> tuple[float | None, float | None]:
    """Seconds that the machine was at it, and that it waited before."""
    created, began, ended = (
        None if stamps.get(name) is None else datetime.fromisoformat(str(stamps[name])).timestamp()
        for name in ("created", "running", "finished")
    )
    busy_s = None if began is None or ended is None else max(0.0, ended - began)
    waited_s = None if began is None or created is None else max(0.0, began - created)
    return busy_s, waited_s


def _texts(circuits: dict[int, QuantumCircuit]) -> tuple[str, ...] | None:
    """The circuits as IBM has them, as OpenQASM 3, by their number; None where one cannot be written so."""
    from qiskit import qasm3

    try:
        return tuple(qasm3.dumps(circuits[number]) for number in sorted(circuits))
    except qasm3.QASM3ExporterError:
        return None
