"""Figures 4 to 6 of the MEQC paper: system cost over training epochs, from the curves that training leaves.

Called by ``meqc_figures.py --figure 4 --curves FOLDER…``. Every run below the folders counts that was trained for as
many users and servers as the figure has; runs that differ in seed are one line with the range of its seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from evidence import RESULTS, results

from circuits.errors import InvalidParameter
from policies.envs.contest import OPTIMUM, Cell, costs, rule
from policies.envs.meqc.world import Setting
from policies.envs.render import title
from policies.learners.kit.checkpoint import LATEST, Checkpoint, load
from policies.learners.kit.statistics import Floats, interquartile_mean
from policies.pictures import TONES, picture, plain_log

USERS = {4: 10, 5: 20, 6: 30}
STATED = {
    4: "energy-aware users converge after about 50 epochs, delay-aware ones and equal weights after about 100",
    5: "converges to stable strategies at around 200 epochs",
    6: "converges to stable strategies at around 200 epochs",
}
REFERENCES = ("local", "greedy", OPTIMUM)
SEED, NUM_SLOTS = 1_000_000, 500
WINDOW = 10
NEAR = 0.05
READ = (
    f"It says no further what that means; here a curve has converged when its mean over {WINDOW} epochs stays within "
    f"{NEAR:.0%} of where it ends (ours). Costs are those of exploring; the optimum is that of {NUM_SLOTS} kept-out "
    "slots, so that distances to it are rough: `policies.evaluate` has the paired ones."
)
COLUMNS = "figure,learner,delay_weight,energy_weight,num_seeds,epoch,slots,cost,low,high,wall_s"


@dataclass(frozen=True)
class Line:
    """What one learner did with one pair of weights: runs that differ in seed, as far as all of them went.

    Attributes:
        learner, weights, num_seeds: which.   slots: of the world, until each epoch.   wall_s: mean, until each epoch.
        cost: interquartile mean over seeds.   low, high: range over seeds.
    """

    learner: str
    weights: tuple[float, float]
    num_seeds: int
    slots: list[int]
    wall_s: Floats
    cost: Floats
    low: Floats
    high: Floats


def lines_of(figure: int, folders: Sequence[Path]) -> list[Line]:
    """Every learner with every pair of weights.

    Raises:
        InvalidParameter: no run was trained for this figure.
    """
    found: dict[tuple[str, tuple[float, float]], list[Checkpoint]] = {}
    for latest in sorted(path for folder in folders for path in folder.rglob(LATEST)):
        one = load(latest.parent)
        setting = one.run.setting
        if setting.users == setting.servers == USERS[figure] and setting.weights == "fixed" and one.curve:
            found.setdefault((one.run.learner, (setting.delay_weight, setting.energy_weight)), []).append(one)
    if not found:
        where = ", ".join(map(str, folders)) or "a folder that is named"
        wanted = f"runs of U = E = {USERS[figure]} with fixed weights below {where}"
        raise InvalidParameter(f"--curves: wanted {wanted}, got none; python -m policies.train leaves them")
    return [_line(learner, weights, runs) for (learner, weights), runs in found.items()]


def _line(learner: str, weights: tuple[float, float], runs: Sequence[Checkpoint]) -> Line:
    epochs = min(len(one.curve) for one in runs)
    curve = smoothed(np.array([[now.cost for now in one.curve[:epochs]] for one in runs]))
    wall_s = np.mean([one.times_s[:epochs] for one in runs], axis=0)
    slots = [now.slots for now in runs[0].curve[:epochs]]
    middle = interquartile_mean(curve, axis=0)
    return Line(learner, weights, len(runs), slots, wall_s, middle, curve.min(axis=0), curve.max(axis=0))


def smoothed(costs_of: Floats) -> Floats:
    """Mean over the last epochs, of each epoch; (num_seeds, num_epochs)."""
    total = np.cumsum(np.pad(costs_of, ((0, 0), (1, 0))), axis=1)
    ends = np.arange(1, costs_of.shape[1] + 1)
    begins = np.maximum(ends - WINDOW, 0)
    return np.asarray((total[:, ends] - total[:, begins]) / (ends - begins))


def converged(curve: Floats) -> int:
    """The first epoch from which a curve stays near where it ends: within 5 % of its last value (ours)."""
    away = np.nonzero(np.abs(curve / curve[-1] - 1.0) > NEAR)[0]
    return int(away[-1]) + 2 if len(away) else 1


def draw_figure(figure: int, folders: Sequence[Path]) -> None:
    """Draw one of the figures and write down its numbers.

    Raises:
        InvalidParameter: no run was trained for it.
    """
    lines = lines_of(figure, folders)
    weights = sorted({line.weights for line in lines})
    means = {pair: references(figure, pair) for pair in weights}
    _write(figure, lines)
    _draw(figure, lines, means)
    _tell(figure, lines, means)


def cell_of(figure: int, pair: tuple[float, float]) -> Cell:
    """The kept-out slots beside which training is shown."""
    users = USERS[figure]
    setting = Setting(users=users, servers=users, delay_weight=pair[0], energy_weight=pair[1])
    return Cell("MEQC-v1", setting, (SEED,), NUM_SLOTS)


def references(figure: int, pair: tuple[float, float]) -> dict[str, float]:
    """Mean costs that need no training."""
    cell = cell_of(figure, pair)
    return {name: float(costs(cell, rule(cell, name)).mean()) for name in REFERENCES}


def _write(figure: int, lines: Sequence[Line]) -> None:
    told = f"of training: as many as num_seeds; reference slots: {SEED}"
    with results(f"meqc_figure_{figure}", COLUMNS.split(","), seeds=told, packages=("torch", "numpy")) as table:
        for line in lines:
            figures = zip(line.slots, line.cost, line.low, line.high, line.wall_s, strict=True)
            for epoch, (slots, *values) in enumerate(figures, start=1):
                words = [f"{value:.6g}" for value in values]
                table.writerow([figure, line.learner, *line.weights, line.num_seeds, epoch, slots, *words])


def _draw(figure: int, lines: Sequence[Line], means: Mapping[tuple[float, float], Mapping[str, float]]) -> None:
    tones = dict(zip(dict.fromkeys(line.learner for line in lines), TONES, strict=False))
    path, size = RESULTS / f"meqc_figure_{figure}.png", (1.8 + 4.2 * len(means), 4.4)
    with picture(path, 1, len(means), size, sharey=True) as (drawn, axes):
        for axis, (pair, beside) in zip(axes[0], means.items(), strict=True):
            for line in (one for one in lines if one.weights == pair):
                x, tone = np.arange(1, len(line.cost) + 1), tones[line.learner]
                axis.plot(x, line.cost, color=tone, label=line.learner, linewidth=1.8)
                axis.fill_between(x, line.low, line.high, color=tone, alpha=0.18, linewidth=0)
            for (name, mean), style in zip(beside.items(), (":", "-.", "--"), strict=True):
                axis.axhline(mean, color="#555555", linestyle=style, linewidth=1.1, label=name)
            plain_log(axis, "y")
            axis.set_xlabel("epoch")
            axis.set_title(title(cell_of(figure, pair)), fontsize=10)
            axis.grid(color="#ececec", linewidth=0.6)
        axes[0][0].set_ylabel(f"mean cost while exploring, over {WINDOW} epochs")
        drawn.legend(*axes[0][0].get_legend_handles_labels(), frameon=False, loc="outside right upper")


def _tell(figure: int, lines: Sequence[Line], means: Mapping[tuple[float, float], Mapping[str, float]]) -> None:
    heads = ("learner", "λ", "seeds", "epochs", "slots", "converged at", "final cost", "above the optimum", "wall s")
    words = [f"# Figure {figure}", "", f"The paper: *{STATED[figure]}*.", "", READ]
    words += ["", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for line in lines:
        over = line.cost[-1] / means[line.weights][OPTIMUM] - 1.0
        ends = (f"{line.cost[-1]:.0f}", f"{over:.0%}", f"{line.wall_s[-1]:.0f}")
        weights = "{:g}, {:g}".format(*line.weights)
        columns = (line.learner, weights, line.num_seeds, len(line.cost), line.slots[-1], converged(line.cost), *ends)
        words.append(f"| {' | '.join(map(str, columns))} |")
    (RESULTS / f"meqc_figure_{figure}.md").write_text("\n".join(words) + "\n", encoding="utf-8")
