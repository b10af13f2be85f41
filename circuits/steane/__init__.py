"""Steane's seven-qubit code: the circuit family, its parts, and what keeping a logical qubit with it is worth."""

from circuits.steane.code import CHECKS, NUM_DATA, encoder, syndrome
from circuits.steane.family import Steane

__all__ = ["CHECKS", "NUM_DATA", "Steane", "encoder", "syndrome"]
