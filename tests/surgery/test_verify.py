"""`verify_equivalence`: what it finds, what it lets pass, and what the passes do with it."""

import keras
import numpy as np
import pytest
from keras import layers

from normcraft._core.errors import EquivalenceError, InputError
from normcraft.surgery import (
    fold_batch_normalization,
    insert_normalization,
    move_normalization,
    place,
    remove_normalization,
    replace_normalization,
    swap_activation,
    verify_equivalence,
)
from normcraft.surgery.planning import absorbing, commuting, folding
from normcraft.surgery.trial_inputs import trial_inputs
from strategies import realistic, untouched

TENSORFLOW = keras.backend.backend() == "tensorflow"


def bn(name="n"):
    return layers.BatchNormalization(name=name)


def chain(shape, *parts):
    return realistic(keras.Sequential([keras.Input(shape), *parts]), seed=3)


def small():
    return chain((8, 8, 3), layers.Conv2D(4, 3), bn(), layers.ReLU(), layers.Flatten(),
                 layers.Dense(5, "softmax", name="head"))  # fmt: skip


def moved(model, amount):
    copy = place(model, "as_given").model
    bias = copy.get_layer("head").bias
    bias.assign(keras.ops.convert_to_numpy(bias) + np.eye(1, 5)[0] * amount)
    return copy


def test_a_model_is_equivalent_to_itself():
    model = small()
    with untouched(model):
        found = verify_equivalence(model, model)
    assert found.equivalent
    assert found.largest("absolute") == found.largest("relative") == 0
    assert {one.inputs for one in found.differences} == {
        *("normal", "large", "tiny", "negative", "constant", "denormal")
    }
    assert {one.output for one in found.differences} == {"head"}
    assert (found.dtype, found.constant) == ("float32", ())


def test_the_figures_are_those_of_the_definition():
    model = small()
    other, x = moved(model, 0.1), np.random.default_rng(0).normal(size=(20, 8, 8, 3))
    found = verify_equivalence(model, other, x.astype("float32"), float64=False)
    a, b = (
        np.asarray(keras.ops.convert_to_numpy(one(x.astype("float32"))), "float64")
        for one in (model, other)
    )
    given = next(one for one in found.differences if one.inputs == "given")
    assert given.absolute == pytest.approx(np.abs(a - b).max(), rel=1e-4)
    assert given.relative == pytest.approx(np.abs(a - b).max() / np.abs(a).max(), rel=1e-4)
    assert given.label_flips + given.near_ties == np.sum(a.argmax(1) != b.argmax(1))
    assert not found.equivalent
    assert found.worst.relative > found.worst.tolerance
    assert found.rows == 20 + 6 * 8
    assert verify_equivalence(model, other, x.astype("float32"), tolerance=10).equivalent is (
        found.document()["label_flips"] == 0
    )


def test_a_thousandth_is_seen_and_rounding_is_not():
    model = small()
    assert not verify_equivalence(model, moved(model, 1e-3)).equivalent
    assert verify_equivalence(model, moved(model, 1e-7)).equivalent


def on_the_edge(seed):
    """A model whose two logits are large and alike, so that softmax shows what rounding left."""
    model = chain((32,), layers.Dense(64), bn(), layers.ReLU(), layers.Dense(2, "softmax"))
    generator = np.random.default_rng(seed)
    column = generator.normal(size=(64, 1))
    head = [1000 * column * [1, 1 + 1e-4], np.zeros(2)]
    model.layers[-1].set_weights([array.astype("float32") for array in head])
    return model, generator.normal(size=(64, 32)).astype("float32")


@pytest.mark.parametrize("seed", range(5))
def test_what_a_model_makes_of_rounding_is_allowed(seed):
    model, x = on_the_edge(seed)
    folded = fold_batch_normalization(model, verify=False).model
    found = verify_equivalence(model, folded, x)
    assert found.equivalent
    given = next(one for one in found.differences if one.inputs == "given")
    assert given.tolerance > 1e-5
    assert not verify_equivalence(model, folded, x, tolerance=1e-6).equivalent
    folded.layers[0].bias.assign(np.zeros(64))  # as if the shift had been forgotten
    assert not verify_equivalence(model, folded, x).equivalent


def test_float64_is_computed_where_keras_can():
    model = small()
    found = verify_equivalence(model, moved(model, 1e-6))
    if TENSORFLOW:
        assert 1e-9 < found.largest("relative", "float64") < 1e-5
        assert found.no_float64 is None
    else:
        assert found.largest("relative", "float64") is None
        assert "Keras computes in float32 at most on" in found.no_float64
    asked = verify_equivalence(model, model, float64=False)
    assert asked.no_float64 == "it was not asked for"


@pytest.mark.skipif(not TENSORFLOW, reason="Keras promotes to float32 at most elsewhere")
def test_in_float64_a_fold_is_exact():
    keras.config.set_dtype_policy("float64")
    try:
        parts = [layers.Conv2D(4, 3), bn(), layers.ReLU(), layers.MaxPooling2D(), bn("m")]
        model = chain((12, 12, 3), *parts, layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(3))
        result = fold_batch_normalization(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert (result.folded, result.equivalence.dtype) == (2, "float64")
    assert result.equivalence.largest("relative") < 1e-13


def test_outputs_that_never_change_are_named():
    model = chain((4,), layers.Dense(3, name="d"), layers.ReLU(name="dead"))
    kernel, bias = model.get_layer("d").get_weights()
    model.get_layer("d").set_weights([0 * kernel, np.abs(bias)])
    found = verify_equivalence(model, model)
    assert found.constant == ("dead",)
    assert found.document()["constant_outputs"] == ["dead"]


def test_near_ties_are_no_flipped_labels():
    model = chain((4,), layers.Dense(2, name="d"))
    kernel, _ = model.get_layer("d").get_weights()
    model.get_layer("d").set_weights([np.repeat(kernel[:, :1], 2, axis=1), np.zeros(2)])
    other = place(model, "as_given").model
    other.get_layer("d").set_weights(
        [np.repeat(kernel[:, :1], 2, axis=1), np.array([0, 1e-7], "float32")]
    )
    found = verify_equivalence(model, other)
    assert sum(one.label_flips for one in found.differences) == 0
    assert sum(one.near_ties for one in found.differences) > 0


def test_models_of_whole_numbers_and_of_several_inputs():
    words, numbers = keras.Input((5,), dtype="int32", name="w"), keras.Input((3,), name="f")
    x = layers.Flatten()(bn()(layers.Embedding(7, 4)(words)))
    model = realistic(keras.Model({"w": words, "f": numbers}, layers.Dense(2)(
        layers.Concatenate()([x, numbers]))))  # fmt: skip
    made = trial_inputs(model)
    assert {*made} >= {"normal", "denormal"}
    assert all(
        array.min() >= 0 and array.max() < 7
        for array in made["normal"]
        if "int" in str(array.dtype)
    )
    assert fold_batch_normalization(model).folded == 1
    only = chain((5,), layers.Embedding(7, 4), bn(), layers.Dense(2))
    assert {*trial_inputs(only)} == {"integers"}
    assert trial_inputs(only)["integers"][0].max() == 6
    assert fold_batch_normalization(only).equivalence.equivalent


def test_models_that_do_not_fit_are_refused_in_one_line():
    with pytest.raises(InputError, match=r"the models have other inputs: received inputs of shape"):
        verify_equivalence(small(), chain((4,), layers.Dense(5)))
    with pytest.raises(
        InputError, match=r"the models have other outputs: .*\(None, 4\).*\(None, 5"
    ):
        verify_equivalence(chain((4,), layers.Dense(5)), chain((4,), layers.Dense(4)))
    with pytest.raises(
        InputError, match="the data of the comparison do not fit the model: received arr"
    ):
        verify_equivalence(small(), small(), np.zeros((3, 2)))


PASSES = {
    "remove": lambda model, verify: remove_normalization(model, verify=verify),
    "replace": lambda model, verify: replace_normalization(model, "group", verify=verify),
    "move": lambda model, verify: move_normalization(model, "after_activation", verify=verify),
    "swap": lambda model, verify: swap_activation(model, "gelu", verify=verify),
    "insert": lambda model, verify: insert_normalization(model, "after_activation", verify=verify),
}


@pytest.mark.parametrize("name", PASSES)
def test_a_pass_that_changes_the_function_hands_nothing_back_if_asked_to_verify(name):
    model = small()
    with pytest.raises(EquivalenceError, match="'sequential.* does not compute the same: received"):
        PASSES[name](model, True)
    assert PASSES[name](model, False).equivalence is None


def test_a_pass_that_keeps_the_function_says_so():
    model, x = small(), np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype("float32")
    result = insert_normalization(model, "after_activation", calibrate=x, verify=x)
    assert result.equivalence.equivalent
    assert result.document()["equivalent"] is True
    assert remove_normalization(model, mode="fold", verify=True).equivalence.equivalent


def planted_fused(monkeypatch):
    monkeypatch.setattr(absorbing, "has_fused_activation", lambda layer: False)
    return chain((8, 8, 3), layers.Conv2D(4, 3, activation="relu"), bn(), layers.ReLU())


def planted_border(monkeypatch):
    monkeypatch.setattr(absorbing, "_meets_zeros", lambda call: False)
    return chain((8, 8, 3), layers.ReLU(), bn(), layers.Conv2D(4, 3, padding="same"))


def planted_maximum(monkeypatch):
    monkeypatch.setattr(commuting, "_of_positions", lambda call, affine: None)
    model = chain((8, 8, 3), layers.Conv2D(4, 3), layers.MaxPooling2D(), bn(), layers.ReLU())
    gamma = model.get_layer("n").gamma
    gamma.assign(-keras.ops.convert_to_numpy(gamma))
    return model


def planted_reader(monkeypatch):
    def first_alone(self, call):
        found = [reader for value in call.outputs for reader in self._readers[value]]
        return [reader for reader in found if "n" in reader.layer.name][:1] or found

    monkeypatch.setattr(folding.Remaining, "consumers", first_alone)
    entry = keras.Input((5,))
    d = layers.Dense(4, name="d")(entry)
    return realistic(keras.Model(entry, layers.Add(name="sum")([bn()(d), d])))


@pytest.mark.parametrize("plant", [planted_fused, planted_border, planted_maximum, planted_reader])
def test_the_known_mistakes_of_other_tools_are_caught(plant, monkeypatch):
    model = plant(monkeypatch)
    assert fold_batch_normalization(model, verify=False).folded == 1
    with pytest.raises(EquivalenceError, match="does not compute the same"):
        fold_batch_normalization(model)
    monkeypatch.undo()
    assert fold_batch_normalization(model).folded == 0


def test_what_does_not_fold_becomes_affine_with_what_it_took_in():
    parts = layers.ReLU(), bn("m"), layers.Dropout(0.5), bn("n"), layers.Activation("tanh")
    model = chain((6, 4), *parts, bn("o"), layers.ReLU())
    with untouched(model):
        result = fold_batch_normalization(model, rest="affine")
    assert result.equivalence.equivalent
    left = {layer.name: type(layer) for layer in result.model.layers}
    assert len([cls for cls in left.values() if cls is layers.Rescaling]) == 2
    assert layers.BatchNormalization not in left.values()
    assert [kind for _, kind in result.replaced] == ["affine", "affine"]
    assert (result.folded, result.kept) == (1, ())


def test_an_affine_rest_keeps_the_channels_where_they_are():
    if TENSORFLOW:
        pytest.skip("TensorFlow's convolutions on a CPU know channels_last alone")
    first = {"data_format": "channels_first"}
    behind = layers.Conv2D(2, 3, padding="same", **first)
    before = layers.Conv2D(4, 3, activation="relu", **first)
    model = chain((3, 8, 8), before, layers.BatchNormalization(1), behind)
    result = fold_batch_normalization(model, rest="affine")
    assert (result.folded, len(result.replaced)) == (0, 1)
    assert result.equivalence.equivalent
