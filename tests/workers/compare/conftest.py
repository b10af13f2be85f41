"""What the tests of comparisons share: a runtime that answers at once, and remembers what it was asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from circuits.facts import Judgement
from orchestrator.job import Failure
from orchestrator.preparation import Fit, ProgramFacts
from orchestrator.runtime import Executed, ExecuteWork, Leash, Prepared, PrepareWork, Progress, RuntimeFailure
from tests.policies.worlds import FLIP

EXECUTED = Executed({"1": 100}, Judgement(0.9, "counts"), 0.0, 0.0, 0.1, num_tasks=1, num_shots=100, method="quick")


@dataclass
class Hands:
    """Prepares and executes nothing, the same way each time.

    Attributes:
        asked: what was executed.   executed: backend -> what comes of it, or why nothing does.
        unfit: backends that nothing can be prepared for.
    """

    asked: list[ExecuteWork] = field(default_factory=list)
    num_prepared: int = 0
    executed: dict[str, Executed | Failure] = field(default_factory=dict)
    unfit: tuple[str, ...] = ()

    def prepare(self, work: PrepareWork, leash: Leash) -> Prepared:
        self.num_prepared += 1
        (device,) = work.devices
        if device.name in self.unfit:
            raise RuntimeFailure(Failure("prepare", "Broken", "it cannot be read there"))
        facts = ProgramFacts("program", FLIP, adaptive=False, ideal=None)
        return Prepared(facts, {device.name: Fit(num_qubits=1, fidelity=0.9, duration_s=1e-3)})

    def execute(self, work: ExecuteWork, leash: Leash, progress: Progress) -> Executed:
        self.asked.append(work)
        found = self.executed.get(work.backend, EXECUTED)
        if isinstance(found, Failure):
            raise RuntimeFailure(found)
        return found

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a recording has no use for {name}")


@pytest.fixture
def hands() -> Hands:
    return Hands()


def after(executed: Executed = EXECUTED, **changes: Any) -> Executed:
    """An execution with other figures."""
    return replace(executed, **changes)
