"""An allocator that is a table of rates: each flow has its own share of every link, and is alone on it.

Quotes come from the law of :mod:`policies.allocators.pairs.law`, with stock and leases of the moment; fidelities from
the stock and a rehearsal of the flow, corrected by what feedback says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from circuits.seeds import derive
from orchestrator.entanglement import PairDemand
from policies.allocators.pairs.desk import Desk, Ends, Flow, Outlook, weighted
from policies.allocators.pairs.law import ready
from policies.allocators.pairs.line import Hardware, Line, Rehearsal, Route, line, rehearse


@dataclass(eq=False)
class _Line(Flow):
    route: Route
    line: Line
    rehearsal: Rehearsal


class PairTable(Desk[_Line]):
    """Serves :class:`orchestrator.entanglement.EntanglementAllocator`."""

    def __init__(
        self, source: str, routes: Mapping[Ends, Route], hardware: Hardware | None = None, *, seed: int = 0
    ) -> None:
        """In front of links that begin empty, at moment 0.

        Args:
            source: its name.   routes: what the flow between two QPUs has, by their names in order.
            seed: of everything that is left to chance.
        """
        self.hardware = known = hardware or Hardware()
        flows = {
            ends: _Line(
                route,
                line(route, known, derive(seed, "pairs", *ends)),
                rehearse(route, known, seed=derive(0, "rehearsal", *ends)),
            )
            for ends, route in routes.items()
        }
        super().__init__(source, flows)

    @property
    def coherence_s(self) -> float:
        """As :class:`Desk` says."""
        return self.hardware.coherence_s

    def advance(self, to_s: float) -> None:
        """As :class:`Desk` says."""
        for flow in self._flows.values():
            while flow.line.now_s < to_s:
                self._advance(flow, to_s)
        self.now_s = max(self.now_s, to_s)

    def provisioned(self) -> dict[Ends, Rehearsal]:
        """As :class:`Desk` says."""
        return {ends: flow.rehearsal for ends, flow in self._flows.items()}

    def length_km(self, ends: Ends) -> float:
        """As :class:`Desk` says."""
        return self._flows[ends].route.length_km

    def _advance(self, flow: _Line, to_s: float) -> None:
        """To the next pair, or to the next moment at which somebody begins or stops to wait."""
        line = flow.line
        turns = [moment for held in flow.held for moment in (held.begins_s, held.lease.expires_s)]
        until_s = min([to_s, *(moment for moment in turns if moment > line.now_s)])
        if not any(held.waits(line.now_s) for held in flow.held):
            line.rest(until_s)
            return
        pair = line.next_pair(until_s)
        if pair is not None:
            moment_s, fidelity = pair
            for held in flow.held:
                if held.waits(moment_s) and fidelity >= held.lease.demand.min_fidelity:
                    held.give(moment_s, fidelity)
                    break

    def _outlook(self, flow: _Line, demand: PairDemand, ahead: int) -> Outlook:
        good = max(float(np.mean(np.array(flow.rehearsal.fidelities) >= demand.min_fidelity)), 1e-9)
        pairs = max(1, demand.num_pairs + ahead)
        at = ready(
            flow.route, self.hardware, flow.rehearsal, pairs, flow.line.live(), good=good, deadline_s=demand.deadline_s
        )
        fidelities = self._expected(flow, demand, pairs)
        return Outlook(flow.rehearsal.rate_hz * good, at.p50_s, at.p90_s, at.before, *fidelities, flow.route.price)

    def _expected(self, flow: _Line, demand: PairDemand, pairs: int) -> tuple[float, float]:
        """Mean and tenth percentile of the fidelities of the last ``num_pairs`` of so many.

        The j-th pair of the stock is one of them if its swaps work and neither fewer nor more than are wanted by others
        came before it: a binomial law. The rest is as in the rehearsal.
        """
        success = self.hardware.swap_success**flow.route.num_swaps
        stock = np.array([each for each in flow.line.in_stock() if each >= demand.min_fidelity])
        later = np.array([each for each in flow.rehearsal.fidelities if each >= demand.min_fidelity] or [0.25])
        before = np.arange(stock.size)
        others = pairs - demand.num_pairs
        weights = success * (_at_most(pairs - 1, before, success) - _at_most(others - 1, before, success))
        rest = max(0.0, demand.num_pairs - float(weights.sum()))
        return weighted(
            np.concatenate((stock, later)) + flow.bias(),
            np.concatenate((weights, np.full(later.size, rest / later.size))),
        )


def _at_most(most: int, tries: NDArray[np.int64], success: float) -> NDArray[np.float64]:
    """Chance of no more successes than that in so many tries."""
    if most < 0:
        return np.zeros(tries.size)
    found: NDArray[np.float64] = bdtr(np.minimum(most, tries), tries, success)
    return found
