"""Simulated worlds in which policies are trained, and what is known exactly about them."""

ENVS: dict[str, str] = {
    "MEQC-v1": "policies.envs.meqc.world:World",  # Xu et al., MEQC: independent slots, as in the paper
}
"""Batched worlds by name; a version changes when a world does."""
