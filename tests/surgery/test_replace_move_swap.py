"""Replace, move and swap: the passes that change what a model has."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from normcraft._core.errors import InputError
from normcraft.kinds import kind_names, kind_of
from normcraft.surgery import (
    insert_normalization,
    move_normalization,
    replace_normalization,
    swap_activation,
)
from strategies import arrays, outputs, realistic, same, untouched
from tolerances import assert_close

IMAGE = (8, 8, 4)


def chain(*middle, shape=IMAGE) -> keras.Model:
    return realistic(keras.Sequential([keras.Input(shape, name="x"), *middle]), seed=1)


def conv_net(**settings):
    return chain(
        layers.Conv2D(16, 3, use_bias=False, name="c"),
        layers.BatchNormalization(name="n", **settings),
        layers.ReLU(name="r"),
        layers.MaxPooling2D(name="p"),
        layers.Flatten(),
        layers.Dense(2, name="head"),
    )


# --- replace -------------------------------------------------------------------------------------


def reference(kind, x, gamma, beta, epsilon):
    """The normalization of (rows, height, width, channels) in float64."""
    x = x.astype("float64")
    if kind == "group":
        grouped = x.reshape(*x.shape[:3], 8, 2)
        mean, var = (f(grouped, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
        return ((grouped - mean) / np.sqrt(var + epsilon)).reshape(x.shape) * gamma + beta
    if kind == "rms":
        return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + epsilon) * gamma
    axes = {"layer": (3,), "instance": (1, 2)}[kind]
    mean, var = (f(x, axis=axes, keepdims=True) for f in (np.mean, np.var))
    return (x - mean) / np.sqrt(var + epsilon) * gamma + beta


# Kinds of the batch family keep the statistics: tests/surgery/test_our_layers.py.
@pytest.mark.parametrize("kind", sorted({*kind_names()} - {"batch", "batch_renorm", "ghost_batch"}))
def test_a_kind_takes_the_place_and_the_learned_values(kind):
    model = conv_net(epsilon=0.02)
    with untouched(model):
        result = replace_normalization(model, kind)
    assert result.replaced == (("n", kind),)
    assert (result.kept, result.modified) == ((), True)
    layer = result.model.get_layer("n")
    assert (kind_of(layer), layer.epsilon) == (kind, 0.02)
    gamma, beta, *_ = model.get_layer("n").get_weights()
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 16)).astype("float32")
    assert_close(ops.convert_to_numpy(layer(x)), reference(kind, x, gamma, beta, 0.02))


@pytest.mark.parametrize("kind", ["group", "layer", "instance"])
def test_there_and_back_gives_scale_and_shift_again(kind):
    model = conv_net()
    back = replace_normalization(replace_normalization(model, kind).model, "batch").model
    assert type(back.get_layer("n")) is layers.BatchNormalization
    before, after = model.get_layer("n").get_weights(), back.get_layer("n").get_weights()
    assert same(before[:2], after[:2])
    assert same(model.get_layer("c").get_weights(), back.get_layer("c").get_weights())
    assert (after[2].max(), after[3].min()) == (0, 1)  # moving statistics begin fresh


def test_settings_are_carried_over():
    model = conv_net(
        center=False,
        gamma_regularizer=keras.regularizers.L2(0.5),
        gamma_constraint="non_neg",
        gamma_initializer="zeros",
    )
    layer = replace_normalization(model, "layer").model.get_layer("n")
    assert layer.beta is None
    assert float(layer.gamma_regularizer.l2) == 0.5
    assert type(layer.gamma_constraint).__name__ == "NonNeg"
    assert type(layer.gamma_initializer).__name__ == "Zeros"


def test_a_frozen_layer_stays_frozen_and_a_policy_stays():
    model = conv_net(dtype="mixed_bfloat16")
    model.get_layer("n").trainable = False
    layer = replace_normalization(model, "group").model.get_layer("n")
    assert (layer.trainable, layer.dtype_policy.name) == (False, "mixed_bfloat16")


def test_a_layer_that_is_called_twice_is_replaced_once():
    entry, n = keras.Input(IMAGE), layers.BatchNormalization(name="n")
    conv = layers.Conv2D(4, 3, padding="same", name="c")
    model = realistic(keras.Model(entry, n(conv(n(conv(entry))))))
    result = replace_normalization(model, "layer")
    assert result.replaced == (("n", "layer"),)
    assert [type(one).__name__ for one in result.model.layers].count("LayerNormalization") == 1


def test_a_mask_and_a_baked_mode_do_not_hinder():
    entry = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(entry)
    x = layers.BatchNormalization(name="n")(x, training=False)
    model = keras.Model(entry, layers.Dense(2)(layers.LSTM(3)(x)))
    for kind in ("layer", "group", "rms"):
        assert replace_normalization(model, kind).replaced == (("n", kind),)


REFUSED = {
    "already": (conv_net, "batch", "it is batch normalization already"),
    "timed": (
        lambda: chain(layers.TimeDistributed(layers.BatchNormalization()), shape=(5, 4)),
        "layer",
        "it stands inside TimeDistributed",
    ),
    "axes": (
        lambda: chain(layers.LayerNormalization(axis=[1, 2, 3])),
        "batch",
        "over several axes",
    ),
    "flat": (
        lambda: chain(layers.BatchNormalization(), shape=(4,)),
        "instance",
        "rank-2 activations would return beta alone",
    ),
    "axis": (lambda: chain(layers.BatchNormalization(axis=1)), "rms", "scales the last axis alone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_replaced_is_kept_with_the_reason(name):
    make, kind, reason = REFUSED[name]
    model = make()
    with untouched(model):
        result = replace_normalization(model, kind)
    assert reason in result.kept[0][1]
    assert not result.modified
    assert same(outputs(result.model), outputs(model))


def test_a_part_can_be_replaced():
    model = chain(
        *(layers.Conv2D(8, 3, name="a"), layers.BatchNormalization(name="an"), layers.ReLU()),
        *(layers.Conv2D(8, 3, name="b"), layers.BatchNormalization(name="bn")),
    )
    assert replace_normalization(model, "group", only="a").replaced == (("an", "group"),)
    assert replace_normalization(model, "group", skip="a*").replaced == (("bn", "group"),)


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="unknown kind: received 'grp'.*did you mean 'group'"):
        replace_normalization(conv_net(), "grp")


# --- move ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("placement", "target", "order"),
    [("after_activation", "r", "c r n p"), ("after_pooling", "p", "c r p n")],
)
def test_normalization_moves_with_all_it_has(placement, target, order):
    model = conv_net(momentum=0.7, epsilon=0.3)
    with untouched(model):
        result = move_normalization(model, placement)
    assert result.moved == (("n", target),)
    assert (result.removed, result.inserted, result.biases_restored) == ((), (), 1)
    assert " ".join(layer.name for layer in result.model.layers[:4]) == order
    moved = result.model.get_layer("n")
    assert (moved.momentum, moved.epsilon) == (0.7, 0.3)
    assert same(moved.get_weights(), model.get_layer("n").get_weights())


def test_moving_over_max_pooling_keeps_the_function_where_every_scale_is_positive():
    model = chain(
        layers.Conv2D(6, 3, name="c"), layers.BatchNormalization(name="n"), layers.MaxPooling2D()
    )
    moved = move_normalization(model, "after_pooling").model
    assert_close(outputs(moved)[0], outputs(model)[0])


def test_a_fused_activation_is_split_where_normalization_moves_before_it():
    conv = layers.Conv2D(6, 3, activation="relu", name="c")
    model = chain(conv, layers.BatchNormalization(name="n"), layers.Flatten(), layers.Dense(2))
    result = move_normalization(model, "before_activation")
    assert [layer.name for layer in result.model.layers[:3]] == ["c", "n", "c_activation"]
    assert result.biases_dropped == 1
    # The dropped bias is in the shift: the same as if it had stayed.
    _, bias = model.layers[0].get_weights()
    gamma, beta, _, variance = model.layers[1].get_weights()
    scale = gamma / np.sqrt(variance + 1e-3)
    n = result.model.get_layer("n")
    np.testing.assert_allclose(
        ops.convert_to_numpy(n.beta), beta + scale * bias, rtol=1e-5, atol=1e-6
    )


def test_what_cannot_move_stays_with_the_reason():
    entry = keras.Input(IMAGE, name="x")
    x = layers.BatchNormalization(name="first")(entry)
    x = layers.BatchNormalization(name="n")(layers.Conv2D(6, 3, name="c")(x))
    x = layers.LayerNormalization(axis=[1, 2, 3], name="axes")(layers.Conv2D(6, 3, name="d")(x))
    x = layers.GlobalAveragePooling2D()(x)
    model = realistic(keras.Model(entry, layers.Dense(2)(x)))
    with untouched(model):
        result = move_normalization(model, "before_activation")
    reasons = dict(result.kept)
    assert "no place for the layer that it belongs to" in reasons["first"]
    assert reasons["n"] == "it stands there already"
    assert reasons["axes"] == "it normalizes over several axes"
    assert not result.modified
    assert same(outputs(result.model), outputs(model))


def test_a_shared_normalization_moves_in_all_its_calls_or_in_none():
    entry, n = keras.Input((4,), name="x"), layers.BatchNormalization(name="n")
    first, second = layers.Dense(6, name="a"), layers.Dense(6, name="b")
    x = layers.ReLU(name="ra")(n(first(entry)))
    model = realistic(keras.Model(entry, layers.Dense(2)(layers.ReLU(name="rb")(n(second(x))))))
    result = move_normalization(model, "after_activation")
    assert result.moved == (("n", "ra"), ("n@2", "rb"))
    assert sum(isinstance(one, layers.BatchNormalization) for one in result.model.layers) == 1
    some = move_normalization(model, "after_activation", only="a")
    assert not some.modified
    assert some.kept


# --- swap activation -----------------------------------------------------------------------------


def test_hidden_activations_are_swapped_and_the_rest_stays():
    model = chain(
        layers.Dense(6, "relu", name="a"),
        layers.Dense(6, name="b"),
        layers.LeakyReLU(name="l"),
        layers.Dense(3, "softmax", name="head"),
        shape=(4,),
    )
    with untouched(model):
        result = swap_activation(model, "gelu")
    assert (result.activations_replaced, result.modified) == (2, True)
    assert result.model.get_layer("a").activation is keras.activations.gelu
    assert result.model.get_layer("l").activation is keras.activations.gelu
    assert result.model.get_layer("head").activation is keras.activations.softmax
    assert same(arrays(result.model.weights), arrays(model.weights))


def test_a_part_of_the_activations():
    model = chain(
        layers.Dense(6, "relu", name="a"),
        layers.Dense(6, "relu", name="b"),
        layers.Dense(2),
        shape=(4,),
    )
    assert swap_activation(model, "tanh", only="b").activations_replaced == 1
    assert not swap_activation(model, "relu").modified


def test_an_unknown_activation_is_refused():
    with pytest.raises(InputError, match="unknown activation: received 'rellu', expected the name"):
        swap_activation(chain(layers.Dense(2)), "rellu")


# --- optimizer state -----------------------------------------------------------------------------


@pytest.mark.skipif(keras.backend.backend() == "numpy", reason="NumPy trains nothing")
@pytest.mark.parametrize("name", ["adam", "rmsprop", "adafactor", "lion"])
def test_the_optimizer_remembers_the_variables_that_survive(name):
    model = chain(
        *(layers.Dense(6, "relu", name="a"), layers.BatchNormalization(name="n")),
        *(layers.Dense(6, "relu", name="b"), layers.Dense(1, name="head")),
        shape=(4,),
    )
    model.compile(keras.optimizers.get(name), "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    with untouched(model):
        copy = insert_normalization(model, "as_given+before_activation").model
    assert int(copy.optimizer.iterations) == int(model.optimizer.iterations) == 4
    before, after = (
        {v.name: np.array(ops.convert_to_numpy(v)) for v in one.optimizer.variables}
        for one in (model, copy)
    )
    common = before.keys() & after.keys()
    assert any("a_kernel" in key for key in common)
    assert any(np.any(before[key] != 0) for key in common if "kernel" in key)
    assert all(np.array_equal(before[key], after[key]) for key in common)
    new = [key for key in after.keys() - before.keys() if "a_batch_normalization" in key]
    assert new
    assert not any("a_bias" in key for key in after)
    copy.fit(x, x[:, :1], verbose=0)


@pytest.mark.skipif(keras.backend.backend() == "numpy", reason="NumPy trains nothing")
def test_an_unchanged_copy_trains_on_as_the_model_would():
    model = chain(layers.Dense(6, "tanh", name="a"), layers.Dense(1, name="head"), shape=(4,))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    model.fit(x, x[:, :1], epochs=3, shuffle=False, verbose=0)
    copy = swap_activation(model, "tanh").model
    for one in (model, copy):
        one.fit(x, x[:, :1], epochs=2, shuffle=False, verbose=0)
    for left, right in zip(arrays(model.weights), arrays(copy.weights), strict=True):
        assert_close(left, right)
