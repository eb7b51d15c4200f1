"""Loss, metric and direction: from the compiled model, else from output and labels."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from normcraft._core.errors import InputError
from normcraft.data import from_arrays
from normcraft.trainers import (
    TrialData,
    check_labels,
    ensure_compiled,
    find_objective,
    loss_name,
)
from normcraft.trainers.chance import chance_score, constant_prediction

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(60, 4)).astype("float32")


def model_with(units: int, activation: str | None = None) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), layers.Dense(units, activation)])


CLASSES = RANDOM.integers(0, 3, 60)
CASES = [
    (model_with(3, "softmax"), CLASSES, "accuracy", True),
    (model_with(3), CLASSES, "accuracy", True),
    (model_with(3, "softmax"), np.eye(3, dtype="float32")[CLASSES], "accuracy", True),
    (model_with(1, "sigmoid"), CLASSES > 0, "binary_accuracy", True),
    (model_with(1), X @ np.ones(4, "float32") * 3, "mean_absolute_error", False),
    (model_with(2), X[:, :2] * 2, "mean_absolute_error", False),
]


@pytest.mark.parametrize(("model", "y", "metric", "up"), CASES)
def test_an_uncompiled_model_is_compiled_by_its_labels(model, y, metric, up):
    model = keras.models.clone_model(model)
    ensure_compiled(model, np.asarray(y))
    objective = find_objective(model, X, np.asarray(y))
    assert (objective.metric, objective.higher_is_better) == (metric, up)


def test_logits_are_seen():
    model = model_with(3)
    ensure_compiled(model, CLASSES)
    assert model.loss.from_logits


def test_a_compiled_model_keeps_its_settings():
    model = model_with(3, "softmax")
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"])
    ensure_compiled(model, CLASSES)
    assert type(model.optimizer).__name__ == "SGD"
    assert find_objective(model, X, CLASSES).metric == "sparse_categorical_accuracy"


def test_names_go_before_the_compiled_settings():
    model = model_with(3, "softmax")
    model.compile("sgd", "mse")
    ensure_compiled(
        model,
        CLASSES,
        loss="sparse_categorical_crossentropy",
        metric="sparse_categorical_accuracy",
        optimizer="rmsprop",
    )
    objective = find_objective(model, X, CLASSES, metric="sparse_categorical_accuracy")
    assert objective.metric == "sparse_categorical_accuracy"
    assert type(model.optimizer).__name__ == "RMSprop"


def test_a_compiled_metric_is_named_as_it_is_called():
    model = model_with(1)
    model.compile("sgd", "mse", metrics=["mae", keras.metrics.MeanSquaredError(name="spread")])
    ensure_compiled(model, X[:, :1], metric="spread")
    assert find_objective(model, X, X[:, :1], metric="spread").metric == "spread"
    assert find_objective(model, X, X[:, :1]).metric == "mae"


def two_outputs() -> keras.Model:
    entry = keras.Input((4,))
    outputs = {
        "kind": layers.Dense(3, name="kind")(entry),
        "size": layers.Dense(1, name="size")(entry),
    }
    model = keras.Model(entry, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        "sgd", {"kind": loss, "size": "mse"}, metrics={"kind": ["accuracy"], "size": ["mae"]}
    )
    return model


TWO = {"kind": np.where(np.arange(60) % 10, 0, 2), "size": X[:, :1]}


def test_of_several_outputs_any_key_can_judge():
    model = two_outputs()
    ensure_compiled(model, TWO, metric="size_mae")
    few = {name: labels[:8] for name, labels in TWO.items()}
    assert find_objective(model, X[:8], few).metric == "kind_accuracy"
    objective = find_objective(model, X[:8], few, metric="size_mae")
    assert (objective.metric, objective.higher_is_better) == ("size_mae", False)
    with pytest.raises(InputError, match=r"unknown metric.*'mae'.*kind_accuracy.*size_mae"):
        find_objective(model, X[:8], few, metric="mae")


def test_chance_of_several_outputs_is_that_of_their_constants():
    model, data = two_outputs(), TrialData.of_seed(from_arrays(X, TWO), 0)
    model.evaluate(X, TWO, verbose=0)
    train, valid = data.labels, data.y_validation
    shares = np.bincount(train["kind"], minlength=3).clip(1e-7 * len(train["kind"])) / len(
        train["kind"]
    )
    entropy = -np.log(shares[valid["kind"]]).mean()
    errors = valid["size"] - train["size"].mean()
    expected = {
        "kind_accuracy": (valid["kind"] == 0).mean(),
        "size_mae": np.abs(errors).mean(),
        "kind_loss": entropy,
        "size_loss": np.square(errors).mean(),
        "loss": entropy + np.square(errors).mean(),
    }
    for key, value in expected.items():
        assert chance_score(model, data, key) == pytest.approx(value, rel=1e-4), key


def test_a_metric_of_several_numbers_is_refused():
    model = model_with(3, "softmax")
    model.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.F1Score()])
    with pytest.raises(InputError, match=r"'f1_score' cannot judge: received 3 numbers.*average"):
        find_objective(model, X, np.eye(3, dtype="float32")[CLASSES])


def test_without_a_metric_the_loss_judges():
    model = model_with(1)
    model.compile("sgd", "mse")
    objective = find_objective(model, X, X[:, :1])
    assert (objective.metric, objective.higher_is_better) == ("loss", False)


@pytest.mark.parametrize("what", ["loss", "metric", "optimizer"])
def test_an_unknown_name_is_one_clear_line(what):
    with pytest.raises(InputError, match=f"unknown {what}.*'nonsense'"):
        ensure_compiled(model_with(3, "softmax"), CLASSES, **{what: "nonsense"})


def test_labels_beyond_the_output_are_refused():
    model = model_with(3, "softmax")
    ensure_compiled(model, CLASSES)
    with pytest.raises(InputError, match="labels from 0 to 3, expected 0 to 2"):
        find_objective(model, X[:4], np.array([0, 1, 2, 3]))


def compiled(units, activation, loss):
    model = model_with(units, activation)
    model.compile("sgd", loss)
    return model


MISFITS = {
    "below zero": (
        compiled(3, "softmax", "sparse_categorical_crossentropy"),
        np.array([-1, 0, 1]),
        "received labels from -1 to 1, expected 0 to 2, as the output has 3 units; "
        "--labels map (labels='map') numbers them: -1 = 0, 0 = 1, 1 = 2",
    ),
    "from one": (
        compiled(3, "softmax", "sparse_categorical_crossentropy"),
        np.array([1, 2, 3]),
        "--labels map (labels='map') numbers them: 1 = 0, 2 = 1, 3 = 2",
    ),
    "more classes": (
        compiled(2, "softmax", "sparse_categorical_crossentropy"),
        np.array([0, 1, 2]),
        "number the classes from 0, or give the model an output unit for each",
    ),
    "binary from one": (
        compiled(1, "sigmoid", "binary_crossentropy"),
        np.array([1, 2, 2]),
        "received labels from 1 to 2, expected 0 to 1, as the model's loss is binary cross-entropy",
    ),
    "binary by sign": (
        compiled(1, "sigmoid", "mse"),
        np.array([-1, 1, 1]),
        "expected 0 to 1, as the model ends in a sigmoid; --labels map (labels='map') numbers",
    ),
    "numbers for classes": (
        compiled(3, "softmax", "sparse_categorical_crossentropy"),
        np.array([0.5, 1.5, 2.0]),
        "the targets are numbers, and the model tells classes apart: received one float64 a sample "
        "for 3 output units, expected class labels from 0 to 2, or a model with one unit",
    ),
    "one number for several": (
        compiled(3, None, "mse"),
        np.array([0.5, 1.5, 2.0]),
        "received one float64 a sample for 3 output units",
    ),
}


@pytest.mark.parametrize("case", MISFITS)
def test_targets_that_the_output_cannot_predict_are_refused(case):
    model, y, text = MISFITS[case]
    with pytest.raises(InputError) as caught:
        check_labels(model, y)
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("model", "y"),
    [
        (compiled(1, "tanh", "hinge"), np.array([-1, 1])),
        (compiled(1, None, "mse"), np.array([-5, 700])),
        (compiled(3, "softmax", "sparse_categorical_crossentropy"), np.array([0, 2])),
        (compiled(1, None, keras.losses.BinaryCrossentropy(from_logits=True)), np.array([0.2, 1])),
    ],
)
def test_targets_that_it_can_predict_pass(model, y):
    check_labels(model, y)


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ("mae", "mean_absolute_error"),
        (keras.losses.Huber(), "huber_loss"),
        (keras.losses.binary_crossentropy, "binary_crossentropy"),
        (None, None),
    ],
)
def test_a_loss_has_one_name_however_it_is_given(loss, name):
    assert loss_name(compiled(1, None, loss)) == name
    assert loss_name(model_with(1)) is None


def test_data_that_do_not_fit_are_one_clear_line():
    model = model_with(3, "softmax")
    ensure_compiled(model, CLASSES)
    with pytest.raises(InputError, match="cannot be evaluated on this data"):
        find_objective(model, X[:, :2], CLASSES)


@pytest.mark.parametrize(("model", "y", "metric", "up"), CASES)
def test_chance_is_the_score_of_the_best_constant(model, y, metric, up):
    y = np.asarray(y)
    model = keras.models.clone_model(model)
    ensure_compiled(model, y)
    data = TrialData.of_seed(from_arrays(X, y), 0)
    score = chance_score(model, data, metric)
    train, valid = np.asarray(data.labels, float), np.asarray(data.y_validation, float)
    if metric == "mean_absolute_error":
        expected = np.abs(valid - train.mean(0)).mean()
    elif y.ndim == 2:
        expected = (valid.argmax(-1) == train.mean(0).argmax()).mean()
    else:
        expected = (valid == np.bincount(train.astype(int)).argmax()).mean()
    assert score == pytest.approx(expected, rel=1e-5)


def test_a_constant_in_logits_is_the_same_constant():
    y = np.array([0, 1, 1, 2])
    logits = constant_prediction(y, (None, 3), logits=True)
    shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(shares, constant_prediction(y, (None, 3), logits=False), rtol=1e-6)
    odds = constant_prediction(np.array([0.0, 1, 1, 1]), (None, 1), logits=True)
    np.testing.assert_allclose(1 / (1 + np.exp(-odds)), [0.75])


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_constant_has_the_shape_of_the_output_whatever_that_of_the_classes(shape):
    masks = np.array([0, 1, 1, 2] * 4).reshape(2, 2, 4, *shape)
    for labels in (masks, masks.astype("float32")):
        found = constant_prediction(labels, (None, 2, 4, 3), logits=False)
        assert found.shape == (2, 4, 3)
        np.testing.assert_allclose(found[0, 0], [0.25, 0.5, 0.25])
    open_ = constant_prediction(masks, (None, None, None, 3), logits=False)
    np.testing.assert_array_equal(open_, found)


def test_where_labels_do_not_tell_what_outputs_mean_there_is_no_chance():
    targets = np.linspace(-1, 1, len(X)).astype("float32")
    model = model_with(2)
    model.compile("adam", lambda y, p: keras.ops.mean((y[:, :1] - p[:, :1]) ** 2 + p[:, 1:] ** 2))
    check_labels(model, targets)
    for y in (targets, targets[:, None]):
        assert chance_score(model, TrialData.of_seed(from_arrays(X, y), 0), "loss") is None


def test_the_metric_of_a_segmentation_is_that_of_its_classes():
    x = np.random.default_rng(0).normal(size=(40, 4, 4, 1)).astype("float32")
    masks = (x > 0).astype("int32") + (x > 1)
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    data = TrialData.of_seed(from_arrays(x, masks), 0)
    chance = chance_score(model, data, "accuracy")
    assert chance == pytest.approx((data.y_validation == 0).mean(), abs=1e-6)
    values = model.evaluate(x, masks, verbose=0, return_dict=True)
    found = (model.predict(x, verbose=0).argmax(-1)[..., None] == masks).mean()
    assert values["accuracy"] == pytest.approx(found, abs=1e-6), "not that of one unit"


def test_labels_by_name_are_those_of_their_outputs():
    inputs = keras.Input((X.shape[1],))
    outputs = [
        layers.Dense(1, name="priority")(inputs),
        layers.Dense(3, "softmax", name="department")(inputs),
    ]
    model = keras.Model(inputs, outputs)
    model.compile(
        "sgd", {"priority": "mse", "department": "categorical_crossentropy"},
        metrics={"department": ["accuracy"]},
    )  # fmt: skip
    classes = np.arange(len(X)) % 4 % 3
    y = {"priority": X[:, :1], "department": np.eye(3, dtype="float32")[classes]}
    data = TrialData.of_seed(from_arrays(X, y), 0)
    score = chance_score(model, data, "department_accuracy")
    wanted = (data.y_validation["department"].argmax(-1) == 0).mean()
    assert score == pytest.approx(wanted, abs=1e-6)
