"""Quantum autoencoders: states to compress, the ansatz, its training, its estimators, and the trained family."""

from circuits.autoencoder.family import Autoencoder

__all__ = ["Autoencoder"]
