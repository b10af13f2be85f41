"""The contract that authors run: an honest backend passes, and each mistake breaks the clause that is about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from qiskit import QuantumCircuit

from backends import contract, load
from backends.backend import Device, Execution, TranspileOptions
from backends.contract import ContractBroken, check
from backends.errors import ExecutionFailed
from circuits.family import Run


class Honest:
    """Aer under another name."""

    def __init__(self) -> None:
        self.inner: Any = load("aer_statevector")

    def device(self) -> Device:
        return replace(self.inner.device(), name="mine", num_qubits=12, max_active_qubits=12)

    def warm_up(self) -> None:
        self.inner.warm_up()

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        from backends.transpilation import transpile

        return transpile(self.device(), circuits, options)

    def run(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], *, seed: int, memory: bool = False
    ) -> Execution:
        return self.inner.run(prepared, runs, seed=seed, memory=memory)  # type: ignore[no-any-return]

    def run_seeded(
        self, prepared: Sequence[QuantumCircuit], runs: Sequence[Run], seeds: Sequence[int], *, memory: bool = False
    ) -> Execution:
        return self.inner.run_seeded(prepared, runs, seeds, memory=memory)  # type: ignore[no-any-return]


class Backwards(Honest):
    def run(self, *args: Any, **kwargs: Any) -> Execution:
        done = super().run(*args, **kwargs)
        return replace(done, counts=tuple({bits[::-1]: n for bits, n in counts.items()} for counts in done.counts))


class Restless(Honest):
    """Every call draws anew."""

    calls = 0

    def run(self, *args: Any, **kwargs: Any) -> Execution:
        self.calls += 1
        return super().run(*args, **(kwargs | {"seed": self.calls}))


class Stubborn(Honest):
    """The seed is ignored."""

    def run(self, *args: Any, **kwargs: Any) -> Execution:
        return super().run(*args, **(kwargs | {"seed": 1}))


class Sorting(Honest):
    """Results come in an order of their own."""

    def run(self, *args: Any, **kwargs: Any) -> Execution:
        done = super().run(*args, **kwargs)
        return replace(done, counts=tuple(sorted(done.counts, key=str)))


class Forgetful(Honest):
    def run(self, *args: Any, **kwargs: Any) -> Execution:
        return super().run(*args, **(kwargs | {"memory": False}))


class Greedy(Honest):
    """It takes whatever it is given."""

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        return list(circuits)


class Promising(Honest):
    """It announces no mid-circuit measurement and does it all the same."""

    def device(self) -> Device:
        return replace(super().device(), dynamic=False)

    def prepare(self, circuits: Sequence[QuantumCircuit], options: TranspileOptions) -> list[QuantumCircuit]:
        return self.inner.prepare(circuits, options)  # type: ignore[no-any-return]


class Gossiping(Honest):
    """A run depends on the others of its call."""

    def run_seeded(self, prepared: Any, runs: Any, seeds: Sequence[int], *, memory: bool = False) -> Execution:
        return super().run_seeded(prepared, runs, [seed + len(seeds) for seed in seeds], memory=memory)


class Crashing(Honest):
    def run(self, *args: Any, **kwargs: Any) -> Execution:
        if kwargs.get("memory"):
            raise KeyError("memory")
        return super().run(*args, **kwargs)


class Silent(Honest):
    """Its errors do not say which parameter is missing."""

    def run(self, *args: Any, **kwargs: Any) -> Execution:
        try:
            return super().run(*args, **kwargs)
        except ExecutionFailed as error:
            raise ExecutionFailed("bad input") from error


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], str]:
    """What the contract says of a backend that is called "mine"; empty if it keeps it."""

    def judge(backend: Any) -> str:
        monkeypatch.setattr(contract, "load", lambda name: backend)
        try:
            check("mine")
        except ContractBroken as error:
            return str(error)
        return ""

    return judge


def test_an_honest_backend_keeps_it(verdict: Callable[[Any], str]) -> None:
    assert verdict(Honest()) == ""


@pytest.mark.parametrize(
    ("mutant", "clauses"),
    [
        (Backwards, {"bit_order", "several_registers", "idle_qubits"}),
        (Restless, {"the_seed_decides"}),
        (Stubborn, {"the_seed_decides"}),
        (Sorting, {"counts_and_order", "free_parameters"}),
        (Forgetful, {"memory_shot_by_shot", "the_seed_decides"}),
        (Greedy, {"too_wide", "nothing_measured"}),
        (Promising, {"feed_forward", "middle_of_the_circuit"}),
        (Gossiping, {"own_seeds"}),
        (Crashing, {"memory_shot_by_shot"}),
        (Silent, {"free_parameters"}),
    ],
)
def test_a_mistake_breaks_the_clause_that_is_about_it(
    mutant: type[Honest], clauses: set[str], verdict: Callable[[Any], str]
) -> None:
    said = verdict(mutant())
    assert {line.strip().partition(":")[0] for line in said.splitlines()[1:]} >= clauses


def test_what_is_no_backend_or_has_another_name_is_told_at_once(verdict: Callable[[Any], str]) -> None:
    class Other(Honest):
        def device(self) -> Device:
            return replace(super().device(), name="yours")

    assert "a device called 'mine', as it is registered, got yours" in verdict(Other())
    assert "wanted device(), warm_up(), prepare() and run()" in verdict(object())
