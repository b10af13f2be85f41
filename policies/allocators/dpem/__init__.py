"""DPEM: allocation of entangled pairs by agents that see their surroundings, forecast, and learn by federation.

Source: the DPEM paper; what it leaves open and how it is settled here: ``policies/envs/entanglement/SPEC.md``.
"""
