"""Quantum ray tracing: the nearest primitive along each ray of an image tile, by amplitude amplification."""

from circuits.raytracing.tracer import RayTracing

__all__ = ["RayTracing"]
