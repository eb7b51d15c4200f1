"""The data of one trial: what trains, what validates, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from normcraft._core.keras_private import class_weight_to_sample_weights
from normcraft.data import Dataset, batch_order, split, take
from normcraft.records import TrialSpec
from normcraft.surgery.probe import BATCH_SIZE, num_rows
from normcraft.trainers.class_weight import ClassWeight, balanced_weights

__all__ = ["TrialData"]

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class TrialData:
    """Training and validation data of one seed.

    Attributes:
        dataset: The whole data.
        training: Indices into the dataset's training data; None for all of it.
        validation: Indices likewise; None where the dataset has validation data of its own.
        class_weight: How much the samples of each class count in training; None for alike.
    """

    dataset: Dataset
    training: Array | None = None
    validation: Array | None = None
    class_weight: ClassWeight | None = None

    @classmethod
    def of_seed(
        cls, dataset: Dataset, seed: int, class_weight: ClassWeight | None = None
    ) -> TrialData:
        """The split of a seed: validation data that were given, else a fifth, stratified by label.

        Returns:
            The data of that seed's trials.
        """
        if dataset.x_validation is not None:
            return cls(dataset, class_weight=class_weight)
        return cls(dataset, *split(dataset.y_train, seed=seed), class_weight)

    @property
    def judging_parts(self) -> tuple[str, ...]:
        """What judges: `"validation"`, and `"test"` where there are such data."""
        return ("validation",) if self.dataset.x_test is None else ("validation", "test")

    def judged_on(self, part: str) -> tuple[Any, Any]:
        """Inputs and labels that judge.

        Args:
            part: `"validation"` or `"test"`.

        Returns:
            `(x, y)`.
        """
        if part == "test":
            return self.dataset.x_test, self.dataset.y_test
        return self.x_validation, self.y_validation

    def num_judged(self, part: str) -> int:
        """How many samples judge; no inputs are copied for it.

        Args:
            part: `"validation"` or `"test"`.

        Returns:
            Their number.
        """
        return num_rows(self.dataset.y_test if part == "test" else self.y_validation)

    @cached_property
    def x_validation(self) -> Any:
        """Validation inputs."""
        return self._of_validation(self.dataset.x_validation, self.dataset.x_train)

    @cached_property
    def y_validation(self) -> Any:
        """Validation labels."""
        return self._of_validation(self.dataset.y_validation, self.dataset.y_train)

    def _of_validation(self, given: Any, training: Any) -> Any:
        return given if self.validation is None else take(training, self.validation)

    @property
    def num_samples(self) -> int:
        """Number of training samples; of a stream, as many as its last whole pass had."""
        if self.dataset.stream is not None and self.dataset.stream.rows is not None:
            return self.dataset.stream.rows
        return self.dataset.num_samples if self.training is None else len(self.training)

    def epochs(self, spec: TrialSpec) -> Iterator[dict[str, Any]]:
        """What each epoch trains on, in order and without shuffling.

        Arrays come in the order that seed and epoch give. A stream comes in its own order: whole
        passes, or with `steps_per_epoch` so many batches, going on where the last epoch stopped.

        Yields:
            Arguments for `Model.fit`.
        """
        stream, size, steps = self.dataset.stream, spec.batch_size, spec.steps_per_epoch
        endless = stream.endless_batches(size) if stream is not None else None
        for epoch in range(spec.epochs):
            if stream is None or endless is None:
                # Nothing here holds on to the arrays of an epoch while the next are made.
                arrays = dict(zip("xy", self.epoch(spec, epoch), strict=True))
                yield {**arrays, "batch_size": size, "class_weight": self.weight_of_class}
            else:
                # Told how many, `fit` does not run into the end: TensorFlow would count a step.
                batches = islice(endless, steps) if steps else stream.batches(size)
                number = steps or stream.num_batches(size)
                yield {"x": _begun(self._weighted(batches)), "steps_per_epoch": number}

    @cached_property
    def weight_of_class(self) -> Mapping[int, float] | None:
        """How much samples of each class count in training, as `Model.fit` takes it."""
        if isinstance(self.class_weight, str):
            return balanced_weights(self.labels)
        return self.class_weight

    @cached_property
    def sample_weights(self) -> Any:
        """An array: the weight of each sample of the dataset's training data; None for alike."""
        return self._weights(self.dataset.y_train)

    def _weights(self, y: Any) -> Any:
        weights = self.weight_of_class
        return None if weights is None else class_weight_to_sample_weights(y, weights)

    def _weighted(self, batches: Iterator[Any]) -> Iterator[Any]:
        # `fit` itself weighs the classes of arrays alone.
        if self.class_weight is None:
            return batches
        return ((x, y, self._weights(y)) for x, y in batches)

    def epoch(self, spec: TrialSpec, epoch: int) -> tuple[Any, Any]:
        """Inputs and labels of one epoch, in the order that the seed and the epoch give.

        Returns:
            `(x, y)` to be trained on without shuffling.
        """
        return self._take(self.order(spec, epoch))

    def order(self, spec: TrialSpec, epoch: int) -> Array:
        """Which samples an epoch trains on, in the order that the seed and the epoch give.

        Returns:
            Indices into the dataset's training data.
        """
        order = batch_order(
            self.num_samples,
            batch_size=spec.batch_size,
            steps=spec.steps_per_epoch,
            seed=spec.seed,
            epoch=epoch,
            shuffle=spec.shuffle,
        )
        return self.rows[order]

    @cached_property
    def rows(self) -> Array:
        """The training samples in their own order: indices into the dataset's training arrays."""
        return np.arange(self.dataset.num_samples) if self.training is None else self.training

    def inputs(self, spec: TrialSpec) -> Any:
        """The inputs over which a trial's statistics are re-estimated: no more than it saw.

        Returns:
            Arrays; of a stream an iterator over batches.
        """
        stream = self.dataset.stream
        if stream is None:
            return self._take(self.input_rows(spec))[0]
        seen = _samples_seen(spec)
        most = seen and -(-seen // BATCH_SIZE)
        return (x for x, _ in islice(stream.batches(BATCH_SIZE), most))

    def input_rows(self, spec: TrialSpec) -> Array:
        """Which samples `inputs` takes: all, or as many as a trial of few steps trained on.

        Returns:
            Indices into the dataset's training data.
        """
        seen = _samples_seen(spec)
        if seen is None or seen >= self.num_samples:
            return self.rows
        return self.order(replace(spec, steps_per_epoch=None), 0)[:seen]

    @property
    def labels(self) -> Any:
        """Labels that show how the classes are distributed.

        Returns:
            Those of all training data; of a stream those of the validation data.
        """
        if self.dataset.is_stream:
            return self.y_validation
        return take(self.dataset.y_train, self.rows)

    def sample(self, size: int) -> Any:
        """Inputs of the first training samples.

        Returns:
            At most `size` inputs.
        """
        return self._take(self.rows[:size])[0]

    def _take(self, rows: Array) -> tuple[Any, Any]:
        return take(self.dataset.x_train, rows), take(self.dataset.y_train, rows)


def _samples_seen(spec: TrialSpec) -> int | None:
    # In all epochs, the same ones perhaps several times; None for all of the data.
    steps = spec.steps_per_epoch
    return steps and spec.epochs * steps * spec.batch_size


def _begun(batches: Iterator[Any]) -> Iterator[Any]:
    """The same batches, the first one taken already; `Model.fit` wants a plain generator.

    A pass is so begun outside `fit`, with the random streams of the user's own.

    Returns:
        A generator.
    """
    first = next(batches)

    def all_of_them() -> Iterator[Any]:
        yield first
        yield from batches

    return all_of_them()
