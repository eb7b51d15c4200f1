"""Normalization by the statistics of a batch, in the form that is fastest on each backend.

Each file offers `normalize(x, gamma, beta, *, epsilon)` for `x` in float32 or float64 with its
channels on the last axis, and gives `(y, mean, variance)`; the variance is biased, and gradients
are those of `y` alone. `plain` does the same for any axis and with a mask, in `keras.ops`.
`moved` is a step of a moving average; eagerly, in PyTorch, it has a form of its own.
"""

from normcraft.layers.kernels.choice import moved, normalize_by_batch

__all__ = ["moved", "normalize_by_batch"]
