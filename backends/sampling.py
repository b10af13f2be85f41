"""What the backends share between "these runs are wanted" and "these are their counts".

Shots of one circuit with one set of parameters are independent and alike, so runs that share both are pooled into one
simulation and its shots are dealt out in the order asked for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from backends.backend import Backend, Execution, TranspileOptions
from backends.errors import ExecutionFailed
from backends.pairs import Brought
from circuits.family import Counts, Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

Draw: TypeAlias = "Callable[[NDArray[np.float64]], NDArray[np.int64]]"
"""What turns chances in [0, 1), one a shot, into indices of outcomes."""


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

    def execution(
        self,
        *,
        run_s: float,
        memory: bool,
        method: str,
        device_s: float | None = None,
        queue_s: float | None = None,
        pair_fidelity: float | None = None,
        links: tuple[Brought, ...] = (),
    ) -> Execution:
        """The record of a call whose runs are all in."""
        order = range(len(self.counts))
        return Execution(
            counts=tuple(self.counts[run] for run in order),
            run_s=run_s,
            memory=tuple(self.memory[run] for run in order) if memory else None,
            method=method,
            device_s=device_s,
            queue_s=queue_s,
            pair_fidelity=pair_fidelity,
            links=links,
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
    distribution: Callable[[QuantumCircuit], tuple[NDArray[np.float64] | Draw, Mapping[int, int]]],
    *,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    memory: bool,
    method: str,
) -> Execution:
    """Run on a simulator that gives exact probabilities, drawing the shots here so that a seed means something.

    Runs of one circuit with one set of parameters share the simulation, whatever their seeds.

    Args:
        prepared: transpiled circuits.
        runs: what is wanted.
        distribution: a bound circuit's probabilities, float (2**k,), whose index has bit i for the i-th of k qubits,
            or what draws such indices itself; and classical bit -> position of the qubit it holds.
        seed: of all shots of this call.
        seeds: of each run's shots, instead: what it gives does not depend on the others.
        memory: whether to keep the outcome of every shot.
        method: name of the engine.
    """
    import numpy as np

    started = time.perf_counter()
    together = np.random.default_rng(seed)
    tally = Tally()
    for group in pool(prepared, runs):
        circuit = prepared[group.circuit]
        dice = Dice(*distribution(bind(circuit, group.parameters)), circuit.num_clbits)
        if seeds is None:
            tally.deal(group, dice.throw(sum(group.shots), together))
        else:
            _throw_apart(dice, group, seeds, tally, memory=memory)
        del dice  # it may hold a whole state, beside which the next would not fit
    return tally.execution(run_s=time.perf_counter() - started, memory=memory, method=method)


def _throw_apart(dice: Dice, group: Pool, seeds: Sequence[int], tally: Tally, *, memory: bool) -> None:
    """Each run of a pool with its own seed."""
    import numpy as np

    for run, shots in zip(group.runs, group.shots, strict=True):
        own = np.random.default_rng(seeds[run])
        if memory:
            tally.memory[run] = tuple(dice.throw(shots, own))
            tally.counts[run] = dict(Counter(tally.memory[run]))
        else:
            tally.counts[run] = dice.count(shots, own)


def by_inversion(probabilities: NDArray[np.float64]) -> Draw:
    """The index where the sum of probabilities passes each chance."""
    import numpy as np

    cumulative = np.cumsum(probabilities, dtype=np.float64)

    def draw(chances: NDArray[np.float64]) -> NDArray[np.int64]:
        drawn: NDArray[np.int64] = np.searchsorted(cumulative, chances * cumulative[-1], side="right")
        return drawn

    return draw


class Dice:
    """Draws shots from a distribution and writes them in Qiskit's order. A bit that nothing is read into is 0."""

    def __init__(self, law: NDArray[np.float64] | Draw, readout: Mapping[int, int], num_clbits: int) -> None:
        """Of one circuit.

        Args:
            law: probabilities, float (2**k,), non-negative; normalised here, since single precision leaves 1e-6. Or
                what draws from them where they are.
            readout: classical bit -> bit of the index.
            num_clbits: length of the strings.
        """
        self._draw = law if callable(law) else by_inversion(law)
        self._readout = readout
        self._num_clbits = num_clbits
        self._written: dict[int, str] = {}

    def throw(self, shots: int, rng: np.random.Generator) -> list[str]:
        """Shot by shot."""
        return [self._write(value) for value in self._draw(rng.random(shots)).tolist()]

    def count(self, shots: int, rng: np.random.Generator) -> Counts:
        """The same shots, counted."""
        import numpy as np

        counts: Counts = {}
        values, numbers = np.unique(self._draw(rng.random(shots)), return_counts=True)
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            written = self._write(value)  # values that differ in unread bits alone are one outcome
            counts[written] = counts.get(written, 0) + number
        return counts

    def _write(self, value: int) -> str:
        written = self._written.get(value)
        if written is None:
            bits = ["0"] * self._num_clbits
            for clbit, position in self._readout.items():
                bits[self._num_clbits - 1 - clbit] = str(value >> position & 1)
            written = self._written[value] = "".join(bits)
        return written
