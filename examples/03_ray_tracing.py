"""An adaptive job: Grover searches trace a scene, ray by ray, and tell their progress; the picture ends in a PNG."""

from __future__ import annotations

from PIL import Image

from circuits.raytracing import RayTracing
from circuits.raytracing.shading import beside, depth_map, lambert
from orchestrator import Client

scene = RayTracing(width=32, height=32, grid_bits=5, camera="perspective", light_x=-2, light_y=-3, light_z=-4)
with Client() as client:
    job = client.submit(scene, shots=1, allow=["sparse"])
    for event in job.events(timeout=120.0):
        if event.kind == "progress":
            print(f"round {event.data['round']:2}  {event.data['partial']['num_pixels_left']:4} rays under way")
    found = job.result().outcome["value"]

light = (scene.light_x, scene.light_y, scene.light_z)
Image.fromarray(beside(lambert(found["hits"], light), depth_map(found["depth"], 31))).save("ray_tracing.png")
rays = scene.width * scene.height
print(f"{found['num_wrong_pixels']} wrong pixels; {found['num_queries'] / rays:.1f} oracle queries a ray")
print(f"where {found['expected_queries'] / rays:.1f} were expected; picture in ray_tracing.png")
