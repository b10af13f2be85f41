"""The search for weights of pulls by evolution: whole candidates, each judged by what it delivers in the same episodes.

Source: CMA-ES, Hansen 2016 (arXiv:1604.00772), appendix A, without its negative weights; that it searches the
share rule, and its bounds, are ours. A node's shares matter only together with its neighbours' and over many slots, so
that noise on each single share, which PPO learns from, is lost among the luck of links; a weight that is changed is
changed everywhere and for the whole episode. One generation is one epoch; it draws some of the run's networks, and all
candidates play there with the same requests and luck.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from policies.allocators.dpem.deployment import Deployment, deploy, link_forecasts
from policies.allocators.dpem.episodes import delivery, rule_of
from policies.envs.entanglement import state as states
from policies.envs.entanglement.play import play
from policies.learners.learner import Progress

if TYPE_CHECKING:
    from policies.allocators.dpem.learner import Agent, Run

SEARCHED = {"pulls": tuple(range(states.NUM_PULLS)), "constants": states.HAND_PULLS}
"""Which weights are searched: all, or those that are the constants of the hand rule."""


class Search(NamedTuple):
    """Where the search is, float64: a normal distribution, and the paths that its mean has taken.

    Attributes:
        mean: (n,).   step: sigma, ().   covariance: (n, n).   path, step_path: (n,).   generation: ().
    """

    mean: Tensor
    step: Tensor
    covariance: Tensor
    path: Tensor
    step_path: Tensor
    generation: Tensor


def begun_at(mean: Tensor, step: float) -> Search:
    """Round a mean, alike in all directions."""
    zeros = torch.zeros_like(mean)
    return Search(mean, mean.new_tensor(step), torch.eye(len(mean)).double(), zeros, zeros, mean.new_tensor(0.0))


def drawn(search: Search, num: int, chance: torch.Generator) -> Tensor:
    """Candidates, (num, n)."""
    size, root = len(search.mean), torch.linalg.cholesky(search.covariance)
    normal = torch.randn(num, size, generator=chance, dtype=torch.float64)
    return search.mean + search.step * normal @ root.T


def moved(search: Search, candidates: Tensor, worth: Tensor) -> Search:
    """The next generation's distribution.

    Args:
        candidates: (num, n).   worth: more is better, (num,).
    """
    size, half = len(search.mean), len(candidates) // 2
    weights = np.log(half + 0.5) - torch.log(torch.arange(1, half + 1).double())
    weights = weights / weights.sum()
    mass = float(1.0 / weights.square().sum())
    steps = (candidates[worth.argsort(descending=True, stable=True)[:half]] - search.mean) / search.step
    step = weights @ steps
    c_step = (mass + 2.0) / (size + mass + 5.0)
    damping = 1.0 + 2.0 * max(0.0, np.sqrt((mass - 1.0) / (size + 1.0)) - 1.0) + c_step
    c_path = (4.0 + mass / size) / (size + 4.0 + 2.0 * mass / size)
    c_one = 2.0 / ((size + 1.3) ** 2 + mass)
    c_rank = min(1.0 - c_one, 2.0 * (mass - 2.0 + 1.0 / mass) / ((size + 2.0) ** 2 + mass))
    values, vectors = torch.linalg.eigh(search.covariance)
    white = vectors @ ((vectors.T @ step) / values.sqrt())
    step_path = (1.0 - c_step) * search.step_path + np.sqrt(c_step * (2.0 - c_step) * mass) * white
    usual = np.sqrt(size) * (1.0 - 1.0 / (4.0 * size) + 1.0 / (21.0 * size**2))
    length, generation = float(step_path.norm()), search.generation + 1.0
    grown = np.sqrt(1.0 - (1.0 - c_step) ** (2.0 * float(generation)))
    small = length / grown < (1.4 + 2.0 / (size + 1.0)) * usual
    path = (1.0 - c_path) * search.path + small * np.sqrt(c_path * (2.0 - c_path) * mass) * step
    kept = 1.0 - c_one - c_rank + (not small) * c_one * c_path * (2.0 - c_path)
    covariance = kept * search.covariance + c_one * path.outer(path) + c_rank * (steps.T * weights) @ steps
    size_now = search.step * np.exp(c_step / damping * (length / usual - 1.0))
    mean, covariance = search.mean + search.step * step, (covariance + covariance.T) / 2.0
    return Search(mean, size_now, covariance, path, step_path, generation)


class Evolution:
    """Searches an agent's weights of pulls on a run's networks; its path head stays as it begins."""

    def __init__(self, run: Run, agent: Agent) -> None:
        self.run, self._agent = run, agent
        self._chance = torch.Generator().manual_seed(run.seed)
        self._searched = list(SEARCHED[run.config.searched])
        self._search = begun_at(self._pull.detach()[self._searched].double(), run.config.spread)
        self._deployed: dict[int, tuple[Deployment, Any]] = {}
        self._epoch = 0

    @property
    def _pull(self) -> Any:
        """Weights that the agent shares out by; it has some, as its shares are by pulls."""
        return self._agent.pull

    def begin_with(self, weights: Mapping[str, Tensor]) -> None:
        """Take what another agent has learned."""
        self._agent.begin_with(weights)
        self._search = begun_at(self._pull.detach()[self._searched].double(), self.run.config.spread)

    def actor(self) -> Agent:
        """With the mean of what has been found."""
        return deepcopy(self._agent)

    def epoch(self) -> Progress:
        """One generation."""
        run, config = self.run, self.run.config
        candidates = drawn(self._search, config.candidates, self._chance)
        networks = torch.randperm(len(run.topologies), generator=self._chance)[: config.networks].tolist()
        window, seed = self._epoch % config.windows, (run.seed * 7919 + self._epoch) % 2**31
        cases = []
        for number in networks:
            deployment, expected = self._deployment(number)
            links = None if expected is None else link_forecasts(deployment, expected, run.forecaster.bin_s, window)
            cases.append((deployment.episode(window, seed), links))
        found = torch.zeros(len(candidates), len(cases), dtype=torch.float64)
        for row, candidate in enumerate(candidates):
            self._put(candidate)
            for column, (episode, links) in enumerate(cases):
                found[row, column] = delivery(play(episode, rule_of(self._agent, links)))
        worth = found.mean(1)
        if not bool(torch.isfinite(worth).all()):
            raise InvalidParameter(f"spread: wanted one whose candidates can be played, got {config.spread:g}")
        self._search = moved(self._search, candidates, worth)
        self._put(self._search.mean)
        self._epoch += 1
        slots = self._epoch * run.setting.num_slots * len(candidates) * len(cases)
        figures = {"delivery": float(worth.mean()), "best": float(worth.max()), "step": float(self._search.step)}
        return Progress(self._epoch, slots, 1.0 - figures["delivery"], figures)

    def _deployment(self, number: int) -> tuple[Deployment, Any]:
        """One of the run's networks, and what its pairs are expected to ask."""
        run = self.run
        if number not in self._deployed:
            seed, config = run.topologies[number], run.config
            made = deploy(run.setting, seed, history_s=config.history_s, windows=config.windows)
            self._deployed[number] = made, self._agent.act_on(made, run.forecaster, run.seed)
        return self._deployed[number]

    def _put(self, searched: Tensor) -> None:
        with torch.no_grad():
            self._pull[self._searched] = searched

    def state(self) -> dict[str, Tensor]:
        """Everything that the search needs to go on."""
        weights = {f"weights.{name}": each.detach().clone() for name, each in self._agent.state_dict().items()}
        search = {f"search.{name}": each.clone() for name, each in self._search._asdict().items()}
        return {**weights, **search, "chance": self._chance.get_state(), "epoch": torch.tensor(self._epoch)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from :meth:`state`.

        Raises:
            InvalidParameter: it is of another search.
        """
        weights = {name.removeprefix("weights."): each for name, each in state.items() if name.startswith("weights.")}
        try:
            self._agent.load_state_dict(weights)
            self._search = Search(*(state[f"search.{name}"].clone() for name in Search._fields))
            self._chance.set_state(state["chance"])
            self._epoch = int(state["epoch"])
        except (KeyError, RuntimeError) as error:
            raise InvalidParameter(f"state: wanted one of this search, got another ({error})") from error
