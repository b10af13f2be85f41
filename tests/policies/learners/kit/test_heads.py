"""Distributions: what is drawn has the probability that is said, and entropies are theirs."""

from __future__ import annotations

import pytest
import torch

from policies.learners.kit.heads import HEADS, draw_server, judge_servers

NUM = 40_000


@pytest.fixture(params=sorted(HEADS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def outputs_of(name: str) -> torch.Tensor:
    return torch.tensor([0.3, -0.4])[: HEADS[name].num_outputs].expand(NUM, -1)


def test_entropy_is_the_mean_of_minus_log_prob(name: str) -> None:
    head, outputs = HEADS[name], outputs_of(name)
    drawn = head.draw(outputs, torch.Generator().manual_seed(1))
    surprise = -head.log_prob(outputs, drawn)
    assert float(surprise.mean()) == pytest.approx(
        float(head.entropy(outputs)[0]), abs=5 * float(surprise.std()) / NUM**0.5
    )


def test_a_density_or_a_mass_adds_up_to_one(name: str) -> None:
    head, outputs = HEADS[name], outputs_of(name)
    if name == "bernoulli":
        total = head.log_prob(outputs[:2], torch.tensor([0.0, 1.0])).exp().sum()
    else:
        at = torch.linspace(-3, 4, NUM) if name == "normal" else torch.linspace(1e-6, 1 - 1e-6, NUM)
        total = torch.trapezoid(head.log_prob(outputs, at).exp(), at)
    assert float(total) == pytest.approx(1.0, abs=1e-4)


def test_without_chance_the_most_likely_value_comes(name: str) -> None:
    head, outputs = HEADS[name], outputs_of(name)
    best = head.draw(outputs[:1], None)
    drawn = head.draw(outputs, torch.Generator().manual_seed(2))
    assert float(head.log_prob(outputs[:1], best)) >= float(head.log_prob(outputs, drawn).max()) - 1e-4


def test_servers_come_as_often_as_their_probabilities_say() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0]).expand(NUM, 3)
    drawn = draw_server(logits, torch.Generator().manual_seed(3))
    wanted = logits[0].softmax(-1)
    assert torch.allclose(torch.bincount(drawn) / NUM, wanted, atol=0.01)
    log_prob, entropy = judge_servers(logits, drawn)
    assert torch.allclose(log_prob, wanted.log()[drawn])
    assert float(entropy[0]) == pytest.approx(float(torch.distributions.Categorical(wanted).entropy()))
    assert draw_server(logits, None).unique().tolist() == [1]
