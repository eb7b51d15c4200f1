"""Regression, several outputs and losses through `compare`: key, direction, chance, best model."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import normcraft as nc
from normcraft.cli.main import main
from normcraft.data import from_arrays
from normcraft.studies import Options
from normcraft.trainers import TrialData

layers = keras.layers
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(120, 6)).astype("float32")
KIND = X[:, :3].argmax(1)
SIZE = (3 * X[:, :1] - 2 * X[:, 1:2] ** 2).astype("float32")
OUTPUTS = {"kind": KIND, "size": SIZE}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def one_output(loss="mse", metrics=None) -> keras.Model:
    stack = [keras.Input((6,)), layers.Dense(16, "relu"), layers.Dense(1)]
    model = keras.Sequential(stack, name="sizes")
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=metrics)
    return model


def two_outputs(structure) -> keras.Model:
    entry = keras.Input((6,))
    body = layers.Dense(16, "relu", name="body")(entry)
    kind, size = layers.Dense(3, name="kind")(body), layers.Dense(1, name="size")(body)
    model = keras.Model(entry, {"kind": kind, "size": size} if structure is dict else [kind, size])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    named = {"kind": loss, "size": "mse"}, {"kind": ["accuracy"], "size": ["mae"]}
    losses, metrics = named if structure is dict else (list(part.values()) for part in named)
    model.compile(keras.optimizers.Adam(0.01), losses, metrics=metrics)
    return model


def compared(model, y, **changes):
    arguments = dict(placements=["none", "before_activation"], seeds=2, epochs=3, verbose=False)
    return nc.compare(model, X, y, **{**arguments, **changes})


def check_best_model(result, y):
    """The best model is that of the best trial of the best arm: it scores what the record says."""
    key, sign = result.summary.metric, 1 if result.summary.higher_is_better else -1
    means = {arm.name: sign * arm.mean for arm in result.arms}
    assert result.best == max(means, key=means.get)
    own = [record for record in result.records if record.spec.arm == result.best]
    record = max(own, key=lambda record: sign * record.score)
    data = TrialData.of_seed(from_arrays(X, y), record.spec.seed)
    values = result.best_model().evaluate(
        data.x_validation, data.y_validation, verbose=0, return_dict=True
    )
    assert values[key] == pytest.approx(record.score, rel=1e-4)


@pytest.mark.parametrize(
    ("key", "up"), [(None, True), ("size_mae", False), ("size_loss", False), ("loss", False)]
)
@pytest.mark.parametrize("structure", [dict, tuple])
def test_two_outputs_are_judged_by_any_of_their_metrics(structure, key, up):
    y = OUTPUTS if structure is dict else (KIND, SIZE)
    result = compared(two_outputs(structure), y, options=Options(metric=key))
    assert result.summary.metric == (key or "kind_accuracy")
    assert result.summary.higher_is_better is up
    assert result.summary.as_fraction is up
    data = TrialData.of_seed(from_arrays(X, y), 0)
    valid = keras.tree.flatten(data.y_validation)
    train = keras.tree.flatten(data.labels)
    chance = result.records[0].chance_score
    if key == "size_mae":
        assert chance == pytest.approx(np.abs(valid[1] - train[1].mean()).mean(), rel=1e-4)
    elif key is None:
        assert chance == pytest.approx((valid[0] == np.bincount(train[0]).argmax()).mean())
    check_best_model(result, y)


@pytest.mark.parametrize(
    ("metrics", "key", "up"),
    [(["mae"], "mae", False), (None, "loss", False), (["r2_score"], "r2_score", True)],
)
def test_regression_is_judged_in_the_right_direction(metrics, key, up):
    result = compared(one_output(metrics=metrics), SIZE)
    assert (result.summary.metric, result.summary.higher_is_better) == (key, up)
    assert not result.summary.as_fraction
    check_best_model(result, SIZE)
    none, other = result.arms
    sign = 1 if up else -1
    assert other.difference == pytest.approx(sign * (other.mean - none.mean))


def test_a_metric_of_the_users_own_is_measured_and_comes_back():
    def miss(y, prediction):
        return keras.ops.abs(y - prediction)

    result = compared(one_output(metrics=[miss]), SIZE)
    assert (result.summary.metric, result.summary.higher_is_better) == ("miss", False)
    check_best_model(result, SIZE)


def test_a_regression_that_diverges_counts_as_the_training_mean():
    model = one_output(metrics=["mae"])
    model.compile(keras.optimizers.SGD(1e20), "mse", metrics=["mae"])
    result = compared(model, SIZE)
    assert {record.outcome for record in result.records} == {"diverged"}
    expected = []
    for seed in (0, 1):
        data = TrialData.of_seed(from_arrays(X, SIZE), seed)
        expected.append(np.abs(data.y_validation - data.labels.mean()).mean())
    for arm in result.arms:
        assert arm.mean == pytest.approx(np.mean(expected), rel=1e-4)
        assert arm.outcomes["diverged"] == 2


def test_a_smaller_error_wins_with_enough_seeds():
    """Columns far from unit scale: without normalization of the input the race is lost."""
    wide = from_arrays(1000 * X, SIZE)
    result = nc.compare(
        one_output(metrics=["mae"]), wide, placements=["none", "input"], seeds=6, epochs=3,
        verbose=False,
    )  # fmt: skip
    assert result.verdict.outcome == "better"
    assert result.verdict.winner == "input"
    none, other = result.arms
    assert other.mean < none.mean
    assert other.difference > 0
    assert "mae lower by" in str(result.verdict)


def test_on_the_command_line(capsys, tmp_path):
    np.savez(tmp_path / "sizes.npz", x_train=X, y_train=SIZE)
    one_output(metrics=["mae"]).save(tmp_path / "model.keras")
    arguments = "compare model.keras --data sizes.npz --seeds 2 --epochs 3 --metric mae --json"
    with pytest.raises(SystemExit) as stop:
        main([*arguments.split(), "--placements", "none,before_activation", "-o", "best.keras"])
    document = json.loads(capsys.readouterr().out)
    assert stop.value.code == 0
    assert document["metric"] == "mae"
    means = {arm["name"]: arm["mean"] for arm in document["arms"]}
    best = keras.saving.load_model(tmp_path / "best.keras")
    normalized = any(isinstance(one, layers.BatchNormalization) for one in best.layers)
    assert min(means, key=means.get) == ("before_activation" if normalized else "none")
