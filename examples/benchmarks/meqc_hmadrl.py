"""The MEQC paper's learner at the paper's own budget, and what each of its choices is worth.

    python examples/benchmarks/meqc_hmadrl.py [--seeds 10] [--ablation-seeds 3]

250 epochs of 500 slots with ten users and ten servers, as the paper states them; then the same with one choice changed.
Nothing was tuned. Each run is kept in ``meqc_hmadrl_runs.csv`` as it ends, with its curve, and not run again;
``meqc_hmadrl.csv`` has the means with bootstrap intervals over seeds, beside the optimum and the rules that need no
training, on the same 2000 slots that nobody trained on. ``explored`` is the mean cost of the last ten epochs of
training, actions drawn; ``cost`` that of the most likely actions.
"""

from __future__ import annotations

import argparse

from evidence import results
from meqc_training import Plan, epochs_to, interval, references, train_all

from policies.learners.hmadrl import HMADRL

EPOCHS = 250
CHANGES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "paper": ({}, {}),
    "reward own": ({}, {"reward": "own"}),
    "discount 0": ({"discount": 0.0}, {}),
    "head bernoulli": ({"head": "bernoulli"}, {}),
    "shared network": ({"agents": "shared"}, {}),
    "critic apart": ({"critic": "own"}, {}),
    "central critic": ({"critic": "central"}, {}),
    "head beta": ({"head": "beta"}, {}),
    "reward difference": ({}, {"reward": "difference"}),
}
"""By name: what differs from the paper in config and in setting."""

COLUMNS = (
    *("variant", "runs", "cost", "low", "high", "explored"),
    *("above_optimum", "below_local", "half_cost", "epochs_to_90", "process_s"),
)


def main() -> None:
    """Train what is missing, sum up, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="of the paper's learner")
    parser.add_argument("--ablation-seeds", type=int, default=3, help="of each change")
    asked = parser.parse_args()
    plans = [
        (Plan(name, HMADRL, config, setting, EPOCHS), seed)
        for name, (config, setting) in CHANGES.items()
        for seed in range(1, 1 + (asked.seeds if name == "paper" else asked.ablation_seeds))
    ]
    runs = train_all("meqc_hmadrl_runs", plans)
    summarise("meqc_hmadrl", runs)


def summarise(file: str, runs: list[dict[str, str]]) -> None:
    """Means over seeds, beside the rules that need no training."""
    known = references()
    seeds = " ".join(sorted({run["seed"] for run in runs}, key=int)) + "; kept out 1000000"
    with results(file, COLUMNS, seeds=seeds, packages=("torch", "numpy", "scipy")) as table:
        for name, cost in known.items():
            shares = (f"{cost / known['optimum'] - 1:.4f}", f"{1 - cost / known['local']:.4f}")
            table.writerow([name, 0, *[f"{cost:.2f}"] * 3, "", *shares, "", "", ""])
        for name in dict.fromkeys(run["variant"] for run in runs):
            mine = [run for run in runs if run["variant"] == name]
            cost, low, high = interval([float(run["cost"]) for run in mine])
            explored, half, spent = (
                interval([float(run[column]) for run in mine])[0] for column in ("explored", "cost_half", "process_s")
            )
            reached = interval([epochs_to(run["curve"]) for run in mine])[0]
            figures = (f"{explored:.2f}", f"{cost / known['optimum'] - 1:.4f}", f"{1 - cost / known['local']:.4f}")
            costs = (f"{cost:.2f}", f"{low:.2f}", f"{high:.2f}")
            table.writerow([name, len(mine), *costs, *figures, f"{half:.2f}", f"{reached:.0f}", f"{spent:.0f}"])
            print(f"{name}: {cost:.0f} [{low:.0f}, {high:.0f}] over {len(mine)} runs, {figures[1]} above the optimum")


if __name__ == "__main__":
    main()
