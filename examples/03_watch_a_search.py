"""An adaptive job: Grover searches trace a tile of an image, and tell their progress round by round."""

from __future__ import annotations

from circuits.raytracing import RayTracing
from orchestrator import Client

with Client() as client:
    job = client.submit(RayTracing(width=3, height=2, x0=6, y0=6), shots=16)
    for event in job.events(timeout=120.0):
        if event.kind == "progress":
            print(f"round {event.data['round']:2}  {event.data['partial']['depth']}")
    outcome = job.result().outcome

print(f"{outcome['value']['num_queries']} oracle queries; right pixels: {outcome['score']:.0%}")
