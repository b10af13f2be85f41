"""A training on one network, and what it is worth in later episodes of that network; for the benchmarks of DPEM."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from policies.allocators.dpem.deployment import deploy, link_forecasts
from policies.allocators.dpem.episodes import rule_of
from policies.allocators.dpem.learner import Agent, Run
from policies.envs.entanglement import state as states
from policies.envs.entanglement.metrics import Metrics, metrics
from policies.envs.entanglement.play import play
from policies.envs.entanglement.state import LOCALS


def after(run: Run, rounds: int, episodes: int, pull: Tensor | None = None) -> tuple[Agent, dict[str, list[Metrics]]]:
    """Train for so many rounds, each a new episode, then play as many more that nobody has learned from.

    Args:
        pull: weights of pulls to begin with, (32,); the path head begins as its configuration says.

    Returns:
        The agent, and metrics of "dpem", "local" and "shortest" in each of the later episodes.
    """
    run = replace(run, config=replace(run.config, windows=rounds))
    learner = run.begin()
    if pull is not None:
        first = learner.actor().state_dict()
        heads = {name: first[name].reshape(-1, first[name].shape[-1])[0] for name in ("path", "share")}
        learner.begin_with({**heads, "pull": pull})
    for _ in range(rounds):
        learner.epoch()
    agent = learner.actor()
    history_s = run.config.history_s
    later = deploy(run.setting, run.topologies[0], history_s=history_s, windows=rounds + episodes)
    expected = agent.act_on(later, run.forecaster, run.seed)
    found: dict[str, list[Metrics]] = {"dpem": [], "local": [], "shortest": []}
    for window in range(rounds, rounds + episodes):
        case = later.episode(window, 10**6 + window)
        links = None if expected is None else link_forecasts(later, expected, run.forecaster.bin_s, window)
        for name, its in found.items():
            rule = rule_of(agent, links) if name == "dpem" else states.rule(*LOCALS[name])
            its.append(metrics(play(case, rule)))
    return agent, found


def mean(found: list[Metrics], name: str) -> float:
    """Of one metric over episodes."""
    return sum(float(getattr(one, name)) for one in found) / len(found)
