"""The cost table of QCN-v1: the random policy, simple rules, learned policies and the proven optimum, in five weights.

    python examples/benchmarks/qcn_costs.py                                # rules and optimum
    python examples/benchmarks/qcn_costs.py --learned dqn=runs/qcn-dqn     # with the checkpoints in a folder

10 users, 5 edge nodes, 1 cloud; 2 000 kept-out slots, the same for all. Writes ``results/qcn_costs`` as ``.csv``,
``.md``, ``.png`` and ``_profiles.png``. Ctrl-C loses little: optima are remembered
(:mod:`policies.envs.known_optima`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import torch
from evidence import RESULTS
from meqc_costs import around, played, write

from circuits.errors import CircuitError
from policies.envs.contest import Cell
from policies.envs.qcn.instance import WEIGHTS
from policies.envs.qcn.model import MODES
from policies.envs.qcn.rules import RULES, SIMPLE
from policies.envs.qcn.world import Setting
from policies.envs.render import draw_costs, draw_profiles
from policies.envs.scores import Row, overall, rows_of
from policies.evaluate import bounds_of

SEED = 1_000_000
NUM_SLOTS = 2000
CLAIMED = 0.8
"""What the paper claims to save against the random policy "under different QoS settings"."""


def cells(mode: str, circuits: str, num_slots: int) -> list[Cell]:
    """The world with each pair of weights."""
    settings = [
        Setting(delay_weight=delay, energy_weight=energy, circuits=circuits, model=MODES[mode])
        for delay, energy in WEIGHTS
    ]
    return [Cell("QCN-v1", setting, (SEED,), num_slots) for setting in settings]


def tell(name: str, rows: Sequence[Row], about: str) -> None:
    """Mean costs, what each saves against whom, and how far each is from the optimum."""
    every = list(dict.fromkeys(row.cell for row in rows))
    order = [one.policy for one in overall(rows)]
    at = {(row.cell, row.policy): row for row in rows}
    heads = " | ".join(f"{delay:g}, {energy:g}" for delay, energy in (cell.weights for cell in every))
    lines = ["# Costs in QCN-v1", "", f"`python {' '.join(sys.argv)}`", "", about]

    def table(title: str, cell_of: object) -> None:
        lines.extend(["", f"## {title}", "", f"| policy | {heads} |", f"|---|{'---|' * len(every)}"])
        for policy in order:
            words = [cell_of(at[cell, policy]) if (cell, policy) in at else "" for cell in every]
            lines.append(f"| {policy} | {' | '.join(words)} |")

    table("Mean cost of a slot, all users (weights of delay, energy)", lambda row: around(row.cost, "{:.3f}"))
    table("Saved against the random policy", lambda row: around(row.below.get("random")))
    table(f"Saved against the best of {', '.join(SIMPLE)}", lambda row: around(row.below.get(row.naive)))
    table("Saved against greedy that knows everything", lambda row: around(row.below.get("greedy")))
    table("Above the optimum", lambda row: around(row.above_optimum))
    lines += ["", f"## Who saves {CLAIMED:.0%} against the random policy", ""]
    for policy in order:
        saved = [(cell.weights, at[cell, policy].below["random"]) for cell in every if (cell, policy) in at]
        reached = [f"({delay:g}, {energy:g})" for (delay, energy), one in saved if one.low >= CLAIMED]
        lines.append(f"* {policy}: {', '.join(reached) if reached else 'in none'}")
    lines += ["", "Counted where the whole 95 % interval is there."]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Play, write, draw."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument(
        "--learned", nargs="*", default=[], metavar="[NAME=]FOLDER", help="checkpoints, or folders of them"
    )
    words.add_argument("--mode", default="cited", choices=sorted(MODES), help="constants")
    words.add_argument("--circuits", default="paper", choices=("paper", "compiled"))
    words.add_argument("--slots", type=int, default=NUM_SLOTS)
    words.add_argument("--name", default="qcn_costs", help="of the results")
    said = words.parse_args()
    torch.set_num_threads(1)
    try:
        everybody = played(cells(said.mode, said.circuits, said.slots), [*RULES, *said.learned])
    except CircuitError as error:
        sys.exit(f"error: {error}")
    rows = [row for cell, costs in everybody.items() for row in rows_of(cell, costs)]
    best = "the best known action" if bounds_of(everybody) else "proven in every slot"
    about = (
        f"Constants: {said.mode}; circuits: {said.circuits}; {said.slots} paired kept-out slots from seed {SEED}; "
        f"the optimum is {best}; ± is half of the 95 % interval."
    )
    write(said.name, rows, f"slots: {SEED}; of training: see the checkpoints")
    tell(said.name, rows, about)
    draw_costs(rows, RESULTS / f"{said.name}.png")
    draw_profiles(everybody, RESULTS / f"{said.name}_profiles.png")


if __name__ == "__main__":
    main()
