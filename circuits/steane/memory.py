"""How well a scheme keeps a logical qubit: memory experiments on stim and on Aer.

A perfect logical state, noisy rounds of syndrome extraction (``circuits.steane.noise``), a perfect readout. What is
counted is the decoded value of the shots that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from circuits.counts import clopper_pearson, to_bits
from circuits.parameters import choice, integer, real, validate
from circuits.seeds import derive
from circuits.steane.code import NUM_DATA, Rows
from circuits.steane.extraction import SCHEMES, decode
from circuits.steane.family import memory_circuit, rows_of

BATCHES = {"stim": 2**16, "aer": 1_000}
"""Shots simulated together: after each batch the tally so far can be shown, and the experiment interrupted."""

MOST_BITS = 2**26
"""Measured in one batch, a byte each: many rounds make smaller batches."""


@dataclass(frozen=True)
class Tally:
    """What an experiment counted.

    Attributes:
        shots: simulated.
        accepted: kept.
        failures: kept, with the wrong logical value.
        rounds: of syndrome extraction in each shot.
    """

    shots: int
    accepted: int
    failures: int
    rounds: int

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.shots + other.shots, self.accepted + other.accepted, self.failures + other.failures, self.rounds
        )

    @property
    def acceptance(self) -> float:
        """Share of the shots that are kept."""
        return self.accepted / self.shots

    @property
    def error_per_round(self) -> float | None:
        """Chance that one round turns the logical value; None if no shot was kept."""
        return per_round(self.failures / self.accepted, self.rounds) if self.accepted else None

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Clopper-Pearson interval of :attr:`error_per_round`; (0, 0.5) if no shot was kept."""
        if not self.accepted:
            return 0.0, 0.5
        low, high = clopper_pearson(self.failures, self.accepted, confidence)
        return per_round(low, self.rounds), per_round(high, self.rounds)


def per_round(failure: float, rounds: int) -> float:
    """Rate f of independent flips whose parity over R rounds is odd with the given chance: P = (1 - (1 - 2f)^R)/2.

    At P >= 1/2 nothing is known of it: 1/2.
    """
    return float(-np.expm1(np.log1p(-2.0 * failure) / rounds) / 2.0) if failure < 0.5 else 0.5


@dataclass(frozen=True)
class Memory:
    """A memory experiment of the seven-qubit code.

    Attributes:
        p: chance that a gate, reset or measurement fails.
        rounds: of syndrome extraction.
        shots: simulated, kept or not.
        basis: "z" keeps a logical 0, "x" a logical +.
        scheme: key of ``circuits.steane.extraction.SCHEMES``.
        engine: "stim" (Pauli frames) or "aer" (stabilizer tableau, about a thousand times slower).
        seed: of everything random.
    """

    p: float = real(1e-3, low=0.0, high=1.0, doc="chance that a gate, reset or measurement fails")
    rounds: int = integer(4, low=1, high=100, doc="rounds of syndrome extraction")
    shots: int = integer(100_000, low=1, high=10**10, doc="shots simulated")
    basis: str = choice("z", "z", "x", doc="basis of the logical state")
    scheme: str = choice("steane", *SCHEMES, doc="how syndromes are extracted")
    engine: str = choice("stim", *BATCHES, doc="which simulator")
    seed: int = integer(7, low=0, high=2**62, doc="of everything random")

    def __post_init__(self) -> None:
        validate(self)

    def batches(self) -> Iterator[Tally]:
        """What each batch of shots gave. The same seed gives the same tallies."""
        simulate = ENGINES[self.engine](self)
        num_bits = SCHEMES[self.scheme].num_bits * self.rounds + NUM_DATA
        size = max(1, min(BATCHES[self.engine], MOST_BITS // num_bits))
        for number, start in enumerate(range(0, self.shots, size)):
            yield simulate(min(size, self.shots - start), derive(self.seed, "batch", number))

    def run(self) -> Tally:
        """All batches together."""
        return sum(self.batches(), start=Tally(0, 0, 0, self.rounds))

    def judge(self, rows: Rows, weights: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None) -> Tally:
        """Decode outcomes; ``weights`` says how many shots gave each of them, int (outcomes,), else one."""
        value, kept = decode(SCHEMES[self.scheme], rows, self.rounds, self.basis)
        each = np.ones(rows.shape[1], dtype=np.int64) if weights is None else weights
        return Tally(int(each.sum()), int(each[kept].sum()), int(each[kept & value].sum()), self.rounds)


Simulate = Callable[[int, int], Tally]
"""Shots and seed -> what they gave."""


def on_stim(memory: Memory) -> Simulate:
    """Pauli frames; feed-forward included."""
    import stim

    from circuits.steane.frames import run, steps, with_noise

    circuit, span = memory_circuit(memory.scheme, memory.rounds, memory.basis, reset_all=True)
    program = with_noise(steps(circuit, span), memory.p)

    def simulate(shots: int, seed: int) -> Tally:
        simulator = stim.FlipSimulator(batch_size=shots, num_qubits=circuit.num_qubits, seed=seed)
        bits = np.zeros((circuit.num_clbits, shots), dtype=np.bool_)
        run(program, simulator, bits, np.random.default_rng(seed))
        return memory.judge(bits)

    return simulate


def on_aer(memory: Memory) -> Simulate:
    """Aer's stabilizer tableau, shot by shot, on one thread."""
    from qiskit_aer import AerSimulator

    from circuits.steane.noise import noisy

    circuit, span = memory_circuit(memory.scheme, memory.rounds, memory.basis, reset_all=True)
    broken = noisy(circuit, span, memory.p)
    single = {"max_parallel_threads": 1, "max_parallel_experiments": 1, "max_parallel_shots": 1}
    simulator = AerSimulator(method="stabilizer", **single)

    def simulate(shots: int, seed: int) -> Tally:
        counts = simulator.run(broken, shots=shots, seed_simulator=seed).result().data(0)["counts"]
        rows = rows_of(to_bits(int(value, 16), circuit.num_clbits) for value in counts)
        return memory.judge(rows, np.array(list(counts.values()), dtype=np.int64))

    return simulate


ENGINES: dict[str, Callable[[Memory], Simulate]] = {"stim": on_stim, "aer": on_aer}
