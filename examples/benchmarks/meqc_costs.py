"""The cost table of MEQC: rules, both readings of "centralised greedy", learned policies and the exact optimum.

    python examples/benchmarks/meqc_costs.py                                  # rules and optimum; an hour at first
    python examples/benchmarks/meqc_costs.py --learned scoring=runs/scoring   # with the checkpoints in a folder

U = E = 10, 20, 30 and four pairs of weights, 2 000 kept-out slots each, the same for all. Writes ``results/meqc_costs``
as ``.csv``, ``.md``, ``.png`` and ``_profiles.png``. Ctrl-C loses little: optima are remembered
(:mod:`policies.envs.meqc.known_optima`).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import torch
from evidence import RESULTS, results

from circuits.errors import CircuitError
from policies.envs.contest import OPTIMUM, Cell, Played, contest, entrants
from policies.envs.meqc.baselines import BASELINES, NAIVE
from policies.envs.meqc.document import model_of
from policies.envs.meqc.instance import WEIGHTS
from policies.envs.meqc.world import Setting
from policies.envs.render import draw_costs, draw_profiles, title
from policies.envs.scores import Around, Overall, Row, document, overall, rows_of
from policies.evaluate import bounds_of

SIZES = (10, 20, 30)
SEED = 1_000_000
NUM_SLOTS = 2000
CLAIMED = 0.3
"""What the paper claims to save."""


def cells(mode: str, overrides: dict[str, str], num_slots: int) -> list[Cell]:
    """Every size with every pair of weights."""
    model = model_of(mode, overrides)
    return [
        Cell("MEQC-v1", Setting(users=size, servers=size, delay_weight=one[0], energy_weight=one[1], model=model),
             (SEED,), num_slots)
        for size in SIZES for one in WEIGHTS
    ]  # fmt: skip


def played(asked: Sequence[Cell], names: Sequence[str]) -> dict[Cell, Played]:
    """Everybody in every cell."""
    playing = entrants([*names, OPTIMUM], asked[0].env)
    found: dict[Cell, Played] = {}
    for number, cell in enumerate(asked, start=1):
        begun_s = time.monotonic()
        found[cell] = contest(cell, playing)
        best, wall_s = found[cell][OPTIMUM].mean(), time.monotonic() - begun_s
        print(f"{number}/{len(asked)}  {title(cell)}: optimum {best:.4g}; {wall_s:.0f} s", flush=True)
    return found


def write(name: str, rows: Sequence[Row], seeds: str) -> None:
    """All rows."""
    flat = [document(row) for row in rows]
    with results(name, list(flat[0]), seeds=seeds, packages=("torch", "numpy", "scipy", "safetensors")) as table:
        for one in flat:
            table.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in one.values()])


def tell(name: str, rows: Sequence[Row], found: Sequence[Overall], about: str) -> None:
    """Mean costs, and what each saves against whom."""
    every = list(dict.fromkeys(row.cell for row in rows))
    order = [one.policy for one in found]
    heads = [f"{cell.setting.users}: {cell.weights[0]:g}, {cell.weights[1]:g}" for cell in every]
    at = {(row.cell, row.policy): row for row in rows}
    lines = ["# Costs in MEQC", "", f"`python {' '.join(sys.argv)}`", "", about]

    def table(title: str, cell_of: object, policies: Sequence[str] = order) -> None:
        lines.extend(["", f"## {title}", "", f"| policy | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"])
        for policy in policies:
            words = [cell_of(at[cell, policy]) if (cell, policy) in at else "" for cell in every]
            lines.append(f"| {policy} | {' | '.join(words)} |")

    table("Mean system cost of a slot (U = E: weights of delay, energy)", lambda row: f"{row.cost.value:.1f}")
    table("Above the optimum", lambda row: around(row.above_optimum))
    table(f"Saved against the best of {', '.join(NAIVE)}", lambda row: around(row.below.get(row.naive)))
    table("Saved against greedy that does not know of QPUs", lambda row: around(row.below.get("quantum_blind")))
    table("Saved against greedy that knows everything", lambda row: around(row.below.get("greedy")))
    table("Normalised score: 0 at the best naive baseline, 1 at the optimum", lambda row: around(row.score, "{:.3f}"))
    lines += ["", "## All cells", "", "| policy | runs | score, IQM | 95 % |", "|---|---|---|---|"]
    for one in found:
        ends = f"{one.score.low:.3f} … {one.score.high:.3f}" if one.num_runs > 1 else "one run"
        lines.append(f"| {one.policy} | {one.num_runs} | {one.score.value:.3f} | {ends} |")
    lines += ["", f"## Where {CLAIMED:.0%} can be had at all", "", possible(every, at)]
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def around(value: Around | None, form: str = "{:.1%}") -> str:
    """A value with half of its interval."""
    return f"{form.format(value.value)} ± {form.format((value.high - value.low) / 2)}" if value else ""


def possible(every: Sequence[Cell], at: dict[tuple[Cell, str], Row]) -> str:
    """In how many cells even the optimum saves what the paper claims, by what it is compared with."""
    best = [at[cell, OPTIMUM] for cell in every]
    words = []
    for name in (*NAIVE, "quantum_blind", "greedy"):
        saved = [row.below[name].value for row in best]
        reached = sum(one >= CLAIMED for one in saved)
        words.append(f"| {name} | {min(saved):.1%} | {max(saved):.1%} | {reached} of {len(saved)} |")
    naive = [row.below[str(row.naive)].value for row in best]
    reached = sum(one >= CLAIMED for one in naive)
    words.append(f"| best naive | {min(naive):.1%} | {max(naive):.1%} | {reached} of {len(naive)} |")
    head = f"| compared with | least the optimum saves | most | cells with at least {CLAIMED:.0%} |"
    return "\n".join([head, "|---|---|---|---|", *words])


def main() -> None:
    """Play, write, draw."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument(
        "--learned", nargs="*", default=[], metavar="[NAME=]FOLDER", help="checkpoints, or folders of them"
    )
    words.add_argument("--mode", default="calibrated")
    words.add_argument("--economic", action="store_true", help="servers decline what does not pay")
    words.add_argument("--slots", type=int, default=NUM_SLOTS)
    words.add_argument("--name", default="meqc_costs", help="of the results")
    said = words.parse_args()
    torch.set_num_threads(1)
    try:
        asked = cells(said.mode, {"qpu_use": "economic"} if said.economic else {}, said.slots)
        everybody = played(asked, [*BASELINES, *said.learned])
    except CircuitError as error:
        sys.exit(f"error: {error}")
    rows = [row for cell, costs in everybody.items() for row in rows_of(cell, costs)]
    found = overall(rows)
    reading = f"{said.mode}{', economic' if said.economic else ''}"
    about = f"{reading}; {said.slots} paired kept-out slots from seed {SEED}; ± is half of the 95 % interval."
    if bounds := bounds_of(everybody):
        low = ", ".join(f"{title(cell)}: {bound:.1f}" for cell, bound in bounds.items())
        about += f" What is called optimum is the best known action. None goes below: {low}."
    write(said.name, rows, f"slots: {SEED}; of training: see the checkpoints")
    tell(said.name, rows, found, about)
    draw_costs(rows, RESULTS / f"{said.name}.png")
    draw_profiles(everybody, RESULTS / f"{said.name}_profiles.png")


if __name__ == "__main__":
    main()
