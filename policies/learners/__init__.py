"""Learners: each on one page, with a config, what it acts by, and how it is trained."""

LEARNERS: dict[str, str] = {}
"""By name, as ``"module:Class"``, with the paper beside it."""
