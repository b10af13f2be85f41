"""``python -m tests.faults``: hundreds of faults on both stacks, and a report of what became of the jobs."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from examples.benchmarks.evidence import RESULTS, results
from tests.faults.campaign import Report, campaign, lines

COLUMNS = ("store", "fault", "jobs", "jobs_in_flight", "recovery_s")


def write(report: Report, seed: int, folder: Path) -> None:
    """The rounds as CSV, the summary as Markdown."""
    with results("faults", COLUMNS, seeds=str(seed), folder=folder) as table:
        for fight in report.fights:
            table.writerow((fight.store, fight.kind, fight.num_jobs, fight.num_in_flight, f"{fight.recovery_s:.2f}"))
    said = [line[2:] for line in (folder / "faults.csv").read_text().splitlines() if line.startswith("# ")]
    summary = "\n".join([*lines(report), "", *(f"- {one}" for one in said)])
    (folder / "faults.md").write_text(f"# Faults\n\n{summary}\n")


def main() -> int:
    """The exit code: 0 if nothing was lost, doubled or left untold."""
    parser = argparse.ArgumentParser(description="Faults injected into real clusters while jobs run.")
    parser.add_argument("--faults", type=int, default=220)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), action="append", help="default: both in turn")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of faults.csv and faults.md")
    chosen = parser.parse_args()
    sys.argv[0] = "-m tests.faults"  # as it is to be repeated
    logging.getLogger("qorch").setLevel(logging.ERROR)  # that something is away is no news here
    stores = chosen.store or ["sqlite", "postgresql"]
    report = campaign(seed=chosen.seed, num_faults=chosen.faults, stores=stores, progress=sys.stdout)
    write(report, chosen.seed, chosen.out)
    print("\n".join(lines(report)))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
