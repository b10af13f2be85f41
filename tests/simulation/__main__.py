"""``python -m tests.simulation --seeds 10000``: many simulated clusters; ``--seed N`` tells the story of one."""

from __future__ import annotations

import argparse
import os
import sys

from tests.simulation.play import Failed, play, play_side_by_side

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Deterministic simulation of the trip, its leases and its store.")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, help="this one alone, with its story")
    chosen = parser.parse_args()
    try:
        if chosen.seed is not None:
            print(play([chosen.seed], tell=print).text)
        else:
            seeds = range(chosen.first, chosen.first + chosen.seeds)
            print(play_side_by_side(seeds, num_processes=chosen.processes, progress=sys.stderr).text)
    except Failed as failed:
        sys.exit(str(failed))
