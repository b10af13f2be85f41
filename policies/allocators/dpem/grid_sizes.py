"""Delivery on the number of nodes: least squares over topologies, for cells that differ in nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.allocators.dpem.grid import BOUND, Cell
from policies.allocators.dpem.grid_report import Found
from policies.significance import Line, line

LEAST = 3
"""So many sizes are a line's worth (ours)."""


class Sizes(NamedTuple):
    """One policy's delivery by size, of one topology each.

    Attributes:
        nodes, delivery: float64 (n,).   by_nodes, by_logarithm: lines over N and over log10 N.
    """

    policy: str
    nodes: NDArray[np.float64]
    delivery: NDArray[np.float64]
    by_nodes: Line
    by_logarithm: Line

    def means(self) -> list[tuple[float, float, float, int]]:
        """Of each size: N, mean, half width of the 95 % t interval (nan of one topology), topologies."""
        from scipy import stats

        told = []
        for size in np.unique(self.nodes):
            found = self.delivery[self.nodes == size]
            spread = stats.sem(found) * stats.t.ppf(0.975, found.size - 1) if found.size > 1 else np.nan
            told.append((float(size), float(found.mean()), float(spread), found.size))
        return told


def sizes(found: Found) -> dict[Cell, list[Sizes]]:
    """By the cell that they have in common, that of 100 nodes; policies with at least three sizes."""
    together: dict[Cell, list[Cell]] = {}
    for cell in found.cells:
        together.setdefault(replace(cell, num_nodes=Cell().num_nodes), []).append(cell)
    told = {
        cell: [each for name in found.policies if (each := _of(found, same, name))] for cell, same in together.items()
    }
    return {cell: each for cell, each in told.items() if each}


def _of(found: Found, cells: Sequence[Cell], policy: str) -> Sizes | None:
    pairs = [(cell.num_nodes, each[0]) for cell in cells for each in found.of(cell, policy, 1).values()]
    nodes, delivery = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    if policy == BOUND or len(set(nodes)) < LEAST:
        return None
    return Sizes(policy, nodes, delivery, line(nodes, delivery), line(np.log10(nodes), delivery))


def words(cell: str, found: Sequence[Sizes]) -> list[str]:
    """A table of them."""
    lines = [f"### {cell}", "", "| policy | " + "delivery by nodes | per 100 nodes | R² | p | per decade | R² | p |"]
    lines.append("|---" * 8 + "|")
    for each in found:
        means = ", ".join(
            f"{size:g}: {mean:.3f}" + ("" if np.isnan(spread) else f" ± {spread:.3f}") + f" ({num})"
            for size, mean, spread, num in each.means()
        )
        fits = " | ".join(
            f"{times * fit.slope:+.4f} ± {times * fit.slope_pm:.4f} | {fit.r2:.3f} | {fit.p:.2g}"
            for fit, times in ((each.by_nodes, 100.0), (each.by_logarithm, 1.0))
        )
        lines.append(f"| `{each.policy}` | {means} | {fits} |")
    return lines
