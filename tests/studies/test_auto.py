"""`--placements auto`: what exists for a model, and the variants."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from normcraft._core.errors import InputError
from normcraft.data import load_dataset
from normcraft.placements import Placement
from normcraft.recipes import load_model
from normcraft.studies import Budget, Grid, Study
from normcraft.studies.auto import auto_placements, placement_variants
from normcraft.surgery import place


def chain(*parts, output=True):
    end = [layers.Dense(2, "softmax", name="head")] if output else []
    return keras.Sequential([keras.Input((8, 8, 1)), *parts, *end])


def convolution(name, activation="relu"):
    return layers.Conv2D(4, 3, padding="same", activation=activation, name=name)


def residual():
    entry = keras.Input((8, 8, 4))
    x = entry
    for number in range(2):
        branch = convolution(f"first{number}")(x)
        branch = convolution(f"second{number}", None)(branch)
        x = layers.ReLU(name=f"act{number}")(layers.Add(name=f"add{number}")([x, branch]))
    return keras.Model(entry, layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(x)))


def test_a_plain_chain_has_those_of_hidden_layers_input_and_output():
    found = auto_placements(chain(convolution("a"), layers.Flatten()))
    assert found == (
        "none", "before_activation", "after_activation", "input", "output", "after_output",
    )  # fmt: skip


def test_without_activations_before_and_after_are_one():
    found = auto_placements(chain(convolution("a", None), layers.Flatten()))
    assert "before_activation" in found
    assert "after_activation" not in found


def test_a_residual_network_has_those_of_its_additions_and_poolings():
    found = auto_placements(residual())
    assert {"before_add", "after_add", "after_pooling"} <= set(found)
    assert not {"before_add", "after_add"} & set(auto_placements(chain(layers.Flatten())))


def test_normalization_that_is_there_adds_as_given():
    model = chain(convolution("a"), layers.BatchNormalization(), layers.Flatten())
    assert auto_placements(model)[0] == "as_given"


def test_no_two_have_the_same_sites():
    model = residual()
    names = auto_placements(model)
    edits = [tuple(layer.name for layer in place(model, name).model.layers) for name in names]
    assert len(set(edits)) == len(edits)


@pytest.mark.parametrize("recipe", ["digits_cnn", "pooled_cnn", "mlp"])
def test_every_placement_found_can_be_built(recipe):
    model = load_model(recipe)
    names = auto_placements(model)
    for name in (*names, *placement_variants(model, names)):
        result = place(model, name)
        assert name in {"none", "as_given"} or result.inserted or result.removed, name


def test_the_first_blocks_are_the_lower_half_of_the_depths():
    model = chain(convolution("a"), convolution("b"), convolution("c"), layers.Flatten())
    assert "before_activation@first" in placement_variants(model, ["before_activation"])
    sites = [site for site, _ in place(model, "before_activation@first").inserted]
    assert sites == ["a", "b"]


def test_what_is_as_given_can_do_without_the_output():
    parts = [
        part
        for name in "abc"
        for part in (convolution(name), layers.BatchNormalization(name=f"{name}_norm"))
    ]
    end = [layers.Flatten(), layers.Dense(2, name="head"), layers.BatchNormalization(name="last")]
    model = chain(*parts, *end, layers.Activation("softmax"), output=False)
    assert "as_given@hidden" in placement_variants(model, ["as_given"])
    kept = place(model, "as_given@hidden").model
    names = [layer.name for layer in kept.layers if "BatchN" in type(layer).__name__]
    assert names == ["a_norm", "b_norm", "c_norm"]
    assert place(model, "as_given").model.get_layer("last")


def test_a_part_is_written_behind_the_placement():
    parsed = Placement.parse("input + before_activation @ first")
    assert parsed == Placement(("input", "before_activation"), "first")
    assert str(parsed) == "input+before_activation@first"
    with pytest.raises(InputError, match="unknown part of a placement: received 'last'"):
        Placement.parse("before_activation@last")


def test_a_search_tries_variants_and_a_grid_does_not():
    digits = load_dataset("digits")
    model = chain(convolution("a"), convolution("b"), layers.Flatten(), output=False)
    model.add(layers.Dense(10, "softmax"))
    grid = Grid(placements=("auto",))
    whole = Study(model, digits, grid=grid, budget=Budget(2, 1))
    assert whole.variants == ()
    assert not any("@" in arm.name for arm in whole.arms)
    search = Study(model, digits, grid=grid, budget=Budget(2, 1, limit="64trials"))
    assert ("before_activation@first", "before_activation") in search.variants
