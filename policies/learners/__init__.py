"""Learners: each on one page, with a config, what it acts by, and how it is trained."""

LEARNERS: dict[str, str] = {
    "hmadrl": "policies.learners.hmadrl:HMADRL",  # MEQC, Section IV: as the paper states it
    "hmadrl_vqc": "policies.learners.hmadrl_vqc:HmadrlVqc",  # MEQC, IV.C: on variational circuits
}
"""By name, as ``"module:Class"``, with the paper beside it."""
