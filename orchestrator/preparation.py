"""What is known of a program before it runs: its own facts, and how it fits each target. Cached by content."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from backends.backend import Device, TranspileOptions
from backends.pairs import PairNeed
from circuits.facts import NO_BONDS, Bonds, Features
from circuits.program import Program
from orchestrator.records import to_json

PREPARATION_VERSION = 5
"""Raised when what is worked out of a program changes, such as the formula of its expected fidelity."""


RUNS_AT = (1, 4, 16, 64, 256, 1024)
"""Shots at which an adaptive family is asked how many circuits it will run: fewer where each has more shots."""


@dataclass(frozen=True)
class ProgramFacts:
    """A program on its own.

    Attributes:
        group: what the cost model pools it with: the family's name, or "program" for a user's own circuit.
        features: of the logical circuit; of an adaptive family, of its costliest one.
        adaptive: its circuits depend on earlier counts, so its shots cannot be shared.
        ideal: exact distribution of the measured bits; None where it cannot be computed or a score replaces it.
        num_items: what its work can be divided into; 0 for a family that cannot be.
        runs: circuits that an adaptive family expects to run at each number of shots in RUNS_AT; empty: one.
    """

    group: str
    features: Features
    adaptive: bool
    ideal: Mapping[str, float] | None
    num_items: int = 0
    runs: tuple[float, ...] = ()

    def num_runs(self, shots: int) -> float:
        """Circuits that it is expected to run, each of so many shots: as at the next lower number in RUNS_AT."""
        return self.runs[bisect_right(RUNS_AT, shots) - 1] if self.runs else 1.0

    @property
    def num_outcomes(self) -> int:
        """Of the ideal; 0 where there is none."""
        return len(self.ideal or ())

    @property
    def unjudged(self) -> bool:
        """Whether nobody can tell how good its counts are."""
        return self.group == "program" and self.ideal is None


@dataclass(frozen=True)
class Fit:
    """A program on one target.

    Attributes:
        num_qubits: active qubits after transpilation.
        num_gates: gates after transpilation.
        fidelity: predicted from calibration alone, in [0, 1]; 1 on an ideal simulator.
        duration_s: of one shot on the device, as scheduled; 0 on a simulator.
        cannot: why it can never run there; then the other figures mean nothing.
        bonds: bounds on its entanglement, where the target's cost depends on that.
        branching: how often the prediction neglected interference, in nats (``backends.damping``).
        pairs_s, pairs_sd_s: mean wait of one shot for its entangled pairs, on a distributed device, and its deviation.
        pairs: what a shot needs of each of its links.
    """

    num_qubits: int = 0
    num_gates: int = 0
    fidelity: float = 0.0
    duration_s: float = 0.0
    cannot: str | None = None
    bonds: Bonds = NO_BONDS
    branching: float = 0.0
    pairs_s: float = 0.0
    pairs_sd_s: float = 0.0
    pairs: tuple[PairNeed, ...] = ()


@dataclass(frozen=True)
class Preparation:
    """A program's facts and its fits, by :func:`fit_key`."""

    facts: ProgramFacts
    fits: Mapping[str, Fit]


def digest(*parts: Any) -> str:
    """A short key for these records, under the code that worked them out: whatever that changes prepares anew."""
    return hashlib.sha256(to_json([PREPARATION_VERSION, _packages(), *parts]).encode()).hexdigest()


def preparation_key(program: Program) -> str:
    """Under which a program's facts and fits are kept."""
    return _preparation_key(program.content_hash())


@lru_cache(maxsize=4096)
def _preparation_key(content_hash: str) -> str:
    return digest(content_hash)


def fit_key(device: Device, options: TranspileOptions) -> str:
    """Under which a program's fit to a target is kept."""
    return _fit_key(device.name, device.target_version, options)


@lru_cache(maxsize=1024)
def _fit_key(name: str, version: str, options: TranspileOptions) -> str:
    return digest(name, version, options)


@cache
def _packages() -> tuple[str, ...]:
    return tuple(f"{name} {version(name)}" for name in ("qorch", "qiskit"))
