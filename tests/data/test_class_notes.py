import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from normcraft.data import Dataset, class_notes, load_dataset, split


def notes(y, **keywords):
    return class_notes(Dataset("d", np.zeros((len(y), 2)), np.asarray(y), **keywords))


def test_balanced_classes_need_no_word():
    assert class_notes(load_dataset("digits")) == ()
    assert notes([0, 1] * 100) == ()


def test_empty_classes_are_named():
    assert notes([0, 3] * 100) == ("no training sample has class 1, 2",)
    assert notes([0, 1] * 100, class_names=("cat", "dog", "owl")) == (
        "no training sample has class 'owl'",
    )
    assert notes(np.eye(3)[[0, 2] * 100]) == ("no training sample has class 1",)


def test_a_class_of_one_sample_is_said_to_be_trained_on_alone():
    y = [0] * 100 + [1] * 100 + [2]
    single, imbalance = notes(y)
    assert single == "one sample alone has class 2: it is trained on, never validated"
    assert imbalance.startswith("classes are imbalanced")
    assert all(200 in split(np.array(y), seed=seed)[0] for seed in range(10))
    given = {"x_validation": np.zeros((1, 2)), "y_validation": np.array([0])}
    assert len(notes(y, **given)) == 1


def test_imbalance_says_what_the_commonest_answer_scores():
    assert notes([0] * 900 + [1] * 100) == ()
    assert notes([1] * 950 + [0] * 50, class_names=("ill", "well")) == (
        "classes are imbalanced: 950 samples of 'well', 50 of 'ill'; "
        "always answering the first is right in 95.0%",
    )


@pytest.mark.parametrize(
    ("y", "text"),
    [
        ([0, 1], "each seed validates on 1 of 2 samples"),
        ([0, 1, 2], "most samples are alone in their class: each seed's split is not stratified"),
        ([0, 0, 1, 1, 1], "each seed validates on 1 of 5 samples"),
    ],
)
def test_very_small_sets_are_said_to_be_small(y, text):
    assert text in notes(y)


def test_numbers_have_no_classes():
    assert notes(np.linspace(0, 1, 9)) == ()
    assert notes(np.array([-1, 1] * 9)) == ()


@given(hnp.arrays("int64", st.integers(1, 60), elements=st.integers(0, 9)))
def test_any_labels_are_described(y):
    assert all(note.isprintable() for note in notes(y))
