"""What Keras keeps for batch renormalization: two pairs of moving averages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from normcraft.moments.reference.averages import moving_average

__all__ = ["RenormAverages"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class RenormAverages:
    """One pair serves training, the other inference; each has a momentum of its own.

    It is the standard deviation s = √(σ² + ε) that is averaged, not the variance, and the variance
    for inference follows from it. Each has shape (channels,).

    Attributes:
        renorm_mean: Of training: `batch_renorm`'s `moving_mean`.
        renorm_stddev: Of training: `batch_renorm`'s `moving_stddev`.
        moving_mean: Of inference.
        moving_stddev: Of inference.

    Example:
        >>> fresh = RenormAverages.initial(channels=1)
        >>> once = fresh.updated([2.0], [9.0], momentum=0.5, renorm_momentum=0.0, epsilon=0.0)
        >>> once.renorm_stddev, once.moving_stddev, once.moving_variance(epsilon=0.0)
        (array([3.]), array([2.]), array([4.]))
    """

    renorm_mean: Array
    renorm_stddev: Array
    moving_mean: Array
    moving_stddev: Array

    @classmethod
    def initial(cls, channels: int) -> RenormAverages:
        """What Keras's layer starts from: means of 0, standard deviations of 1.

        Args:
            channels: How many channels there are.

        Returns:
            The averages of no batch.
        """
        zeros, ones = np.zeros(channels), np.ones(channels)
        return cls(zeros, ones, zeros, ones)

    def updated(
        self,
        mean: Any,
        variance: Any,
        *,
        momentum: float = 0.99,
        renorm_momentum: float = 0.99,
        epsilon: float = 1e-3,
    ) -> RenormAverages:
        """The averages after one more batch.

        Args:
            mean: μ of the batch.
            variance: σ² of the batch, biased.
            momentum: Of the pair for inference.
            renorm_momentum: Of the pair for training.
            epsilon: ε.

        Returns:
            New averages.
        """
        stddev = np.sqrt(np.asarray(variance, "float64") + epsilon)

        def after(average: Array, value: Any, weight: float) -> Array:
            return moving_average([value], initial=average, momentum=weight)

        return RenormAverages(
            after(self.renorm_mean, mean, renorm_momentum),
            after(self.renorm_stddev, stddev, renorm_momentum),
            after(self.moving_mean, mean, momentum),
            after(self.moving_stddev, stddev, momentum),
        )

    def moving_variance(self, *, epsilon: float = 1e-3) -> Array:
        """The variance that inference takes: moving_stddev² − ε, and never below zero.

        Args:
            epsilon: ε, which the standard deviation holds.

        Returns:
            Shape (channels,).
        """
        return np.maximum(self.moving_stddev**2 - epsilon, 0.0)
