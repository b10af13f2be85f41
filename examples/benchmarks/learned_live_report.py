"""Tables and picture of ``learned_live.py``: costs by phase and policy, against peers and the best in hindsight."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

from evidence import results

from policies.pictures import TONES, picture, plain_log
from workers.compare.standings import Mean, mean

LEARNED, TUNED = "learned", "fine-tuned"
PHASES = ("first", "light", "medium", "overload", "outage")
FIGURES = ("cost", "latency_s", "fidelity", "energy_j")
WINDOW = 10
"""Jobs of a step of the picture of an outage."""


@dataclass(frozen=True)
class Row:
    """One job under one policy; one that failed counts as a result of fidelity 0.

    Attributes:
        foretold: its expected cost.   wait_s: from its submission to its start.
        worker: that ran it, from when until when by the store's clock.
    """

    seed: int
    policy: str
    phase: str
    index: int
    kind: str
    backend: str
    cost: float
    foretold: float
    latency_s: float
    wait_s: float
    service_s: float
    fidelity: float
    energy_j: float
    below_floor: bool
    instead: str
    failed: bool
    worker: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0


@dataclass(frozen=True)
class Twinned:
    """How far a twin of a seed's log was off."""

    seed: int
    ratio: float
    off: float
    coverage: float
    estimates_off: float
    unslowed_off: float


Best = Mapping[tuple[int, str], float]
"""Mean cost of the best schedule in hindsight, by seed and phase."""


def report(
    rows: Sequence[Row],
    twins: Sequence[Twinned],
    names: Sequence[str],
    best: Best,
    seeds: str,
    folder: Path,
    name: str,
) -> None:
    """One row a phase and policy: means over seeds, ratios paired by seed, 95 % intervals."""
    others = [name for name in names if name != LEARNED]
    ratios = [*(f"cost_over_{other}" for other in others), "cost_over_best", "foretold_over_measured", "same_over_eft"]
    ends = ("", "_low_95", "_high_95")
    columns = ["phase", "policy", "num_seeds", *(f"{one}{end}" for one in (*FIGURES, *ratios) for end in ends)]
    shown = ("cost", "latency_s", "fidelity", "energy_j", "cost_over_eft", "cost_over_best", "same_over_eft")
    heads = ["phase", "policy", "cost", "latency, s", "fidelity", "energy, J", "cost / eft", "cost / best"]
    lines = ["| " + " | ".join([*heads, "same job / eft", "below a floor"]) + " |"]
    lines.append("|---|---|" + "---:|" * 8)
    with results(name, [*columns, "below_floor", "failed", "fell_back"], seeds=seeds, folder=folder) as table:
        for phase, label in ((phase, label) for phase in PHASES for label in (*names, TUNED)):
            mine = [row for row in rows if (row.phase, row.policy) == (phase, label)]
            if not mine:
                continue
            told: dict[str, Mean | None] = {figure: mean(_of(mine, figure)) for figure in FIGURES}
            for other in others:
                against = [row for row in rows if (row.phase, row.policy) == (phase, other)]
                told[f"cost_over_{other}"] = mean(list(_over(mine, _costs(against))))
            there = {seed: value for (seed, where), value in best.items() if where == phase}
            told["cost_over_best"] = mean(list(_over(mine, there))) if there else None
            told["foretold_over_measured"] = mean(_gap(mine))
            told["same_over_eft"] = mean(same) if (same := _same(mine, rows)) else None
            counts = [sum(getattr(row, what) for row in mine) for what in ("below_floor", "failed")]
            counts.append(sum(bool(row.instead) for row in mine))
            words = [word for one in told.values() for word in _words(one)]
            table.writerow([phase, label, len(_seeds(mine)), *words, *counts])
            cells = [phase, label, *(_said(told.get(one)) for one in shown), str(counts[0])]
            lines.append("| " + " | ".join(cells) + " |")
    with results(f"{name}_twin", list(Twinned.__annotations__), seeds=seeds, folder=folder) as table:
        table.writerows([one.seed, *(f"{value:.4g}" for value in astuple(one)[1:])] for one in twins)
    (folder / f"{name}.md").write_text("\n".join([f"Seeds {seeds}; 95 % intervals over seeds.", "", *lines, ""]))
    _draw(rows, (*names, TUNED), folder / f"{name}.png")


def turn_s(rows: Sequence[Row]) -> float:
    """For how long a worker is taken by a job beside its service, seconds: to claim it, to write its end, to go on.

    Medians, as the next one may not wait for this worker yet, and small jobs are run together.
    """
    done = sorted((row for row in rows if row.ended_at), key=lambda row: row.started_at)
    lanes = defaultdict[tuple[int, str, str], list[Row]](list)
    for row in done:
        lanes[row.seed, row.policy, row.worker].append(row)
    own_s = [row.ended_at - row.started_at - row.service_s for row in done]
    to_next_s = [
        later.started_at - sooner.ended_at
        for mine in lanes.values()
        for sooner, later in pairwise(mine)
        if later.started_at - later.wait_s < sooner.ended_at < later.started_at
    ]
    return median(own_s) + median(to_next_s) if to_next_s else 0.0


def _seeds(rows: Sequence[Row]) -> list[int]:
    return sorted({row.seed for row in rows})


def _of(rows: Sequence[Row], figure: str) -> list[float]:
    """Of each seed the mean over its jobs."""
    return [fmean(getattr(row, figure) for row in rows if row.seed == seed) for seed in _seeds(rows)]


def _costs(rows: Sequence[Row]) -> dict[int, float]:
    return dict(zip(_seeds(rows), _of(rows, "cost"), strict=True))


def _over(rows: Sequence[Row], theirs: Mapping[int, float]) -> Iterator[float]:
    """Cost over another one, of seeds that both have run."""
    yield from (value / theirs[seed] for seed, value in _costs(rows).items() if seed in theirs)


def _gap(rows: Sequence[Row]) -> list[float]:
    done = [row for row in rows if not row.failed]
    return [told / found for told, found in zip(_of(done, "foretold"), _of(done, "cost"), strict=True)]


def _same(mine: Sequence[Row], rows: Sequence[Row]) -> list[float]:
    """Service over that under `eft` of the same jobs on the same backends, medians by seed: how slow the machine."""
    eft = {(row.seed, row.phase, row.index, row.backend): row.service_s for row in rows if row.policy == "eft"}
    found = defaultdict[int, list[float]](list)
    for row in mine:
        theirs_s = eft.get((row.seed, row.phase, row.index, row.backend))
        if row.backend and theirs_s:
            found[row.seed].append(row.service_s / theirs_s)
    return [median(found[seed]) for seed in sorted(found)]


def _words(one: Mean | None) -> list[str]:
    if one is None:
        return [""] * 3
    return ["" if value is None else f"{value:.6g}" for value in (one.value, one.low, one.high)]


def _said(one: Mean | None) -> str:
    if one is None:
        return ""
    spread = "" if one.low is None or one.high is None else f" ± {one.high - one.value:.2g}"
    return f"{one.value:.3g}{spread}"


def _draw(rows: Sequence[Row], names: Sequence[str], path: Path) -> None:
    """Costs by phase beside each other, and how an outage is lived through."""
    shown = [name for name in names if any(row.policy == name for row in rows)]
    width = 0.8 / len(shown)
    with picture(path, 1, 2, (14, 4.8), width_ratios=(3, 2)) as (figure, axes):
        left, right = axes[0]
        for number, (name, tone) in enumerate(zip(shown, TONES, strict=False)):
            mine = [row for row in rows if row.policy == name]
            costs = [mean(_of([row for row in mine if row.phase == phase], "cost")) for phase in PHASES]
            at = [place + (number - len(shown) / 2 + 0.5) * width for place in range(len(PHASES))]
            spread = [0.0 if one.high is None else one.high - one.value for one in costs]
            left.bar(at, [one.value for one in costs], width, yerr=spread, color=tone, label=name, error_kw={"lw": 0.8})
            steps = _steps([row for row in mine if row.phase == "outage"])
            right.plot(*zip(*steps, strict=True), color=tone, marker="o", ms=3)
        left.set(xticks=range(len(PHASES)), xticklabels=PHASES, ylabel="cost of a job", title="A day, phase by phase")
        plain_log(left, "y")
        right.axvline(max(row.index for row in rows) // 2 + 0.5, color="black", lw=0.8, ls="--")
        right.set(xlabel="job, in order of arrival", ylabel=f"latency, s: mean of {WINDOW} jobs")
        right.set_title("The best simulator fails at the dashed line")
        plain_log(right, "y")
        figure.legend(loc="outside right center", frameon=False)


def _steps(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Mean latency of each so many jobs in order of arrival, over all seeds."""
    most = max((row.index for row in rows), default=-1) + 1
    return [
        (low + WINDOW / 2, fmean(row.latency_s for row in rows if low <= row.index < low + WINDOW))
        for low in range(0, most, WINDOW)
    ]
