"""``python -m tests.faults``: hundreds of faults on both stacks, and a report of what became of the jobs."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.faults import far
from tests.faults.campaign import Report, campaign, lines
from tests.faults.evidence import RESULTS, results

FAR_COLUMNS = ("store", "fault", "number")
COLUMNS = ("store", "fault", "jobs", "jobs_in_flight", "recovery_s")


def write(report: Report, seed: int, folder: Path) -> None:
    """The rounds as CSV, the summary as Markdown."""
    with results("faults", COLUMNS, seeds=str(seed), folder=folder) as table:
        for fight in report.fights:
            table.writerow((fight.store, fight.kind, fight.num_jobs, fight.num_in_flight, f"{fight.recovery_s:.2f}"))
    _summarise("faults", "Faults", lines(report), folder)


def write_far(reports: Mapping[str, far.FarReport], seed: int, folder: Path) -> None:
    """Faults on the way to a provider by kind as CSV, the summary as Markdown."""
    with results("faults_remote", FAR_COLUMNS, seeds=str(seed), folder=folder) as table:
        for store, report in reports.items():
            for kind, number in sorted(report.faults.items()):
                table.writerow((store, kind, number))
    _summarise("faults_remote", "Faults on the way to a provider", far.lines(reports), folder)


def _summarise(name: str, title: str, told: Iterable[str], folder: Path) -> None:
    """A report beside its CSV, with where it was measured."""
    said = [line[2:] for line in (folder / f"{name}.csv").read_text().splitlines() if line.startswith("# ")]
    summary = "\n".join([*told, "", *(f"- {one}" for one in said)])
    (folder / f"{name}.md").write_text(f"# {title}\n\n{summary}\n")


def main() -> int:
    """The exit code: 0 if nothing was lost, doubled or left untold."""
    parser = argparse.ArgumentParser(description="Faults injected into real clusters while jobs run.")
    parser.add_argument("--faults", type=int, default=220)
    parser.add_argument("--remote-faults", type=int, default=300, help="on the way to a provider, in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), action="append", help="default: both in turn")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of faults.csv and faults.md")
    chosen = parser.parse_args()
    sys.argv[0] = "-m tests.faults"  # as it is to be repeated
    logging.getLogger("qorch").setLevel(logging.ERROR)  # that something is away is no news here
    stores = chosen.store or ["sqlite", "postgresql"]
    wrong = False
    if chosen.faults:
        report = campaign(seed=chosen.seed, num_faults=chosen.faults, stores=stores, progress=sys.stdout)
        write(report, chosen.seed, chosen.out)
        print("\n".join(lines(report)))
        wrong = bool(report.wrong)
    if chosen.remote_faults:
        share = -(-chosen.remote_faults // len(stores))
        far_reports = {
            store: far.campaign(seed=chosen.seed, num_faults=share, store=store, progress=sys.stdout)
            for store in stores
        }
        write_far(far_reports, chosen.seed, chosen.out)
        print("\n".join(far.lines(far_reports)))
        wrong = wrong or any(one.wrong for one in far_reports.values())
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
