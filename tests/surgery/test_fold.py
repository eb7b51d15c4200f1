"""`remove_normalization(mode="fold")`: what goes into the weights, and what must not."""

import keras
import numpy as np
import pytest
from keras import layers

from normcraft._core.errors import InputError
from normcraft.surgery import remove_normalization
from strategies import outputs, realistic, untouched
from tolerances import assert_close

FIRST = keras.backend.backend() != "tensorflow"  # channels_first convolutions on a CPU


def model_of(shape, *chain) -> keras.Model:
    return realistic(keras.Sequential([keras.Input(shape), *chain]), seed=3)


def conv2d(axis=-1, **settings):
    return layers.Conv2D(6, 3, **settings), layers.BatchNormalization(axis)


def pair(layer, **settings):
    return layer, layers.BatchNormalization(**settings)


LINEAR = {
    "dense": ((5,), lambda: pair(layers.Dense(6))),
    "dense without bias": ((5,), lambda: pair(layers.Dense(6, use_bias=False))),
    "dense over steps": ((4, 5), lambda: pair(layers.Dense(6))),
    "conv1d": ((9, 4), lambda: pair(layers.Conv1D(6, 3, strides=2))),
    "causal conv1d": ((9, 4), lambda: pair(layers.Conv1D(6, 3, padding="causal"))),
    "conv2d": ((8, 8, 4), conv2d),
    "conv2d same": ((8, 8, 4), lambda: conv2d(padding="same", use_bias=False)),
    "conv2d grouped": ((8, 8, 4), lambda: conv2d(groups=2)),
    "conv2d dilated": ((8, 8, 4), lambda: conv2d(dilation_rate=2)),
    "conv2d first": ((4, 8, 8), lambda: conv2d(1, data_format="channels_first")),
    "conv3d": ((5, 5, 5, 2), lambda: pair(layers.Conv3D(3, 3))),
    "conv1d transpose": ((9, 4), lambda: pair(layers.Conv1DTranspose(6, 3, strides=2))),
    "conv2d transpose": ((5, 5, 4), lambda: pair(layers.Conv2DTranspose(6, 3, strides=2))),
    "conv3d transpose": ((3, 3, 3, 2), lambda: pair(layers.Conv3DTranspose(4, 2))),
    "depthwise1d": ((9, 4), lambda: pair(layers.DepthwiseConv1D(3, depth_multiplier=2))),
    "depthwise2d": ((8, 8, 4), lambda: pair(layers.DepthwiseConv2D(3, depth_multiplier=3))),
    "separable1d": ((9, 4), lambda: pair(layers.SeparableConv1D(6, 3))),
    "separable2d": ((8, 8, 4), lambda: pair(layers.SeparableConv2D(6, 3, depth_multiplier=2))),
    "einsum": ((4, 5), lambda: pair(layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d"))),
    "einsum without bias": ((4, 5), lambda: pair(layers.EinsumDense("abc,cd->abd", (None, 6)))),
    "einsum of two": ((4, 5), lambda: pair(layers.EinsumDense("abc,cde->abde", (None, 2, 6)))),
    "wide bias": ((4, 5), lambda: pair(layers.EinsumDense("abc,cd->abd", (4, 6), bias_axes="bd"))),
    "no shift": ((5,), lambda: pair(layers.Dense(6), center=False, scale=False)),
    "twice": ((5,), lambda: (*pair(layers.Dense(6)), layers.BatchNormalization())),
}


@pytest.mark.parametrize("name", LINEAR)
def test_folding_keeps_the_function(name):
    shape, make = LINEAR[name]
    if name == "conv2d first" and not FIRST:
        pytest.skip("TensorFlow's convolutions on a CPU know channels_last alone")
    model = model_of(shape, *make(), layers.ReLU())
    before = outputs(model)
    with untouched(model):
        result = remove_normalization(model, mode="fold")
    assert (len(result.removed), result.folded) == (2, 2) if name == "twice" else (1, 1)
    assert not result.kept
    left = [type(layer).__name__ for layer in result.model.layers]
    assert "BatchNormalization" not in left
    assert_close(outputs(result.model)[0], before[0])
    # That this is no accident: just dropping it gives something else.
    dropped = outputs(remove_normalization(model).model)[0]
    assert np.max(np.abs(dropped - before[0])) > 0.01 * np.max(np.abs(before[0]))


def test_folded_weights_are_those_of_the_formula():
    model = model_of((5,), *pair(layers.Dense(6, name="d"), name="n", epsilon=0.01))
    kernel, bias = (np.asarray(w, "float64") for w in model.get_layer("d").get_weights())
    gamma, beta, mean, variance = (
        np.asarray(w, "float64") for w in model.get_layer("n").get_weights()
    )
    folded = remove_normalization(model, mode="fold").model.get_layer("d").get_weights()
    scale = gamma / np.sqrt(variance + 0.01)
    np.testing.assert_allclose(folded[0], kernel * scale, rtol=1e-6)
    np.testing.assert_allclose(folded[1], (bias - mean) * scale + beta, rtol=1e-5, atol=1e-6)


def test_a_layer_without_bias_gets_one():
    result = remove_normalization(
        model_of((5,), *pair(layers.Dense(6, use_bias=False))), mode="fold"
    )
    assert (result.biases_restored, result.model.layers[0].use_bias) == (1, True)


def branching(also_output: bool):
    entry = keras.Input((5,), name="x")
    d = layers.Dense(6, name="d")(entry)
    n = layers.BatchNormalization(name="n")(d)
    n = layers.ReLU()(n)
    outs = [layers.Dense(2)(n), d] if also_output else layers.Dense(2)(layers.Add()([n, d]))
    return realistic(keras.Model(entry, outs))


def shared(alike: bool):
    entry, d = keras.Input((5,), name="x"), layers.Dense(5, name="d")
    first, second = layers.BatchNormalization(name="n"), layers.BatchNormalization(name="m")
    x = layers.ReLU()(first(d(entry)))
    x = layers.ReLU()((first if alike else second)(d(x)))
    return realistic(keras.Model(entry, layers.Dense(2)(x)))


def baked(training: bool):
    entry = keras.Input((5,), name="x")
    x = layers.BatchNormalization(name="n")(layers.Dense(6, name="d")(entry), training=training)
    return realistic(keras.Model(entry, layers.Dense(2)(x)))


def quantized():
    model = model_of((8,), layers.Dense(6, name="d"), layers.BatchNormalization(name="n"))
    model.get_layer("d").quantize("int8")
    return model


def infinite():
    model = model_of((8,), layers.Dense(6, name="d"), layers.BatchNormalization(name="n"))
    model.get_layer("n").moving_mean.assign(np.full(6, np.inf))
    return model


def nested_uses():
    entry = keras.Input((5,))
    inner = keras.Sequential(
        [keras.Input((5,)), layers.BatchNormalization(name="n"), layers.ReLU(), layers.Dense(5)],
        name="inner",
    )
    x = layers.ReLU()(inner(layers.Dense(5, name="d")(entry)))
    return realistic(keras.Model(entry, layers.Dense(2)(inner(x))))


def timed(*chain):
    return model_of((4, 5), *chain)


TD = layers.TimeDistributed
REFUSALS = {
    "fused": (
        lambda: model_of((5,), layers.Dense(6, "relu", name="d"), layers.BatchNormalization()),
        "'d' before it has an activation of its own",
    ),
    "second consumer": (lambda: branching(also_output=False), "'d' before it is used elsewhere"),
    "output": (lambda: branching(also_output=True), "'d' before it is an output of the model too"),
    "nothing before": (
        lambda: model_of((5,), layers.BatchNormalization(), layers.ReLU()),
        "nothing but the model's input stands before it; forward, ",
    ),
    "activation between": (
        lambda: model_of((5,), layers.Dense(6), layers.ReLU(name="r"), layers.BatchNormalization()),
        "backward, 'r' stands in between; its result is an output of the model",
    ),
    "other axis": (
        lambda: model_of((4, 5), layers.Dense(6, name="d"), layers.BatchNormalization(axis=1)),
        "does not work on the output channels of 'd' before it",
    ),
    "einsum": (
        lambda: model_of(
            (4, 5), layers.EinsumDense("abc,cd->adb", (6, 4), name="d"), layers.BatchNormalization()
        ),
        "does not work on the output channels of 'd' before it",
    ),
    "shared": (lambda: shared(alike=False), "'d' is shared, and another of its calls differs"),
    "training": (lambda: baked(training=True), "training=True is baked into its call"),
    "layer": (
        lambda: model_of((5,), layers.Dense(6), layers.LayerNormalization()),
        "layer normalization takes its statistics from each input",
    ),
    "quantized": (quantized, "'d' is quantized, and its scales belong to its whole numbers"),
    "infinite": (infinite, "its weights or statistics are not finite"),
    "nested twice": (nested_uses, "stands in between"),
    "timed layer": (
        lambda: timed(TD(layers.Dense(3), name="d"), layers.BatchNormalization()),
        "backward, 'd' stands in between",
    ),
    "timed": (
        lambda: timed(layers.Dense(3), TD(layers.BatchNormalization())),
        "it stands inside TimeDistributed",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_folded_is_kept_with_the_reason(name):
    make, reason = REFUSALS[name]
    model = make()
    with untouched(model):
        result = remove_normalization(model, mode="fold")
    assert result.kept
    assert any(reason in given for _, given in result.kept), result.kept
    assert name == "nested twice" or len(result.kept) == 1 + (name in {"shared"})
    assert not result.removed
    assert (result.folded, result.modified) == (0, False)
    if name != "infinite":
        assert_close(outputs(result.model)[0], outputs(model)[0])


@pytest.mark.parametrize("make", [lambda: shared(alike=True), lambda: baked(training=False)])
def test_what_looks_doubtful_and_is_exact_is_folded(make):
    model = make()
    result = remove_normalization(model, mode="fold")
    assert result.removed
    assert not result.kept
    assert_close(outputs(result.model)[0], outputs(model)[0])


def test_folding_a_part_of_a_model():
    model = model_of(
        (5,),
        *(layers.Dense(6, name="a"), layers.BatchNormalization(name="an"), layers.ReLU()),
        *(layers.Dense(6, name="b"), layers.BatchNormalization(name="bn")),
    )
    result = remove_normalization(model, mode="fold", only="a")
    assert (result.removed, result.kept) == (("an",), ())
    assert_close(outputs(result.model)[0], outputs(model)[0])
    assert remove_normalization(model, mode="fold", skip="bn").removed == ("an",)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_folding_a_mixed_precision_model(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = model_of((8, 8, 4), *conv2d(), layers.ReLU())
    finally:
        keras.config.set_dtype_policy("float32")
    result = remove_normalization(model, mode="fold")
    assert result.folded == 1
    assert result.model.layers[0].dtype_policy.name == policy
    assert_close(outputs(result.model)[0], outputs(model)[0], dtype=policy.removeprefix("mixed_"))


def test_an_unknown_mode_lists_the_modes():
    with pytest.raises(InputError, match="unknown mode: received 'flod', .*drop, fold; did you"):
        remove_normalization(model_of((5,), *pair(layers.Dense(2))), mode="flod")
