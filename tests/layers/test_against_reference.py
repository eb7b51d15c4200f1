"""Our layers in training mode against the float64 reference, over generated calls."""

from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backward
from normalizations import calls
from normcraft.layers import (
    BatchNormalization,
    BatchRenormalization,
    GhostBatchNormalization,
)
from normcraft.moments import reference
from tolerances import assert_close

pytestmark = pytest.mark.skipif(
    keras.backend.backend() == "numpy", reason="NumPy gives no gradients"
)
LIMITS = {"r_min": "rmin", "r_max": "rmax", "d_max": "dmax"}


def layer_of(call, **settings):
    """Our layer of a generated call, with its gamma and beta."""
    options = {key: call.options[key] for key in ("axis", "epsilon")} | settings
    if call.kind == "ghost_batch":
        layer = GhostBatchNormalization(call.options["virtual_batch_size"], **options)
    elif call.kind == "batch_renorm":
        limits = {LIMITS[key]: call.options[key] for key in LIMITS}
        layer = BatchRenormalization(renorm_clipping=limits, **options)
    else:
        layer = BatchNormalization(**options)
    layer.build(call.x.shape)
    layer.gamma.assign(call.gamma)
    layer.beta.assign(call.beta)
    return layer


def averages(layer, *names):
    return [keras.ops.convert_to_numpy(getattr(layer, name)) for name in names]


def masked(call):
    mask = call.options.get("mask")
    return {} if mask is None else {"mask": keras.ops.convert_to_tensor(mask)}


def takes(call):
    """Our layers take the axis of the batch for no axis of channels."""
    return call.axis != 0


@given(st.data())
@settings(max_examples=40)
def test_batch_normalization_is_the_reference(data):
    call = data.draw(calls("batch", largest=6).filter(takes))
    momentum = data.draw(st.sampled_from([0.0, 0.9, 0.99]))
    layer = layer_of(call, momentum=momentum)
    check(call, layer)
    expected = call.run()
    counted = expected.count > 0
    mean, variance = averages(layer, "moving_mean", "moving_variance")
    for found, value, initial in ((mean, expected.mean, 0.0), (variance, expected.variance, 1.0)):
        moved = reference.moving_average([value], initial=initial, momentum=momentum)
        assert_close(found, np.where(counted, moved, initial))


def check(call, layer):
    """Output and gradients, of well-conditioned calls closely."""
    dy = np.random.default_rng(7).normal(size=call.x.shape)
    x = call.x.astype("float32")
    call = type(call)(call.kind, x.astype("float64"), call.gamma, call.beta, call.options)
    expected = call.run()
    wanted = expected.gradients(dy)
    y, (of_x, of_gamma, of_beta) = backward.run(
        layer, x, dy.astype("float32"), training=True, **masked(call)
    )
    # Nothing here is smaller than one by its nature.
    near = partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-5)
    near(y, expected.y)
    # Where two values are nearly one another's, a gradient is a small difference of large terms.
    scale = np.max(np.abs(call.gamma)) * np.max(np.abs(dy)) / np.sqrt(call.options["epsilon"])
    assert np.max(np.abs(of_x - wanted.x)) < 2e-5 * max(scale, 1)
    near(of_gamma, wanted.gamma, atol=2e-5 * max(scale, 1))
    near(of_beta, wanted.beta)


@given(st.data())
@settings(max_examples=40)
def test_ghost_batches_are_the_reference(data):
    call = data.draw(calls("ghost_batch", largest=6))
    layer = layer_of(call, momentum=0.9)
    check(call, layer)
    expected = call.run()
    weights = expected.count / np.maximum(expected.count.sum(0), 1)
    counted = expected.count.sum(0) > 0
    for name, values, initial in (
        ("moving_mean", expected.mean, 0.0),
        ("moving_variance", expected.variance, 1.0),
    ):
        moved = 0.9 * initial + 0.1 * (weights * values).sum(0)
        assert_close(*averages(layer, name), np.where(counted, moved, initial))


@given(st.data())
@settings(max_examples=40)
def test_renormalization_is_the_reference(data):
    call = data.draw(calls("batch_renorm", largest=6).filter(takes))
    layer = layer_of(call, momentum=0.9, renorm_momentum=0.7)
    layer.renorm_mean.assign(call.options["moving_mean"])
    layer.renorm_stddev.assign(call.options["moving_stddev"])
    channels = len(call.gamma)
    before = reference.RenormAverages(
        moving_mean=np.zeros(channels),
        moving_stddev=np.ones(channels),
        renorm_mean=call.options["moving_mean"],
        renorm_stddev=call.options["moving_stddev"],
    )
    check(call, layer)
    expected = call.run()
    momenta = {"momentum": 0.9, "renorm_momentum": 0.7, "epsilon": call.options["epsilon"]}
    after = before.updated(expected.mean, expected.variance, **momenta)
    counted = expected.count > 0
    for name in vars(after):
        found = np.where(counted, getattr(after, name), getattr(before, name))
        assert_close(*averages(layer, name), found)


@pytest.mark.parametrize("shape", [(32, 26, 26, 32), (32, 11, 11, 64), (256, 1024), (9000, 3)])
@pytest.mark.parametrize("layer", [BatchNormalization, BatchRenormalization])
def test_a_variance_far_from_zero_keeps_its_digits_from_the_first_step(shape, layer):
    generator = np.random.default_rng(len(shape))
    sign = generator.choice([-1, 1], shape[-1])
    x = (generator.normal(size=shape) + 1000 * sign).astype("float32")
    layer = layer(momentum=0.0, epsilon=1e-3)
    layer(keras.ops.convert_to_tensor(x), training=True)
    exact = x.astype("float64").reshape(-1, shape[-1]).var(0)
    (found,) = averages(layer, "moving_variance")
    assert np.max(np.abs(found / exact - 1)) < 1e-5


@pytest.mark.parametrize("rows", [2**13, 2**13 + 5, 3 * 2**13])
def test_a_long_batch_is_the_reference(rows):
    generator = np.random.default_rng(0)
    x, dy = (generator.normal(size=(rows, 3)).astype("float32") for _ in range(2))
    x += np.float32(3)
    layer = BatchNormalization()
    layer.build(x.shape)
    expected = reference.batch_norm(x)
    y, gradients = backward.run(layer, x, dy, training=True)
    assert_close(y, expected.y)
    for found, wanted in zip(gradients, vars(expected.gradients(dy)).values(), strict=True):
        assert_close(found, wanted)
