"""The network over time, from the logs of a run: what links were asked for and carried, what nodes spent."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from circuits.errors import InvalidParameter
from policies.envs.entanglement import logs, tables
from policies.envs.entanglement import state as states
from policies.envs.entanglement.episode import Episode
from policies.envs.entanglement.topology import Reals, Topology, Wholes
from policies.pictures import TONES, picture

PANELS, STRIP = 3, 60
"""Maps, each of a part of the time; points of the strip below them, at most."""
PROBES = (states.DELIVER, states.BLOCK, states.SWAP_FAIL, states.PURIFY_FAIL, states.SHORT)
"""Kinds of events that a probe ends with, one each."""
SPENT = (states.DELIVER, states.SWAP_FAIL, states.PURIFY_FAIL)
"""Of these, those that take a swap of every node between."""
SIZES, WIDTHS = (6.0, 130.0), (0.5, 5.0)
"""Least and most of areas of nodes and widths of links, in points."""


@dataclass(frozen=True, eq=False)
class Probes:
    """Everything that was tried in a run; B probes.

    Attributes:
        slot, kind: int64 (B,).   links, nodes: of the path, -1 beyond its end, (B, H) and (B, H + 1).
        ends: slot and kind (delivered in full or expired) of requests that are over, int64 (R', 2).
    """

    slot: Wholes
    kind: Wholes
    links: Any
    nodes: Any
    ends: Wholes

    def per_link(self, which: Any, num_links: int) -> Reals:
        """How many of the probes chosen cross each link, float64 (E,)."""
        crossed = self.links[which].reshape(-1)
        return np.bincount(crossed[crossed >= 0], minlength=num_links).astype(np.float64)

    def per_node(self, which: Any, num_nodes: int) -> Reals:
        """How many of the probes chosen swap at each node, float64 (N,)."""
        inside = self.nodes[which].copy()
        inside[:, 0] = -1
        hops = (self.links[which] >= 0).sum(axis=1)
        inside[np.arange(len(hops)), hops] = -1
        return np.bincount(inside[inside >= 0], minlength=num_nodes).astype(np.float64)

    def contention(self, which: Any, num_links: int) -> float:
        """Part of the (slot, link) with a claim among the probes chosen that have two or more; NaN without any."""
        links = self.links[which]
        keys = (self.slot[which, None] * num_links + links)[links >= 0]
        claims = np.unique(keys, return_counts=True)[1]
        return float((claims > 1).mean()) if claims.size else float("nan")


def read_probes(folder: Path) -> tuple[Episode, Probes, dict[str, Any]]:
    """Episode, probes and ``run.json`` of a logged run.

    Raises:
        InvalidParameter: a file is missing or damaged, or the run was logged without its events.
    """
    document = logs.read_run(folder)
    digests = document["sha256"]
    episode = logs.read_episode(folder, digests)
    events = tables.read(folder / "events.parquet", logs.EVENTS, digests.get("events"))
    if not events["slot"].size:
        raise InvalidParameter("events.parquet: wanted the events of a run, got none; log it with trace=True")
    decided = tables.read(folder / "decisions.parquet", logs.DECISIONS, digests.get("decisions"))
    tried = np.isin(events["kind"], PROBES)
    slot, request, kind = (events[name][tried] for name in ("slot", "request", "kind"))
    action = _actions(decided, slot, request)
    if action.min(initial=0) < 0:
        raise InvalidParameter("events.parquet: wanted probes of requests that have a path, got others")
    pair, path = episode.requests.pair[request], action % episode.paths.hops.shape[1]
    return (
        episode,
        Probes(slot, kind, episode.paths.links[pair, path], episode.paths.nodes[pair, path], _ends(episode, events)),
        document,
    )


def _actions(decided: tables.Columns, slot: Wholes, request: Wholes) -> Wholes:
    """What each request had last been told when it probed, int64 (B,); -1 for nothing."""
    span = int(max(slot.max(initial=0), decided["slot"].max(initial=0))) + 1
    keys = decided["request"] * span + decided["slot"]
    order = np.argsort(keys, kind="stable")
    place = np.searchsorted(keys[order], request * span + slot, side="right") - 1
    row = order[np.maximum(place, 0)] if order.size else np.zeros(slot.size, np.int64)
    known = (place >= 0) & (decided["request"][row] == request) if order.size else np.zeros(slot.size, bool)
    return np.asarray(np.where(known, decided["action"][row] if order.size else -1, -1))


def _ends(episode: Episode, events: tables.Columns) -> Wholes:
    """Slot and kind of the end of each request, in order of time."""
    done = events["kind"] == states.DELIVER
    request, slot = events["request"][done], events["slot"][done]
    given = np.bincount(request, minlength=episode.requests.num)
    last = np.zeros(episode.requests.num, np.int64)
    np.maximum.at(last, request, slot)
    full = np.flatnonzero(given >= episode.requests.num_pairs)
    late = events["kind"] == states.EXPIRE
    ends = np.concatenate(
        (
            np.stack((last[full] + 1, np.full(full.size, states.DELIVER)), axis=1),
            np.stack((events["slot"][late], np.full(int(late.sum()), states.EXPIRE)), axis=1),
        )
    )
    return np.asarray(ends[np.argsort(ends[:, 0], kind="stable")])


def draw_run(folder: Path, path: Path) -> dict[str, Any]:
    """Maps of parts of a run side by side, and delivery and contention over its time below; tells what is drawn.

    A link is as wide as the pairs a second that were delivered over it, and coloured by the requests that claimed it in
    a slot; a node is as large as what it makes, and coloured by the part of its swaps that was spent.
    """
    episode, probes, document = read_probes(folder)
    setting, topology = episode.setting, episode.topology
    bounds = np.linspace(0, document["slots"], PANELS + 1).astype(int)
    parts = [(probes.slot >= begin) & (probes.slot < end) for begin, end in pairwise(bounds)]
    spans_s = np.diff(bounds) * setting.slot_s
    given = [probes.per_link(each & (probes.kind == states.DELIVER), topology.num_links) for each in parts]
    carried = np.array(given) / spans_s[:, None]
    claims = np.array([probes.per_link(each, topology.num_links) for each in parts]) / np.diff(bounds)[:, None]
    swaps = np.array([probes.per_node(each & np.isin(probes.kind, SPENT), topology.num_nodes) for each in parts])
    spent = swaps / np.maximum(spans_s[:, None] * topology.swap_hz, 1e-9)
    shape = {"gridspec_kw": {"height_ratios": (3.0, 1.1)}}
    with picture(path, 2, PANELS, (4.6 * PANELS, 6.6), **shape) as (figure, axes):
        for place, axis in enumerate(axes[0]):
            drawn = _map(axis, topology, (carried[place], carried.max()), (claims[place], claims.max()), spent[place])
            begin, end = (bounds[place + each] * setting.slot_s for each in (0, 1))
            axis.set_title(f"{begin:.0f} to {end:.0f} s")
        figure.colorbar(drawn[0], ax=axes[0], label="requests claiming a link, mean of slots", shrink=0.8, pad=0.01)
        figure.colorbar(drawn[1], ax=axes[0], label="part of a node's swaps spent", shrink=0.8, pad=0.01)
        strip = _whole_row(figure, axes[1])
        _strip(strip, probes, topology.num_links, document["slots"], setting.slot_s)
        name, found = document.get("policy", {}).get("name", "policy"), document["metrics"]
        told = ", ".join(
            f"{words} {found[key]:.3f}"
            for key, words in (("delivery", "delivery"), ("contention_literal", "contention"))
            if isinstance(found.get(key), float)
        )
        figure.suptitle(
            f"{name} on {topology.num_nodes} nodes: {told}.  Links: width is pairs delivered over them "
            f"(most {carried.max():.2g}/s); nodes: area is what they make (most {topology.generation_hz.max():.2g}/s)",
            fontsize=10,
        )
    return {"picture": path.as_posix(), "probes": int(probes.slot.size), "most_claims": float(claims.max())}


def _map(axis: Any, topology: Topology, carried: tuple[Reals, float], claims: tuple[Reals, float], spent: Reals) -> Any:
    """A part of the time; what is drawn of links and of nodes, for scales."""
    from matplotlib import colormaps
    from matplotlib.collections import LineCollection
    from matplotlib.colors import ListedColormap

    warm = ListedColormap(colormaps["YlOrRd"](np.linspace(0.12, 1.0, 200)))  # quiet links can still be seen
    places: Any = np.stack((topology.x_km, topology.y_km), axis=1)
    order = np.argsort(claims[0], kind="stable")  # what is claimed most lies on top
    widths = WIDTHS[0] + (WIDTHS[1] - WIDTHS[0]) * carried[0] / max(carried[1], 1e-9)
    lines = LineCollection(
        places[topology.ends[order]], array=claims[0][order], cmap=warm, linewidths=widths[order], zorder=1
    )
    lines.set_clim(0.0, max(claims[1], 1e-9))
    axis.add_collection(lines)
    area = topology.generation_hz / max(float(topology.generation_hz.max()), 1e-9)
    nodes = axis.scatter(
        *places.T, s=SIZES[0] + (SIZES[1] - SIZES[0]) * area / max(1.0, topology.num_nodes / 100.0),
        c=np.minimum(spent, 1.0), cmap="Blues", vmin=0.0, vmax=1.0, edgecolor="#1d2b3a", linewidth=0.6, zorder=2,
    )  # fmt: skip
    axis.set_aspect("equal")
    axis.margins(0.04)
    axis.axis("off")
    return lines, nodes


def _whole_row(figure: Any, row: Any) -> Any:
    """One axis in the place of a row of them."""
    grid = row[0].get_gridspec()
    for each in row:
        each.remove()
    return figure.add_subplot(grid[1, :])


def _strip(axis: Any, probes: Probes, num_links: int, slots: int, slot_s: float) -> None:
    """Delivery of the requests that ended, and contention, by windows of time."""
    bounds = np.linspace(0, slots, min(STRIP, max(1, slots // 5)) + 1).astype(int)
    middle_s = 0.5 * (bounds[1:] + bounds[:-1]) * slot_s
    edges = pairwise(bounds)
    contended = [probes.contention((probes.slot >= begin) & (probes.slot < end), num_links) for begin, end in edges]
    served, over = (
        np.histogram(probes.ends[which, 0], bounds)[0] for which in (probes.ends[:, 1] == states.DELIVER, slice(None))
    )
    delivered = np.where(over > 0, served / np.maximum(over, 1), np.nan)
    axis.plot(middle_s, delivered, color=TONES[0], label="delivered, of the requests that ended")
    axis.plot(middle_s, contended, color=TONES[1], label="contended, of the (slot, link) claimed")
    axis.set_xlim(0.0, slots * slot_s)
    axis.set_ylim(0.0, 1.0)
    axis.set_xlabel("time, s")
    axis.grid(color="#e6e6e6", linewidth=0.6)
    axis.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2)
