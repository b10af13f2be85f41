"""``python -m policies.envs.qcn evaluate FILE`` and ``optimum FILE``: what an action costs, and the best there is."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from circuits.errors import InvalidParameter
from policies.envs.commands import bounded, of_instances
from policies.envs.qcn.cost import evaluate
from policies.envs.qcn.document import Case, read_cases


def _evaluated(case: Case) -> dict[str, Any]:
    if case.servers is None or case.shares is None:
        raise InvalidParameter("a, rho: wanted the action to evaluate, got none; `optimum` needs none")
    return evaluate(case.model, case.instance, case.servers, case.shares).document()


def _best(case: Case) -> dict[str, Any]:
    from policies.envs.qcn.optimum import optimum  # needs torch

    found = optimum(case.model, case.instance)
    costs = evaluate(case.model, case.instance, found.servers, found.shares).document()
    return {**costs, "lower_bound": found.lower_bound, "exact": found.exact}


def _show(found: dict[str, Any]) -> None:
    """A table of the users, and what is known of the total."""
    table = Table("user", "chosen", "works there", "sent", "crowd", "delay, s", "energy, J", "cost")
    for number, user in enumerate(found["users"]):
        where = str(user["dest"]) if user["rho"] > 0.0 else "home"
        figures = [f"{user[key]:.4g}" for key in ("lat", "en", "cost")]
        table.add_row(str(number), str(user["a"]), where, f"{user['rho']:.2f}", str(user["m"]), *figures)
    console = Console()
    console.print(table)
    console.print(bounded(found["total"], found))


app = of_instances(read_cases, _evaluated, _best, _show)

if __name__ == "__main__":
    app()
