import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from normcraft._core import memory
from normcraft._core.errors import InputError
from normcraft.data import _npz, load_dataset


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def refusal(path):
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    text = str(caught.value)
    assert text.startswith(repr(str(path)))
    assert text.isprintable()
    return text.removeprefix(repr(str(path)))


def npy(array, allow_pickle=False):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=allow_pickle)
    return file.getvalue()


def archive(path, compression=zipfile.ZIP_DEFLATED, **members):
    whole = {"x_train": npy(np.eye(2)), "y_train": npy([0, 1])} | members
    with zipfile.ZipFile(path, "w", compression) as file:
        for key, content in whole.items():
            file.writestr(f"{key}.npy", content)
    return path


def header(shape, descr="'<f8'"):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def test_mnist_is_read_whole(mnist_file):
    data = load_dataset(mnist_file)
    assert data.name == "mnist"
    assert data.x_train.shape == (60000, 28, 28)
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert data.x_test.shape == (10000, 28, 28)
    assert (data.num_samples, data.num_classes, data.class_names) == (60000, 10, None)
    with np.load(mnist_file, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(data.x_test, arrays["x_test"])


def test_class_names_are_read(fer2013_file):
    data = load_dataset(str(fer2013_file))
    assert data.num_classes == len(data.class_names) == 7
    assert all(type(name) is str for name in data.class_names)
    assert data.notes == ()


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_any_order_and_bytes_are_read(save, order):
    x = np.asarray(np.arange(24).reshape(2, 3, 4), ">f8", order=order)
    np.testing.assert_array_equal(load_dataset(save(x_train=x)).x_train, x)


def test_class_names_of_bytes_are_text(save):
    assert load_dataset(save(class_names=np.array([b"a", b"b"]))).class_names == ("a", "b")


@pytest.mark.parametrize("names", [np.array(["a"]), np.array([1, 2]), np.array([["a", "b"]])])
def test_class_names_must_name_every_class(save, names):
    assert "class_names does not name the classes: received dtype" in refusal(
        save(class_names=names)
    )


def test_other_arrays_are_left_out_with_a_note(save):
    assert load_dataset(save(x_val=np.eye(2), b=np.eye(1))).notes == (
        "left out of the file: 'b', 'x_val'",
    )


def test_wrong_keys_list_what_was_found_and_what_is_expected(save):
    text = refusal(save(x_train=None, **{"x\x1b[31m": np.eye(2)}))
    assert "arrays are missing: received 'x\\x1b[31m', 'y_train', expected x_train, y_train" in text
    assert "received 'x_test', 'x_train', 'y_train'" in refusal(save(x_test=np.eye(2)))
    many = save(x_train=None, **{f"a{n:02}": np.eye(1) for n in range(30)})
    assert "'a19' and 11 more," in refusal(many)


def test_an_empty_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    assert "received no arrays" in refusal(tmp_path / "empty.npz")


@pytest.mark.parametrize(
    "content", [b"", b"not a zip \x1b[31m", pickle.dumps([1, 2]), npy(np.eye(2))]
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    assert "cannot be read as an .npz archive: received BadZipFile" in refusal(path)


def test_an_archive_cut_short_is_refused(save):
    path = save()
    path.write_bytes(path.read_bytes()[:-30])
    assert "the file may be damaged or cut short" in refusal(path)


def test_flipped_bytes_never_give_a_traceback(tmp_path):
    whole = archive(tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "flipped.npz"
    expected = np.eye(2)
    for index in range(0, len(whole), 3):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 0xFF]) + whole[index + 1 :])
        try:
            data = load_dataset(path)
        except InputError as error:
            assert str(error).isprintable()  # noqa: PT017
        else:
            np.testing.assert_array_equal(data.x_train, expected)


def test_pickles_are_never_loaded(tmp_path):
    content = npy(np.array([Bomb(), 1], object), allow_pickle=True)
    text = refusal(archive(tmp_path / "evil.npz", x_train=content))
    assert "'x_train.npy' holds pickled Python objects, which are never loaded" in text
    assert "cannot be read" in refusal(archive(tmp_path / "p.npz", x_train=pickle.dumps(Bomb())))


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000000000,)"),
        header("(3,)") + bytes(16),
        header("(1,)") + bytes(16),
        header("(1000000000000,)", descr="'<U0'"),
    ],
)
def test_a_header_that_claims_another_size_is_refused(tmp_path, content):
    assert "'x_train.npy' is damaged: received" in refusal(
        archive(tmp_path / "h.npz", x_train=content)
    )


@pytest.mark.parametrize(
    "content",
    [header("(-1, -2)") + bytes(16), header("(2"), b"\x93NUMPY\x09\x00", b"", header("('a',)")],
)
def test_a_header_that_makes_no_sense_is_refused(tmp_path, content):
    assert "cannot be read as an .npz archive" in refusal(
        archive(tmp_path / "h.npz", x_train=content)
    )


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = archive(tmp_path / "bomb.npz", x_train=npy(np.zeros((1000, 1000))))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(memory, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(_npz, "_read", lambda *_: pytest.fail("read before the check"))
    text = refusal(path)
    assert "unpacks to more than is sane: received 8,000,2" in text
    assert "expected at most 1,000,000" in text


def test_half_of_the_memory_is_the_limit_of_a_small_machine(save, monkeypatch):
    monkeypatch.setattr(memory, "physical_memory", lambda: 500)
    assert "expected at most 250" in refusal(save())


def test_arrays_of_a_file_are_checked_like_any(save):
    assert "x holds NaN or infinity" in refusal(save(x_train=np.array([[np.nan], [1.0]])))
    assert "y holds text labels" in refusal(save(y_train=np.array(["a", "b"])))
    assert "x_test is not shaped" in refusal(save(x_test=np.eye(3), y_test=np.arange(3)))


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("zipfile.ZipFile", denied)
    (tmp_path / "a.npz").touch()
    with pytest.raises(InputError, match=r"a.npz' cannot be read: received Permission denied$"):
        load_dataset(tmp_path / "a.npz")
