"""What is bought from providers, and how much of it is allowed. Pure: no clock, no store.

    RESERVED ──▶ SENT ──▶ SETTLED       (it was delivered, or may have been, and is paid for)
      │   │ ▲      │
      │   ▼ │      └────▶ RELEASED      (the provider has said that nothing was bought)
      │  UNKNOWN             ▲
      └──────┴───────────────┘

Its id is chosen, and its price set aside, before the first word to the provider. An assignment makes another purchase
only once the one before is over, so that a message that comes twice, or a worker that dies in between, buys nothing
twice. What was paid is kept when its job is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from backends.pricing import Price
from backends.remote import RemoteState, RemoteStatus, Ticket
from orchestrator import checks
from orchestrator.job import MAX_PRICE_USD, MAX_SECONDS, Limits
from orchestrator.tokens import NAME, NAME_WORDS

if TYPE_CHECKING:
    from orchestrator.job import Assignment, Job

MAX_MOMENT = 1e11
EVERYBODY = "*"
"""Stands for all projects together, where a budget is named."""


class PurchaseState(StrEnum):
    """Where a purchase is; the last two are final."""

    RESERVED = "reserved"
    UNKNOWN = "unknown"
    SENT = "sent"
    SETTLED = "settled"
    RELEASED = "released"


OPEN = frozenset({PurchaseState.RESERVED, PurchaseState.UNKNOWN, PurchaseState.SENT})
"""States in which something may exist at the provider."""


@dataclass(frozen=True)
class Purchase:
    """One intention to pay.

    Attributes:
        id: what the provider knows it by; of the assignment and the number of its purchases before.
        usd: US dollars that it takes from budgets: set aside while it is open, paid once it is settled, else 0.
        qpu_s: seconds of the device, likewise.
        made_at: when it was written down first, seconds since the epoch.
        sent_at: when somebody was last about to send it: until a while after, that may still happen.
        status: the last that its provider said of it.   position: in the provider's queue, where told.
    """

    id: str
    assignment_id: str
    job_id: str
    project: str
    backend: str
    usd: float
    qpu_s: float
    made_at: float = 0.0
    sent_at: float = 0.0
    state: PurchaseState = PurchaseState.RESERVED
    remote_ids: tuple[str, ...] = ()
    status: RemoteState | None = None
    position: int | None = None

    @property
    def open(self) -> bool:
        """Whether something may exist at the provider."""
        return self.state in OPEN

    @property
    def ticket(self) -> Ticket | None:
        """What the provider knows it by, if it is known to have it."""
        return Ticket(self.id, self.remote_ids) if self.remote_ids else None


def purchase_of(job: Job, part: Assignment, number: int) -> Purchase:
    """The purchase that this share is about to make, at its estimated price; ``number`` counts those before."""
    name, expected = f"{part.id}-{number}", part.estimate
    return Purchase(name, part.id, job.id, job.project, part.backend, expected.cost_usd, expected.service_s)


class Step(Enum):
    """What is to be done about a purchase next."""

    BUY = "hand it in"
    FIND = "see whether the provider has it"
    LOOK = "ask how it stands, and fetch what is there"
    RECALL = "withdraw it at the provider"
    SETTLE = "it was delivered and nobody wants it: pay"
    DROP = "nothing was bought, and nobody wants it any more"


def step(purchase: Purchase | None, *, wanted: bool, late: bool) -> Step:
    """Decide.

    Args:
        wanted: by its job.   late: its deadline has passed, so that what has not begun is not to begin.
    """
    if purchase is None:
        return Step.BUY if wanted and not late else Step.DROP
    if purchase.ticket is None:
        return Step.FIND
    begun = purchase.status not in (None, RemoteState.QUEUED)
    if wanted and (begun or not late):
        return Step.LOOK
    return Step.SETTLE if purchase.status is RemoteState.DONE else Step.RECALL


def heard(purchase: Purchase, status: RemoteStatus) -> Purchase:
    """The purchase after a word of its provider."""
    return replace(purchase, status=status.state, position=status.position)


def handed_in(purchase: Purchase, ticket: Ticket) -> Purchase:
    """The purchase now that the provider has it."""
    return replace(purchase, state=PurchaseState.SENT, remote_ids=ticket.remote_ids)


def released(purchase: Purchase) -> Purchase:
    """The purchase after its provider has said that nothing was bought: what was set aside is free again."""
    return replace(purchase, state=PurchaseState.RELEASED, usd=0.0, qpu_s=0.0)


def withdrawn(purchase: Purchase, *, begun: bool) -> Purchase:
    """After its provider has withdrawn it: what had begun may be charged for, so its whole price is paid (ours)."""
    begun = begun or purchase.status is RemoteState.RUNNING
    return replace(purchase, state=PurchaseState.SETTLED) if begun else released(purchase)


def settled(
    purchase: Purchase,
    price: Price | None,
    *,
    shots: int,
    device_s: float | None,
    usd: float | None,
    qpu_s: float | None,
) -> Purchase:
    """The purchase, paid for: as the provider says, else by the price table, else as estimated.

    Args:
        price: of the device.   device_s: seconds that it was busy, if it says.   usd, qpu_s: what it charges for.
    """
    seconds = next((one for one in (qpu_s, device_s) if one is not None), purchase.qpu_s)
    if usd is None and price is not None:
        usd = price.cost_usd(num_tasks=max(1, len(purchase.remote_ids)), shots=shots, run_s=seconds)
    return replace(purchase, state=PurchaseState.SETTLED, usd=purchase.usd if usd is None else usd, qpu_s=seconds)


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Budget:
    """What a project may spend on real devices; None means no limit.

    Attributes:
        project: its name; empty on a store without tokens, "*" for all projects together.
        since: purchases made earlier do not count, seconds since the epoch.
    """

    project: str
    max_usd: float | None = None
    max_qpu_s: float | None = None
    since: float = 0.0

    def __post_init__(self) -> None:
        checks.kind("a budget's project", self.project, str, "a text")
        if self.project not in ("", EVERYBODY) and not NAME.fullmatch(self.project):
            checks.refuse("a budget's project", f"{NAME_WORDS}; '' without tokens, or '*' for all", self.project)
        checks.number("since", self.since, 0.0, MAX_MOMENT)
        for name, value, high in (
            ("max_usd", self.max_usd, MAX_PRICE_USD),
            ("max_qpu_s", self.max_qpu_s, MAX_SECONDS),
        ):
            if value is not None:
                checks.number(name, value, 0.0, high)


@dataclass(frozen=True)
class Balance:
    """A budget and what was taken from it: set aside for what is under way, and spent."""

    budget: Budget
    reserved_usd: float = 0.0
    reserved_s: float = 0.0
    spent_usd: float = 0.0
    spent_s: float = 0.0


def against_budgets(balances: Sequence[Balance], usd: float, qpu_s: float) -> str | None:
    """Why no more of so much may be bought, in words; None if it may."""
    for balance in balances:
        budget = balance.budget
        whose = "all projects together" if budget.project == EVERYBODY else f"project {budget.project or 'default'!r}"
        for what, wanted, limit, taken, how in (
            ("USD", usd, budget.max_usd, balance.reserved_usd + balance.spent_usd, "--usd"),
            ("QPU seconds", qpu_s, budget.max_qpu_s, balance.reserved_s + balance.spent_s, "--qpu-s"),
        ):
            if limit is not None and taken + wanted > limit:
                left = max(0.0, limit - taken)
                return (
                    f"it would cost {wanted:.4f} {what}, and of the budget of {limit:g} that {whose} may spend "
                    f"{left:.4f} are left: raise it with `qorch budget set {how}`, or use a simulator"
                )
    return None


def against_limits(limits: Limits, before: Sequence[Purchase], usd: float, qpu_s: float) -> str | None:
    """Why the job may not buy so much more, with what its other shares have bought; None if it may."""
    for what, wanted, limit, taken, name in (
        ("USD", usd, limits.max_cost_usd, sum(one.usd for one in before), "max_cost_usd"),
        ("QPU seconds", qpu_s, limits.max_qpu_s, sum(one.qpu_s for one in before), "max_qpu_s"),
    ):
        if limit is not None and taken + wanted > limit:
            return f"with {wanted:.4f} {what} more the job would have bought {taken + wanted:.4f}; {name} is {limit:g}"
    return None
