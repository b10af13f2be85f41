"""Who delivers most in ``Entanglement-v1``: every policy in every cell of a part of the protocol, with its tests.

    python examples/benchmarks/entanglement_grid.py --part headline --seeds 320:340    # 460 runs, some 10 minutes
    python examples/benchmarks/entanglement_grid.py --part map --seeds 320:340         # 11 700 runs, some 20 minutes
    python examples/benchmarks/entanglement_grid.py --part headline --seeds 320:340 --runs runs/grid
        --checkpoint dpem=runs/dpem --against dpem    # every training in runs/dpem, pooled; the others' runs stay

The front over beta, with pulls and ``runs/final`` from :mod:`dpem_gain`:

    T="python -m policies.allocators.dpem train --set width=32 --set forecast=none --world duration_s=300"
    for S in 0 1 2; do for BETA in 0 1 2 4; do
        $T --seed $S --topologies 0:6 --epochs 30 --set shares=pulls --set beta=$BETA --from runs/pulls/$S
           --out runs/beta/$BETA/$S
    done; done
    P=central_full,central_grant,central_hybrid,central_static,greedy_oracle,static,shortest,random,local
    python examples/benchmarks/entanglement_grid.py --part front --seeds 320:340 --policies $P
        --checkpoint dpem=runs/final --checkpoint beta_0=runs/beta/0 --checkpoint beta_1=runs/beta/1
        --checkpoint beta_2=runs/beta/2 --checkpoint beta_4=runs/beta/4 --against dpem
        --runs runs/entanglement_grid_320    # 4 820 runs

The protocol is ``policies/envs/entanglement/PROTOCOL.md``. Runs are kept in ``--runs`` and not done again: it can be
stopped, and goes on. Writes ``results/entanglement_grid_PART.csv`` (every cell), ``.md`` and figures. Gains on seeds
from 320 on are results; those on others are for development.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from pathlib import Path

from evidence import RESULTS, results

from policies.allocators.dpem.commands import seeds_of
from policies.allocators.dpem.grid import HOLDS, PARTS, chosen, jobs, run
from policies.allocators.dpem.grid_agents import learned
from policies.allocators.dpem.grid_report import write

PACKAGES = ("numpy", "scipy", "numba")


def main() -> None:
    """Run what is missing, then tell of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=tuple(PARTS), default="headline")
    parser.add_argument("--seeds", default="100:120", help="topologies, FIRST:END")
    parser.add_argument("--physics", default="0:2", help="seeds of luck, FIRST:END")
    parser.add_argument("--policies", default="all", help="names with commas between")
    parser.add_argument("--checkpoint", action="append", metavar="NAME=FOLDER", help="a trained agent beside them")
    parser.add_argument("--against", default="local", help="whose gain is told")
    parser.add_argument("--duration", type=float, default=600.0, help="of an episode in seconds")
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "entanglement_grid")
    said = parser.parse_args()
    policies, folder = chosen(said.policies) | learned(said.checkpoint), said.runs / said.part
    seeds, physics = seeds_of(said.seeds, "seeds"), seeds_of(said.physics, "physics")
    wanted = jobs(PARTS[said.part](), policies, seeds, physics, HOLDS.get(said.part, (1,)))
    try:
        run(
            wanted,
            policies,
            folder,
            duration_s=said.duration,
            tell=lambda count, words: print(count, words, flush=True),
        )
    except KeyboardInterrupt:
        print("stopped; what is there is told")
    told = write(folder, said.against)
    name = f"entanglement_grid_{said.part}"
    with (folder / "cells.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    with results(
        name, header, seeds=f"topologies and demand {said.seeds}, luck {said.physics}", packages=PACKAGES
    ) as table:
        table.writerows(rows)
    shutil.copy(folder / "grid.md", RESULTS / f"{name}.md")
    for picture in told["pictures"]:
        shutil.copy(picture, RESULTS / f"{name}_{Path(picture).name}")


if __name__ == "__main__":
    main()
