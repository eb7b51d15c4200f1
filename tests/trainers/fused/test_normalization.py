"""Batch normalization by sums: Keras's results, gradients and moving averages."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

jax = pytest.importorskip("jax")

from normcraft.trainers.fused.forms import has_choice, in_forms, judged, places  # noqa: E402
from normcraft.trainers.fused.speeds import fastest, measure_speeds  # noqa: E402

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="it is JAX's")

layers = keras.layers


def built(shape, **config):
    """A layer with averages, scale and shift that are not those of the beginning, and its form."""
    layer, inputs = layers.BatchNormalization(name="it", **config), keras.Input(shape)
    model = keras.Model(inputs, layer(inputs))
    random = np.random.default_rng(3)
    for variable in layer.variables:
        variable.assign(random.uniform(0.5, 2, variable.shape))
    (place,) = places(model, 4)
    assert judged([place]) == []
    return layer, [(layer, place.attribute, place.form({"layer": "sums"}))]


def step(layer, chosen, x, weights, **call):
    """Result, moving averages, and the gradients of the inputs and of what the layer learns."""

    def weighed(trained, x):
        pairs = list(zip(layer.trainable_variables, trained, strict=True))
        with in_forms(chosen), keras.StatelessScope(state_mapping=pairs) as scope:
            result = layer(x, training=True, **call)
        averages = [scope.get_current_value(v) for v in layer.non_trainable_variables]
        return (result * weights).astype("float32").sum(), (result, averages)

    values = [variable.value for variable in layer.trainable_variables]
    return jax.value_and_grad(weighed, argnums=(0, 1), has_aux=True)(values, x)


def check(layer, chosen, x, *, rtol=2e-5, **call):
    weights = np.random.default_rng(1).normal(size=x.shape).astype(x.dtype)
    wanted, found = (jax.tree.leaves(step(layer, c, x, weights, **call)) for c in ([], chosen))
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        ours, keras_s = np.asarray(a, "float64"), np.asarray(b, "float64")
        scale = max(1, np.abs(keras_s).max(initial=0))
        np.testing.assert_allclose(ours, keras_s, rtol=rtol, atol=rtol * scale)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.integers(0, 2**31),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 3.0, 30.0]),
    st.data(),
)
def test_as_keras_does(shape, seed, scale, center, mean, data):
    axis = data.draw(st.sampled_from([-1, *range(1, len(shape) + 1)]))
    layer, chosen = built(shape, axis=axis, scale=scale, center=center, momentum=0.7)
    x = np.random.default_rng(seed).normal(mean, size=(4, *shape)).astype("float32")
    check(layer, chosen, x, rtol=2e-5 * (1 + mean))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_in_mixed_precision(policy):
    layer, chosen = built((5, 5, 3), dtype=policy)
    x = np.random.default_rng(0).normal(size=(4, 5, 5, 3)).astype("float32")
    weights = np.random.default_rng(1).normal(size=x.shape).astype("float32")
    (_, (plain, _)), _ = step(layer, [], x, weights)
    (_, (ours, _)), _ = step(layer, chosen, x, weights)
    assert ours.dtype == plain.dtype == policy.removeprefix("mixed_")
    check(layer, chosen, x, rtol=2e-2)


def test_gradients_are_those_of_the_formula_in_float64():
    layer, chosen = built((6, 3), epsilon=0.01)
    random = np.random.default_rng(5)
    x = random.normal(1, 2, size=(4, 6, 3)).astype("float32")
    weights = random.normal(size=x.shape).astype("float32")
    gamma = np.asarray(layer.gamma.value, "float64")
    z, d = (array.reshape(-1, 3).astype("float64") for array in (x, weights))
    z = (z - z.mean(0)) / np.sqrt(z.var(0) + 0.01)
    root = np.sqrt(x.reshape(-1, 3).astype("float64").var(0) + 0.01)
    wanted = gamma / root * (d - d.mean(0) - z * (d * z).mean(0))
    _, ((of_gamma, of_beta), of_inputs) = step(layer, chosen, x, weights)
    np.testing.assert_allclose(of_inputs.reshape(-1, 3), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_gamma, (d * z).sum(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(of_beta, d.sum(0), rtol=1e-4, atol=1e-5)


def test_gradients_through_the_statistics_count_too():
    layer, chosen = built((3,))
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")

    def of_averages(x, chosen):
        with in_forms(chosen), keras.StatelessScope() as scope:
            layer(x, training=True)
        values = [scope.get_current_value(v) for v in layer.non_trainable_variables]
        return sum((n * value).sum() for n, value in enumerate(values, 1))

    found, wanted = (jax.grad(of_averages)(x, c) for c in (chosen, []))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("case", ["mask", "frozen"])
def test_what_is_not_plain_training_is_left_to_keras(case):
    layer, chosen = built((5, 3))
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    call = {"mask": np.arange(20).reshape(4, 5) % 3 > 0} if case == "mask" else {}
    layer.trainable = case == "mask"
    check(layer, chosen, x, **call)
    with in_forms(chosen):
        inference = layer(x, training=False)
    np.testing.assert_array_equal(inference, layer(x, training=False))


def test_there_is_nothing_to_time():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.BatchNormalization(name="it")(inputs))
    (place,) = places(model, 4)
    assert not has_choice(model, 4)
    assert measure_speeds([model], [4]) == {}
    assert fastest(place, {}) is not None


def test_renorm_and_layers_of_other_classes_have_no_form():
    class Own(layers.BatchNormalization):
        pass

    inputs = keras.Input((3,))
    made = [Own(name="own")]
    if "renorm" in layers.BatchNormalization(name="any").get_config():
        made.append(layers.BatchNormalization(renorm=True, name="renorm"))
    for layer in made:
        assert places(keras.Model(inputs, layer(inputs)), 4) == []
