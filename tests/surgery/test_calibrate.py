"""`calibrate=`: an insertion that is an identity at inference."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from normcraft._core.errors import InputError
from normcraft.kinds import batch, kind_names
from normcraft.placements import placement_names
from normcraft.surgery import insert_normalization, remove_normalization
from strategies import arrays, build, normalized, outputs, realistic, residual, same, untouched
from tolerances import IDENTITY, assert_close

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(1, 2, (300, 6, 6, 4)).astype("float32")


def network():
    return realistic(build("image", (normalized, residual), "linear"))


def small(**settings):
    chain = [keras.Input((4,)), layers.Dense(6, "relu", name="a", **settings), layers.Dense(2)]
    return realistic(keras.Sequential(chain), seed=2)


@pytest.mark.parametrize("placement", sorted({*placement_names()} - {"as_given", "none"}))
def test_every_placement_is_an_identity_at_inference(placement):
    model = network()
    with untouched(model):
        result = insert_normalization(model, placement, calibrate=X)
    assert result.inserted
    assert_close(outputs(result.model, [X])[0], outputs(model, [X])[0])
    assert result.inference_difference < IDENTITY["float32"]
    other = [RANDOM.normal(-2, 5, (9, 6, 6, 4)).astype("float32")]
    assert_close(outputs(result.model, other)[0], outputs(model, other)[0])


def test_statistics_are_those_of_the_data_in_float64():
    model = small()
    x = RANDOM.normal(3, 2, (500, 4)).astype("float32")
    result = insert_normalization(model, "before_activation", calibrate=x)
    layer = result.model.get_layer("a_batch_normalization")
    kernel, bias = (np.asarray(w, "float64") for w in model.get_layer("a").get_weights())
    received = x.astype("float64") @ kernel  # the bias is gone
    mean, variance = received.mean(0), received.var(0)
    gamma, beta, *kept = (np.asarray(ops.convert_to_numpy(w), "float64") for w in layer.weights)
    np.testing.assert_allclose(kept[0], mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(kept[1], variance, rtol=1e-5)
    np.testing.assert_allclose(gamma, np.sqrt(variance + layer.epsilon), rtol=1e-5)
    np.testing.assert_allclose(beta, mean + bias, rtol=1e-5, atol=1e-5)


def test_a_dropped_bias_moves_into_the_shift_also_without_data():
    model = small()
    result = insert_normalization(model, "before_activation")
    layer, bias = result.model.get_layer("a_batch_normalization"), model.get_layer("a").bias
    assert result.biases_dropped == 1
    scale, shift = batch.inference_affine(layer)
    np.testing.assert_allclose(shift / scale, ops.convert_to_numpy(bias), rtol=1e-5)
    # Outputs are those with a bias before normalization whose statistics are fresh.
    x = RANDOM.normal(size=(20, 4)).astype("float32")
    kernel = np.asarray(model.get_layer("a").get_weights()[0], "float64")
    hidden = np.maximum((x @ kernel + ops.convert_to_numpy(bias)) / np.sqrt(1 + layer.epsilon), 0)
    head = model.layers[-1].get_weights()
    assert_close(outputs(result.model, [x])[0], hidden @ head[0] + head[1])


def test_the_report_says_how_far_training_moves():
    model = small()
    x = RANDOM.normal(0, 1, (64, 4)).astype("float32")
    result = insert_normalization(model, "before_activation", calibrate=x)
    trained = result.model(x, training=True)
    before, after = outputs(model, [x])[0], np.asarray(ops.convert_to_numpy(trained))
    # On all rows at once, batch statistics are those of the calibration.
    assert np.max(np.abs(after - before)) / np.max(np.abs(before)) < 1e-4
    assert result.training_difference < 1e-4
    tilted = np.concatenate([x, x + 9])
    moved = insert_normalization(model, "before_activation", calibrate=tilted[:300])
    assert moved.training_difference < 1e-4
    many = np.concatenate([np.repeat(x, 4, 0), np.repeat(x, 4, 0) + 9])
    assert insert_normalization(model, "input", calibrate=many).training_difference > 0.1


def test_what_has_to_go_is_folded_and_the_rest_is_kept_and_listed():
    entry = keras.Input((4,), name="x")
    x = layers.BatchNormalization(name="n1")(layers.Dense(6, name="a")(entry))
    x = layers.LayerNormalization(name="n2")(layers.ReLU(name="r")(x))
    x = layers.BatchNormalization(name="n3")(layers.Dense(6, "relu", name="b")(x))
    x = layers.ReLU()(x)
    model = realistic(keras.Model(entry, layers.Dense(2, name="head")(x)))
    data = RANDOM.normal(size=(50, 4)).astype("float32")
    result = insert_normalization(model, "after_activation", calibrate=data)
    assert (result.removed, result.folded) == (("n1",), 1)
    assert [site for site, _ in result.kept] == ["n2", "n3"]
    assert [site for site, _ in result.inserted] == ["r", "b"]
    assert_close(outputs(result.model, [data])[0], outputs(model, [data])[0])


def test_a_folded_bias_ends_in_the_shift_of_what_is_inserted():
    entry = keras.Input((4,), name="x")
    x = layers.BatchNormalization(name="n")(layers.Dense(6, use_bias=False, name="a")(entry))
    model = realistic(keras.Model(entry, layers.Dense(2)(layers.ReLU()(x))))
    data = RANDOM.normal(size=(50, 4)).astype("float32")
    result = insert_normalization(model, "before_activation", calibrate=data)
    assert (result.removed, result.biases_dropped, result.biases_restored) == (("n",), 0, 0)
    assert not result.model.get_layer("a").use_bias
    assert_close(outputs(result.model, [data])[0], outputs(model, [data])[0])


def test_removing_it_again_gives_the_model_back():
    model = small()
    x = RANDOM.normal(size=(50, 4)).astype("float32")
    there = insert_normalization(model, "before_activation", calibrate=x).model
    back = remove_normalization(there, mode="fold").model
    for one, other in zip(arrays(back.weights), arrays(model.weights), strict=True):
        assert_close(one, other)


def test_data_far_from_zero_and_constant_channels():
    model = small()
    x = RANDOM.normal(1000, 1, (200, 4)).astype("float32")
    x[:, 2] = 7
    result = insert_normalization(model, "input+before_activation", calibrate=x)
    assert_close(outputs(result.model, [x])[0], outputs(model, [x])[0])


def test_frozen_models_stay_frozen_and_are_calibrated():
    model = small()
    model.trainable = False
    x = RANDOM.normal(size=(50, 4)).astype("float32")
    result = insert_normalization(model, "before_activation", calibrate=x)
    assert not result.model.trainable
    layer = result.model.get_layer("a_batch_normalization")
    assert np.any(ops.convert_to_numpy(layer.moving_mean) != 0)
    assert_close(outputs(result.model, [x])[0], outputs(model, [x])[0])


def test_a_shared_layer_with_one_or_several_normalizations():
    entry, d = keras.Input((4,), name="x"), layers.Dense(4, name="d")
    model = keras.Model(entry, layers.Dense(2)(layers.ReLU()(d(layers.ReLU()(d(entry))))))
    realistic(model)
    x = RANDOM.normal(size=(50, 4)).astype("float32")
    for shared, number in ((False, 2), (True, 1)):
        result = insert_normalization(model, "before_activation", shared=shared, calibrate=x)
        new = [n for n in result.model.layers if isinstance(n, layers.BatchNormalization)]
        assert len(new) == number
        assert [site for site, _ in result.inserted] == ["d", "d@2"]
        assert_close(outputs(result.model, [x])[0], outputs(model, [x])[0])


def test_calls_of_a_shared_layer_that_differ_get_no_normalization_in_common():
    entry, d = keras.Input((4, 4), name="x"), layers.Dense(4, name="d")
    model = keras.Model(entry, layers.Dense(2)(d(layers.GlobalAveragePooling1D()(d(entry)))))
    result = insert_normalization(model, "before_activation", shared=True)
    assert [site for site, _ in result.inserted] == ["d"]
    assert "the result of another call has other channels" in dict(result.skipped)["d@2"]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_within_its_tolerance(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = realistic(build("image", (normalized, residual), "linear"))
    finally:
        keras.config.set_dtype_policy("float32")
    result = insert_normalization(model, "before_activation", calibrate=X[:64])
    assert result.inference_difference < 4 * IDENTITY[policy.removeprefix("mixed_")]


KEEPING = ("batch", "batch_renorm", "ghost_batch")


@pytest.mark.parametrize("kind", KEEPING)
def test_every_kind_that_keeps_statistics_can_be_calibrated(kind):
    result = insert_normalization(small(), "before_activation", kind=kind, calibrate=X[:, 0, 0])
    assert [name for _, name in result.inserted] == [kind] * len(result.inserted)
    assert result.inserted
    assert result.inference_difference < IDENTITY["float32"]


@pytest.mark.parametrize("kind", sorted(set(kind_names()) - set(KEEPING)))
def test_kinds_without_statistics_cannot_be_calibrated(kind):
    model = small()
    able = ", ".join(KEEPING)
    with untouched(model), pytest.raises(InputError, match=f"that keeps statistics: {able}"):
        insert_normalization(model, "before_activation", kind=kind, calibrate=X)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 4), "float32"), "calibration needs data: received no rows"),
        (np.full((9, 4), np.nan, "float32"), "the data give no statistics for the normalization"),
        (np.full((9, 4), np.inf, "float32"), "expected finite activations at every site"),
        (np.zeros((9, 5), "float32"), r"do not fit the model: received arrays of shape \(9, 5\)"),
        ("digits", r"do not fit the model: received str"),
        ([], "calibration needs data"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*invalid value:RuntimeWarning")
def test_data_that_cannot_serve_are_refused(data, message):
    model = small()
    with untouched(model), pytest.raises(InputError, match=message) as caught:
        insert_normalization(model, "input+before_activation", calibrate=data)
    assert "\n" not in str(caught.value)


def test_the_same_data_give_the_same_model():
    left, right = (
        insert_normalization(network(), "before_activation", calibrate=X[:32]).model.get_weights()
        for _ in range(2)
    )
    assert same(left, right)
