"""Laws that every recipe obeys."""

import inspect

import keras
import numpy as np
import pytest

from normcraft.graph import LayerGraph, is_normalization
from normcraft.placements import placement_names
from normcraft.recipes import load_recipe, recipe_names

SAMPLE = {
    "bn_first": (28, 28, 1),
    "blog_cnn": (28, 28, 1),
    "digits_cnn": (8, 8, 1),
    "emotion_cnn": (48, 48, 1),
    "mlp": (14,),
    "pooled_cnn": (28, 28, 1),
    "tabular_mlp": (2,),
}
CLASSES = {"emotion_cnn": 7, "mlp": 2, "tabular_mlp": 2}
# Sizes with which every kind that takes tables has channels enough at every place.
WIDE = {
    "bn_first": {"input_shape": (28, 28, 4)},
    "mlp": {"classes": 8},
    "tabular_mlp": {"inputs": "batch", "features": 8},
}
every_recipe = pytest.mark.parametrize("name", recipe_names())


def normalizations(model):
    return [layer.name for layer in model.layers if is_normalization(layer)]


def test_the_table_of_this_file_names_every_recipe():
    assert set(SAMPLE) == set(recipe_names())


@every_recipe
def test_a_recipe_is_a_compiled_sequential_of_the_stated_shape(name):
    model = load_recipe(name)()
    assert isinstance(model, keras.Sequential)
    assert model.compiled
    assert model.name == name
    assert model.input_shape == (None, *SAMPLE[name])
    assert model.output_shape == (None, CLASSES.get(name, 10))


@every_recipe
def test_layer_names_are_the_same_on_every_build(name):
    first, second = ([layer.name for layer in load_recipe(name)().layers] for _ in range(2))
    assert first == second


@every_recipe
@pytest.mark.parametrize("placement", placement_names())
def test_every_placement_builds_and_takes_its_own_input(name, placement):
    model = load_recipe(name)(placement)
    assert model.compiled
    if placement == "none":
        assert normalizations(model) == []
    elif placement in {"before_activation", "after_activation", "input", "output"}:
        assert normalizations(model)
    assert model.compute_output_shape((2, *SAMPLE[name])) == (2, CLASSES.get(name, 10))


@every_recipe
@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_the_kind_is_that_of_every_normalization(name, kind):
    sizes = WIDE.get(name, {})
    model = load_recipe(name)("before_activation", kind=kind, **sizes)
    assert all(label.endswith(f"{kind}_normalization") for label in normalizations(model))
    seeded = load_recipe(name)(kind=kind, **sizes)
    assert normalizations(seeded) == [
        label.replace("batch", kind) for label in normalizations(load_recipe(name)(**sizes))
    ]
    assert not any(isinstance(one, keras.layers.BatchNormalization) for one in seeded.layers)


@every_recipe
def test_as_given_is_the_seed_and_can_be_added_to(name):
    build = load_recipe(name)
    seeded = normalizations(build())
    assert normalizations(build("as_given")) == seeded
    assert len(normalizations(build("as_seed+after_output"))) == len(seeded) + 1


@every_recipe
def test_a_recipe_takes_no_notice_of_channels_first_in_keras_json(name):
    expected = [layer.output.shape for layer in load_recipe(name)().layers]
    before = keras.config.image_data_format()
    try:
        keras.config.set_image_data_format("channels_first")
        model = load_recipe(name)()
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format(before)
    assert [layer.output.shape for layer in model.layers] == expected


@every_recipe
def test_a_recipe_is_the_same_function_after_saving_and_loading(name, tmp_path):
    model = load_recipe(name)()
    x = np.random.default_rng(0).normal(size=(3, *SAMPLE[name])).astype("float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(call(loaded, x)), np.asarray(call(model, x)))
    assert settings(loaded.optimizer) == settings(model.optimizer)


def settings(optimizer):
    return {key: value for key, value in optimizer.get_config().items() if key != "name"}


def call(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


@every_recipe
def test_a_placement_keeps_the_compile_settings(name):
    build = load_recipe(name)
    seeded, placed = build(), build("none")
    assert settings(placed.optimizer) == settings(seeded.optimizer)
    assert type(placed.loss) is type(seeded.loss)


@every_recipe
def test_placement_is_the_only_positional_parameter(name):
    parameters = list(inspect.signature(load_recipe(name)).parameters.values())
    assert parameters[0].name == "placement"
    assert parameters[0].default == "as_seed"
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters[1:])


@every_recipe
def test_the_class_count_is_a_size(name):
    model = load_recipe(name)(classes=3)
    assert model.output_shape == (None, 3)


@every_recipe
@pytest.mark.parametrize("classes", [1, 0, -2, 2.5, "10", None, True])
def test_a_class_count_that_is_none_is_refused(name, classes):
    with pytest.raises(ValueError, match=r"classes cannot be used: received .* at least 2"):
        load_recipe(name)(classes=classes)


@every_recipe
def test_an_unknown_placement_is_refused_and_the_names_are_listed(name):
    with pytest.raises(
        ValueError,
        match=r"unknown placement: received 'as_sed', expected one of .*as_seed.*did you",
    ):
        load_recipe(name)("as_sed")


@every_recipe
def test_an_unknown_kind_is_refused_also_where_none_is_inserted(name):
    with pytest.raises(ValueError, match=r"unknown kind: received 'bach'.*did you mean 'batch'"):
        load_recipe(name)(kind="bach")


@pytest.mark.parametrize("name", ["mlp", "bn_first", "pooled_cnn", "emotion_cnn"])
def test_a_kind_that_cannot_stand_where_the_seed_has_normalization_is_refused(name):
    kind = "layer" if name == "bn_first" else "instance"
    with pytest.raises(ValueError, match=f"the seed's model cannot have kind '{kind}' at '"):
        load_recipe(name)(kind=kind)


def test_a_placement_that_is_refused_everywhere_is_not_passed_off_as_done():
    with pytest.raises(
        ValueError, match="placement 'output' puts no 'layer' normalization into 'mlp': received"
    ):
        load_recipe("mlp")("output", kind="layer")


@pytest.mark.parametrize("name", [n for n, shape in SAMPLE.items() if len(shape) == 3])
class TestImages:
    @pytest.mark.parametrize(
        "shape", [(28, 28), (28, 28, 0), (28.0, 28, 1), "28", None, (None, 28, 1), (1, 28, 28, 1)]
    )
    def test_a_shape_that_is_no_image_is_refused(self, name, shape):
        with pytest.raises(ValueError, match=r"input_shape cannot be used: .*height, width, chan"):
            load_recipe(name)(input_shape=shape)

    def test_the_smallest_image_builds_and_one_smaller_is_refused(self, name):
        smallest = {
            "bn_first": 6,
            "blog_cnn": 18,
            "digits_cnn": 4,
            "emotion_cnn": 24,
            "pooled_cnn": 10,
        }[name]
        build = load_recipe(name)
        graph = LayerGraph.read(build(input_shape=(smallest, smallest + 1, 1)))
        assert all(n != 0 for value in graph.calls[-1].inputs for n in value.shape)
        with pytest.raises(
            ValueError, match=f"too small for this network.*at least {smallest} x {smallest}"
        ):
            build(input_shape=(smallest + 1, smallest - 1, 1))
