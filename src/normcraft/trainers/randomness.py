"""Random streams that follow from a trial's seed, also where a backend keeps one of its own.

Keras layers draw from states of their own, but on PyTorch dropout without a seed in its
configuration draws from PyTorch's global generator (its native operation takes no other).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import keras

__all__ = ["kept_stream", "stream_seeder"]


def kept_stream() -> AbstractContextManager[None]:
    """A context after which the backend's own random stream is as it was before.

    Returns:
        A context manager.

    Example:
        >>> with kept_stream():
        ...     pass
    """
    if keras.backend.backend() != "torch":
        return nullcontext()
    import torch

    forked: AbstractContextManager[None] = torch.random.fork_rng()
    return forked


def stream_seeder(seed: int) -> list[keras.callbacks.Callback]:
    """Callbacks for `fit` that seed the backend's own stream right before the first batch.

    Not earlier: what Keras builds when `fit` is first called may draw from it.

    Args:
        seed: In [0, 2³¹).

    Returns:
        No callback where the backend has no stream of its own.

    Example:
        >>> len(stream_seeder(1)) <= 1
        True
    """
    if keras.backend.backend() != "torch":
        return []
    import torch

    return [keras.callbacks.LambdaCallback(on_epoch_begin=lambda *_: torch.manual_seed(seed))]
