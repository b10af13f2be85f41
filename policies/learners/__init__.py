"""Learners: each on one page, with a config, what it acts by, and how it is trained."""

LEARNERS: dict[str, str] = {
    "hmadrl": "policies.learners.hmadrl:HMADRL",  # MEQC, Section IV: as the paper states it
    "hmadrl_vqc": "policies.learners.hmadrl_vqc:HmadrlVqc",  # MEQC, IV.C: on variational circuits
    "scoring": "policies.learners.scoring:Scoring",  # Ciosek and Whiteson 2020, expected policy gradients; ours
    "bidding": "policies.learners.bidding:Bidding",  # Bertsekas 1988, auctions; ours
    "going": "policies.learners.going:Going",  # as scoring, in the QCN; ours
    "agreeing": "policies.learners.agreeing:Agreeing",  # Monderer and Shapley 1996, best responses in turns; ours
    "mappo": "policies.learners.mappo:Mappo",  # Yu et al. 2022, MAPPO
    "ppo": "policies.learners.ppo:PPO",  # Schulman et al. 2017, PPO, for any world
    "dqn": "policies.learners.dqn:DQN",  # Mnih et al. 2015, DQN
    "ddpg": "policies.learners.ddpg:DDPG",  # Lillicrap et al. 2016, DDPG
    "pdqn": "policies.learners.pdqn:PDQN",  # Xiong et al. 2018, P-DQN; Bester et al. 2019
    "vqc_q": "policies.learners.vqc_q:VqcQ",  # Skolik et al. 2022, Lockwood and Si 2020, Q-learning on circuits
    "vqc_pg": "policies.learners.vqc_pg:VqcPG",  # Jerbi et al. 2021, softmax-VQC
    "quantum_rl": "policies.learners.quantum_rl:QuantumRL",  # Dong et al. 2008, amplified amplitudes
    "dagger": "policies.learners.dagger:Dagger",  # Ross, Gordon and Bagnell 2011, DAgger
    "placing": "policies.learners.placing:Placing",  # Salimans et al. 2017, evolution strategies
    "prices": "policies.learners.prices:LearnedPrices",  # ours, of Sunehag et al. 2018, value decomposition
    "bc": "policies.learners.bc:Bc",  # behaviour cloning of a log, or of its best part
    "decision_transformer": "policies.learners.decision_transformer:DecisionTransformer",  # Chen et al. 2021
    "decision_diffuser": "policies.learners.decision_diffuser:DecisionDiffuser",  # Ajay et al. 2023
}
"""By name, as ``"module:Class"``, with the paper beside it."""
