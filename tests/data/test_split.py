import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.model_selection import StratifiedShuffleSplit

from normcraft._core.errors import InputError
from normcraft.data import load_dataset, split, take

LABELS = hnp.arrays("int64", st.integers(2, 80), elements=st.integers(-2, 6))
FRACTIONS = st.floats(0.01, 0.99)
SEEDS = st.integers(0, 2**64)


@given(LABELS, FRACTIONS, SEEDS)
def test_a_split_is_a_sorted_partition_with_both_parts(y, fraction, seed):
    training, validation = split(y, validation_fraction=fraction, seed=seed)
    assert sorted([*training, *validation]) == list(range(len(y)))
    for part in (training, validation):
        assert len(part) > 0
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()


@given(LABELS, FRACTIONS, SEEDS)
def test_every_class_gives_its_share_within_one(y, fraction, seed):
    labels, counts = np.unique(y, return_counts=True)
    assume(2 * (counts == 1).sum() <= len(y))
    validated = y[split(y, validation_fraction=fraction, seed=seed)[1]]
    repeated = counts[counts > 1].sum()
    drawn = max(1, round(fraction * repeated)) / repeated
    for label, count in zip(labels, counts, strict=True):
        share = (validated == label).sum()
        assert count > share or count == 0
        if count == 1:
            assert share == 0
        else:
            assert abs(share - min(drawn * count, count - 1)) < 1


@given(st.integers(2, 6), st.integers(10, 60), SEEDS)
def test_class_counts_are_those_of_scikit_learn(classes, each, seed):
    y = np.repeat(np.arange(classes), each)
    theirs = StratifiedShuffleSplit(1, test_size=0.2, random_state=0).split(y, y)
    sizes = np.bincount(y[next(theirs)[1]])
    assert abs(np.bincount(y[split(y, seed=seed)[1]]) - sizes).max() <= 1


@given(hnp.arrays("int64", st.integers(4, 60), elements=st.integers(0, 3)), SEEDS)
def test_every_form_of_the_labels_gives_one_split(y, seed):
    assume(np.bincount(y).max() > 1)
    forms = [y, y[:, None], y.astype("uint8"), np.eye(4)[y], np.eye(4, dtype=bool)[y]]
    splits = [split(form, seed=seed)[1].tolist() for form in forms]
    assert all(indices == splits[0] for indices in splits)


@given(st.integers(2, 60), SEEDS)
def test_the_first_output_with_labels_decides(n, seed):
    labels, values = np.arange(n) % 2, np.linspace(0.1, 0.9, n)
    alone = split(labels, seed=seed)[1].tolist()
    assert split({"value": values, "label": labels}, seed=seed)[1].tolist() == alone
    assert split((values, labels, np.arange(n) % 3), seed=seed)[1].tolist() == alone


@pytest.mark.parametrize(
    "y",
    [
        np.linspace(0, 1, 50),
        np.zeros((50, 3, 2)),
        np.random.default_rng(0).random((50, 2)),
        np.arange(50),
    ],
)
def test_regression_is_split_at_random(y):
    training, validation = split(y, seed=1)
    assert (len(training), len(validation)) == (40, 10)
    assert validation.tolist() != split(y, seed=2)[1].tolist()


def test_a_rare_class_stays_in_training():
    y = np.array([0] * 20 + [1] * 20 + [2])
    for seed in range(20):
        training, validation = split(y, seed=seed)
        assert 40 in training
        assert np.bincount(y[validation]).tolist() == [4, 4]


def test_more_classes_than_validation_samples_do_not_matter():
    y = np.repeat(np.arange(100), 2)
    assert len(split(y, seed=0)[1]) == 40


def test_a_split_depends_on_the_seed_alone_and_never_changes():
    y = np.arange(30) % 3
    assert split(y, seed=0)[1].tolist() == [7, 8, 9, 17, 27, 28]
    assert split(y, seed=1)[1].tolist() == [8, 13, 16, 18, 23, 24]


def test_every_sample_is_equally_likely_to_be_validated():
    y = np.arange(20) % 3
    counts = sum(np.bincount(split(y, seed=seed)[1], minlength=20) for seed in range(500))
    assert abs(counts - 100).max() < 45  # five standard deviations of a binomial of 500 at 0.2


def test_digits_keep_their_proportions():
    y = load_dataset("digits").y_train
    _, validation = split(y, seed=3)
    assert len(validation) == 359
    assert abs(np.bincount(y[validation]) - np.bincount(y) * 0.2).max() < 1.5


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 1.5, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(
        InputError, match=r"fraction is out of range: received .*, expected more than 0"
    ):
        split(np.arange(4), validation_fraction=fraction, seed=0)


def test_one_sample_cannot_be_split():
    with pytest.raises(
        InputError, match="nothing to split: received 1 samples, expected 2 or more"
    ):
        split(np.array([0]), seed=0)


def test_a_seed_below_zero_is_refused():
    with pytest.raises(InputError, match="the seed is below zero: received -1, expected 0 or more"):
        split(np.array([0, 1]), seed=-1)


def test_take_maps_over_the_structure_and_copies():
    x = np.arange(6).reshape(3, 2)
    taken = take({"a": x, "b": x[:, 0]}, np.array([0, 2]))
    assert taken["a"].tolist() == [[0, 1], [4, 5]]
    assert taken["b"].tolist() == [0, 4]
    assert not np.shares_memory(taken["a"], x)
    assert isinstance(take((x, x), np.array([1])), tuple)
