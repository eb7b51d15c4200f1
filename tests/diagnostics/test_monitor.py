"""The monitor: it changes no number of the training, and records what explain says."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers, ops

from normcraft._core.errors import InputError, OverwriteError
from normcraft.callbacks import NormalizationMonitor
from normcraft.diagnostics import explain_model
from strategies import arrays, same
from tolerances import assert_close

pytestmark = pytest.mark.skipif(keras.backend.backend() == "numpy", reason="NumPy does not train")
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(96, 5)).astype("float32")
Y = RANDOM.integers(0, 3, 96)


def make(seed=3, **settings) -> keras.Model:
    keras.utils.set_random_seed(seed)
    chain = [keras.Input((5,)), layers.Dense(8), layers.BatchNormalization(name="n", **settings)]
    chain += [layers.ReLU(), layers.Dropout(0.4), layers.Dense(3, "softmax", name="head")]
    model = keras.Sequential(chain)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model, monitor=None, *, epochs=3, **settings):
    callbacks = [] if monitor is None else [monitor]
    settings = {"batch_size": 16, "verbose": 0} | settings
    return model.fit(X, Y, epochs=epochs, callbacks=callbacks, **settings).history


def generous(x=X, **settings) -> NormalizationMonitor:
    """One that records at nearly every batch."""
    monitor = NormalizationMonitor(x, budget=0.5, **{"verbose": False} | settings)
    monitor._budget = 1e9
    return monitor


@pytest.mark.parametrize("x", [X, None], ids=["rows", "weights"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(x):
    monitor = generous(x)

    def train(monitor=None):
        model = make()
        first = fit(model, monitor, validation_data=(X[:20], Y[:20]))
        # Nor does it matter to what comes after that the records were asked for.
        assert monitor is None or len(monitor.history) > 10
        second = fit(model, monitor)
        return arrays([*model.variables, *model.optimizer.variables]), first, second

    plain, watched = train(), train(monitor)
    assert same(plain[0], watched[0])
    assert plain[1:] == watched[1:]


def test_the_last_record_is_what_explain_says():
    model, monitor = make(), generous()
    fit(model, monitor)
    (layer,) = explain_model(model, X).layers
    (record,) = monitor.history[-1].layers
    assert_close(record.mean, layer.mean)
    assert_close(record.variance, layer.variance)
    assert_close(record.moving_mean, layer.moving_mean)
    assert_close(record.moving_variance, layer.moving_variance)
    assert record.initial_weight == layer.initial_weight == 0.99**18
    assert record.mean_gap == pytest.approx(layer.mean_gap, rel=1e-4)
    assert record.train_inference_gap == pytest.approx(layer.train_inference_gap, rel=1e-4)
    assert record.quantiles == pytest.approx(layer.received.quantiles[2:5], rel=1e-4)
    assert monitor.explanation == explain_model(model, X)


def test_records_are_of_the_weights_of_their_step():
    monitor = generous()
    steps, seen = [], {}

    class Spy(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            step = int(ops.convert_to_numpy(self.model.optimizer.iterations))
            layer = self.model.get_layer("n")
            dense = arrays(self.model.layers[0].weights)
            seen[step] = dense, arrays([layer.moving_mean])[0]

    model = make()
    model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=[monitor, Spy()])
    for record in monitor.history:
        steps.append(record.step)
        if record.step in seen:
            (kernel, bias), moving = seen[record.step]
            received = X[:32].astype("float64") @ kernel.astype("float64") + bias
            (layer,) = record.layers
            assert_close(layer.mean, received.mean(0))
            assert_close(layer.variance, received.var(0))
            assert_close(layer.moving_mean, moving)
            lag = np.mean(np.abs(moving - received.mean(0)) / received.std(0))
            assert layer.lag == pytest.approx(lag, rel=1e-4)
            assert layer.initial_weight == pytest.approx(0.99**record.step)
    assert steps == sorted(set(steps))
    assert set(seen) <= set(steps)
    assert steps[0] == 0
    assert [record.epoch for record in monitor.history][-1] == 3


def test_many_moments_are_thinned_and_the_ends_stay(monkeypatch):
    monkeypatch.setattr("normcraft.diagnostics.monitor.MOST", 5)
    monitor = generous()
    fit(make(), monitor, epochs=6)
    steps = [record.step for record in monitor.history]
    assert (steps[0], steps[-1]) == (0, 36)
    assert len(steps) <= 5
    assert max(np.diff(steps)) <= 16


def test_moments_that_would_take_too_much_memory_are_let_go(monkeypatch):
    monkeypatch.setattr("normcraft.diagnostics.monitor.MEMORY", 1)
    monitor = generous()
    fit(make(), monitor)
    assert [record.step for record in monitor.history] == [0, 18]


def test_the_budget_keeps_moments_apart():
    thrifty = NormalizationMonitor(X, budget=1e-9, verbose=False)
    fit(make(), thrifty)
    assert [record.step for record in thrifty.history] == [0, 18]
    often = generous(every=6)
    fit(make(), often)
    assert min(np.diff([record.step for record in often.history][:-1])) >= 6


def test_without_rows_it_tells_what_the_weights_tell():
    model, monitor = make(), generous(None)
    fit(model, monitor)
    (record,) = monitor.history[-1].layers
    assert record.mean is None
    assert_close(record.moving_mean, ops.convert_to_numpy(model.get_layer("n").moving_mean))
    assert record.initial_weight == 0.99**18
    with pytest.raises(InputError, match="the monitor has no rows to explain the model on"):
        _ = monitor.explanation


def test_one_line_says_what_is_wrong_at_the_end(capsys):
    fit(make(), NormalizationMonitor(X))
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert "after 18 steps 83.5% of the moving averages of n are still initial values" in text
    assert "under 1% from step 459 on" in text


def test_frozen_and_broken_layers_are_named():
    model = make()
    model.get_layer("n").trainable = False
    monitor = generous()
    fit(model, monitor)
    assert monitor.warning == "n frozen: on moving statistics in training too"
    assert monitor.history[-1].layers[0].mode == "frozen"
    model.get_layer("n").moving_mean.assign(np.full(8, np.nan))
    assert "weights of n are not finite" in monitor.warning


def test_nothing_is_said_where_nothing_is_wrong(capsys):
    monitor = NormalizationMonitor(X)
    fit(make(momentum=0.5), monitor)
    assert monitor.warning is None
    assert capsys.readouterr().err == ""


def test_models_without_normalization_are_watched_at_their_sites():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, "relu", name="a"), layers.Dense(3)]
    )
    model.compile("sgd", "mse")
    monitor = generous()
    model.fit(X, np.zeros((96, 3)), verbose=0, callbacks=[monitor])
    assert [layer.name for layer in monitor.history[-1].layers] == ["a", "a"]
    assert monitor.warning is None


def test_it_begins_anew_with_each_fit():
    model, monitor = make(), generous()
    fit(model, monitor)
    assert monitor.history[0].step == 0
    fit(model, monitor, epochs=1)
    assert [monitor.history[0].step, monitor.history[-1].step] == [18, 24]
    assert NormalizationMonitor(X).history == ()


def test_the_report_is_one_page_and_replaces_nothing(tmp_path):
    model, monitor = make(), generous()
    fit(model, monitor)
    path = monitor.report(tmp_path / "m.html")
    text = path.read_text("utf-8")
    assert "at 18 moments from step 0 to 18" in text
    assert "<script" not in text
    with pytest.raises(OverwriteError, match="exists already"):
        monitor.report(path)


@pytest.mark.parametrize("budget", [0, -0.1, 0.6, float("nan")])
def test_a_budget_that_is_no_share_is_refused(budget):
    with pytest.raises(InputError, match="the budget is no share of the training time"):
        NormalizationMonitor(X, budget=budget)


def test_an_interval_of_no_batches_is_refused():
    with pytest.raises(InputError, match="every: received 0, expected a whole number, 1 or more"):
        NormalizationMonitor(X, every=0)
