"""What the backends share between "these runs are wanted" and "these are their counts".

Shots of one circuit with one set of parameters are independent and alike, so runs that share both are pooled into one
simulation and its shots are dealt out in the order asked for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backends.backend import Backend, Execution, TranspileOptions
from backends.errors import ExecutionFailed
from circuits.family import Counts, Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit


@dataclass(frozen=True)
class Pool:
    """Runs of one circuit with one set of parameters.

    Attributes:
        circuit: index of the prepared circuit.
        parameters: value of each of its free parameters, by name.
        runs: indices of the runs, in the order asked for.
        shots: of each of them.
    """

    circuit: int
    parameters: Mapping[str, float]
    runs: tuple[int, ...]
    shots: tuple[int, ...]


def pool(prepared: Sequence[QuantumCircuit], runs: Sequence[Run]) -> list[Pool]:
    """Runs put together by circuit and parameters, in order of first appearance.

    Raises:
        ExecutionFailed: a run names no circuit, no shots or not exactly the circuit's free parameters.
    """
    free = [frozenset(parameter.name for parameter in circuit.parameters) for circuit in prepared]
    groups: dict[tuple[int, tuple[tuple[str, float], ...]], list[int]] = {}
    for index, run in enumerate(runs):
        if not 0 <= run.circuit < len(prepared):
            raise ExecutionFailed(f"run {index}: wanted a circuit in 0..{len(prepared) - 1}, got {run.circuit}")
        if run.shots < 1:
            raise ExecutionFailed(f"run {index}: wanted shots >= 1, got {run.shots}")
        if free[run.circuit] != run.parameters.keys():
            raise ExecutionFailed(
                f"run {index}: wanted parameters {sorted(free[run.circuit])}, got {sorted(run.parameters)}"
            )
        groups.setdefault((run.circuit, tuple(sorted(run.parameters.items()))), []).append(index)
    return [
        Pool(circuit, dict(parameters), tuple(members), tuple(runs[index].shots for index in members))
        for (circuit, parameters), members in groups.items()
    ]


@dataclass
class Tally:
    """Results on their way in, by index of the run; ``memory`` holds every shot where it was kept."""

    counts: dict[int, Counts] = field(default_factory=dict)
    memory: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def deal(self, group: Pool, shots: Sequence[str]) -> None:
        """Give each run of a pool its own shots, in order."""
        start = 0
        for run, size in zip(group.runs, group.shots, strict=True):
            hand = tuple(shots[start : start + size])
            self.counts[run], self.memory[run] = dict(Counter(hand)), hand
            start += size

    def execution(self, *, run_s: float, memory: bool, method: str, device_s: float | None = None) -> Execution:
        """The record of a call whose runs are all in."""
        order = range(len(self.counts))
        return Execution(
            counts=tuple(self.counts[run] for run in order),
            run_s=run_s,
            memory=tuple(self.memory[run] for run in order) if memory else None,
            method=method,
            device_s=device_s,
        )


def bind(circuit: QuantumCircuit, parameters: Mapping[str, float]) -> QuantumCircuit:
    """The circuit with values for its free parameters."""
    return circuit.assign_parameters(dict(parameters)) if parameters else circuit


def rehearse(backend: Backend) -> None:
    """Run a Bell pair, so that imports and just-in-time compilers are done with."""
    from qiskit import QuantumCircuit

    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    bell.measure_all()
    backend.run(backend.prepare([bell], TranspileOptions()), [Run(shots=1)], seed=0)


def run_by_sampling(
    prepared: Sequence[QuantumCircuit],
    runs: Sequence[Run],
    distribution: Callable[[QuantumCircuit], tuple[NDArray[np.float64], Mapping[int, int]]],
    *,
    seed: int,
    memory: bool,
    method: str,
) -> Execution:
    """Run on a simulator that gives exact probabilities, drawing the shots here so that a seed means something.

    Args:
        prepared: transpiled circuits.
        runs: what is wanted.
        distribution: a bound circuit's probabilities, float (2**k,), whose index has bit i for the i-th of k qubits,
            and classical bit -> position of the qubit it holds.
        seed: of all shots of this call.
        memory: whether to keep the outcome of every shot.
        method: name of the engine.
    """
    import numpy as np

    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    tally = Tally()
    for group in pool(prepared, runs):
        circuit = prepared[group.circuit]
        probabilities, readout = distribution(bind(circuit, group.parameters))
        tally.deal(group, draw(probabilities, readout, circuit.num_clbits, sum(group.shots), rng))
    return tally.execution(run_s=time.perf_counter() - started, memory=memory, method=method)


def draw(
    probabilities: NDArray[np.float64],
    readout: Mapping[int, int],
    num_clbits: int,
    shots: int,
    rng: np.random.Generator,
) -> list[str]:
    """Draw shots and write them as bit strings in Qiskit's order. A classical bit that nothing is read into is 0.

    Args:
        probabilities: float (2**k,), non-negative; normalised here, since single precision leaves 1e-6.
        readout: classical bit -> bit of the index.
        num_clbits: length of the strings.
        shots: number of draws.
        rng: source of randomness.
    """
    import numpy as np

    cumulative = np.cumsum(probabilities, dtype=np.float64)
    drawn = np.searchsorted(cumulative, rng.random(shots) * cumulative[-1], side="right")
    values, inverse = np.unique(drawn, return_inverse=True)
    characters = np.full((len(values), num_clbits), ord("0"), dtype=np.uint8)
    for clbit, position in readout.items():
        characters[:, num_clbits - 1 - clbit] += ((values >> position) & 1).astype(np.uint8)
    strings = [row.tobytes().decode("ascii") for row in characters]
    return [strings[index] for index in inverse]
