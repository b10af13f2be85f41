"""Nodes learn together how to share out their entangled pairs, without telling anybody what their users ask for."""

from __future__ import annotations

from policies.allocators.dpem import forecast as forecasts
from policies.allocators.dpem.evaluation import evaluate
from policies.allocators.dpem.federation import Federation, round_bytes
from policies.allocators.dpem.learner import Config, Run
from policies.allocators.dpem.privacy import gaussian_epsilon, gaussian_mu
from policies.envs.entanglement.setting import EntanglementSetting

ROUNDS = 8
world = EntanglementSetting(num_nodes=40, duration_s=120.0, offered_hz=3.0)
config = Config(training="federated", forecast="seasonal_naive", history_s=600.0)
run = Run(config, Federation(sigma=2.0), forecasts.Config(), world, topologies=(0, 1), seed=1)

learner = run.begin()
for _ in range(ROUNDS):
    now = learner.epoch()
    print(f"round {now.epoch}: {now.figures['delivery']:.1%} delivered while exploring")

agent, nodes = learner.actor(), 2 * world.num_nodes
epsilon = gaussian_epsilon(gaussian_mu(run.federation.sigma, ROUNDS), delta=1e-5)
print(f"\nepsilon {epsilon:.2f} at delta 1e-5; {round_bytes(agent.num_weights, nodes) / 1e3:.0f} kB a round")

print("\non networks that nobody has learned from:\npolicy      delivered  contention")
scores = list(evaluate(run, agent, topologies=(200, 201), physics=(0,)))
for policy in dict.fromkeys(score.policy for score in scores):
    its = [score.metrics for score in scores if score.policy == policy]
    delivered, contended = (
        sum(getattr(one, name) for one in its) / len(its) for name in ("delivery", "contention_literal")
    )
    print(f"{policy:10}  {delivered:9.1%}  {contended:10.1%}")
