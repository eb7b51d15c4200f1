"""The reference against Keras's own layers in training mode: outputs, gradients, what is kept."""

import keras
import numpy as np
import pytest

import backward
from normcraft.moments import reference
from tolerances import assert_close
from versions import KERAS

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "numpy", reason="NumPy gives no gradients"
)
SHAPES = [((16, 6), -1), ((8, 5, 6), -1), ((8, 6, 5), 1), ((4, 5, 3, 6), 3), ((4, 6, 3, 5), -3)]
renorm_is_there = pytest.mark.skipif(KERAS < (3, 14), reason="renorm came back in Keras 3.14")


def data(shape, axis, seed=0):
    """Inputs of a mean and spread that differ by channel, the gradient behind, gamma and beta."""
    generator = np.random.default_rng(seed)
    channels = shape[axis]
    along = [-1 if other == axis % len(shape) else 1 for other in range(len(shape))]
    means, spreads = generator.normal(0, 2, channels), generator.uniform(0.5, 3, channels)
    x = generator.normal(size=shape) * spreads.reshape(along) + means.reshape(along)
    dy = generator.normal(size=shape)
    gamma, beta = generator.uniform(0.5, 2, channels), generator.normal(size=channels)
    return [value.astype("float32") for value in (x, dy, gamma, beta)]


def built(layer, x, *weights):
    layer.build(x.shape)
    for weight, value in zip(layer.trainable_variables, weights, strict=True):
        weight.assign(value)
    return layer


def assert_agrees(layer, expected, x, dy, **options):
    """Output and gradients of a layer that was built, against a call of the reference."""
    y, gradients = backward.run(layer, x, dy, **options)
    assert_close(y, expected.y)
    wanted = vars(expected.gradients(dy))
    for name, gradient in zip(("x", "gamma", "beta"), gradients, strict=False):
        assert_close(gradient, wanted[name])


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_batch_normalization_is_that_of_keras(shape, axis):
    x, dy, gamma, beta = data(shape, axis)
    layer = built(keras.layers.BatchNormalization(axis=axis, momentum=0.9), x, gamma, beta)
    expected = reference.batch_norm(x, gamma, beta, axis=axis)
    assert_agrees(layer, expected, x, dy, training=True)
    mean = reference.moving_average([expected.mean], initial=0.0, momentum=0.9)
    variance = reference.moving_average([expected.variance], initial=1.0, momentum=0.9)
    assert_close(keras.ops.convert_to_numpy(layer.moving_mean), mean)
    assert_close(keras.ops.convert_to_numpy(layer.moving_variance), variance)
    at_inference = reference.inference(x, mean, variance, gamma, beta, axis=axis)
    assert_close(keras.ops.convert_to_numpy(layer(x, training=False)), at_inference)


MASKED = [
    ((16, 6), -1, (16,)),
    ((8, 5, 6), -1, (8, 5)),
    ((8, 5, 6), -1, (8, 1)),
    ((8, 5, 6), 2, (1, 5)),
    ((8, 6, 5), 1, (8, 6)),
    ((8, 6, 5), 1, (8, 1)),
    ((4, 5, 3, 6), -1, (4, 5, 3)),
    ((4, 6, 3, 5), 1, (4, 1, 3)),
]


@pytest.mark.parametrize(("shape", "axis", "mask_shape"), MASKED)
def test_masked_batch_normalization_is_that_of_keras(shape, axis, mask_shape):
    x, dy, gamma, beta = data(shape, axis)
    mask = np.random.default_rng(5).uniform(size=mask_shape) < 0.7
    layer = built(keras.layers.BatchNormalization(axis=axis, momentum=0.0), x, gamma, beta)
    expected = reference.batch_norm(x, gamma, beta, axis=axis, mask=mask)
    given = keras.ops.convert_to_tensor(mask)
    assert_agrees(layer, expected, x, dy, training=True, mask=given)
    assert_close(keras.ops.convert_to_numpy(layer.moving_variance), expected.variance)
    assert expected.count.max() < x.size // x.shape[axis]


CLIPPING = [{}, {"rmax": 1.1, "rmin": 0.9, "dmax": 0.3}, {"rmax": 3.0, "dmax": 5.0}]


@renorm_is_there
@pytest.mark.parametrize("clipping", CLIPPING)
@pytest.mark.parametrize(("shape", "axis"), SHAPES[:3])
def test_batch_renormalization_is_that_of_keras_over_many_steps(shape, axis, clipping):
    momenta = {"momentum": 0.9, "renorm_momentum": 0.6}
    options = {"renorm": True, "renorm_clipping": clipping, **momenta}
    _, _, gamma, beta = data(shape, axis)
    layer = keras.layers.BatchNormalization(axis=axis, **options)
    built(layer, np.zeros(shape), gamma, beta)
    averages = reference.RenormAverages.initial(shape[axis])
    limits = {f"{name[0]}_{name[1:]}": value for name, value in clipping.items()}
    for seed in range(4):
        x, dy, _, _ = data(shape, axis, seed)
        kept = {"moving_mean": averages.renorm_mean, "moving_stddev": averages.renorm_stddev}
        expected = reference.batch_renorm(x, gamma, beta, axis=axis, **kept, **limits)
        assert_agrees(layer, expected, x, dy, training=True)
        averages = averages.updated(expected.mean, expected.variance, **momenta)
    for name, value in vars(averages).items():
        assert_close(keras.ops.convert_to_numpy(getattr(layer, name)), value)
    variance = keras.ops.convert_to_numpy(layer.moving_variance)
    assert_close(variance, averages.moving_variance())


@renorm_is_there
def test_masked_batch_renormalization_is_that_of_keras():
    x, dy, gamma, beta = data((8, 5, 6), -1)
    mask = np.random.default_rng(5).uniform(size=(8, 5)) < 0.7
    layer = built(keras.layers.BatchNormalization(renorm=True), x, gamma, beta)
    kept = {"moving_mean": np.zeros(6), "moving_stddev": np.ones(6)}
    expected = reference.batch_renorm(x, gamma, beta, mask=mask, **kept)
    given = keras.ops.convert_to_tensor(mask)
    assert_agrees(layer, expected, x, dy, training=True, mask=given)


# On PyTorch Keras 3.15 refuses every axis of layer normalization but the last.
LAST = [(shape, axis) for shape, axis in SHAPES if axis % len(shape) == len(shape) - 1]


@pytest.mark.parametrize(("shape", "axis"), LAST if keras.backend.backend() == "torch" else SHAPES)
def test_layer_normalization_is_that_of_keras(shape, axis):
    x, dy, gamma, beta = data(shape, axis)
    layer = built(keras.layers.LayerNormalization(axis=axis), x, gamma, beta)
    assert_agrees(layer, reference.layer_norm(x, gamma, beta, axis=axis), x, dy)


# Rank 2 is left out: of the two values of a group, some lie too near for float32.
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize(("shape", "axis"), SHAPES[1:4])
def test_group_normalization_is_that_of_keras(shape, axis, groups):
    x, dy, gamma, beta = data(shape, axis)
    layer = built(keras.layers.GroupNormalization(groups=groups, axis=axis), x, gamma, beta)
    assert_agrees(layer, reference.group_norm(x, gamma, beta, groups=groups, axis=axis), x, dy)


@pytest.mark.parametrize(("shape", "axis"), SHAPES[1:4])
def test_instance_normalization_is_group_normalization_of_keras_with_all_groups(shape, axis):
    x, dy, gamma, beta = data(shape, axis)
    layer = built(keras.layers.GroupNormalization(groups=-1, axis=axis), x, gamma, beta)
    assert_agrees(layer, reference.instance_norm(x, gamma, beta, axis=axis), x, dy)


@pytest.mark.parametrize("shape", [(16, 6), (8, 5, 6), (4, 5, 3, 6)])
def test_rms_normalization_is_that_of_keras(shape):
    x, dy, gamma, _ = data(shape, -1)
    layer = built(keras.layers.RMSNormalization(), x, gamma)
    assert_agrees(layer, reference.rms_norm(x, gamma), x, dy)
