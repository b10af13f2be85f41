"""Rows of a long measurement, kept one by one, so that it may be interrupted and run again."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from evidence import results

PACKAGES = ("numpy", "numba", "torch", "dp-accounting")


def measured(
    name: str,
    columns: Sequence[str],
    num_keys: int,
    todo: Iterable[tuple[Any, ...]],
    measure: Callable[..., Iterable[Sequence[Any]]],
    *,
    seeds: str,
    runs: Path,
) -> list[dict[str, str]]:
    """Every case that was not measured yet; then ``results/name.csv`` of all; arguments as of :func:`kept`."""
    rows = kept(name, num_keys, todo, measure, runs)
    with results(name, columns, seeds=seeds, packages=PACKAGES) as table:
        table.writerows(rows)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def kept(
    name: str,
    num_keys: int,
    todo: Iterable[tuple[Any, ...]],
    measure: Callable[..., Iterable[Sequence[Any]]],
    runs: Path,
) -> list[list[str]]:
    """Rows of every case, kept in ``runs/name.csv``; measured where they are not there yet, until it is interrupted.

    Args:
        num_keys: so many of the first columns say which case a row is of.   measure: from a case to its other columns,
            one sequence for each of its rows.
    """
    runs.mkdir(parents=True, exist_ok=True)
    file = runs / f"{name}.csv"
    rows = list(csv.reader(file.open())) if file.exists() else []
    done = {tuple(row[:num_keys]) for row in rows}
    cases = [case for case in todo if tuple(map(str, case)) not in done]
    try:
        for number, case in enumerate(cases, start=1):
            print(f"{number}/{len(cases)}  {' '.join(map(str, case))}", file=sys.stderr, flush=True)
            found = [[*map(str, case), *(f"{each:.6g}" if isinstance(each, float) else str(each) for each in row)]
                     for row in measure(*case)]  # fmt: skip
            with file.open("a", newline="") as table:
                csv.writer(table, lineterminator="\n").writerows(found)
            rows += found
    except KeyboardInterrupt:
        print("stopped; what is there is told, and the same command goes on", file=sys.stderr)
    return rows
