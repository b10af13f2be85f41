"""Where forecasts and announcements pay: what links expect, by deadline, coherence and how much is announced.

    python examples/benchmarks/dpem_announced.py [--seeds 100:120] [--physics 0:2] [--checkpoint dpem=runs/dpem/0]

A part of all pairs is asked for by batch jobs of 8 at once, announced 10 s ahead and up to 0.5 s early or late; the
load is 0.8. The hand rule for paths and shares, with its links expecting: their running mean of 20 s ("none"), other
forecasts after a history of 1200 s, the true rates, and any of these with announcements. Gains are over "none" in the
same episodes; blocks are topologies, p is Holm's over all rows of the table. Trained agents, if named, are played with
and without announcements. It may be interrupted and run again. Writes ``results/dpem_announced.csv``, ``.md`` and
``.png``; seconds are with whatever else the machine did.

    python examples/benchmarks/dpem_announced.py --confirm --seeds 320:340 --checkpoint dpem=runs/final/0

plays the protocol's cell of H7 alone, where jobs are announced or not, and writes ``results/dpem_announced_confirmed``.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dpem_rows import PACKAGES, kept
from evidence import RESULTS, results

from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.deployment import (
    Deployment,
    announcements,
    base_of,
    deploy,
    link_forecasts,
    pair_forecasts,
    trained_forecaster,
)
from policies.allocators.dpem.episodes import rule_of
from policies.allocators.dpem.forecast import Config
from policies.allocators.dpem.grid import load_unit_hz
from policies.allocators.dpem.learner import read_run
from policies.envs.entanglement import state
from policies.envs.entanglement.metrics import metrics
from policies.envs.entanglement.play import Run, play
from policies.envs.entanglement.setting import EntanglementSetting
from policies.learners.kit.checkpoint import load
from policies.significance import holm, paired, ratio
from policies.words import named

LOAD, HISTORY_S, JOB_PAIRS = 0.8, 1200.0, 8
DEADLINES_S, COHERENCES_S, SHARES = (0.4, 1.0, 2.0, 5.0), (10.0, 60.0), (0.5, 0.0)
EVERYWHERE = tuple(product(DEADLINES_S, COHERENCES_S))
H7 = ((0.4, 10.0),)
"""The protocol's cell: deadline and coherence, with half of the pairs in jobs."""
FORECASTS = ("none", "ewma_60_s", "seasonal_naive", "gru", "truth")
BESIDE = ("announced", "announced+seasonal_naive", "announced+truth")
HAND = "local"
FORECASTER = Config(steps=100, pieces=3)
KEYS = ("policy", "share", "deadline_s", "coherence_s", "forecast")
KEPT = ("share", "topology", "policy", "deadline_s", "coherence_s", "forecast", "delivery", "contention", "jobs", "s")
COLUMNS = (*KEYS, "topologies", "delivery", "contention_literal", "jobs", "gain", "low", "high", "p", "p_holm", "bin_s")


def world(share: float, topology: int, duration_s: float) -> Deployment:
    """A network and its users, of whose pairs a part is asked for by announced jobs."""
    hz = LOAD * load_unit_hz(EntanglementSetting().num_nodes, topology)
    setting = EntanglementSetting(
        duration_s=duration_s,
        offered_hz=hz * (1.0 - share),
        job_hz=hz * share / JOB_PAIRS,
        job_pairs=JOB_PAIRS,
        job_form="each",
    )
    return deploy(setting, topology, history_s=HISTORY_S)


def other(deployment: Deployment, deadline_s: float, coherence_s: float) -> Deployment:
    """The same users, in more or less of a hurry, and other memories."""
    setting, asked = deployment.setting.but(deadline_s=deadline_s, coherence_s=coherence_s), deployment.requests
    return replace(
        deployment,
        setting=setting,
        requests=replace(asked, deadline_slot=asked.arrival_slot + setting.slots(deadline_s)),
    )


def forecast(deployment: Deployment, name: str, seed: int) -> tuple[Any, float]:
    """What links expect at each share decision, and the seconds that this took for each bin of a second."""
    if base_of(name) == "none":
        return None, 0.0
    model = trained_forecaster(deployment, FORECASTER, seed) if name == "gru" else None
    begun_s = time.perf_counter()
    of_pairs = pair_forecasts(deployment, name, FORECASTER, model)
    links = link_forecasts(deployment, of_pairs, FORECASTER.bin_s, 0)
    return links, (time.perf_counter() - begun_s) / of_pairs.shape[1]


def of_jobs(run: Run) -> float:
    """Part of the jobs' pairs whose time is over that came; NaN without jobs."""
    jobs = run.episode.demand.jobs
    rows = (jobs.request[:, None] + np.arange(JOB_PAIRS)).reshape(-1)
    over = rows[run.plan.deadline[rows] <= run.num_slots]
    return float((run.state.status[over] == state.DELIVERED).mean()) if over.size else float("nan")


def judged(
    agents: Mapping[str, Any],
    physics: tuple[int, ...],
    duration_s: float,
    where: Sequence[tuple[float, float]],
    forecasts: Sequence[str],
    share: float,
    topology: int,
) -> Iterator[tuple[Any, ...]]:
    """Every cell of one network and part of jobs."""
    deployment = world(share, topology, duration_s)
    names = [name for name in forecasts if share or name not in BESIDE]
    expected = {name: forecast(deployment, name, topology) for name in names}
    for deadline_s, coherence_s in where:
        here = other(deployment, deadline_s, coherence_s)
        for policy in (HAND, *agents):
            for name in names if policy == HAND else [each for each in names if base_of(each) == "none"]:
                links, bin_s = expected[name]
                found = []
                for luck in physics:
                    episode = here.episode(0, luck)
                    more = announcements(episode, name)
                    rule = (
                        state.local(HAND, forecast=links, announced=more)
                        if policy == HAND
                        else rule_of(agents[policy], links, announced=more)
                    )
                    run = play(episode, rule)
                    told = metrics(run)
                    found.append((told.delivery, told.contention_literal, of_jobs(run)))
                yield (policy, deadline_s, coherence_s, name, *np.mean(found, axis=0).tolist(), bin_s)


def cells(rows: list[list[str]]) -> list[dict[str, Any]]:
    """Of all topologies, with gains over "none" and their tests."""
    scores: dict[tuple[str, ...], dict[int, list[float]]] = defaultdict(dict)
    for row in rows:
        one = dict(zip(KEPT, row, strict=True))
        scores[tuple(one[name] for name in KEYS)][int(one["topology"])] = [float(each) for each in row[-4:]]
    out = []
    for key, found in scores.items():
        usual = scores[*key[:-1], "none"]
        both = sorted(set(found) & set(usual))
        mine, its = (np.array([each[seed] for seed in both]) for each in (found, usual))
        means = dict(zip(("delivery", "contention_literal", "jobs", "bin_s"), mine.mean(axis=0).tolist(), strict=True))
        out.append(dict(zip(KEYS, key, strict=True)) | means | {"topologies": len(both)})
        if key[-1] != "none":
            gain = ratio(mine[:, 0], its[:, 0])
            out[-1] |= {"gain": gain.gain, "low": gain.low, "high": gain.high, "p": paired(mine[:, 0], its[:, 0]).p}
    compared = [row for row in out if "p" in row]
    for row, p in zip(compared, holm([row["p"] for row in compared]), strict=True):
        row["p_holm"] = p
    return out


def tell(found: list[dict[str, Any]], file: Path) -> None:
    """Gains as a table: a row for each cell, a column for each forecast."""
    names = (*FORECASTS[1:], *BESIDE)
    lines = [
        "Gain in delivery over links that expect their running mean, %, [95 %], ** for Holm's p < 0.01, * < 0.05.",
        "",
        "| policy | jobs | deadline [s] | coherence [s] | delivery | " + " | ".join(names) + " |",
        "|" + "---|" * (5 + len(names)),
    ]
    by_cell: dict[tuple[str, ...], dict[str, Any]] = defaultdict(dict)
    for row in found:
        by_cell[tuple(row[name] for name in KEYS[:-1])][row["forecast"]] = row
    for cell, its in by_cell.items():
        words = [*cell, f"{its['none']['delivery']:.3f}", *(_words(its.get(name)) for name in names)]
        lines.append("| " + " | ".join(words) + " |")
    file.write_text("\n".join(lines) + "\n")


def _words(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    stars = "**" if row["p_holm"] < 0.01 else "*" if row["p_holm"] < 0.05 else ""
    return f"{100 * row['gain']:+.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]{stars}".replace("*", "\\*")


def draw(found: list[dict[str, Any]], file: Path) -> None:
    """Gains of the hand rule over the deadline; a panel for each coherence and part of jobs."""
    from matplotlib.figure import Figure

    mine = [row for row in found if row["policy"] == HAND]
    shares, coherences = (sorted({row[name] for row in mine}, key=float) for name in ("share", "coherence_s"))
    figure = Figure(figsize=(3.6 * len(shares), 2.8 * len(coherences)), layout="constrained")
    panels = figure.subplots(len(coherences), len(shares), sharex=True, sharey=True, squeeze=False)
    for line, coherence in zip(panels, coherences, strict=True):
        for panel, share in zip(line, shares, strict=True):
            here = [row for row in mine if row["share"] == share and row["coherence_s"] == coherence]
            for place, name in enumerate((*FORECASTS[1:], *BESIDE)):
                its = sorted((row for row in here if row["forecast"] == name), key=lambda row: float(row["deadline_s"]))
                if its:
                    at = [float(row["deadline_s"]) * 1.03 ** (place - 3) for row in its]
                    middle, low, high = (np.array([100 * row[key] for row in its]) for key in ("gain", "low", "high"))
                    style = {"marker": "o", "markersize": 3, "linewidth": 1, "color": f"C{place}"}
                    panel.errorbar(at, middle, [middle - low, high - middle], label=name, **style)
            panel.axhline(0.0, color="grey", linewidth=0.8)
            panel.set(xscale="log", title=f"{100 * float(share):.0f} % jobs, coherence {float(coherence):g} s")
            panel.set_xticks(DEADLINES_S, [f"{each:g}" for each in DEADLINES_S])
            panel.minorticks_off()
    for panel in panels[-1]:
        panel.set_xlabel("deadline [s]")
    for line in panels:
        line[0].set_ylabel("gain in delivery [%]")
    figure.legend(*panels[0][-1].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(file, dpi=130)


def main() -> None:
    """Measure what is not measured yet, then tell of all."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--seeds", default="100:120", help="topologies, FIRST:END")
    asked.add_argument("--physics", default="0:2", help="seeds of luck, FIRST:END")
    asked.add_argument("--duration", type=float, default=600.0, help="of an episode in seconds")
    asked.add_argument("--shares", default=",".join(map(str, SHARES)), help="parts of the pairs that jobs ask for")
    asked.add_argument("--checkpoint", action="append", default=[], metavar="NAME=FOLDER", help="trained agents")
    asked.add_argument("--confirm", action="store_true", help="the protocol's cell of H7 alone")
    asked.add_argument("--runs", type=Path, help="what was measured; default: runs/ and the results' name")
    words = asked.parse_args()
    torch.set_num_threads(1)
    agents = {name: load(Path(at), read_run).actor() for name, at in named("checkpoint", words.checkpoint).items()}
    name = "dpem_announced_confirmed" if words.confirm else "dpem_announced"
    where, forecasts = (H7, ("none", "announced")) if words.confirm else (EVERYWHERE, (*FORECASTS, *BESIDE))
    shares = SHARES[:1] if words.confirm else [float(share) for share in words.shares.split(",")]
    todo = [(share, seed) for share in shares for seed in seeds_of(words.seeds, "seeds")]
    measure = partial(judged, agents, seeds_of(words.physics, "physics"), words.duration, where, forecasts)
    found = cells(kept(name, 2, todo, measure, words.runs or Path("runs") / name))
    seeds = f"topologies and demand {words.seeds}, luck {words.physics}"
    with results(name, COLUMNS, seeds=seeds, packages=PACKAGES) as table:
        for row in found:
            values = [row.get(name, "") for name in COLUMNS]
            table.writerow([f"{each:.5g}" if isinstance(each, float) else each for each in values])
    tell(found, RESULTS / f"{name}.md")
    if not words.confirm:
        draw(found, RESULTS / f"{name}.png")
    real = (row for row in found if "gain" in row and base_of(row["forecast"]) != "truth")
    best = max(real, key=lambda row: row["low"])
    print(*(f"{key} {best[key]}" for key in (*KEYS, "gain", "low", "high", "p_holm")), sep="  ")


if __name__ == "__main__":
    main()
