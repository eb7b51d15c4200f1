import hashlib
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from normcraft.data import Dataset
from normcraft.data._dataset import leaves

SHAPES = hnp.array_shapes(max_dims=3, max_side=5)


def dataset(x, y=None, **parts):
    return Dataset("d", x, np.zeros(len(x), "int64") if y is None else y, **parts)


def test_importing_the_package_loads_neither_keras_nor_sklearn_nor_scipy():
    code = (
        "import sys, normcraft.data; print({m.split('.')[0] for m in sys.modules} "
        "& {'keras', 'sklearn', 'scipy', 'jax', 'tensorflow', 'torch'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_dataset_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        dataset(np.zeros((2, 1))).name = "other"


def test_the_fingerprint_is_that_of_type_shape_and_bytes():
    x, y = np.arange(6, dtype="<f4").reshape(3, 2), np.array([0, 1, 2], dtype="<i8")
    text = b"x_train <f4 (3, 2)\n" + x.tobytes() + b"y_train <i8 (3,)\n" + y.tobytes()
    assert dataset(x, y).fingerprint == hashlib.sha256(text).hexdigest()


@given(hnp.arrays(st.sampled_from(["u1", "i8", "f4", "f2", "?"]), SHAPES), st.data())
def test_any_changed_byte_changes_the_fingerprint(x, data):
    other = x.copy()
    flat = other.view("u1")
    index = tuple(data.draw(st.integers(0, side - 1)) for side in flat.shape)
    flat[index] ^= 1
    assert dataset(x).fingerprint != dataset(other).fingerprint


@given(hnp.arrays("f4", hnp.array_shapes(min_dims=2, max_dims=3, max_side=5)))
def test_the_fingerprint_does_not_see_the_memory_layout(x):
    strided = np.repeat(x, 2, axis=-1)[..., ::2]
    assert dataset(x).fingerprint == dataset(np.asfortranarray(x)).fingerprint
    assert dataset(x).fingerprint == dataset(strided).fingerprint


def test_large_arrays_out_of_order_are_hashed_in_pieces():
    x = np.arange(6_000_000, dtype="i8").reshape(3000, 2000)
    assert dataset(np.asfortranarray(x)).fingerprint == dataset(x).fingerprint


def test_type_shape_part_and_names_change_the_fingerprint():
    x = np.zeros((4, 4), "f4")
    variants = [
        dataset(x),
        dataset(x.view("i4")),
        dataset(x.reshape(4, 2, 2)),
        dataset(x, x_test=x, y_test=x),
        dataset(x, x_validation=x, y_validation=x),
        Dataset("d", (x,), x),
        Dataset("d", (x, x), x),
        Dataset("d", {"a": x}, x),
        Dataset("d", {"b": x}, x),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)


def test_names_notes_and_the_order_of_a_dictionary_leave_the_fingerprint():
    a, b = np.zeros((4, 4)), np.ones((4, 4))
    one = dataset({"a": a, "b": b}, np.zeros(4))
    other = dataset({"b": b, "a": a}, np.zeros(4))
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint == replace(one, name="n", notes=("x",), class_names=("c",)).fingerprint


def test_samples_are_counted_in_the_first_input():
    assert dataset(np.zeros((7, 2))).num_samples == 7
    assert Dataset("d", (np.zeros((5, 2)), np.zeros((5, 3))), np.zeros(5)).num_samples == 5


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array([0, 4, 2]), 5),
        (np.array([[0], [4], [2]], "uint8"), 5),
        (np.array([True, False]), 2),
        (np.array([0.0, 1.0, 1.0]), 2),
        (np.eye(3)[[0, 1]], 3),
        (np.eye(3, dtype=int)[[0, 1]], 3),
        (np.array([-1, 1]), None),
        (np.array([0.5, 2.0]), None),
        (np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]), None),
        (np.zeros((4, 3, 2)), None),
        ({"age": np.array([0.5, 1.5]), "sex": np.array([0, 1])}, 2),
        ((np.array([0, 1, 2]), np.array([0, 1, 4])), 3),
    ],
)
def test_classes_are_counted_where_targets_are_labels(y, expected):
    assert Dataset("d", np.zeros((2, 1)), y).num_classes == expected


def test_leaves_are_named_as_they_are_reached():
    x = np.zeros(1)
    assert list(leaves(x)) == [""]
    assert list(leaves((x, x))) == ["[0]", "[1]"]
    assert list(leaves({"b": x, "a\n": x})) == ["['a\\n']", "['b']"]
