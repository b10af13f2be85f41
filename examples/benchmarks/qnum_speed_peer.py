"""The peers of ``qnum_speed.py``: SeQUeNCe and SimQN, each in a process and an environment of its own.

    python -m venv peers/sequence && peers/sequence/bin/pip install sequence==0.8.5
    python -m venv peers/simqn && peers/simqn/bin/pip install qns==0.2.3
    python examples/benchmarks/qnum_speed.py --peers peers/sequence/bin/python peers/simqn/bin/python

Nothing of qorch is imported here. Reads one JSON object (chains, number of bare events) and writes one: bare events per
second of processor time, and what came out of the chains. They are the same for all: requests of a Poisson process,
links that make pairs on demand, first come, first served, swaps in order, memories that decohere. Events are the peer's
own, on the peer's own clock (picoseconds, or 1e-10 s here); SimQN's pairs are its ``WernerStateEntanglement``, with its
swapping and its error of storage. SeQUeNCe's own pairs are density matrices behind protocols that make pairs
ahead of demand, with other times of generation: here its kernel carries Werner parameters, as ours does.
"""

from __future__ import annotations

import importlib.util
import json
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

Later = Callable[[float, Callable[..., None], Any], None]
"""Schedules a call after some seconds."""


class SeQUeNCe:
    """SeQUeNCe's timeline, in picoseconds."""

    name = "sequence"

    def __init__(self, seconds: float) -> None:
        from sequence.kernel.event import Event
        from sequence.kernel.process import Process
        from sequence.kernel.timeline import Timeline

        self._event, self._process = Event, Process
        self.line = Timeline(int(seconds * 1e12))

    def later(self, seconds: float, call: Callable[..., None], *told: Any) -> None:
        at = self.line.now() + max(1, round(seconds * 1e12))
        process = self._process(_Owner(call), "call", list(told))
        self.line.schedule(self._event(at, process))

    def now(self) -> float:
        return self.line.now() * 1e-12

    def run(self) -> None:
        self.line.init()
        self.line.run()

    pair = None


class _Owner:
    """SeQUeNCe calls methods by name."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[..., None]) -> None:
        self.call = call


class SimQN:
    """SimQN's simulator, with 1e10 slots a second."""

    name = "qns"

    def __init__(self, seconds: float) -> None:
        from qns.models.epr import WernerStateEntanglement
        from qns.simulator.event import Event
        from qns.simulator.simulator import Simulator

        class Call(Event):
            def __init__(self, at: Any, call: Callable[..., None], told: Any) -> None:
                super().__init__(at)
                self.call, self.told = call, told

            def invoke(self) -> None:
                self.call(*self.told)

        self._event, self.pair = Call, WernerStateEntanglement
        self.core = Simulator(0, seconds, accuracy=10_000_000_000)

    def later(self, seconds: float, call: Callable[..., None], *told: Any) -> None:
        slot = self.core.tc.time_slot + max(1, round(seconds * 1e10))
        self.core.add_event(self._event(self.core.time(time_slot=slot), call, told))

    def now(self) -> float:
        return float(self.core.tc.sec)

    def run(self) -> None:
        self.core.run()


class Chain:
    """Links in a row, and one flow over all of them."""

    def __init__(self, core: Any, asked: dict[str, Any]) -> None:
        self.core, self.chance = core, random.Random(asked["seed"])
        self.rate_hz, self.made_hz, self.w = asked["rate_hz"], asked["made_hz"], asked["w"]
        self.decay_hz, self.light_s, self.hops = asked["decay_hz"], asked["light_s"], asked["hops"]
        self.queues: list[deque[list[Any]]] = [deque() for _ in range(self.hops)]
        self.from_s, self.events, self.delivered, self.werner = asked["from_s"], 0, 0, 0.0
        core.later(self.chance.expovariate(self.rate_hz), self.emit)

    def emit(self) -> None:
        self.events += 1
        self.core.later(self.chance.expovariate(self.rate_hz), self.emit)
        self.join(0, None, 1.0)

    def join(self, hop: int, pair: Any, w: float) -> None:
        queue = self.queues[hop]
        queue.append([pair, w, self.core.now()])
        if len(queue) == 1:
            self.core.later(self.chance.expovariate(self.made_hz), self.ready, hop)

    def ready(self, hop: int) -> None:
        self.events += 1
        pair, w, since_s = self.queues[hop].popleft()
        waited_s = self.core.now() - since_s
        if self.core.pair is not None:
            fresh = self.core.pair(fidelity=0.25 + 0.75 * self.w)
            if hop > 0:
                pair.store_error_model(waited_s, self.decay_hz)
            pair = fresh if hop == 0 else pair.swapping(fresh)
            pair.store_error_model(self.light_s, self.decay_hz)
        else:
            w *= self.w * math.exp(-self.decay_hz * ((waited_s if hop > 0 else 0.0) + self.light_s))
        self.core.later(self.light_s, self.arrive, hop + 1, pair, w)
        if self.queues[hop]:
            self.core.later(self.chance.expovariate(self.made_hz), self.ready, hop)

    def arrive(self, hop: int, pair: Any, w: float) -> None:
        self.events += 1
        if hop < self.hops:
            self.join(hop, pair, w)
            return
        self.core.later(self.light_s * self.hops, self.acknowledged)
        if self.core.now() >= self.from_s:
            self.delivered += 1
            self.werner += w if pair is None else pair.w

    def acknowledged(self) -> None:
        self.events += 1


def bare(core_type: Any, num_events: int) -> float:
    """Events per second of processor time, each of which schedules the next."""
    core = core_type(num_events * 2e-6)
    left = num_events

    def again() -> None:
        nonlocal left
        left -= 1
        if left > 0:
            core.later(1e-6, again)

    core.later(1e-6, again)
    begun = time.process_time()
    core.run()
    return num_events / (time.process_time() - begun)


def main() -> None:
    """Measure and say."""
    core_type = SeQUeNCe if importlib.util.find_spec("sequence") else SimQN
    asked = json.loads(sys.stdin.read())
    answer: dict[str, Any] = {"name": core_type.name, "bare": [bare(core_type, asked["num_bare"]) for _ in range(3)]}
    answer["chains"] = []
    for one in asked["chains"]:
        core = core_type(one["seconds"])
        chain = Chain(core, one)
        begun = time.process_time()
        core.run()
        spent_s = time.process_time() - begun
        told = {"rate_hz": chain.delivered / (one["seconds"] - one["from_s"]), "w": chain.werner / chain.delivered}
        answer["chains"].append({**told, "events": chain.events, "events_per_s": chain.events / spent_s})
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
