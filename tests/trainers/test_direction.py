"""Which way a metric is better: known, or measured on the labels themselves."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normcraft.trainers import find_objective

layers, ops = keras.layers, keras.ops
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(8, 4)).astype("float32")
NUMBERS = RANDOM.normal(3, 1, size=(8, 1)).astype("float32")
CLASSES = RANDOM.integers(0, 3, 8)


def miss(y, prediction):
    return ops.abs(y - prediction)


def closeness(y, prediction):
    return 1 / (1 + ops.abs(y - prediction))


def hits(y, prediction):
    return ops.cast(
        ops.argmax(prediction, -1) == ops.cast(ops.reshape(y, (-1,)), "int32"), "float32"
    )


def misses(y, prediction):
    return 1 - hits(y, prediction)


def pinball(y, prediction):
    return ops.maximum(0.9 * (y - prediction), -0.1 * (y - prediction))


class Ratio(keras.metrics.Mean):
    """A class of the user's own, as a stateful metric."""

    def update_state(self, y, prediction, sample_weight=None):
        return super().update_state(ops.abs(y - prediction) / ops.abs(y))


def compiled(units, metrics, loss="mse"):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units)])
    model.compile("sgd", loss, metrics=metrics)
    return model


@pytest.mark.parametrize(
    ("metric", "up"),
    [
        (miss, False),
        (closeness, True),
        (pinball, False),
        (Ratio(name="my_score"), False),
        (keras.metrics.MeanSquaredError(name="accuracy_of_mine"), False),
        (keras.metrics.R2Score(name="error"), True),
        ("mae", False),
    ],
)
def test_of_numbers(metric, up):
    objective = find_objective(compiled(1, [metric]), X, NUMBERS)
    assert objective.higher_is_better is up
    assert not objective.as_fraction


@pytest.mark.parametrize(("metric", "up"), [(hits, True), (misses, False), ("accuracy", True)])
@pytest.mark.parametrize("labels", [CLASSES, np.full(8, 2), np.sort(CLASSES)])
def test_of_classes(metric, up, labels):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert find_objective(compiled(3, [metric], loss), X, labels).higher_is_better is up


def test_targets_that_are_all_alike_still_tell():
    assert not find_objective(compiled(1, [miss]), X, np.ones((8, 1))).higher_is_better


def test_where_nothing_is_measured_the_name_decides():
    def flat_error(y, prediction):
        return 0 * prediction

    def flat(y, prediction):
        return 0 * prediction

    assert not find_objective(compiled(1, [flat_error]), X, NUMBERS).higher_is_better
    assert find_objective(compiled(1, [flat]), X, NUMBERS).higher_is_better


def test_of_several_outputs_each_key_has_its_own():
    entry = keras.Input((4,))
    outputs = {"a": layers.Dense(3, name="a")(entry), "b": layers.Dense(1, name="b")(entry)}
    model = keras.Model(entry, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", {"a": loss, "b": "mse"}, metrics={"a": [hits], "b": [miss, closeness]})
    y = {"a": CLASSES, "b": NUMBERS}
    found = {
        key: find_objective(model, X, y, metric=key).higher_is_better
        for key in ("loss", "a_loss", "b_loss", "a_hits", "b_miss", "b_closeness")
    }
    assert [key for key, up in found.items() if up] == ["a_hits", "b_closeness"]


@pytest.mark.parametrize(("metric", "points"), [("accuracy", True), ("r2_score", False)])
def test_only_shares_are_told_in_points(metric, points):
    objective = find_objective(compiled(1, [metric]), X, NUMBERS)
    assert objective.higher_is_better
    assert objective.as_fraction is points
