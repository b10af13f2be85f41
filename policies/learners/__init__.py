"""Learners: each on one page, with a config, what it acts by, and how it is trained."""

LEARNERS: dict[str, str] = {
    "hmadrl": "policies.learners.hmadrl:HMADRL",  # MEQC, Section IV: as the paper states it
    "hmadrl_vqc": "policies.learners.hmadrl_vqc:HmadrlVqc",  # MEQC, IV.C: on variational circuits
    "scoring": "policies.learners.scoring:Scoring",  # Ciosek and Whiteson 2020, expected policy gradients; ours
    "bidding": "policies.learners.bidding:Bidding",  # Bertsekas 1988, auctions; ours
    "mappo": "policies.learners.mappo:Mappo",  # Yu et al. 2022, MAPPO
    "ppo": "policies.learners.ppo:PPO",  # Schulman et al. 2017, PPO, for any world
    "dagger": "policies.learners.dagger:Dagger",  # Ross, Gordon and Bagnell 2011, DAgger
}
"""By name, as ``"module:Class"``, with the paper beside it."""
