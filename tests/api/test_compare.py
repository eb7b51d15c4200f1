"""compare from a user's side: arrays and a model in, a verdict and a plain Keras model out."""

from __future__ import annotations

import subprocess
import sys

import keras
import numpy as np
import pytest

import normcraft as nc
from normcraft._core.errors import InputError, OverwriteError

layers = keras.layers


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def digits():
    return nc.load_dataset("digits")


def branching_model() -> keras.Model:
    """Two branches, a residual sum, separate and fused activations."""
    inputs = keras.Input((8, 8, 1), name="pixels")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(inputs)
    branch = layers.Conv2D(8, 3, padding="same", name="branch")(x)
    x = layers.ReLU(name="after_sum")(branch + x)
    x = layers.Concatenate(name="both")(
        [layers.GlobalAveragePooling2D(name="mean")(x), layers.Flatten(name="all")(x)]
    )
    return keras.Model(inputs, layers.Dense(10, name="logits")(x), name="branching")


@pytest.fixture(scope="module")
def model():
    return branching_model()


@pytest.fixture(scope="module")
def result(model, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("result")
    return nc.compare(
        model, digits.x_train, digits.y_train, seeds=2, epochs=1,
        placements=["none", "before_activation", "after_add+input"],
        store=folder / "runs.db", verbose=False,
    )  # fmt: skip


def test_a_verdict_and_a_line_for_every_arm(result):
    assert result.verdict.outcome == "cannot_tell"
    assert "2 paired seeds cannot" in str(result.verdict)
    assert repr(result.verdict) == result.verdict.sentence
    assert [arm.name for arm in result.arms] == ["none", "before_activation", "after_add+input"]
    assert all(0 < arm.mean <= 1 for arm in result.arms)
    assert result.arms[0].difference is None


def test_the_best_model_is_plain_compiled_keras(result, digits):
    model = result.best_model()
    assert model.compiled
    scores = model.evaluate(digits.x_train, digits.y_train, verbose=0, return_dict=True)
    best = next(arm for arm in result.arms if arm.name == result.best)
    assert scores["accuracy"] > best.mean - 0.2


def test_the_best_model_loads_without_normcraft(result, digits, tmp_path):
    script = tmp_path / "load.py"
    script.write_text(
        "import sys\n"
        "sys.modules['normcraft'] = None\n"
        "import keras\n"
        f"model = keras.saving.load_model({str(result.best_model_path)!r})\n"
        "assert model.compiled and not any('normcraft' in name for name in sys.modules if "
        "sys.modules[name])\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", str(script)], check=True, timeout=120)


def test_the_code_builds_the_best_model(result):
    scope: dict = {}
    exec(result.code(), scope)
    built, best = scope["model"], result.best_model()
    built.set_weights(best.get_weights())
    x = np.random.default_rng(0).random((4, 8, 8, 1), "float32")
    np.testing.assert_allclose(
        built.predict(x, verbose=0), best.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    assert built.compiled


def test_the_report_is_one_file_that_is_not_overwritten(result, tmp_path):
    path = result.report(tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert result.verdict.sentence.split(":")[0] in text
    assert "http://" not in text.split("<script")[0]
    with pytest.raises(OverwriteError, match="exists already"):
        result.report(path)
    assert result.report(path, force=True) == path
    assert result.report().parent == result.report().parent


def test_a_notebook_gets_the_sentence_and_the_curves_without_a_script(result):
    html = result._repr_html_()
    assert result.verdict.sentence in html
    assert html.count("<polyline") == 3
    assert "<script" not in html
    assert {trace.meta for trace in result.figure().data} == {"score", "loss"}


def test_the_report_tells_the_call_that_runs_it_again(result, model, digits, capsys):
    command = result.summary.command
    assert "# model, x, y: the same objects as in this run." in command
    assert command in result.html().replace("&#39;", "'").replace("&gt;", ">")
    scope = {"model": model, "x": digits.x_train, "y": digits.y_train}
    exec(command, scope)
    assert scope["r"].records == result.records  # taken from the store: nothing ran twice
    assert "6 of them in the store already" in capsys.readouterr().err


def test_the_table_fits_eighty_columns(result):
    lines = repr(result).splitlines()
    paths = [line for line in lines if line.startswith(("store", "report"))]
    assert max(len(line) for line in lines if line not in paths) <= 80


def test_the_document_has_the_fields_of_the_contract(result):
    document = result.document()
    assert set(document) >= {
        "verdict", "arms", "metric", "trials", "seconds", "trainer", "executor", "store", "report",
    }  # fmt: skip
    assert set(document["verdict"]) >= {
        "sentence", "outcome", "winner", "baseline", "difference", "interval", "p_value",
    }  # fmt: skip
    assert set(document["arms"][0]) >= {
        "name", "placement", "kind", "activation", "batch_size", "learning_rate", "mean",
        "interval", "as_trained_mean", "test_mean", "difference", "probability_better", "seeds",
        "outcomes",
        "step_milliseconds", "parameters", "foldable", "by_learning_rate",
    }  # fmt: skip
    assert document["trials"] == 6
    assert document["arms"][0]["by_learning_rate"][0].keys() == {"learning_rate", "mean"}


def test_nothing_of_the_users_is_changed(digits):
    model = branching_model()
    x, y = digits.x_train[:200].copy(), digits.y_train[:200].copy()
    copies = x.copy(), y.copy()
    weights = [w.copy() for w in model.get_weights()]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    nc.compare(model, x, y, seeds=1, epochs=1, placements=["before_activation"], verbose=False)
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(y, copies[1])
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert nodes == [len(layer._inbound_nodes) for layer in model.layers]
    assert not model.compiled


def test_a_builder_serves_as_a_model_and_kinds_multiply_arms(digits):
    result = nc.compare(
        branching_model, digits.x_train[:200], digits.y_train[:200],
        kinds=["batch", "group"], placements=["none", "before_activation"], seeds=1, epochs=1,
        verbose=False,
    )  # fmt: skip
    assert [arm.name for arm in result.arms] == [
        "none", "before_activation/batch", "before_activation/group",
    ]  # fmt: skip


def test_regression_is_judged_by_its_error():
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 5)).astype("float32")
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, "relu"), layers.Dense(1)])
    result = nc.compare(
        model,
        x,
        x.sum(1, keepdims=True),
        seeds=2,
        epochs=2,
        placements=["none", "input"],
        verbose=False,
    )
    assert result.summary.metric == "mean_absolute_error"
    assert not result.summary.higher_is_better
    best = min(result.arms, key=lambda arm: arm.mean)
    assert result.best == best.name


def test_several_inputs_and_outputs(digits):
    a, b = keras.Input((8, 8, 1), name="a"), keras.Input((3,), name="b")
    x = layers.Concatenate()([layers.Flatten()(a), b])
    x = layers.Dense(8, "relu", name="body")(x)
    model = keras.Model(
        [a, b], [layers.Dense(10, "softmax", name="c")(x), layers.Dense(1, name="r")(x)]
    )
    model.compile(
        "adam", ["sparse_categorical_crossentropy", "mse"], metrics=[["accuracy"], ["mae"]]
    )
    other = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    result = nc.compare(
        model, (digits.x_train[:200], other), (digits.y_train[:200], other[:, :1]),
        seeds=1, epochs=1, placements=["none", "before_activation"], verbose=False,
    )  # fmt: skip
    assert result.summary.metric == "c_accuracy"
    assert all(arm.outcomes["finished"] == 1 for arm in result.arms)


def test_layers_and_losses_of_the_users_own_come_back(digits):
    class Scale(layers.Layer):
        def call(self, x):
            return 2 * x

    def own_loss(y_true, y_pred):
        return keras.losses.sparse_categorical_crossentropy(y_true, y_pred)

    model = keras.Sequential(
        [keras.Input((8, 8, 1)), Scale(), layers.Flatten(), layers.Dense(10, "softmax")]
    )
    model.compile("adam", own_loss, metrics=["accuracy"])
    x, y = digits.x_train[:200], digits.y_train[:200]
    result = nc.compare(model, x, y, placements=["none"], seeds=1, epochs=1, verbose=False)
    best = result.best_model()
    assert isinstance(best.layers[0], Scale)
    assert best.loss is own_loss


def test_given_validation_data_replace_the_split(digits):
    validation = digits.x_train[:50], digits.y_train[:50]
    result = nc.compare(
        branching_model(), digits.x_train[50:250], digits.y_train[50:250],
        validation_data=validation, seeds=1, epochs=1, placements=["none"], verbose=False,
    )  # fmt: skip
    assert result.arms[0].mean * 50 == pytest.approx(round(result.arms[0].mean * 50))


def test_the_store_stands_in_the_folder_and_is_continued(digits, capsys):
    arguments = dict(seeds=1, epochs=1, placements=["none"])
    model = branching_model()
    first = nc.compare(model, "digits", **arguments)
    second = nc.compare(model, "digits", **arguments)
    assert first.summary.store == second.summary.store
    assert first.summary.store.startswith("normcraft-runs/branching-digits-")
    captured = capsys.readouterr()
    assert "1 of them in the store already" in captured.err
    assert "branching on digits" in captured.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(x=np.zeros((5, 8, 8, 1))), "labels are missing"),
        (dict(x="digits", y=np.zeros(3)), "labels beside the name of a dataset"),
        (dict(x=np.zeros((5, 8, 8, 1)), y=np.zeros(4, int)), "5.*4|4.*5"),
        (dict(x=np.full((9, 8, 8, 1), np.nan), y=np.zeros(9, int)), "NaN"),
        (dict(x=np.zeros((9, 7, 7, 1)), y=np.zeros(9, int)), r"\(8, 8, 1\)"),
        (dict(x=np.zeros((9, 8, 8, 1)), y=np.full(9, 10)), "labels from 10 to 10, expected 0 to 9"),
        (dict(x="digits", seeds=0), "bad number of seeds"),
        (dict(x="digits", placements=["nowhere"]), "unknown placement"),
        (dict(x="digits", kinds=["nothing"]), "unknown kind"),
        (dict(x="digits", learning_rates=[0.0]), "bad learning rate"),
        (dict(x="digits", epochs=-1), "bad epochs"),
        (dict(x="digits", batch_size=0), "bad batch size"),
        (dict(x="digits", trainer="quick"), "unknown trainer"),
        (dict(x="digits", executor="moon"), "unknown executor"),
    ],
)
def test_bad_arguments_are_one_clear_line(arguments, text):
    with pytest.raises(InputError, match=text) as caught:
        nc.compare(branching_model(), verbose=False, **arguments)
    assert "\n" not in str(caught.value)


def test_a_subclassed_model_says_what_to_do():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="functional API|Sequential or Functional"):
        nc.compare(Own(), "digits", verbose=False)


def scaling_model(*, scales: bool) -> keras.Model:
    front = [layers.Rescaling(1 / 255, name="unit")] if scales else []
    end = [layers.Flatten(), layers.Dense(8, "relu", name="body"), layers.Dense(10, name="head")]
    return keras.Sequential([keras.Input((8, 8, 1)), *front, *end], name="scaling")


@pytest.fixture(scope="module")
def raw(digits):
    return np.round(digits.x_train[:400] * 255).astype("uint8"), digits.y_train[:400]


def compared(model, raw, **arguments):
    return nc.compare(model, *raw, seeds=1, placements=["none"], verbose=False, **arguments)


def test_a_model_that_scales_its_inputs_is_handed_back_for_the_users_own_images(raw):
    inside = compared(scaling_model(scales=True), raw, epochs=5, learning_rates=[0.01])
    outside = compared(scaling_model(scales=False), raw, epochs=5, learning_rates=[0.01])
    note = "integer images were left raw, as 'unit' in the model scales them"
    assert note in inside.summary.notes
    assert any("scaled from 0..255 to [0, 1]" in note for note in outside.summary.notes)
    assert inside.arms[0].mean == pytest.approx(outside.arms[0].mean, abs=0.03)
    assert inside.arms[0].mean > 0.5
    np.testing.assert_allclose(
        inside.best_model().predict(raw[0], verbose=0),
        outside.best_model().predict(raw[0] / np.float32(255), verbose=0),
        rtol=1e-3,
        atol=1e-3,
    )


def test_integer_images_are_left_raw_where_asked(raw):
    left = compared(scaling_model(scales=False), raw, epochs=1, rescale="none")
    assert not any("integer images" in note for note in left.summary.notes)
    assert "rescale='none'" in left.summary.command
    with pytest.raises(InputError, match="unknown rescale: received 'unit'"):
        compared(scaling_model(scales=False), raw, rescale="unit")


def test_labels_are_coded_as_the_hints_of_errors_say(digits):
    x, y = digits.x_train[:200], digits.y_train[:200] * 10
    with pytest.raises(InputError, match="labels='map'"):
        nc.compare("digits_cnn", x, y, verbose=False)
    result = nc.compare(
        "digits_cnn", x, y, labels="map", validation_data=(x[:50], y[:50]), seeds=1, epochs=1,
        placements=["none"], verbose=False,
    )  # fmt: skip
    assert any(note.startswith("labels were mapped: 0 = 0, 10 = 1") for note in
               result.summary.notes)  # fmt: skip
    assert "labels='map'" in result.summary.command


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(x=nc.load_dataset("digits")), "received labels 'map' for a Dataset, expected labels"),
        (dict(x=lambda: iter(())), "received labels 'map' for a function"),
        (dict(x="a.npz", validation_data=(0, 0)), "'a.npz' beside validation data"),
        (dict(x="digits"), "the labels of a dataset by name are what they are"),
    ],
)
def test_labels_that_were_read_before_are_not_coded(arguments, text):
    with pytest.raises(InputError, match=text):
        nc.compare("digits_cnn", labels="map", verbose=False, **arguments)
