"""Over pairs, in pieces or on a larger QPU: each is estimated alike, and the objective decides."""

from __future__ import annotations

import pytest

from backends.pricing import Price
from orchestrator.entanglement import PairDemand, PairQuote
from orchestrator.job import Objective
from orchestrator.placement import Scales
from orchestrator.ways import Qpu, costs, in_pieces, on_a_larger, over_pairs

SMALL = Qpu(shot_s=1e-3, fidelity=0.99, price=Price(per_second_usd=2.0), power_w=10.0)
LARGE = Qpu(shot_s=1e-3, fidelity=0.8, price=Price(per_second_usd=2.0), power_w=10.0, queue_s=100.0)


class Promises:
    """Quotes what it was made with."""

    def __init__(self, *quotes: PairQuote) -> None:
        self.quotes = list(quotes)

    def quote(self, demands: list[PairDemand]) -> list[PairQuote]:
        return self.quotes[: len(demands)]


def quote(ready_p90_s: float, fidelity: float, price: float = 0.0) -> PairQuote:
    return PairQuote("q", 10.0, 0.9 * ready_p90_s, ready_p90_s, fidelity, fidelity, 1.0, price)


def test_over_pairs_waits_for_the_last_link_and_multiplies_what_a_shot_uses() -> None:
    allocator = Promises(quote(20.0, 0.9), quote(30.0, 0.95, price=0.5))
    demands = [PairDemand("j", "a", "b", 200), PairDemand("j", "b", "c", 100)]
    found = over_pairs(allocator, demands, 100, SMALL, 3, pair_usd=0.01)  # type: ignore[arg-type]
    assert found.estimate.elapsed_s == pytest.approx(30.0 + 0.1)
    assert found.estimate.fidelity == pytest.approx(0.9**2 * 0.95 * 0.99**3)
    assert found.estimate.cost_usd == pytest.approx(3 * 0.1 * 2.0 + 0.01 * 0.5 * 100)
    assert found.estimate.energy_j == pytest.approx(3 * 10.0 * 0.1)


def test_pieces_take_gamma_squared_times_the_shots() -> None:
    found = in_pieces(3.0, 100, SMALL, 2)
    assert found.elapsed_s == pytest.approx(9 * 100 * 1e-3)
    assert found.fidelity == pytest.approx(0.99**2)
    assert found.cost_usd == pytest.approx(2 * 0.9 * 2.0)


@pytest.mark.parametrize(
    ("objective", "best"),
    [
        (Objective(latency=1.0, fidelity=0.0, energy=0.0, price=0.0), "pieces"),
        (Objective(latency=0.0, fidelity=0.0, energy=0.0, price=1.0), "larger"),
        (Objective(latency=0.01, fidelity=1.0, energy=0.0, price=0.1), "pairs"),
    ],
)
def test_the_objective_decides(objective: Objective, best: str) -> None:
    demands = [PairDemand("j", "a", "b", 200)]
    ways = {
        "pairs": over_pairs(Promises(quote(20.0, 0.98)), demands, 200, SMALL, 2).estimate,  # type: ignore[arg-type]
        "pieces": in_pieces(9.0, 200, SMALL, 2),
        "larger": on_a_larger(200, LARGE),
    }
    found = costs(ways, objective, Scales())
    assert next(iter(found)) == best
    assert list(found.values()) == sorted(found.values())
