"""Labels meet a model: coded as its loss wants, refused where they cannot be."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import normcraft as nc
from normcraft._core.errors import InputError
from normcraft.api.prepare import fit_to_model, load_for, model_and_data
from normcraft.data import from_arrays

layers = keras.layers
X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
CLASSES = np.array([0, 1, 2, 0, 1, 2])
ONE_HOT = np.eye(3)[CLASSES]
FORMS = {
    "integers": CLASSES,
    "bytes": CLASSES.astype("uint8"),
    "a column": CLASSES[:, None],
    "floats": CLASSES.astype("float64"),
    "a column of floats": CLASSES.astype("float32")[:, None],
    "one-hot": ONE_HOT,
    "one-hot integers": ONE_HOT.astype(int),
}


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def model_with(units, activation="softmax", loss=None):
    # Named, as initial weights depend on the names of the layers.
    model = keras.Sequential([keras.Input((4,)), layers.Dense(units, activation, name="head")])
    if loss is not None:
        model.compile("sgd", loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "loss", [None, "sparse_categorical_crossentropy", "categorical_crossentropy"]
)
def test_every_form_of_labels_trains_with_every_loss_for_them(form, loss):
    data = from_arrays(X, FORMS[form], test_data=(X[:3], FORMS[form][:3]))
    model = model_with(3, loss=loss)
    fitted = fit_to_model(data, model)
    is_wide = loss == "categorical_crossentropy" or (loss is None and form.startswith("one-hot"))
    for y, expected in ((fitted.y_train, CLASSES), (fitted.y_test, CLASSES[:3])):
        np.testing.assert_array_equal(y, np.eye(3)[expected] if is_wide else expected)
    same = fitted.y_train is data.y_train
    assert len(fitted.notes) == (0 if same else 1)


def test_forms_score_alike():
    scores = set()
    for form in ("integers", "a column of floats", "one-hot"):
        result = nc.compare(
            model_with(3, loss="sparse_categorical_crossentropy"), X, FORMS[form],
            seeds=1, epochs=1, placements=["none"], store=f"{form}.db", verbose=False,
        )  # fmt: skip
        scores.add(result.arms[0].mean)
    assert len(scores) == 1


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("categorical_crossentropy", np.array([-1, 0, 1])),
        ("categorical_crossentropy", np.array([0, 1, 3])),
        ("sparse_categorical_crossentropy", np.array([0.5, 1.0, 2.0])),
        ("mean_squared_error", np.array([0.5, 1.0, 2.0])),
    ],
)
def test_labels_that_do_not_fit_stay_and_are_refused(loss, y):
    data = from_arrays(X[:3], y)
    model = model_with(3, loss=loss)
    assert fit_to_model(data, model).y_train is y
    with pytest.raises(InputError, match="labels do not fit|the targets are numbers"):
        nc.compare(model, data, seeds=1, epochs=1, verbose=False)


def test_a_label_far_down_is_seen():
    y = np.array([0, 1] * 20 + [7])
    with pytest.raises(InputError, match="labels from 0 to 7, expected 0 to 1"):
        nc.compare(model_with(2), np.zeros((41, 4), "float32"), y, seeds=1, verbose=False)
    test = from_arrays(X, CLASSES, test_data=(X, CLASSES + 1))
    with pytest.raises(InputError, match="labels from 1 to 3, expected 0 to 2"):
        nc.compare(model_with(3), test, seeds=1, verbose=False)


def refusal(name, x, y, **keywords):
    with pytest.raises(InputError) as caught:
        load_for(name, from_arrays(x, y, **keywords))
    return str(caught.value)


def test_a_recipe_is_sized_for_classes_or_numbers():
    assert load_for("tabular_mlp", from_arrays(X, CLASSES)).output_shape == (None, 3)
    numbers = from_arrays(X, CLASSES, labels="numbers")
    assert load_for("tabular_mlp", numbers).output_shape == (None, 1)
    two = from_arrays(X, X[:, :2])
    assert load_for("tabular_mlp", two).output_shape == (None, 2)
    assert load_for("mlp", from_arrays(X, ONE_HOT)).output_shape == (None, 3)


def test_a_recipe_for_other_data_names_those_that_fit():
    assert refusal("digits_cnn", X, CLASSES) == (
        "the recipe 'digits_cnn' does not take such data: received a table of 4 columns, expected "
        "images; recipes for it: mlp, tabular_mlp (normcraft compare tabular_mlp ...)"
    )
    images = np.zeros((6, 8, 8))
    assert "recipes for it: blog_cnn, bn_first, digits_cnn," in refusal("mlp", images, CLASSES)
    assert "give a model of your own" in refusal("mlp", np.zeros((6, 2, 2, 2, 2)), CLASSES)
    assert "one input and one output" in refusal("mlp", X, {"a": CLASSES})


def test_numbers_are_no_targets_of_a_recipe_for_classes():
    text = refusal("mlp", X, X[:, 0])
    assert text.startswith(
        "the recipe 'mlp' tells classes apart, and the targets are numbers: "
        "received float32 of shape (6,), expected class labels; recipes for it: tabular_mlp"
    )
    assert "give a model of your own; --labels map" in refusal(
        "digits_cnn", np.zeros((6, 8, 8)), X[:, 0]
    )


@pytest.mark.parametrize(
    ("y", "received", "mapping"),
    [
        ([0, 1, 5], "3 labels from 0 to 5, expected 0 to 2", "0 = 0, 1 = 1, 5 = 2"),
        ([1, 2, 3], "3 labels from 1 to 3, expected 0 to 2", "1 = 0, 2 = 1, 3 = 2"),
        ([-1, 1, 1], "2 labels from -1 to 1, expected 0 to 1", "-1 = 0, 1 = 1"),
    ],
)
def test_gaps_between_class_labels_come_with_the_mapping(y, received, mapping):
    assert refusal("tabular_mlp", X[:3], y) == (
        f"the class labels leave gaps: received {received}; --labels map (labels='map') numbers "
        f"them: {mapping}; --labels numbers predicts them as numbers"
    )
    model, data = model_and_data("tabular_mlp", from_arrays(X[:3], y, labels="map"))
    assert model.output_shape[-1] == len(data.class_names) == len(set(y))


def test_a_class_that_is_known_by_name_may_be_empty():
    from dataclasses import replace

    data = replace(from_arrays(X, [0, 2] * 3), class_names=("a", "b", "c"))
    model, fitted = model_and_data("tabular_mlp", data)
    assert model.output_shape == (None, 3)
    assert "no training sample has class 'b'" in fitted.notes


def test_one_class_is_nothing_to_learn():
    assert refusal("tabular_mlp", X, np.zeros(6, int)) == (
        "there is one class alone: received the label 0 in every sample"
    )


@pytest.mark.parametrize("samples", [2, 3, 5])
def test_very_small_sets_are_compared(samples):
    data = from_arrays(X[:samples], CLASSES[:samples])
    result = nc.compare("tabular_mlp", data, seeds=1, epochs=1, placements=["none", "input"],
                        verbose=False)  # fmt: skip
    assert [arm.seeds for arm in result.arms] == [1, 1]
    assert any("each seed validates on 1" in note for note in result.document()["notes"])


def test_one_sample_is_one_clear_line():
    data = from_arrays(X[:1], X[:1, 0])
    with pytest.raises(InputError, match="nothing to split: received 1 samples"):
        nc.compare("tabular_mlp", data, seeds=1, epochs=1, verbose=False)


def test_remarks_on_classes_are_for_models_of_classes():
    y = np.array([0] * 60 + [1] * 4 + [2])
    data = from_arrays(np.zeros((65, 4), "float32"), y)
    assert any("imbalanced" in note for note in model_and_data(model_with(3), data)[1].notes)
    assert model_and_data(model_with(1, None, "mse"), data)[1].notes == ()
    assert model_and_data(model_with(1, None), data)[1].notes == ()


def test_regression_is_minimised():
    x = np.random.default_rng(1).normal(size=(80, 4)).astype("float32")
    result = nc.compare("tabular_mlp", from_arrays(x, x @ np.ones(4)), seeds=2, epochs=2,
                        placements=["none", "input"], verbose=False)  # fmt: skip
    assert result.document()["metric"] == "mean_absolute_error"
    none, other = result.arms
    assert other.difference == pytest.approx(none.mean - other.mean)
