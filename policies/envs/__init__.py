"""Simulated worlds in which policies are trained, and what is known exactly about them."""
