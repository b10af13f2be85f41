"""The commands about money: what a project may spend on real devices, and what it has spent.

They go to the store itself, that of the data folder or of QORCH_STORE_URL: whoever may write there may set a budget.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from workers.cli_frame import show
from workers.cli_options import Common
from workers.cli_server import store_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from orchestrator.purchase import Balance

Project = Annotated[
    str,
    typer.Argument(metavar="[PROJECT]", help="Of the token; none for a store without tokens, '*' for all together."),
]


def budget_set(
    common: Common,
    project: Project = "",
    usd: Annotated[float | None, typer.Option(min=0, help="Most US dollars; without, no limit.")] = None,
    qpu_s: Annotated[float | None, typer.Option(min=0, help="Most seconds of real devices; without, no limit.")] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Count from now on: what was bought is forgotten.")
    ] = False,
) -> None:
    """Say what a project may spend. Without any limit its budget goes."""
    from orchestrator.purchase import Budget

    with store_of(common) as store:
        known = store.balances().get(project)
        since = store.now() if restart else known[0].budget.since if known else 0.0
        store.set_budget(Budget(project, usd, qpu_s, since))
        found = store.balances().get(project, [])
    show(common, found[0] if found else {"project": project, "budget": None}, lambda: _table(found))


def budget_show(common: Common) -> None:
    """Show the budgets, what is set aside for what is under way, and what was spent."""
    with store_of(common) as store:
        found = [one for mine in store.balances().values() for one in mine]
    show(common, found, lambda: _table(found))


def _table(found: list[Balance]) -> RenderableType:
    from rich.text import Text

    from workers.render_parts import age, table

    if not found:
        return Text("no budget: nothing limits what is bought; `qorch budget set --usd 10` sets one", "dim")
    columns = ("project", "of", "may spend", "set aside", "spent", "left", "since")
    made = table(*columns, right=columns[2:6])
    for one in found:
        budget = one.budget
        whose = {"": "default", "*": "all together"}.get(budget.project, budget.project)
        since = f"{age(time.time() - budget.since)} ago" if budget.since else "ever"
        for unit, limit, reserved, spent in (
            ("USD", budget.max_usd, one.reserved_usd, one.spent_usd),
            ("QPU s", budget.max_qpu_s, one.reserved_s, one.spent_s),
        ):
            left = "—" if limit is None else f"{max(0.0, limit - reserved - spent):.2f}"
            limited = "—" if limit is None else f"{limit:.2f}"
            made.add_row(Text(whose, "bold"), unit, limited, f"{reserved:.2f}", f"{spent:.2f}", left, since)
    return made
