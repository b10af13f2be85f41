"""Quantum networks whose links trade rate for quality: what there is to allocate, and what an allocation is worth."""
