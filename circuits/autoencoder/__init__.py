"""Quantum autoencoders: states to compress, the ansatz, its training, its estimators, and the trained families."""

from circuits.autoencoder.batch import AutoencoderBatch
from circuits.autoencoder.family import Autoencoder

__all__ = ["Autoencoder", "AutoencoderBatch"]
