"""How good a trained agent is on networks that it has never seen, beside rules in the very same episodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuits.errors import InvalidParameter
from circuits.parameters import short
from policies.allocators.dpem.deployment import Deployment, announcements, base_of, deploy, link_forecasts
from policies.allocators.dpem.episodes import rule_of
from policies.allocators.dpem.learner import Agent, Run
from policies.envs.entanglement import play as played
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.metrics import Metrics, metrics
from policies.envs.entanglement.setting import EntanglementSetting
from policies.envs.entanglement.state import LOCALS, Rule, local

DPEM = "dpem"


@dataclass(frozen=True)
class Keep:
    """Where the agent's runs are kept, each in a folder named after topology and physics, and by which checkpoint."""

    folder: Path
    checkpoint: str

    def write(self, run: played.Run, topology: int, physics: int) -> None:
        """Log a run, and what it expected of links."""
        from policies.envs.entanglement.logs import write_run

        write_run(run, self.folder / f"{topology}-{physics}", {"name": DPEM, "checkpoint": self.checkpoint})


@dataclass(frozen=True)
class Score:
    """What one policy came to in one episode."""

    topology: int
    physics: int
    policy: str
    metrics: Metrics


def check_policies(names: Sequence[str]) -> tuple[str, ...]:
    """The names, if there are such policies.

    Raises:
        InvalidParameter: there is no such policy, or none is named.
    """
    known = (DPEM, *LOCALS)
    for name in names:
        if name not in known:
            raise InvalidParameter(f"policies: wanted some of {', '.join(known)}, got {short(name)}")
    if not names:
        raise InvalidParameter(f"policies: wanted some of {', '.join(known)}, got none")
    return tuple(names)


def rule_on(agent: Agent, _episode: Episode, hold: int = 1) -> Rule:
    """The agent in an episode without a past: what links expect is their running mean.

    Raises:
        InvalidParameter: each node has weights of its own, which fit no other network.
    """
    _check_shared(agent)
    return rule_of(agent, None, hold=hold)


def evaluate(
    run: Run,
    agent: Agent,
    topologies: Sequence[int],
    *,
    setting: EntanglementSetting | None = None,
    physics: Sequence[int] = (0, 1),
    policies: Sequence[str] = (DPEM, *LOCALS),
    hold: int = 1,
    keep: Keep | None = None,
    own: Path | None = None,
) -> Iterator[Score]:
    """Every policy in every episode: one of each network and physics seed, after the network's history.

    Args:
        run: by which the agent was trained; its forecaster is fitted to each network's history.
        setting: of the episodes; that of the training if not given.   hold: back-off of all policies.
        keep: where the agent's runs are logged.   own: a file of requests or traffic, beginning
            with the history if there is something to forecast.

    Raises:
        InvalidParameter: a policy is unknown, or each node has weights of its own and the network is another one.
    """
    names = check_policies(policies)
    if DPEM in names and tuple(topologies) != run.topologies:
        _check_shared(agent)
    past_s = 0.0 if own and base_of(agent.config.forecast) == "none" else run.config.history_s
    for seed in topologies:
        deployment = deploy(setting or run.setting, seed, history_s=past_s, own=own)
        links = _links(run, agent, deployment) if DPEM in names else None
        for luck in physics:
            episode = deployment.episode(0, luck)
            more = announcements(episode, agent.config.forecast) if DPEM in names else None
            for name in names:
                rule = rule_of(agent, links, announced=more, hold=hold) if name == DPEM else local(name, hold=hold)
                kept = keep if name == DPEM else None
                run_of = played.play(episode, rule, record=int(kept is not None), trace=kept is not None)
                if kept:
                    kept.write(run_of, seed, luck)
                yield Score(seed, luck, name, metrics(run_of))


def _check_shared(agent: Agent) -> None:
    if agent.path.ndim == 2:
        raise InvalidParameter("topologies: wanted the one that was trained on, as each node has its own weights")


def _links(run: Run, agent: Agent, deployment: Deployment) -> Any:
    expected = agent.act_on(deployment, run.forecaster, run.seed)
    return None if expected is None else link_forecasts(deployment, expected, run.forecaster.bin_s, 0)
