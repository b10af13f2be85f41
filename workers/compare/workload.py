"""A batch of real jobs, the same for every policy: what the demo, the benchmarks and `qorch compare` submit.

Everything follows from the seed: which programs, how many shots, what matters to whom, and when each job arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from circuits.autoencoder import Autoencoder
from circuits.raytracing import RayTracing
from circuits.steane import Steane
from orchestrator.errors import InvalidJob
from orchestrator.job import JobSpec, Limits, Objective
from orchestrator.options import job_spec

if TYPE_CHECKING:
    from orchestrator.options import AnyProgram

    Draft = tuple[str, AnyProgram, int, tuple[str, ...]]
    """Kind, program, shots, and the backends its user allows (none: all)."""

    Maker = Callable[[np.random.Generator], Draft]

FILES = sorted((Path(__file__).parent / "programs").glob("*.qasm"))

BALANCED = Objective(latency=1.0, fidelity=1.0, price=1.0)
URGENT = Objective(latency=2.0, fidelity=0.5, price=0.5)
ACCURATE = Objective(latency=0.25, fidelity=2.0, price=0.25)

NOISY = ("fake_guadalupe", "fake_hanoi")
"""Some users want the device itself, not a simulator."""

SUFFIXES = (".qasm", ".qasm3")
"""Of the files that a folder's workload is made of."""


@dataclass(frozen=True)
class Arrival:
    """One job of the batch. ``at_s`` is when it arrives, seconds after the first."""

    kind: str
    at_s: float
    spec: JobSpec


def mixed(num_jobs: int, seed: int, *, horizon_s: float, noisy: tuple[str, ...] = NOISY) -> list[Arrival]:
    """The batch: a quarter autoencoders, a sixth each ray tracing and Steane code, the rest OpenQASM files.

    Args:
        num_jobs: jobs in all.   seed: of every choice.
        horizon_s: seconds over which they arrive, as a Poisson process does: uniformly and independently.
        noisy: backends that half of the users of OpenQASM files insist on; none: they do not.
    """

    def openqasm(generator: np.random.Generator) -> Draft:
        return _one_of(FILES, noisy, "openqasm", generator)

    makers: list[Maker] = [
        _autoencoder,
        _autoencoder,
        _autoencoder,
        _ray_tracing,
        _ray_tracing,
        _steane,
        _steane,
        openqasm,
        openqasm,
        openqasm,
        openqasm,
        openqasm,
    ]
    return _drawn([makers[number % len(makers)] for number in range(num_jobs)], seed, horizon_s)


def larger(num_jobs: int, seed: int, *, horizon_s: float) -> list[Arrival]:
    """A third each of the three families, at sizes that keep a simulator busy for 0.05 to 2 s; arguments as `mixed`."""
    makers: list[Maker] = [_large_autoencoder, _large_ray_tracing, _large_steane]
    return _drawn([makers[number % len(makers)] for number in range(num_jobs)], seed, horizon_s)


def of_folder(folder: Path, num_jobs: int, seed: int, *, horizon_s: float) -> list[Arrival]:
    """Jobs of the OpenQASM files of a folder, in equal parts; ``num_jobs``, ``seed`` and ``horizon_s`` as in `mixed`.

    Raises:
        InvalidJob: it holds no such file.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    if not files:
        raise InvalidJob(f"a workload of a folder needs files {' or '.join(SUFFIXES)}; {folder} holds none")
    makers = [partial(_one_of, [path], (), path.name) for path in files]
    return _drawn([makers[number % len(makers)] for number in range(num_jobs)], seed, horizon_s)


def _drawn(makers: Sequence[Maker], seed: int, horizon_s: float) -> list[Arrival]:
    """One job by each of these, in any order, at any time."""
    generator = np.random.default_rng(seed)
    times_s = np.sort(generator.uniform(0.0, horizon_s, len(makers)))
    order = [makers[place] for place in generator.permutation(len(makers))]
    arrivals = []
    for number, (at_s, make) in enumerate(zip(times_s, order, strict=True)):
        kind, program, shots, allow = make(generator)
        objective = (BALANCED, URGENT, ACCURATE)[int(generator.integers(3))]
        spec = job_spec(
            program,
            shots=shots,
            allow=allow,
            objective=objective,
            limits=Limits(timeout_s=60.0),
            priority=int(generator.integers(3, 7)),
            seed=seed + number,
            tags=[kind],
        )
        arrivals.append(Arrival(kind, float(at_s - times_s[0]), spec))
    return arrivals


def _autoencoder(generator: np.random.Generator) -> Draft:
    field = float(generator.choice([0.4, 0.8, 1.2, 1.6]))
    estimator = "swap" if generator.random() < 0.25 else "direct"
    return "autoencoder", Autoencoder(field=field, estimator=estimator), 2000, ()


def _ray_tracing(generator: np.random.Generator) -> Draft:
    x0, y0 = (int(generator.choice([2, 7, 12])) for _ in range(2))
    return "ray tracing", RayTracing(x0=x0, y0=y0), 16, ()


def _steane(generator: np.random.Generator) -> Draft:
    return "steane", Steane(basis=str(generator.choice(["z", "x"]))), 200, ()


LARGE = ((9, 3, "swap"), (8, 3, "swap"), (9, 5, "direct"))
"""Qubits, qubits that are left, and estimator."""


def _large_autoencoder(generator: np.random.Generator) -> Draft:
    num_qubits, num_latent, estimator = LARGE[int(generator.integers(len(LARGE)))]
    field = float(generator.choice([0.8, 1.2]))
    program = Autoencoder(num_qubits=num_qubits, num_latent=num_latent, field=field, estimator=estimator)
    return "autoencoder", program, 2000, ()


def _large_ray_tracing(generator: np.random.Generator) -> Draft:
    x0, y0 = (int(generator.choice([4, 9])) for _ in range(2))
    size = int(generator.integers(2, 4))
    return "ray tracing", RayTracing(x0=x0, y0=y0, width=size, height=size), 16, ()


def _large_steane(generator: np.random.Generator) -> Draft:
    return "steane", Steane(rounds=int(generator.choice([5, 8])), basis=str(generator.choice(["z", "x"]))), 2000, ()


def _one_of(files: Sequence[Path], noisy: tuple[str, ...], kind: str, generator: np.random.Generator) -> Draft:
    path = files[int(generator.integers(len(files)))]
    return kind, path, int(generator.choice([1000, 4000])), noisy if generator.random() < 0.5 else ()
