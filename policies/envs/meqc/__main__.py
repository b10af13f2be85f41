"""``python -m policies.envs.meqc evaluate FILE`` and ``optimum FILE``: what an action costs, and the best there is."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from circuits.errors import InvalidParameter
from policies.envs.commands import bounded, of_instances
from policies.envs.meqc.cost import Breakdown, evaluate
from policies.envs.meqc.document import Case, read_cases
from policies.envs.meqc.hardware import hardware


def _evaluated(case: Case) -> dict[str, Any]:
    if case.servers is None or case.shares is None:
        raise InvalidParameter("a, phi: wanted the action to evaluate, got none; `optimum` needs none")
    return _with_hardware(case, evaluate(case.model, case.instance, case.servers, case.shares))


def _best(case: Case) -> dict[str, Any]:
    from policies.envs.meqc.optimum import optimum  # needs torch

    found = optimum(case.model, case.instance)
    costs = _with_hardware(case, evaluate(case.model, case.instance, found.servers, found.shares))
    actions = [[server, share] for server, share in zip(found.servers, found.shares, strict=True)]
    return {**costs, "actions": actions, "lower_bound": found.lower_bound, "exact": found.exact}


def _with_hardware(case: Case, costs: Breakdown) -> dict[str, Any]:
    machine = hardware(case.model)
    powers = {
        "P_pi": machine.pi_pulse_w,
        "P_1": machine.one_qubit_w,
        "P_2": machine.two_qubit_w,
        "P_M": machine.measurement_w,
        "P_Q": machine.qubit_w,
    }
    return {**costs.document(), "eps_err": machine.error, "powers_W": powers}


def _show(found: dict[str, Any]) -> None:
    """A table of the users, and what is known of the total."""
    table = Table("user", "server", "own share", "local", "processor", "QPU", "taken", "cost")
    for number, user in enumerate(found["users"]):
        costs = [f"{user[key]:.4g}" for key in ("cL", "cE", "cQ")]
        taken = "QPU" if user["quantum"] else ("local" if user["phi"] == 1.0 else "processor")
        table.add_row(str(number), str(user["a"]), f"{user['phi']:.2f}", *costs, taken, f"{user['cost']:.4g}")
    console = Console()
    console.print(table)
    console.print(bounded(found["total"], found))


app = of_instances(read_cases, _evaluated, _best, _show)

if __name__ == "__main__":
    app()
