"""Moments of batches and populations, and the mathematics of normalization, in float64 NumPy."""

from normcraft.moments import reference
from normcraft.moments.combination import combine_moments

__all__ = ["combine_moments", "reference"]
