"""Normalization by the statistics of a batch, in the form that is fastest on each backend.

Each file offers `normalize(x, gamma, beta, *, epsilon)` for `x` of shape (values, channels) in
float32 or float64 and gives `(y, mean, variance)`; gradients flow through `y` alone, statistics and
all, and the variance is biased. `plain` does the same for any axis and with a mask, in `keras.ops`.
"""

from normcraft.layers.kernels.choice import normalize_by_batch

__all__ = ["normalize_by_batch"]
