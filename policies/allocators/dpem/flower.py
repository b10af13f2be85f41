"""The rounds of :mod:`policies.allocators.dpem.federation` between machines, by Flower: nodes keep their data.

Source of the rounds: there. Flower (Beutel et al. 2020, "Flower: a friendly federated learning research framework")
carries the messages; its own strategies and noise are not used. A node's :func:`client_app` sends what its own gradient
steps change; :func:`server_app` clips, sums, noises and adds: nodes trust it, as in the federation of one process.

A node that is not connected, answers too late or with an error, or sends what is no update of these weights counts as
one that sends zeros: the denominator is public and stays. Who takes part in a round (``sampled``) is drawn by the
server when all have answered, and nobody is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed
from torch import Tensor

from circuits.errors import DependencyNotInstalled, InvalidParameter
from policies.allocators.dpem.federation import Federation, begin, federated, local_updates

try:
    from flwr.app import Array, ArrayRecord, Message, MessageType, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
except ModuleNotFoundError as error:
    raise DependencyNotInstalled("a federation between machines", "flwr", "flwr") from error

WEIGHTS, UPDATE, FIGURES = "weights", "update", "figures"
"""Records of messages and of the server's state."""

POLL_S = 0.2
"""Between two looks at who is connected (ours)."""


def client_app(federation: Federation, loss: Callable[[Tensor, Any], Tensor], data: Callable[[Any], Any]) -> ClientApp:
    """A node.

    Args:
        loss: (weights (d,), its data) to a scalar.
        data: of Flower's context of the node, whose ``node_config`` says who it is: what ``loss`` takes, with a first
            axis of 1.
    """
    app = ClientApp()

    @app.train()  # type: ignore[untyped-decorator, unused-ignore]
    def train(message: Message, context: Any) -> Message:
        weights = _vector(message.content, WEIGHTS)
        steps, rate = federation.local_steps, federation.local_rate
        (update,) = local_updates(loss, weights, data(context), steps, rate)
        return Message(_record(UPDATE, update), reply_to=message)

    return app


def server_app(federation: Federation, weights: Tensor, num_rounds: int, **others: Any) -> ServerApp:
    """The server; when it is done, ``context.state`` has the weights and the last round's figures.

    Args:
        others: as :func:`rounds`.
    """
    app = ServerApp()

    @app.main()  # type: ignore[untyped-decorator, unused-ignore]
    def main(grid: Any, context: Any) -> None:
        for found, figures in rounds(grid, federation, weights, num_rounds, **others):
            context.state[WEIGHTS] = ArrayRecord({WEIGHTS: Array(found.numpy())})
            context.state[FIGURES] = MetricRecord(figures)

    return app


def rounds(
    grid: Any,
    federation: Federation,
    weights: Tensor,
    num_rounds: int,
    *,
    num_nodes: int,
    chance: torch.Generator,
    connect_s: float = 60.0,
    timeout_s: float = 600.0,
) -> Iterator[tuple[Tensor, dict[str, float]]]:
    """Weights (d,) after every round, and its figures: those of ``federated``, and how many nodes were ``silent``.

    Args:
        grid: Flower's.   weights: to begin with, (d,).   num_nodes: N, what sums are divided by.
        chance: of who takes part and of the noise; who knows its seed can take the noise off.
        connect_s: to wait for all nodes before the first round; then it goes on with those that are there.
        timeout_s: for the answers of a round.

    Raises:
        InvalidParameter: nobody is connected, or more than N nodes are.
    """
    served = begin(federation, len(weights))
    _gathered(grid, num_nodes, connect_s)
    for number in range(num_rounds):
        nodes = sorted(grid.get_node_ids())
        if not 1 <= len(nodes) <= num_nodes:
            raise InvalidParameter(
                f"num_nodes: wanted 1 to {num_nodes} connected nodes, got {len(nodes)}; start SuperNodes or count anew"
            )
        sent = [Message(_record(WEIGHTS, weights), node, MessageType.TRAIN, group_id=str(number)) for node in nodes]
        updates, heard = weights.new_zeros(num_nodes, len(weights)), set()
        for reply in grid.send_and_receive(sent, timeout=timeout_s):
            update = None if reply.has_error() else _update(reply.content, weights)
            if update is not None:
                row = nodes.index(reply.metadata.src_node_id)
                updates[row] = update
                heard.add(row)
        step, served, figures = federated(federation, served, updates, chance)
        weights = weights + step
        yield weights, figures | {"silent": float(num_nodes - len(heard))}


def _gathered(grid: Any, num_nodes: int, connect_s: float) -> None:
    """Wait until so many nodes are connected, or for so long. Flower tells nobody that one has come: it is asked."""
    asking = Retrying(
        retry=retry_if_result(lambda nodes: len(nodes) < num_nodes),
        wait=wait_fixed(POLL_S),
        stop=stop_after_delay(connect_s),
        retry_error_callback=lambda _: None,
    )
    asking(lambda: list(grid.get_node_ids()))


def _record(name: str, vector: Tensor) -> RecordDict:
    return RecordDict({name: ArrayRecord({name: Array(vector.numpy())})})


def _vector(content: RecordDict, name: str) -> Tensor:
    return torch.from_numpy(content[name][name].numpy())


def _update(content: RecordDict, weights: Tensor) -> Tensor | None:
    """What a node sent, if it is an update of these weights: one node's nonsense must not end a round, nor be in it.

    It has to be written as the weights are, to the byte but for its values; what else an array may be is never read.
    """
    records, own = content.get(UPDATE), Array(weights.numpy()).data
    sent = records.get(UPDATE) if isinstance(records, ArrayRecord) else None
    begins = len(own) - weights.nbytes
    if sent is None or len(sent.data) != len(own) or sent.data[:begins] != own[:begins]:
        return None
    found = torch.frombuffer(bytearray(sent.data), dtype=weights.dtype, offset=begins)
    return found if found.isfinite().all() else None
