"""Redraw Figures 4 to 9 of the MEQC paper, with what the paper states beside what comes out.

    python examples/benchmarks/meqc_figures.py --figure 7                        # or 8, 9; minutes on one core
    python examples/benchmarks/meqc_figures.py --figure 9 --learned runs/scoring # with a trained policy
    python examples/benchmarks/meqc_figures.py --figure 4 --curves runs          # or 5, 6: from training curves
    python examples/benchmarks/meqc_figures.py --figure all --curves runs

Writes ``results/meqc_figure_N.csv``, ``.png`` and ``.md``. The paper prints no numbers for these figures and leaves
open what they hang on; each ``.md`` says what, which statements hold, and where they cannot. Ctrl-C loses little:
optima are remembered (:mod:`policies.envs.meqc.known_optima`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from evidence import RESULTS, results
from meqc_curves import draw_figure as draw_curves

from circuits.errors import CircuitError
from policies.envs.contest import OPTIMUM, Cell, Entrant, entrants, players
from policies.envs.meqc.batch import Slots, settle
from policies.envs.meqc.document import model_of
from policies.envs.meqc.model import Model
from policies.envs.meqc.world import Setting, World
from policies.envs.render import colours
from policies.envs.scores import Around
from policies.learners.kit.statistics import Floats, interval, resampled
from policies.pictures import picture, plain_log

SEED = 1_000_000
NUM_SLOTS = 300
SETTING = Setting()
COLUMNS = "figure,panel,x,policy,num_runs,cost,low,high"
RULES = ("local", "random_offload", "random_partition", "best_channel", "quantum_blind", "selfish", "bidding", "greedy")


Points = list[tuple[float, int, Around]]
"""x, number of runs, and mean cost with its interval."""
Curves = dict[str, dict[str, Points]]
"""By panel and policy."""


@dataclass(frozen=True)
class Panel:
    """A sweep in the calibrated reading.

    Attributes:
        title, axis: of the picture.   changed: a field of the slots, or an override of the model.   points: its values.
        overrides: of the model, all along.   logarithmic: whether the x-axis is.   unit: of the axis.
    """

    title: str
    axis: str
    changed: str
    points: Sequence[float]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    logarithmic: bool = True
    unit: float = 1.0

    def at(self, drawn: Slots, x: float) -> tuple[Model, Slots]:
        """Model and slots of one point."""
        if not hasattr(drawn, self.changed):
            return model_of("calibrated", {**self.overrides, self.changed: x}), drawn
        same = torch.full_like(getattr(drawn, self.changed), x)
        return model_of("calibrated", self.overrides), replace(drawn, **{self.changed: same})


CAPACITY_HZ = tuple(each * 1e9 for each in (5, 10, 15, 20, 25, 30))
NUM_QUBITS = (10, 20, 21, 22, 23, 24, 25, 26, 100, 1000, 5000)
NUM_PHYSICAL = (1000, 1500, 1800, 1900, 2000, 2100, 2200, 2400, 3000, 5000)
QUALITY_S = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1, 1.0, 10.0)
PHYSICAL, ECONOMIC = {"qubit_capacity": "physical"}, {"qpu_use": "economic"}

PANELS: dict[int, tuple[Panel, ...]] = {
    7: (Panel("edge processors", "capacity, GHz", "edge_hz", CAPACITY_HZ, logarithmic=False, unit=1e9),),
    8: (
        Panel("logical qubits", "qubits of a server, taken as logical", "qubits", NUM_QUBITS),
        Panel("physical qubits", "qubits of a server, taken as physical", "qubits", NUM_PHYSICAL, PHYSICAL),
    ),
    9: (
        Panel("forced", "decay time of a qubit, ms", "gamma_inv", QUALITY_S, unit=1e-3),
        Panel("economic", "decay time of a qubit, ms", "gamma_inv", QUALITY_S, ECONOMIC, unit=1e-3),
    ),
}

STATED = {
    7: "for all the algorithms except the local execution algorithm, the cost decreases as the computation capacity of "
    "the edge server increases",
    8: "the increase in the number of qubits will not significantly affect the consumption of computation offloading",
    9: "the costs of quantum computing increase dramatically as the quality of qubits increases; nevertheless, the "
    "proposed algorithm leads to the most economical strategy without the impacts of increasing the energy consumption",
}

OPEN = {
    7: "The paper draws 10, 15 and 20 GHz and does not say over which range it sweeps; here all users of a slot get "
    "the same. Local cost is flat by construction. Those who offload without looking pay mostly for forced "
    "quantum jobs, which do not get cheaper: their curves hardly fall.",
    8: "V.A calls 1000 to 5000 the number of physical qubits, the text above eq. (11) that of logical ones. As logical "
    "ones they never bind, since a task needs 20 to 26: the curve is flat, as the paper has it, and moves below 26. As "
    "physical ones, level 1 (91 for each) fits from 1820 to 2366 on, and levels 2 and 3 (165 620 and more) never do.",
    9: "The paper names neither range nor unit of its axis. Between 0.1 and 1 ms the code starts to work and tasks to "
    "fit; above 0.1 s the power of a pulse, which grows with the decay time (Appendix B), takes over. The baselines "
    "rise only where a server runs whatever fits (forced, as eqs 11 and 12 have it); where it declines what does not "
    "pay (economic), nothing rises for anybody: the figure speaks for the first reading.",
}


def costs(model: Model, slots: Slots, entrant: Entrant) -> Floats:
    """What each slot costs all users under each run of an entrant; (num_runs, num_slots)."""
    num_slots = slots.shape[0]
    cell = Cell("MEQC-v1", replace(SETTING, model=model), (SEED,), num_slots)
    world = World(cell.setting, num_slots, SEED, dtype=torch.float64)
    world.slots = slots
    actions = [player(world, torch.Generator().manual_seed(SEED)) for player in players(cell, entrant)]
    return np.stack([settle(model, slots, action).cost.sum(-1).numpy() for action in actions])


def swept(panel: Panel, playing: Sequence[Entrant], num_slots: int) -> dict[str, Points]:
    """Of every policy: x, runs, and mean cost with its interval."""
    drawn = World(SETTING, num_slots, SEED, dtype=torch.float64).slots
    found: dict[str, Points] = {one.name: [] for one in playing}
    for x in panel.points:
        begun_s = time.monotonic()
        model, slots = panel.at(drawn, x)
        with torch.no_grad():
            played = {one.name: costs(model, slots, one) for one in playing}
        value, draws = resampled(played, num_resamples=1000)
        for name, each in played.items():
            found[name].append((x, len(each), Around(value[name], *interval(draws[name]))))
        print(f"{panel.title} {x / panel.unit:g}: {time.monotonic() - begun_s:.1f} s", flush=True)
    return found


def write(figure: int, curves: Curves, num_slots: int) -> None:
    """The numbers."""
    told = f"{SEED} ({num_slots} paired slots, U = E = 10, weights 0.5 and 0.5)"
    with results(
        f"meqc_figure_{figure}", COLUMNS.split(","), seeds=told, packages=("torch", "numpy", "scipy")
    ) as table:
        for panel, policies in curves.items():
            for policy, points in policies.items():
                for x, num_runs, around in points:
                    ends = [f"{value:.6g}" for value in (around.value, around.low, around.high)]
                    table.writerow([figure, panel, f"{x:g}", policy, num_runs, *ends])


def draw(figure: int, curves: Curves) -> None:
    """A panel for each reading, cost over what is changed."""
    panels = PANELS[figure]
    names = list(next(iter(curves.values())))
    tones = colours(names)
    size = (3.2 + 4.6 * len(panels), 4.6)
    with picture(RESULTS / f"meqc_figure_{figure}.png", 1, len(panels), size, sharey=True) as (drawn, axes):
        for axis, panel in zip(axes[0], panels, strict=True):
            for name in names:
                points = curves[panel.title][name]
                xs = [x / panel.unit for x, _, _ in points]
                line = {"linestyle": "--" if name == OPTIMUM else "-", "marker": "o", "markersize": 3.5}
                axis.plot(xs, [around.value for *_, around in points], color=tones[name], label=name, **line)
                ends = ([around.low for *_, around in points], [around.high for *_, around in points])
                axis.fill_between(xs, *ends, color=tones[name], alpha=0.15, linewidth=0)
            plain_log(axis, "y", *(["x"] if panel.logarithmic else []))
            axis.set_xlabel(panel.axis)
            axis.set_title(panel.title)
            axis.grid(color="#ececec", linewidth=0.6)
        axes[0][0].set_ylabel("mean system cost of a slot")
        drawn.legend(*axes[0][0].get_legend_handles_labels(), frameon=False, loc="outside right upper")


def _ratio(points: Points, low: float = 0.0) -> float:
    """Of the last cost to the first one from ``low`` on."""
    values = [around.value for x, _, around in points if x >= low]
    return values[-1] / values[0]


def _fall(curves: Curves) -> str:
    found = {name: 1.0 - _ratio(points) for name, points in curves["edge processors"].items()}
    words = ", ".join(f"{name} {fall:.1%}" for name, fall in found.items())
    holds = all(fall > 0.0 for name, fall in found.items() if name != "local") and abs(found["local"]) < 1e-9
    return f"{'holds' if holds else 'does not hold for all'}. From 5 to 30 GHz costs fall by {words}."


def _flat(curves: Curves) -> str:
    words = []
    for panel, policies in curves.items():
        moves = {name: _ratio(points, 1000.0) - 1.0 for name, points in policies.items()}
        most = max(moves, key=lambda name: abs(moves[name]))
        words.append(f"with {panel} from 1000 to 5000 the optimum moves by {moves[OPTIMUM]:+.1%}; the largest move is")
        words[-1] += f" {moves[most]:+.1%} ({most})"
    return "; ".join(words) + "."


def _rise(curves: Curves) -> str:
    words = []
    for panel, policies in curves.items():
        blind = {name: _ratio(policies[name]) for name in ("random_offload", "random_partition", "best_channel")}
        values = [around.value for *_, around in policies[OPTIMUM]]
        rises = ", ".join(f"{name} × {ratio:.3g}" for name, ratio in blind.items())
        words.append(f"{panel}: {rises}, while the optimum stays between {min(values):.0f} and {max(values):.0f}")
    return "from 0.1 ms to 10 s, " + "; ".join(words) + "."


VERDICTS = {7: _fall, 8: _flat, 9: _rise}


def tell(figure: int, curves: Curves) -> None:
    """What the paper states, what came out, and what it leaves open."""
    lines = [
        f"# Figure {figure}",
        "",
        f"`python {' '.join(sys.argv)}`, {len(PANELS[figure])} panel(s); 95 % intervals.",
    ]
    lines += ["", f"The paper: *{STATED[figure]}*.", "", f"Here: {VERDICTS[figure](curves)}", "", OPEN[figure]]
    for panel in PANELS[figure]:
        policies = curves[panel.title]
        lines += ["", f"## {panel.title}: {panel.axis}", ""]
        heads = [f"{x / panel.unit:g}" for x in panel.points]
        lines += [f"| policy | {' | '.join(heads)} | last over first |", f"|---|{'---|' * (len(heads) + 1)}"]
        for policy, points in policies.items():
            values = [around.value for *_, around in points]
            cells = [f"{value:.0f}" for value in values]
            lines.append(f"| {policy} | {' | '.join(cells)} | {values[-1] / values[0]:.3g} |")
    (RESULTS / f"meqc_figure_{figure}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Draw the figures that are asked for."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--figure", default="all", choices=[*map(str, range(4, 10)), "all"])
    words.add_argument("--slots", type=int, default=NUM_SLOTS)
    words.add_argument(
        "--learned", nargs="*", default=[], metavar="[NAME=]FOLDER", help="checkpoints of Figures 7 to 9"
    )
    words.add_argument("--curves", nargs="*", type=Path, default=[], help="folders of runs for Figures 4 to 6")
    said = words.parse_args()
    torch.set_num_threads(1)
    try:
        playing = entrants([*RULES, *said.learned, OPTIMUM])
        for figure in range(4, 10) if said.figure == "all" else [int(said.figure)]:
            if figure not in PANELS:
                draw_curves(figure, said.curves)
                continue
            curves = {panel.title: swept(panel, playing, said.slots) for panel in PANELS[figure]}
            write(figure, curves, said.slots)
            draw(figure, curves)
            tell(figure, curves)
    except CircuitError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
