"""What a circuit family is: something that builds circuits and judges their counts.

A family is a frozen dataclass whose fields are its parameters, all of them plain JSON values: name and fields rebuild
it anywhere. Its name is its key in ``circuits.CIRCUITS``.

An *adaptive* family decides its next circuits from the counts of the last ones. Its ``rounds`` is a generator: it
yields a :class:`Round` with the runs it wants and what it knows so far, is sent their counts in the same order, and
returns an :class:`Outcome`. Written this way a search loop reads as a loop, and a backend that can run circuits can
run it without knowing what it searches.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from qiskit import QuantumCircuit

Counts = dict[str, int]
"""Bit string -> number of shots. Qiskit's order: classical bit 0 is the rightmost character; no spaces."""


@dataclass(frozen=True)
class Run:
    """One execution that somebody asks for.

    Attributes:
        shots: number of repetitions, >= 1.
        circuit: index into the family's ``circuits()``.
        parameters: value of each free parameter of that circuit, by name; angles in radians.
    """

    shots: int
    circuit: int = 0
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """One turn of an adaptive family.

    Attributes:
        runs: what it wants to have run next.
        partial: the answer as far as it is known by now, plain JSON; None if there is none yet.
    """

    runs: Sequence[Run]
    partial: Any = None


@dataclass(frozen=True)
class Outcome:
    """What an adaptive family found.

    Attributes:
        score: raw figure of merit, on the scale of ``ideal_score``.
        value: the answer itself, plain JSON.
        num_rounds: rounds of circuits it took.
    """

    score: float
    value: Any
    num_rounds: int


@runtime_checkable
class CircuitFamily(Protocol):
    """A parametrised kind of circuit that knows what a good result looks like."""

    def build(self) -> QuantumCircuit:
        """The circuit, measured and without free parameters; for an adaptive family, its costliest one."""
        ...

    def score(self, counts: Counts) -> float:
        """Figure of merit of ``build()``'s counts: larger is better."""
        ...

    @property
    def ideal_score(self) -> float:
        """The score that ``build()`` reaches without noise in the limit of many shots, > 0."""
        ...


@runtime_checkable
class AdaptiveFamily(CircuitFamily, Protocol):
    """A family whose next circuits depend on the last counts."""

    def circuits(self) -> Sequence[QuantumCircuit]:
        """Every circuit a run may use, with free parameters; transpiled once each."""
        ...

    def rounds(self, shots: int, seed: int) -> Generator[Round, Sequence[Counts], Outcome]:
        """The loop: yields rounds, is sent their counts, returns what it found. The same seed asks the same things."""
        ...

    @property
    def ideal_outcome_score(self) -> float:
        """The score of the outcome of a run without noise, > 0."""
        ...


@runtime_checkable
class ForeseenFamily(AdaptiveFamily, Protocol):
    """A family that can say how much a run will ask for before it has seen any counts."""

    def expected_runs(self, shots: int) -> float:
        """Circuits that it will ask for, each of so many shots, as far as that can be said without the answer."""
        ...


@runtime_checkable
class DivisibleFamily(AdaptiveFamily, Protocol):
    """A family whose work is a row of items that know nothing of each other, such as the rows of a picture.

    Any stretch of them is a family of the same kind, which runs the very circuits of the whole.
    """

    @property
    def num_items(self) -> int:
        """Items of its work, >= 1."""
        ...

    def part(self, first: int, last: int) -> DivisibleFamily:
        """Items ``first`` to ``last`` - 1 alone; 0 <= first < last <= num_items."""
        ...

    def merged(self, outcomes: Sequence[Outcome]) -> Outcome:
        """The outcome of the whole from those of its parts, which stand in order and leave nothing out."""
        ...


@runtime_checkable
class SolvableFamily(AdaptiveFamily, Protocol):
    """A family whose answer a classical algorithm can give as well."""

    @property
    def num_operations(self) -> int:
        """Elementary steps of that algorithm, for an estimate of its time."""
        ...

    def solve(self) -> Outcome:
        """The outcome that circuits would lead to, without circuits."""
        ...
