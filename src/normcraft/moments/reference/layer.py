"""Layer normalization."""

from __future__ import annotations

from typing import Any

from normcraft.moments.reference._checks import array_and_axis
from normcraft.moments.reference._scale_and_shift import scale_and_shift
from normcraft.moments.reference._standardize import standardize
from normcraft.moments.reference.normalized import Normalized

__all__ = ["layer_norm"]


def layer_norm(
    x: Any, gamma: Any = None, beta: Any = None, *, axis: int = -1, epsilon: float = 1e-3
) -> Normalized:
    """Y = γ·(x − μ) / √(σ² + ε) + β, with μ and σ² over the channels at each row and position.

    Source: Ba, Kiros and Hinton (2016), "Layer Normalization".

    Args:
        x: Shape (batch, …), with channels along `axis`.
        gamma: γ, shape (channels,); None for ones.
        beta: β, shape (channels,); None for zeros.
        axis: Axis of the channels.
        epsilon: ε. Keras's default; PyTorch's is 1e-5.

    Returns:
        The output, with statistics of the input's shape without `axis`.

    Raises:
        InputError: If shapes do not fit.

    Example:
        >>> layer_norm([[1.0, 3.0], [5.0, 5.0]], epsilon=0.001).y.round(3).tolist()
        [[-1.0, 1.0], [0.0, 0.0]]
    """  # noqa: DOC502 - raised further down
    x, axis = array_and_axis(x, axis)
    standardized = standardize(x, (axis,), epsilon=epsilon)
    return scale_and_shift(standardized, gamma, beta, shape=x.shape, axis=axis)
