"""Training of the encoder by exact gradients, in steps that can be kept and taken up again.

The mean trash fidelity is linear in the ensemble's density matrix, so the encoder is trained on its leading
eigenvectors, with their eigenvalues as weights: at most 2^k states however large the ensemble is. Three things make it
reach the Ky Fan bound (ours): small angles and a cost that goes from local (each trash qubit by itself) to global [why:
Cerezo et al. 2021, Nature Communications 12 1791]; weights lambda^alpha with alpha rising to 1, since the tail of a
steep spectrum is otherwise never learnt; many starts, of which fewer go on after each stage.

Starts are explored together by Adam on batched torch; those that go on are refined one by one by L-BFGS (scipy). Every
unit of work is a pure function of the angles before it, so a training that is taken up from a :class:`Checkpoint` ends
with the very angles of one that was never interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.autoencoder.ansatz import ANGLES_PER_BLOCK, apply_blocks, brickwork, num_angles, so4_blocks, trash_qubits
from circuits.autoencoder.records import Encoder, figures
from circuits.autoencoder.states import Ensemble, spectrum
from circuits.errors import DependencyNotInstalled, InvalidParameter
from circuits.torch_threads import one_thread

try:
    import torch
except ImportError as error:
    raise DependencyNotInstalled("training an autoencoder", "torch", "learn") from error

Array = NDArray[np.float64]

FIRST_ALPHA = 0.2
ADAM_STEPS = 150
LOCAL_PART = 0.6  # of the Adam steps, over which the cost goes from local to global
LEARNING_RATES = (0.05, 0.003)
SPREAD_RAD = 0.1  # of the first angles


@dataclass(frozen=True)
class Stage:
    """One stage of refinement.

    Attributes:
        alpha: weights are eigenvalue^alpha.
        num_steps: L-BFGS iterations for each start.
        num_kept: starts that take part, the best so far.
    """

    alpha: float
    num_steps: int
    num_kept: int


STAGES = (Stage(FIRST_ALPHA, 200, 6), Stage(0.5, 600, 3), Stage(1.0, 500, 2), Stage(1.0, 500, 1), Stage(1.0, 500, 1))
"""Chosen on fields and interactions that are neither trained on nor tested."""


@dataclass(frozen=True)
class Config:
    """What is trained and how; two trainings with the same one give the same angles.

    Attributes:
        states, version: of the ensemble.
        num_qubits, num_latent, num_layers: shape of the encoder.
        seed: of the first angles.
        num_starts: random starts.
        stages: how they are refined.
    """

    states: str
    version: str
    num_qubits: int
    num_latent: int
    num_layers: int
    seed: int
    num_starts: int
    stages: tuple[Stage, ...] = STAGES

    @property
    def shape(self) -> tuple[int, int, int]:
        """Qubits, latent qubits, layers."""
        return self.num_qubits, self.num_latent, self.num_layers


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stands.

    Attributes:
        config: which training.
        stage: index into the config's stages; -1 before the exploration.
        waiting: angles that this stage has still to refine, best first.
        refined: angles that it has refined.
        train_s: wall time so far.
        process_s: processor time so far.
    """

    config: Config
    stage: int = -1
    waiting: tuple[tuple[float, ...], ...] = ()
    refined: tuple[tuple[float, ...], ...] = ()
    train_s: float = 0.0
    process_s: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.stage == len(self.config.stages)


@dataclass(frozen=True)
class Progress:
    """How far a training is: steps of at most ``num_steps`` (L-BFGS may need fewer), and its cost just now."""

    step: int
    num_steps: int
    stage: str
    cost: float


Tell = Callable[[Progress], None]


def default_layers(states: str, num_qubits: int) -> int:
    """Layers that reach the bound closely, as found on states that are neither trained on nor tested."""
    return {"tfim": max(2, 2 * num_qubits - 4), "digits": 16}.get(states, 2 * num_qubits)


def configure(
    ensemble: Ensemble,
    num_latent: int,
    *,
    seed: int = 1,
    num_layers: int | None = None,
    num_starts: int = 8,
    stages: tuple[Stage, ...] = STAGES,
) -> Config:
    """The training of one encoder.

    Args:
        num_layers: of the brickwork; None takes :func:`default_layers`.

    Raises:
        InvalidParameter: a number outside its range; the message names it.
    """
    layers = default_layers(ensemble.name, ensemble.num_qubits) if num_layers is None else num_layers
    for name, value, low, high in (
        ("num_latent", num_latent, 1, ensemble.num_qubits - 1),
        ("num_layers", layers, 1, 100),
        ("num_starts", num_starts, 1, 64),
        ("seed", seed, 0, 2**31 - 1),
    ):
        if not low <= value <= high:
            raise InvalidParameter(f"{name}: wanted an integer in [{low}, {high}], got {value}")
    return Config(ensemble.name, ensemble.version, ensemble.num_qubits, num_latent, layers, seed, num_starts, stages)


def train(
    ensemble: Ensemble,
    config: Config,
    *,
    resume: Checkpoint | None = None,
    tell: Tell = lambda _: None,
    keep: Callable[[Checkpoint], None] = lambda _: None,
) -> tuple[Encoder, Checkpoint]:
    """Train an encoder.

    Args:
        ensemble: what to train on.
        config: see :func:`configure`.
        resume: where an earlier training with the same config stood.
        tell: hears of progress, many times a second.
        keep: is given every checkpoint, the last one included.

    Returns:
        The encoder, and the checkpoint that has the times.

    Raises:
        InvalidParameter: ``resume`` belongs to another training.
    """
    if resume is not None and resume.config != config:
        raise InvalidParameter(f"resume: wanted a checkpoint of {config}, got one of {resume.config}")
    if resume is not None and not _fits(resume):
        raise InvalidParameter("resume: wanted angles that fit the encoder's shape; the checkpoint is damaged")
    now = resume or Checkpoint(config)
    with one_thread():
        problem = Problem(ensemble, config)
        while not now.finished:
            now = advance(problem, now, tell)
            keep(now)
    (angles,) = now.waiting
    reached = figures(ensemble, config.num_latent, config.num_layers, np.array(angles))
    encoder = Encoder(config.states, config.version, *config.shape, config.seed, config.num_starts, reached, angles)
    return encoder, now


def advance(problem: Problem, before: Checkpoint, tell: Tell) -> Checkpoint:
    """Do one unit of work: explore all starts, or refine one; and when a stage is done, choose who goes on."""
    began_s, began_process_s = time.perf_counter(), time.process_time()
    stages, stage, waiting, refined = before.config.stages, before.stage, before.waiting, before.refined
    steps = _Steps(before, tell)
    if stage < 0:
        waiting, refined = (), tuple(map(tuple, explore(problem, steps).tolist()))
    else:
        angles = refine(problem, np.array(waiting[0]), stages[stage], steps)
        waiting, refined = waiting[1:], (*refined, tuple(angles.tolist()))
    if not waiting:
        alpha = FIRST_ALPHA if stage < 0 else stages[stage].alpha
        ranked = sorted(refined, key=lambda each: problem.costs(np.array([each]), alpha)[0])
        stage += 1
        waiting, refined = tuple(ranked[: stages[stage].num_kept if stage < len(stages) else 1]), ()
    return replace(
        before,
        stage=stage,
        waiting=waiting,
        refined=refined,
        train_s=before.train_s + time.perf_counter() - began_s,
        process_s=before.process_s + time.process_time() - began_process_s,
    )


class Problem:
    """The cost of angles: 1 - sum_j w_j <psi_j| U^T D U |psi_j> over eigenvectors psi_j of the ensemble."""

    def __init__(self, ensemble: Ensemble, config: Config) -> None:
        self.config = config
        self.firsts = brickwork(*config.shape)
        self.values, vectors = spectrum(ensemble.train, config.num_latent)
        self.vectors = torch.tensor(vectors, dtype=torch.float64)
        index = np.arange(2**config.num_qubits)
        trash = trash_qubits(config.num_qubits, config.num_latent)
        empty = np.array([(index >> qubit & 1) == 0 for qubit in trash])
        self.local_projector = torch.tensor(empty.mean(axis=0), dtype=torch.float64)
        self.global_projector = torch.tensor(empty.all(axis=0), dtype=torch.float64)

    def weights(self, alpha: float) -> Any:
        """Eigenvalues^alpha, of sum 1; float64 (num_vectors,)."""
        flattened = self.values**alpha
        return torch.tensor(flattened / flattened.sum(), dtype=torch.float64)

    def cost(self, angles: Any, weights: Any, projector: Any) -> Any:
        """Cost of each row of angles; torch float64 (starts, num_angles) -> (starts,)."""
        table = angles.reshape(len(angles), -1, ANGLES_PER_BLOCK).swapaxes(0, 1)
        states = self.vectors.expand(len(angles), *self.vectors.shape)
        encoded = apply_blocks(so4_blocks(table, torch), states, self.firsts)
        return 1.0 - (encoded**2 @ projector) @ weights

    def costs(self, angles: Array, alpha: float) -> Array:
        """Global cost of each row of angles; float64 (starts, num_angles) -> (starts,)."""
        with torch.no_grad():
            found: Array = self.cost(torch.tensor(angles), self.weights(alpha), self.global_projector).numpy()
        return found

    def cost_and_gradient(self, angles: Array, alpha: float) -> tuple[float, Array]:
        """Global cost of one set of angles, and its gradient; float64 (num_angles,)."""
        leaf = torch.tensor(angles[None], requires_grad=True)
        cost = self.cost(leaf, self.weights(alpha), self.global_projector).sum()
        (gradient,) = torch.autograd.grad(cost, leaf)
        return float(cost.detach()), gradient[0].numpy()


def explore(problem: Problem, steps: Callable[[str, float], None]) -> Array:
    """Adam over all starts at once, from small angles and the local cost to the global one; (starts, num_angles)."""
    config = problem.config
    shape = (config.num_starts, num_angles(*config.shape))
    first = np.random.default_rng(config.seed).normal(0.0, SPREAD_RAD, shape)
    angles = torch.tensor(first, requires_grad=True)
    optimizer = torch.optim.Adam([angles])
    weights = problem.weights(FIRST_ALPHA)
    for step in range(ADAM_STEPS):
        done = step / ADAM_STEPS
        optimizer.param_groups[0]["lr"] = LEARNING_RATES[0] * (1.0 - done) + LEARNING_RATES[1] * done
        mixed = min(1.0, done / LOCAL_PART)
        projector = (1.0 - mixed) * problem.local_projector + mixed * problem.global_projector
        optimizer.zero_grad()
        costs = problem.cost(angles, weights, projector)
        costs.sum().backward()
        optimizer.step()
        steps("exploring", float(costs.detach().min()))
    found: Array = angles.detach().numpy()
    return found


def refine(problem: Problem, angles: Array, stage: Stage, steps: Callable[[str, float], None]) -> Array:
    """L-BFGS on one start; float64 (num_angles,)."""
    from scipy.optimize import minimize

    found = minimize(
        problem.cost_and_gradient,
        angles,
        args=(stage.alpha,),
        jac=True,
        method="L-BFGS-B",
        callback=lambda intermediate_result: steps(f"weights λ^{stage.alpha:g}", float(intermediate_result.fun)),
        options={"maxiter": stage.num_steps, "maxfun": 2 * stage.num_steps, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30},
    )
    refined: Array = found.x
    return refined


class _Steps:
    """Counts the steps of one unit of work onto those before it, and tells."""

    def __init__(self, before: Checkpoint, tell: Tell) -> None:
        stages, num_going_on = before.config.stages, before.config.num_starts
        units = [ADAM_STEPS]
        for stage in stages:
            num_going_on = min(num_going_on, stage.num_kept)
            units.append(num_going_on * stage.num_steps)
        within = len(before.refined) * stages[before.stage].num_steps if before.stage >= 0 else 0
        self._done = sum(units[: before.stage + 1]) + within
        self._total = sum(units)
        self._tell = tell

    def __call__(self, stage: str, cost: float) -> None:
        self._done += 1
        self._tell(Progress(self._done, self._total, stage, cost))


def _fits(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint can be gone on from."""
    wanted = num_angles(*checkpoint.config.shape)
    angles = (*checkpoint.waiting, *checkpoint.refined)
    whole = all(len(each) == wanted and np.all(np.isfinite(each)) for each in angles)
    begun = -1 <= checkpoint.stage <= len(checkpoint.config.stages) and (checkpoint.stage < 0) == (
        not checkpoint.waiting
    )
    return whole and begun and (not checkpoint.finished or len(checkpoint.waiting) == 1)
