"""Rounds over Flower are those of one process, and nobody's silence or nonsense changes what others count."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from circuits.errors import InvalidParameter
from policies.allocators.dpem.federation import Federation, begin, federated, local_updates

pytest.importorskip("flwr", reason="pip install 'qorch[flwr]'")

from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity

from policies.allocators.dpem.flower import FIGURES, UPDATE, WEIGHTS, client_app, rounds, server_app

NODES, WIDTH, ROUNDS = 5, 4, 3
FEDERATION = Federation(clipping="adaptive", clip=0.02, sigma=1.0, count_sigma=0.5, sampled=0.7, local_rate=0.1)
DATA = torch.randn(NODES, 7, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BEGUN = torch.ones(WIDTH, dtype=torch.float64)


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sends messages, which Flower's own processes are told when they start."""
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def loss(weights: Tensor, data: Tensor) -> Tensor:
    return ((data @ weights).tanh() - data[:, 0]).square().mean()


class Inline:
    """Flower's grid in one process: each node's app is called, with a context of its own.

    ``answers`` says what becomes of a node's reply; None is silence.
    """

    def __init__(
        self, num_nodes: int, answers: Callable[[int, Message], Message | None] = lambda _, reply: reply
    ) -> None:
        self._app = client_app(FEDERATION, loss, lambda context: DATA[context.node_config["partition-id"]][None])
        self._answers = answers
        self._contexts = {
            100 - 7 * row: Context(1, 100 - 7 * row, {"partition-id": row}, RecordDict(), {})
            for row in range(num_nodes)
        }

    def get_node_ids(self) -> list[int]:
        return list(self._contexts)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        found = []
        for message in messages:
            node = message.metadata.dst_node_id
            reply = self._answers(node, self._app(message, self._contexts[node]))
            found += [] if reply is None else [reply]
        return found


def chance() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def in_one_process(present: list[int]) -> list[Tensor]:
    """The same rounds by the federation alone; rows are in the order of nodes' numbers."""
    weights, served, drawn, found = BEGUN, begin(FEDERATION, WIDTH), chance(), []
    for _ in range(ROUNDS):
        own = local_updates(loss, weights, DATA, FEDERATION.local_steps, FEDERATION.local_rate)
        updates = torch.zeros_like(own)
        for row, node in enumerate(reversed(range(NODES))):  # the first has the largest number
            updates[row] = own[node] if node in present else 0.0
        step, served, _ = federated(FEDERATION, served, updates, drawn)
        weights = weights + step
        found.append(weights)
    return found


def test_rounds_are_those_of_one_process() -> None:
    over = [
        weights for weights, _ in rounds(Inline(NODES), FEDERATION, BEGUN, ROUNDS, num_nodes=NODES, chance=chance())
    ]
    assert torch.allclose(torch.stack(over), torch.stack(in_one_process([*range(NODES)])), rtol=0.0, atol=1e-12)


def test_the_server_keeps_weights_and_figures() -> None:
    context = Context(1, 0, {}, RecordDict(), {})
    server_app(FEDERATION, BEGUN, ROUNDS, num_nodes=NODES, chance=chance())(Inline(NODES), context)
    found = torch.from_numpy(context.state[WEIGHTS][WEIGHTS].numpy())
    assert torch.allclose(found, in_one_process([*range(NODES)])[-1], rtol=0.0, atol=1e-12)
    assert context.state[FIGURES]["silent"] == 0.0
    assert context.state[FIGURES]["clip"] != FEDERATION.clip, "it adapts"


def sending(array: Any) -> RecordDict:
    return RecordDict({UPDATE: ArrayRecord({UPDATE: Array(array)})})


@pytest.mark.parametrize(
    "content",
    [
        None,
        RecordDict(),
        sending(torch.ones(WIDTH + 1, dtype=torch.float64).numpy()),
        sending(torch.ones(WIDTH, dtype=torch.float32).numpy()),
        sending(torch.full((WIDTH,), torch.nan, dtype=torch.float64).numpy()),
        RecordDict({UPDATE: ArrayRecord({UPDATE: Array("float64", (WIDTH,), "numpy.ndarray", b"nonsense")})}),
        RecordDict({UPDATE: ArrayRecord({UPDATE: Array("float64", (WIDTH,), "numpy.ndarray", b"")})}),
        RecordDict({UPDATE: ConfigRecord({UPDATE: "nonsense"})}),
    ],
)
def test_who_is_silent_or_sends_nonsense_counts_as_zeros(content: RecordDict | None) -> None:
    def answers(node: int, reply: Message) -> Message | None:
        if node != 100:
            return reply
        if content is not None:
            reply.content = content
        return None if content is None else reply

    grid = Inline(NODES, answers)
    over, figures = zip(*rounds(grid, FEDERATION, BEGUN, ROUNDS, num_nodes=NODES, chance=chance()), strict=True)
    assert [each["silent"] for each in figures] == [1.0] * ROUNDS
    assert torch.allclose(torch.stack(over), torch.stack(in_one_process([1, 2, 3, 4])), rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("connected", [0, NODES])
def test_how_many_may_be_connected(connected: int) -> None:
    with pytest.raises(InvalidParameter, match=f"wanted 1 to 4 connected nodes, got {connected}"):
        next(rounds(Inline(connected), FEDERATION, BEGUN, ROUNDS, num_nodes=4, chance=chance(), connect_s=0.0))
