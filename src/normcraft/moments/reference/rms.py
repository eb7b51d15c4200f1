"""Root mean square normalization."""

from __future__ import annotations

from typing import Any

from normcraft.moments.reference._checks import array_and_axis
from normcraft.moments.reference._scale_and_shift import scale_and_shift
from normcraft.moments.reference._standardize import standardize
from normcraft.moments.reference.normalized import Normalized

__all__ = ["rms_norm"]


def rms_norm(
    x: Any, gamma: Any = None, beta: Any = None, *, axis: int = -1, epsilon: float = 1e-6
) -> Normalized:
    """Y = γ·x / √(mean(x²) + ε) + β: layer normalization that does not subtract the mean.

    Source: Zhang and Sennrich (2019), "Root Mean Square Layer Normalization".

    Args:
        x: Shape (batch, …), with channels along `axis`.
        gamma: γ, shape (channels,), which Keras calls `scale`; None for ones.
        beta: β, shape (channels,), which Keras's layer does not have; None for zeros.
        axis: Axis of the channels.
        epsilon: ε. Keras's default, which is smaller here than for the other kinds.

    Returns:
        The output, with statistics of the input's shape without `axis`. They are moments about
        zero: `mean` is 0, `variance` the mean of the squares.

    Raises:
        InputError: If shapes do not fit.

    Example:
        >>> normalized = rms_norm([[3.0, -3.0, 3.0]])
        >>> normalized.y.round(3).tolist(), normalized.variance
        ([[1.0, -1.0, 1.0]], array([9.]))
    """  # noqa: DOC502 - raised further down
    x, axis = array_and_axis(x, axis)
    standardized = standardize(x, (axis,), epsilon=epsilon, centered=False)
    return scale_and_shift(standardized, gamma, beta, shape=x.shape, axis=axis)
