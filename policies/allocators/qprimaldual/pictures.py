"""Pictures of allocations: how the gap closes, and the network with loads and prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from policies.envs.qnum.network import Network
from policies.envs.qnum.utilities import Array
from policies.pictures import TONES, picture

_NUMBERED = 40
"""Nodes up to which each is told apart, and moved to where it can be seen."""


def draw_convergence(gaps: Mapping[str, Array], path: Path) -> None:
    """Gap to the optimum over iterations.

    Args:
        gaps: by what a curve is called.   path: of the picture.
    """
    with picture(path, 1, 1, (7.0, 4.0)) as (_, axes):
        axis = axes[0][0]
        for tone, (name, curve) in zip(TONES * (1 + len(gaps) // len(TONES)), gaps.items(), strict=False):
            shown = np.where(np.isfinite(curve), np.maximum(curve, 1e-12), np.nan)
            axis.plot(np.arange(1, len(curve) + 1), shown, color=tone, label=name, linewidth=1.6)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_ylim(1e-10, 10.0)
        axis.set_xlabel("iterations")
        axis.set_ylabel("(U* − U)/Σω, nats")
        axis.grid(color="#e6e6e6", linewidth=0.6)
        axis.legend(frameon=False)
        axis.set_title("QPrimalDual's way to the optimum")


def draw_network(
    network: Network, rates_hz: Sequence[float], werner: Sequence[float], prices: Sequence[float] | None, path: Path
) -> None:
    """The network: width is the rate that a link carries, colour its price, or its 1 - w where there are no prices."""
    from matplotlib.collections import LineCollection

    places = layout(network)
    loads = network.incidence @ np.asarray(rates_hz)
    shade = 1.0 - np.asarray(werner) if prices is None else np.asarray(prices)
    lines = [(places[a], places[b]) for a, b in (link.ends for link in network.links)]
    with picture(path, 1, 1, (8.0, 6.0)) as (figure, axes):
        axis = axes[0][0]
        widths = 0.8 + 6.0 * loads / max(float(loads.max()), 1e-300)
        drawn = axis.add_collection(LineCollection(lines, array=shade, cmap="viridis_r", linewidths=widths, zorder=1))
        axis.scatter(
            *places.T, s=160 if network.num_nodes <= _NUMBERED else 8, color="white", edgecolor="#1d2b3a", zorder=2
        )
        if network.num_nodes <= _NUMBERED:
            for node, (x, y) in enumerate(places):
                axis.text(x, y, str(node), ha="center", va="center", fontsize=7, zorder=3)
        figure.colorbar(drawn, ax=axis, label="1 − w" if prices is None else "price, nats s/pair", shrink=0.7, pad=0.01)
        axis.set_aspect("equal")
        axis.margins(0.05)
        axis.axis("off")
        axis.set_title(
            f"{network.name or 'network'}: {network.num_flows} flows; width is load, most {loads.max():.0f} pairs/s"
        )


def layout(network: Network) -> Array:
    """Places of nodes from lengths of routes, by scaling.   float64 (num_nodes, 2)."""
    ends = np.array([link.ends for link in network.links])
    lengths = np.array([link.length_km for link in network.links])
    lengths += max(float(lengths.mean()), 1.0)  # keeps near neighbours apart
    graph = csr_array((lengths, ends.T), shape=(network.num_nodes, network.num_nodes))
    apart = dijkstra(graph, directed=False)
    apart = np.where(np.isfinite(apart), apart, 1.5 * apart[np.isfinite(apart)].max()) ** 2
    centred = -0.5 * (apart - apart.mean(axis=0) - apart.mean(axis=1)[:, None] + apart.mean())
    values, vectors = np.linalg.eigh(centred)
    placed: Array = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0.0))  # the longer side across
    return _spread(placed, np.sqrt(apart)) if network.num_nodes <= _NUMBERED else placed


def _spread(placed: Array, wanted: Array) -> Array:
    """Nodes moved to where distances fit better, by majorisation of stress weighted by 1/distance (SMACOF)."""
    weight = 1.0 / np.maximum(wanted, 1e-9)
    np.fill_diagonal(weight, 0.0)
    undo = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight)
    for _ in range(100):
        shown = np.linalg.norm(placed[:, None] - placed, axis=2)
        pull = -weight * wanted / np.maximum(shown, 1e-9)
        np.fill_diagonal(pull, 0.0)
        np.fill_diagonal(pull, -pull.sum(axis=1))
        placed = undo @ (pull @ placed)
    return placed
