import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normcraft._core.errors import InputError
from normcraft.data import from_arrays, load_dataset

X = np.zeros((4, 2), "float32")


def refusal(y, labels, **keywords):
    with pytest.raises(InputError) as caught:
        from_arrays(np.zeros((len(y), 2)), y, labels=labels, **keywords)
    return str(caught.value)


@given(st.lists(st.integers(-(10**12), 10**12) | st.integers(0, 3), min_size=1))
def test_mapped_integers_come_back_by_their_names(y):
    data = from_arrays(np.zeros((len(y), 1)), np.array(y), labels="map")
    assert [int(data.class_names[label]) for label in data.y_train] == y
    assert list(map(int, data.class_names)) == sorted(set(y))
    assert data.num_classes == len(set(y))


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1))
def test_mapped_texts_come_back_by_their_names(y):
    data = from_arrays(np.zeros((len(y), 1)), y, labels="map")
    assert [data.class_names[label] for label in data.y_train] == y
    assert list(data.class_names) == sorted(set(y))


def test_every_form_of_a_column_is_mapped():
    for y in (np.array([[5], [1], [5], [9]]), np.array(["5", "1", "5", "9"], object)):
        data = from_arrays(X, y, labels="map")
        assert data.y_train.tolist() == [1, 0, 1, 2]
        assert data.notes[0].startswith("labels were mapped: ")
    assert from_arrays(X, np.array([True, False] * 2), labels="map").class_names[1] == "True"


def test_other_parts_are_mapped_alike():
    data = from_arrays(
        X, [3, 5, 3, 9], validation_data=(X[:1], [9]), test_data=(X[:2], [5, 3]), labels="map"
    )
    assert data.y_validation.tolist() == [2]
    assert data.y_test.tolist() == [1, 0]


def test_labels_that_training_lacks_are_refused():
    assert refusal([0, 5, 0, 1], "map", test_data=(X, [0, 7, 8, 1])) == (
        "y_test has labels that y lacks: received 7, 8, expected those in y: 0 = 0, 1 = 1, 5 = 2"
    )
    assert "y_test and y differ in type: received int64 beside <U1" in refusal(
        ["a", "b"], "map", test_data=(X, [0, 1, 0, 1])
    )


def test_what_is_no_column_cannot_be_mapped():
    assert "y is no column of labels, so nothing can be mapped: received shape (4, 3)" in refusal(
        np.eye(4)[:, :3], "map"
    )
    assert "received several outputs" in refusal({"a": [1, 2]}, "map")
    assert "y holds NaN" in refusal([0.0, np.nan], "map")
    assert "y holds Python objects" in refusal(np.array([1, "a"], object), "map")


def test_labels_taken_as_numbers_are_floats():
    data = from_arrays(X, [0, 1, 2, 5], labels="numbers", test_data=(X, [1, 2, 3, 4]))
    assert data.y_train.dtype == data.y_test.dtype == np.float32
    assert data.num_classes is None
    assert "y holds text labels" in refusal(["a", "b"], "numbers")
    assert "y has several outputs" in refusal({"a": [1, 2]}, "numbers")


def test_an_unknown_coding_offers_the_nearest():
    assert refusal([0, 1], "mapped") == (
        "unknown labels: received 'mapped', expected one of auto, map, numbers; did you mean 'map'?"
    )


def test_archives_profit_as_well(save):
    path = save(y_train=np.array(["dog", "cat"]), class_names=np.array(["x", "y"]))
    data = load_dataset(path, labels="map")
    assert (data.y_train.tolist(), data.class_names) == ([1, 0], ("cat", "dog"))
    assert load_dataset(save(y_train=np.array([1, 7])), labels="map").class_names == ("1", "7")
    assert load_dataset(save(), labels="numbers").y_train.dtype == np.float32


def test_the_labels_of_a_dataset_by_name_are_what_they_are():
    with pytest.raises(InputError, match="what they are: received labels 'map' for 'digits'"):
        load_dataset("digits", labels="map")
