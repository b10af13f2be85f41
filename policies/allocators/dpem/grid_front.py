"""Delivery against literal contention: who is beaten by whom, over back-off and whatever agents were trained for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from policies.allocators.dpem.grid import BOUND, Cell
from policies.allocators.dpem.grid_report import Found, cell_of


class Point(NamedTuple):
    """Means of one policy with one back-off."""

    policy: str
    hold: int
    delivery: float
    contention: float

    @property
    def words(self) -> str:
        """Whose it is."""
        return f"`{self.policy}` hold {self.hold}"

    def beats(self, other: Point) -> bool:
        """Whether it is as good in both, and better in one."""
        mine, its = (self.delivery, -self.contention), (other.delivery, -other.contention)
        return mine != its and mine[0] >= its[0] and mine[1] >= its[1]


def points(rows: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Of rows of one cell, by policy and hold."""
    found = [
        Point(row["policy"], row["hold"], row["delivery"], row["contention_literal"])
        for row in rows
        if row["policy"] != BOUND and "" not in (row["delivery"], row["contention_literal"])
    ]
    return sorted(found, key=lambda point: (point.policy, point.hold))


def beaten(point: Point, others: Iterable[Point]) -> Point | None:
    """Which of the others beats it; the one that delivers most if there are several."""
    return max((each for each in others if each.beats(point)), key=lambda each: each.delivery, default=None)


def fronts(found: Found, rows: Sequence[Mapping[str, Any]]) -> dict[Cell, list[Point]]:
    """Points of the cells in which more than one back-off was tried."""
    by_cell = {cell: [row for row in rows if cell_of(row) == cell] for cell in found.cells}
    return {cell: points(mine) for cell, mine in by_cell.items() if len({row["hold"] for row in mine}) > 1}


def words(cell: str, every: Sequence[Point], ours: Sequence[str]) -> list[str]:
    """Who is beaten, in sentences and a table."""
    mine = [point for point in every if point.policy in ours]
    others = [point for point in every if point.policy not in ours]
    free = [point for point in others if beaten(point, mine) is None]
    lost = [(point, by) for point in mine if (by := beaten(point, others))]
    who = " or ".join(f"`{name}`" for name in ours)
    told = "; ".join(f"{point.words} by {by.words}" for point, by in lost) or "none"
    lines = [
        f"### {cell}",
        "",
        (
            f"With no less delivery and no more literal contention in the means, {who} dominates "
            f"{len(others) - len(free)} of {len(others)} points of others; left: {_list(free)}."
        ),
        f"Dominated by others are {len(lost)} of its {len(mine)} points: {told}.",
        *_with_the_same_hold(mine, others),
        "",
    ]
    lines += ["| policy | hold | delivery | C_lit | dominated by |", "|---|---|---|---|---|"]
    for point in every:
        by = beaten(point, every)
        numbers = f"{point.delivery:.3f} | {point.contention:.3f}"
        lines.append(f"| `{point.policy}` | {point.hold} | {numbers} | {by.words if by else 'nobody'} |")
    return lines


def _with_the_same_hold(mine: Sequence[Point], others: Sequence[Point]) -> Iterator[str]:
    """Each back-off by itself: nobody gains by waiting longer."""
    for hold in sorted({point.hold for point in others}):
        ours, theirs = ([point for point in each if point.hold == hold] for each in (mine, others))
        free = [point for point in theirs if beaten(point, ours) is None]
        yield f"With hold {hold} on both sides, {len(theirs) - len(free)} of {len(theirs)}; left: {_list(free)}."


def _list(found: Sequence[Point]) -> str:
    """Points by policy."""
    holds: dict[str, list[str]] = {}
    for point in found:
        holds.setdefault(point.policy, []).append(str(point.hold))
    return "; ".join(f"`{name}` hold {', '.join(each)}" for name, each in holds.items()) or "none"
