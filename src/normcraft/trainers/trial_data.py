"""The data of one trial: what trains, what validates, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from normcraft.data import Dataset, batch_order, split, take
from normcraft.records import TrialSpec

__all__ = ["TrialData"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class TrialData:
    """Training and validation data of one seed.

    Attributes:
        dataset: The whole data.
        training: Indices into the dataset's training data; None for all of it.
        x_validation: Validation inputs.
        y_validation: Validation labels.
    """

    dataset: Dataset
    training: Array | None
    x_validation: Any
    y_validation: Any

    @classmethod
    def of_seed(cls, dataset: Dataset, seed: int) -> TrialData:
        """The split of a seed: validation data that were given, else a fifth, stratified by label.

        Returns:
            The data of that seed's trials.
        """
        if dataset.x_validation is not None:
            return cls(dataset, None, dataset.x_validation, dataset.y_validation)
        training, validation = split(dataset.y_train, seed=seed)
        return cls(
            dataset,
            training,
            take(dataset.x_train, validation),
            take(dataset.y_train, validation),
        )

    @property
    def num_samples(self) -> int:
        """Number of training samples."""
        return self.dataset.num_samples if self.training is None else len(self.training)

    def epoch(self, spec: TrialSpec, epoch: int) -> tuple[Any, Any]:
        """Inputs and labels of one epoch, in the order that the seed and the epoch give.

        Returns:
            `(x, y)` to be trained on without shuffling.
        """
        order = batch_order(
            self.num_samples,
            batch_size=spec.batch_size,
            steps=spec.steps_per_epoch,
            seed=spec.seed,
            epoch=epoch,
            shuffle=spec.shuffle,
        )
        return self._take(order)

    def everything(self) -> tuple[Any, Any]:
        """All training data in its own order.

        Returns:
            `(x, y)`.
        """
        return self._take(np.arange(self.num_samples))

    def sample(self, size: int) -> Any:
        """Inputs of the first training samples.

        Returns:
            At most `size` inputs.
        """
        return self._take(np.arange(min(size, self.num_samples)))[0]

    def _take(self, order: Array) -> tuple[Any, Any]:
        indices = order if self.training is None else self.training[order]
        return take(self.dataset.x_train, indices), take(self.dataset.y_train, indices)
