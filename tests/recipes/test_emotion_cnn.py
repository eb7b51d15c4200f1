import pytest

from normcraft.recipes import emotion_cnn


def test_the_layers_stand_as_the_seed_writes_them():
    kinds = [type(layer).__name__ for layer in emotion_cnn().layers]
    short = {"BatchNormalization": "BN", "MaxPooling2D": "Pool", "Conv2D": "Conv"}
    assert [short.get(kind, kind) for kind in kinds] == [
        "Conv",
        "Conv",
        "BN",
        "Pool",
        "Dropout",
        "Conv",
        "Pool",
        "BN",
        "Conv",
        "Pool",
        "Dropout",
        "Flatten",
        "BN",
        "Dense",
        "Dropout",
        "Dense",
    ]


def test_it_has_the_parameters_of_the_seeds_sizes():
    convolutions = 320 + 18_496 + 73_856 + 147_584
    dense = 2_048 * 1_024 + 1_024 + 1_024 * 7 + 7
    assert emotion_cnn("none").count_params() == convolutions + dense
    assert emotion_cnn().count_params() == convolutions + dense + 4 * (64 + 128 + 2_048)


def test_dropout_rates_are_those_of_the_seed():
    model = emotion_cnn()
    assert [model.get_layer(f"dropout{n}").rate for n in (1, 2, 3)] == [0.25, 0.25, 0.5]


@pytest.mark.parametrize("size", [24, 37, 48])
def test_the_normalization_behind_flatten_fits_every_size(size):
    model = emotion_cnn(input_shape=(size, size + 3, 1), kind="group")
    assert model.get_layer("norm3").output.shape == model.get_layer("flatten").output.shape


def test_it_trains_on_fer2013(fer2013, losses):
    x, y = fer2013
    first, *_, last = losses(emotion_cnn(), x / 255, y, epochs=3, batch_size=16)
    assert last < 0.9 * first
