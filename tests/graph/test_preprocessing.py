"""Where a model brings its raw inputs to scale itself."""

from __future__ import annotations

import keras
import pytest

from normcraft.graph import LayerGraph, scaling_site

layers = keras.layers
SHAPE = (8, 8, 3)


def site_in(*stack) -> str | None:
    return scaling_site(LayerGraph.read(keras.Sequential([keras.Input(SHAPE), *stack])))


def site_of(build) -> str | None:
    inputs = keras.Input(SHAPE)
    return scaling_site(LayerGraph.read(keras.Model(inputs, build(inputs))))


def rescaling():
    return layers.Rescaling(1 / 255, name="unit")


def test_a_first_layer_that_scales_is_found():
    assert site_in(rescaling(), layers.Conv2D(2, 3)) == "unit"
    normalization = layers.Normalization(mean=100.0, variance=50.0, name="adapted")
    assert site_in(normalization, layers.Conv2D(2, 3)) == "adapted"


def test_it_may_stand_behind_layers_without_weights_or_in_a_nested_model():
    augmented = [layers.RandomFlip(), layers.Dropout(0.1), layers.MaxPooling2D(), rescaling()]
    assert site_in(*augmented, layers.Dense(2)) == "unit"
    inner = keras.Sequential([keras.Input(SHAPE), layers.RandomFlip(), rescaling()], name="front")
    assert site_in(inner, layers.Dense(2)) == "front/unit"
    assert site_in(layers.TimeDistributed(rescaling(), name="rows"), layers.Dense(2)) == "rows"


@pytest.mark.parametrize(
    "build",
    [lambda x: x / 255.0, lambda x: x * (1 / 255), lambda x: keras.ops.subtract(x, 127.5)],
    ids=["divide", "multiply", "subtract"],
)
def test_arithmetic_with_a_constant_scales_as_well(build):
    assert site_of(lambda x: layers.Dense(2)(build(x))) is not None


def test_what_the_applications_leave_of_their_preprocessing_is_found():
    prepare = keras.applications.mobilenet_v2.preprocess_input
    assert site_of(lambda x: layers.Conv2D(2, 3)(prepare(x))) is not None


def test_what_stands_behind_weights_scales_no_inputs():
    assert site_in(layers.Conv2D(2, 3), rescaling()) is None
    assert site_in(layers.BatchNormalization(), rescaling()) is None
    assert site_in(layers.Flatten(), layers.Dense(2)) is None


def test_the_end_of_a_residual_branch_scales_no_inputs():
    def build(x):
        branch = layers.Conv2D(3, 3, padding="same")(x)
        return layers.Dense(2)(rescaling()(x + branch))

    assert site_of(build) is None
    assert site_of(lambda x: layers.Dense(2)(layers.Add()([x, x]))) is None
