"""A provider of quantum devices as it is on its own side: orders, their state, and what they cost.

It knows nothing of idempotency: whoever hands something in twice has bought it twice. So what is counted here is what
the orchestrator promises.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass

from backends.backend import Device
from backends.pricing import Price
from backends.remote import RemoteState

FINAL = frozenset({RemoteState.DONE, RemoteState.FAILED, RemoteState.CANCELLED})
PRICE = Price(per_task_usd=0.5, per_shot_usd=0.01, source="ours: the tests' own tariff")


def device(name: str, price: Price = PRICE) -> Device:
    """A remote device of the tests' own."""
    return Device(
        name=name,
        kind="qpu",
        num_qubits=8,
        max_active_qubits=8,
        basis_gates=("h", "x", "rz", "sx", "cx"),
        coupling=None,
        clifford_only=False,
        dynamic=True,
        max_gates=None,
        calibration=None,
        cost_curve=None,
        price=price,
        power_w=1.0,
        sdk_version="1",
        opt_in=True,
        max_shots=10_000,
    )


@dataclass
class Order:
    """Something that was bought. It ends after so many questions about it."""

    id: str
    purchase_id: str
    shots: int
    bits: int
    questions: int
    fails: bool = False
    state: RemoteState = RemoteState.QUEUED
    begun: bool = False

    @property
    def bill_usd(self) -> float:
        """What it costs: nothing, unless it was delivered or had begun."""
        owed = self.state is RemoteState.DONE or (self.state is RemoteState.CANCELLED and self.begun)
        return PRICE.cost_usd(num_tasks=1, shots=self.shots, run_s=0.0) if owed else 0.0

    @property
    def counts(self) -> dict[str, int]:
        """Half of them zeros, the rest ones."""
        halves = {"0" * self.bits: self.shots // 2, "1" * self.bits: self.shots - self.shots // 2}
        return {key: number for key, number in halves.items() if number}


class Provider:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self._lock = threading.Lock()

    def accept(self, purchase_id: str, shots: int, bits: int, *, questions: int = 2, fails: bool = False) -> Order:
        """Sell."""
        with self._lock:
            order = Order(f"far-{len(self.orders)}", purchase_id, shots, bits, questions, fails)
            self.orders[order.id] = order
            return order

    def find(self, purchase_id: str) -> Order | None:
        """The order with that tag."""
        with self._lock:
            return next((order for order in self.orders.values() if order.purchase_id == purchase_id), None)

    def ask(self, order_id: str) -> Order:
        """How it stands; every question brings it on."""
        with self._lock:
            order = self.orders[order_id]
            if order.state not in FINAL:
                order.questions -= 1
                if order.questions == 0:
                    order.state, order.begun = RemoteState.RUNNING, True
                elif order.questions < 0:
                    order.state = RemoteState.FAILED if order.fails else RemoteState.DONE
            return order

    def cancel(self, order_id: str) -> None:
        """Stop it, unless it has ended."""
        with self._lock:
            if self.orders[order_id].state not in FINAL:
                self.orders[order_id].state = RemoteState.CANCELLED

    def wrong(self, *, over: bool = False) -> list[str]:
        """What must not be. ``over``: nobody works any more, so that everything has ended."""
        found = []
        by_purchase: dict[str, list[Order]] = defaultdict(list)
        by_part: dict[str, list[Order]] = defaultdict(list)
        with self._lock:
            for order in self.orders.values():
                by_purchase[order.purchase_id].append(order)
                if order.state not in (RemoteState.FAILED, RemoteState.CANCELLED):
                    by_part[order.purchase_id.rpartition("-")[0]].append(order)
                if over and order.state not in FINAL:
                    found.append(f"order {order.id} of {order.purchase_id} was left {order.state}")
        found += [f"purchase {name} was made {len(mine)} times" for name, mine in by_purchase.items() if len(mine) > 1]
        return found + [f"{name} was bought {len(mine)} times" for name, mine in by_part.items() if len(mine) > 1]
