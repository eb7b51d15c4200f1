"""The blog's experiment: both arms, its validation, its order of batches."""

from __future__ import annotations

import numpy as np
import pytest

import normcraft as nc
from normcraft._core.errors import InputError
from normcraft.data import Dataset


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def mnist_like():
    digits = nc.load_dataset("digits")
    x = np.kron(digits.x_train[:, :7, :7, 0], np.ones((1, 4, 4), "float32"))[..., None]
    return Dataset("small", x[:320], digits.y_train[:320], x[320:400], digits.y_train[320:400])


def test_both_arms_have_the_blogs_sizes(mnist_like):
    result = nc.train_and_test(0.001, "sigmoid", 1, 4, data=mnist_like, verbose=False)
    assert [(arm.name, arm.parameters) for arm in result.arms] == [
        ("none", 93_322),
        ("before_activation+output", 94_024),
    ]
    assert all(len(record.curve) == 1 for record in result.records)
    assert any("validation on the test set" in note for note in result.summary.notes)
    assert 'activation="sigmoid"' in result.code() or "sigmoid" in result.code()


def test_a_replay_keeps_the_order_of_the_data_and_trains_on_all_of_it(mnist_like):
    result = nc.train_and_test(0.001, "relu", 1, None, data=mnist_like, verbose=False)
    assert all(not record.spec.shuffle for record in result.records)
    assert result.records[0].spec.data.endswith("/given")


def test_without_replay_a_fifth_validates(mnist_like):
    result = nc.train_and_test(0.001, "relu", 1, 2, data=mnist_like, replay=False, verbose=False)
    assert result.records[0].spec.shuffle
    assert result.records[0].spec.data.endswith("/fifth")
    assert result.arms[0].test_mean is not None


def test_a_replay_needs_test_data():
    with pytest.raises(InputError, match="a replay validates on test data.*replay=False"):
        nc.train_and_test(
            0.001, "relu", 1, 1, data=Dataset("d", np.zeros((9, 28, 28, 1)), np.zeros(9, int))
        )
