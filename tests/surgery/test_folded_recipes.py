"""The systems of the seeds, trained on their real data, predict the same once they are folded."""

import keras
import pytest
from benchmarks import fold_recipes as benchmark

from normcraft.surgery import foldable, place

SYSTEMS = (
    "R1 mlp",
    "R2 conv_block",
    "R3 convert",
    "R4 blog_cnn",
    "R5 pooled_cnn",
    "R6 emotion_cnn",
)
FEW = ("as_given", "before_activation", "after_activation")
pytestmark = pytest.mark.skipif(keras.backend.backend() == "numpy", reason="NumPy trains nothing")


def hold(name, placements, mnist, faces, steps):
    systems = {title: rest for title, *rest in benchmark.systems(mnist, faces)}
    for placement in placements:
        found = benchmark.run(name, *systems[name], placement, steps)
        assert found["labels_flipped"] == 0, found
        assert found["equivalent"], found
        assert found["folded"] + len(found["kept"]) == found["present"]


@pytest.mark.parametrize("name", ["R1 mlp", "R3 convert"])
def test_a_folded_system_predicts_the_same_on_digits(name):
    hold(name, benchmark.PLACEMENTS, None, None, steps=10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["R2 conv_block", "R4 blog_cnn", "R5 pooled_cnn"])
def test_a_folded_system_predicts_the_same_on_mnist(name, mnist_file):
    hold(name, FEW, mnist_file, None, steps=10)


@pytest.mark.slow
def test_a_folded_system_predicts_the_same_on_faces(fer2013_file):
    hold("R6 emotion_cnn", ["as_given"], None, fer2013_file, steps=3)


def test_every_system_of_the_seeds_is_there(mnist_file, fer2013_file):
    assert {name for name, *_ in benchmark.systems(mnist_file, fer2013_file)} == {*SYSTEMS}


@pytest.mark.parametrize(
    ("placement", "folds"),
    [
        ("none", None),
        ("before_activation", "all"),
        ("after_activation", "all"),
        ("after_output", "none"),
        ("input+after_output", "part"),
    ],
)
def test_an_arm_says_whether_its_normalization_will_fold(placement, folds):
    plain = benchmark.plain_model()
    assert foldable(place(plain, placement).model) == folds
    assert foldable(place(plain, placement, kind="layer").model) == (folds and "none")
