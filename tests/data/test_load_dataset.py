import hashlib

import numpy as np
import pytest

from normcraft._core import registry
from normcraft._core.errors import InputError, MissingFileError
from normcraft.data import load_dataset

NAMES = ("cifar10", "cifar100", "digits", "fashion_mnist", "mnist")


def refusal(source, error=InputError, **keywords):
    with pytest.raises(error) as caught:
        load_dataset(source, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_datasets_are_the_files_of_the_package():
    assert registry.members("normcraft.data") == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_dataset_by_name_states_its_shape_classes_and_licence(name):
    module = registry.load("normcraft.data", name, what="dataset")
    assert module.LICENCE
    assert all(isinstance(length, int) for length in module.SHAPE)
    assert len(set(module.CLASSES)) == len(module.CLASSES) == (100 if name == "cifar100" else 10)


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    data, bunch = load_dataset("digits"), load_digits()
    assert data.x_train.dtype == np.float32
    assert data.x_train.shape == (1797, 8, 8, 1)
    np.testing.assert_array_equal(data.x_train[..., 0] * 16, bunch.images)
    np.testing.assert_array_equal(data.y_train, bunch.target)
    assert data.x_test is None
    assert data.class_names == tuple("0123456789")
    assert data.notes == ("pixels were scaled from 0..16 to [0, 1]",)


def test_digits_never_change():
    digest = hashlib.sha256(load_dataset("digits").x_train.tobytes()).hexdigest()
    assert digest.startswith("9f578524b6cec1fc")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "digits"])
def test_without_a_network_one_line_says_what_to_do(name, monkeypatch):
    import keras

    def fail():
        raise Exception("URL fetch failure on https://example.org: None -- [Errno -2]\n")

    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fail)
    assert refusal(name) == (
        f"the dataset '{name}' is not in Keras's cache and could not be fetched: "
        "received Exception 'URL fetch failure on https://example.org: None -- [Errno -2]\\n'; "
        "give the path of an .npz instead"
    )


def test_what_keras_prints_stays_off_stdout(monkeypatch, capsys):
    import keras

    def load_data():
        print("Downloading data")
        return (np.zeros((2, 32, 32, 3)), np.array([[3], [1]])), (
            np.zeros((1, 32, 32, 3)),
            np.array([[9]]),
        )

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", load_data)
    data = load_dataset("cifar10")
    assert capsys.readouterr() == ("", "Downloading data\n")
    assert data.y_train.tolist() == [3, 1]
    assert data.y_test.tolist() == [9]
    assert data.class_names[9] == "truck"


def test_an_unknown_name_offers_the_nearest():
    assert refusal("mnits") == (
        "unknown dataset: received 'mnits', expected one of cifar10, cifar100, digits, "
        "fashion_mnist, mnist; did you mean 'mnist'?"
    )


@pytest.mark.parametrize(
    "source", ["nowhere.npz", "some/folder", "a\x1b[31m/\0b", "x" * 5000 + ".npz"]
)
def test_a_missing_file_is_named(source):
    text = refusal(source, MissingFileError)
    assert text.startswith(f"no such data file: received {source!r}"[:400])
    assert "expected an .npz file" in text


def test_other_kinds_of_files_say_what_is_accepted(tmp_path):
    sheet = tmp_path / "table.xlsx"
    sheet.touch()
    text = refusal(sheet)
    assert "received a '.xlsx' file, expected an .npz file with x_train" in text
    assert "a .csv file and its target column; or a folder of class folders of images" in text
    (tmp_path / "dangling.npz").symlink_to(tmp_path / "gone")
    assert "neither a file nor a folder" in refusal(tmp_path / "dangling.npz")


def test_an_existing_path_wins_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert refusal("digits").endswith(
        "it hides the dataset of that name: rename it, or work in another folder"
    )


def test_an_unknown_coding_of_labels_is_refused():
    assert refusal("digits", labels="maps") == (
        "unknown labels: received 'maps', expected one of auto, map, numbers; did you mean 'map'?"
    )


def test_arrays_are_pointed_to_from_arrays():
    assert "normcraft.data.from_arrays takes arrays" in refusal(np.zeros(3))


def test_a_target_is_refused_where_there_is_no_table():
    assert "received target 'price' for 'digits'" in refusal("digits", target="price")
