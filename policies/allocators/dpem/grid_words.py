"""What the grid's runs say, in Markdown: cells, hypotheses, fronts, sizes, tests, and each training seed by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from policies.allocators.contenders import CONTENDERS
from policies.allocators.dpem import grid_front, grid_sizes
from policies.allocators.dpem.grid import BOUND, METRICS, Cell, known
from policies.allocators.dpem.grid_report import Found, cell_of, ours_of
from policies.significance import anova, paired, ratio, tukey

DELIVERY, LITERAL = 0, 1
"""Places of delivery and literal contention in a row of metrics."""
HEADLINE, LESS = 0.25, -0.17
"""Of the claim: delivery and literal contention over a centre's (paper; protocol, H3 and H4)."""
LEVEL, SIGNIFICANT = 0.05, 0.01
"""Of intervals and margins, and of claims (protocol)."""


def named(cell: Cell) -> str:
    """A cell in words."""
    return (
        f"rho {cell.load:g}, tau {cell.delay_s:g} s, Tc {cell.period_s:g} s, D {cell.deadline_s:g} s, "
        f"coherence {cell.coherence_s:g} s, k {cell.predictability:g}, N {cell.num_nodes}"
    )


def words(found: Found, rows: Sequence[Mapping[str, Any]], against: str) -> str:
    """Everything in Markdown."""
    lines = ["# Grid of `Entanglement-v1`", ""]
    lines += [f"Means over topologies; ± is a 95 % t interval. Gain: of `{against}` (hold 1) over the row's policy,"]
    lines += ["ratio of means less one with a 95 % bootstrap interval; p: paired t over topologies, Holm over cells."]
    lines += [f"`{name}` is {_seeds(found, name)}." for name in found.policies if _trained(found, name)]
    for cell in found.cells:
        mine = [row for row in rows if cell_of(row) == cell]
        lines += ["", f"## {named(cell)}", "", _HEAD, _RULE, *map(_line, mine)]
    ours = ours_of(found, against)
    lines += _under("Hypotheses of the protocol", _hypotheses(found, rows, against, ours))
    lines += _under("Fronts of delivery and literal contention", _fronts(found, rows, ours))
    lines += _under("Delivery on the number of nodes", _sizes(found))
    lines += _under(f"Where `{against}` is not ahead", _lost(rows))
    lines += _under("One-way analysis of variance and Tukey's test", _as_the_paper(found, against))
    lines += _under("Each training seed by itself", _by_seed(found))
    return "\n".join(lines) + "\n"


def _under(title: str, lines: Sequence[str]) -> list[str]:
    """A section, if there is anything to say."""
    return ["", f"## {title}", "", *lines] if lines else []


def _hypotheses(found: Found, rows: Sequence[Mapping[str, Any]], against: str, ours: Sequence[str]) -> list[str]:
    """What of H1 to H4 and H6 these cells can say of a trained agent."""
    if against not in ours or against in CONTENDERS:
        return []
    beside = [row for row in rows if row["hold"] == 1 and "" not in (row["gain"], row["c_gain"])]
    of = {name: [row for row in beside if row["policy"] == name] for name in ("local", "central_full")}
    told = [
        *_no_worse_than_local(found, of["local"], against),
        *(_as_good_as_fresh(row) for row in of["central_full"] if (row["delay_s"], row["period_s"]) == (0.0, 0.2)),
        *(line for row in of["central_full"] if cell_of(row) == Cell() for line in _headline(row)),
        *_above_all(found, rows, ours),
    ]
    return ["| | met | measured |", "|---|---|---|", *told] if told else []


def _no_worse_than_local(found: Found, rows: Sequence[Mapping[str, Any]], against: str) -> Iterator[str]:
    tried = [*{known(cell_of(row), CONTENDERS["local"]): row for row in rows}.values()]
    if not tried:
        return
    kept = [row for row in tried if row["p_not_inferior"] < LEVEL]
    both = [(found.of(cell_of(row), against, 1), found.of(cell_of(row), "local", 1)) for row in tried]
    common = sorted(set.intersection(*(set(one) & set(other) for one, other in both)))
    words, better = "too few topologies in all cells", False
    if len(common) > 1:
        ours, theirs = (np.mean([[one[which][seed][0] for seed in common] for one in both], axis=0) for which in (0, 1))
        gain, p = ratio(ours, theirs), paired(ours, theirs).p
        better = gain.gain > 0.0 and p < SIGNIFICANT
        words = f"over all of them {_interval(gain.gain, gain.low, gain.high)}, p = {p:.2g}"
    yield _met("H1", better and len(kept) == len(tried), f"not inferior in {len(kept)} of {len(tried)} cells; {words}")


def _as_good_as_fresh(row: Mapping[str, Any]) -> str:
    p = row["p_not_inferior"]
    gain = _interval(row["gain"], row["gain_low"], row["gain_high"])
    return _met("H2", p < LEVEL, f"rho {row['load']:g}: {gain}, p of 1 % less or worse {p:.2g}")


def _headline(row: Mapping[str, Any]) -> Iterator[str]:
    more = _interval(row["gain"], row["gain_low"], row["gain_high"])
    less = _interval(row["c_gain"], row["c_low"], row["c_high"])
    yield _met("H3", row["gain_low"] >= HEADLINE, f"delivery {more}")
    yield _met("H4", row["c_gain"] <= LESS and row["p_not_inferior"] < LEVEL, f"C_lit {less}, delivery {more}")


def _above_all(found: Found, rows: Sequence[Mapping[str, Any]], ours: Sequence[str]) -> Iterator[str]:
    for cell, points in grid_front.fronts(found, rows).items():
        mine = [point for point in points if point.policy in ours]
        others = [point for point in points if point.policy not in ours]
        under = sum(grid_front.beaten(point, mine) is not None for point in others)
        yield _met("H6", under == len(others), f"{under} of {len(others)} points of others, {named(cell)}")


def _met(name: str, met: bool, words: str) -> str:
    return f"| {name} | {'yes' if met else 'no'} | {words} |"


def _interval(mean: float, low: float, high: float) -> str:
    return f"{100.0 * mean:+.1f} [{100.0 * low:+.1f}, {100.0 * high:+.1f}] %"


def _fronts(found: Found, rows: Sequence[Mapping[str, Any]], ours: Sequence[str]) -> list[str]:
    told = grid_front.fronts(found, rows)
    return _joined(grid_front.words(named(cell), points, ours) for cell, points in told.items())


def _sizes(found: Found) -> list[str]:
    told = grid_sizes.sizes(found)
    return _joined(grid_sizes.words(f"{named(cell)} in the middle", each) for cell, each in told.items())


def _joined(parts: Iterable[list[str]]) -> list[str]:
    """With an empty line between."""
    return [line for part in parts for line in (*part, "")][:-1]


_HEAD = (
    "| policy | hold | topologies | delivery | C_lit | C_blk | C_req | latency s (p95) | fidelity | gain delivery "
    "| p Holm | gain C_lit | decision ms |"
)
_RULE = "|---" * (_HEAD.count("|") - 1) + "|"


def _line(row: Mapping[str, Any]) -> str:
    def three(name: str) -> str:
        return "" if row[name] == "" else f"{row[name]:.3f}"

    def percent(*names: str) -> str:
        if row[names[0]] == "":
            return ""
        mean, low, high = (row[name] for name in names)
        return _interval(mean, low, high)

    spread = "" if row["delivery_pm"] == "" else f" ± {row['delivery_pm']:.3f}"
    latency = "" if row["latency_mean_s"] == "" else f"{row['latency_mean_s']:.2f} ({row['latency_p95_s']:.2f})"
    decided = "" if row["decide_mean_s"] == "" else f"{1e3 * row['decide_mean_s']:.2g}"
    cells = (
        *(f"`{row['policy']}`", str(row["hold"]), str(row["topologies"]), three("delivery") + spread),
        *(three("contention_literal"), three("contention_blocked"), three("contention_requests")),
        *(latency, three("fidelity"), percent("gain", "gain_low", "gain_high")),
        "" if row["p_holm"] == "" else _p(row["p_holm"]),
        *(percent("c_gain", "c_low", "c_high"), decided),
    )
    return "| " + " | ".join(cells) + " |"


def _p(value: float) -> str:
    """Of a test; what is 0 is only too small for the numbers."""
    return f"{value:.2g}" if value > 0.0 else "< 1e-15"


def _lost(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where somebody else delivers more, or contends less."""
    lines = ["| cell | policy | hold | delivery | C_lit |", "|---|---|---|---|---|"]
    for row in rows:
        behind, louder = row["gain"] != "" and row["gain"] < 0.0, row["c_gain"] != "" and row["c_gain"] > 0.0
        if behind or louder:
            gains = (f"{100.0 * row[name]:+.1f} %" if row[name] != "" else "" for name in ("gain", "c_gain"))
            cells = (named(cell_of(row)), f"`{row['policy']}`", str(row["hold"]), *gains)
            lines.append("| " + " | ".join(cells) + " |")
    return lines if len(lines) > 2 else ["Nowhere."]


def _as_the_paper(found: Found, against: str) -> list[str]:
    """One-way analysis of variance and Tukey's test in the middle cell."""
    cell = Cell() if Cell() in found.cells else found.cells[0]
    by_policy = {name: found.of(cell, name, 1) for name in found.policies if name != BOUND}
    groups = {name: [each[0] for each in runs.values()] for name, runs in by_policy.items() if len(runs) > 1}
    if len(groups) < 2 or against not in groups:
        return []
    whole = anova(groups)
    lines = [f"Delivery, {named(cell)}; topologies as noise:"]
    lines += [
        f"F = {whole.f:.3g}, p = {whole.p:.2g}, {100.0 * whole.explained:.0f} % of the variance between policies.",
        "",
    ]
    lines += ["| against | difference | Tukey's p | paired p |", "|---|---|---|---|"]
    for (one, other), each in tukey(groups).items():
        if against in (one, other):
            name, sign = (other, 1.0) if one == against else (one, -1.0)
            both = [seed for seed in by_policy[name] if seed in by_policy[against]]
            p = paired(*([by_policy[who][seed][0] for seed in both] for who in (against, name))).p
            low, high = sorted((sign * each.low, sign * each.high))
            lines.append(f"| `{name}` | {sign * each.mean:+.4f} [{low:+.4f}, {high:+.4f}] | {_p(each.p)} | {_p(p)} |")
    return lines


def _trained(found: Found, policy: str) -> list[str]:
    """Training seeds of a policy."""
    seeds = {seed for (_, name, _), by_seed in found.scores.items() if name == policy for seed in by_seed if seed}
    return sorted(seeds, key=int)


def _seeds(found: Found, policy: str) -> str:
    seeds = _trained(found, policy)
    return f"{len(seeds)} trainings, seeds {', '.join(seeds)}, averaged within a topology before all else"


_EACH = "| cell | agent | hold | seed | delivery | C_lit | C_blk | latency s |"


def _by_seed(found: Found) -> list[str]:
    """Every training in every cell, with what it gains over the rules and centres there."""
    lines = []
    over = [name for name in ("local", "central_full") if name in found.policies]
    for cell in found.cells:
        for name in found.policies:
            for hold in sorted({hold for _, policy, hold in found.scores if policy == name}):
                every = found.each(cell, name, hold) if _trained(found, name) else {}
                lines += [
                    _training(found, cell, name, hold, seed, over, every[seed]) for seed in sorted(every, key=int)
                ]
    head = _EACH + "".join(f" delivery, C_lit over `{name}` |" for name in over)
    return [head, "|---" * (head.count("|") - 1) + "|", *lines] if lines else []


def _training(
    found: Found, cell: Cell, name: str, hold: int, seed: str, over: Sequence[str], scores: Mapping[int, Any]
) -> str:
    means = dict(zip(METRICS, np.mean(list(scores.values()), axis=0), strict=False))
    cells = [named(cell), f"`{name}`", str(hold), seed]
    cells += [f"{means[which]:.3f}" for which in ("delivery", "contention_literal", "contention_blocked")]
    cells.append(f"{means['latency_mean_s']:.2f}")
    for other in over:
        theirs = found.of(cell, other, 1)
        both = [topology for topology in scores if topology in theirs]
        cells.append(", ".join(_gain(scores, theirs, both, which) for which in (DELIVERY, LITERAL)))
    return "| " + " | ".join(cells) + " |"


def _gain(ours: Mapping[int, Any], theirs: Mapping[int, Any], both: Sequence[int], which: int) -> str:
    below = sum(theirs[seed][which] for seed in both)
    return f"{100.0 * (sum(ours[seed][which] for seed in both) / below - 1.0):+.1f} %" if below > 0.0 else ""
