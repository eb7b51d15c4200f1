"""What a model's own metric says of predictions, by a compiled program."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import keras

from normcraft.trainers.fused.shared import Needed, Shared
from normcraft.trainers.scoring import as_tensors, scores_of

__all__ = ["CompiledScores"]


class CompiledScores:
    """`score_of`, compiled: op by op, what Keras's metrics do would be compiled op by op.

    Args:
        model: A compiled model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._scores = Shared(self._of_predictions, alike=1, seldom=True)

    def build(self, y: Any, predictions: Any) -> Needed:
        """Builds the model's metrics.

        Args:
            y: Labels.
            predictions: In the structure of the model's outputs.

        Returns:
            The program for labels and predictions like these.
        """
        arguments = self._arguments(y, predictions)
        with self._scope(arguments[0]):  # makes variables when it is left, not while one traces
            jax.eval_shape(partial(scores_of, self._model), *arguments[1:])
        return Needed(self._scores, arguments)

    def __call__(self, y: Any, predictions: Any, metric: str) -> float:
        """A score; arguments as `score_of` takes them behind the model.

        Returns:
            The score.
        """
        return float(self._scores(*self._arguments(y, predictions))[metric])

    def _arguments(self, y: Any, predictions: Any) -> tuple[Any, ...]:
        # A loss holds what regularizes the weights.
        weights = [variable.value for variable in self._model.trainable_variables]
        return weights, as_tensors(y), as_tensors(predictions)

    def _scope(self, weights: list[Any]) -> keras.StatelessScope:
        pairs = zip(self._model.trainable_variables, weights, strict=True)
        return keras.StatelessScope(state_mapping=list(pairs))

    def _of_predictions(self, weights: list[Any], y: Any, predictions: Any) -> dict[str, Any]:
        with self._scope(weights):
            return scores_of(self._model, y, predictions)
