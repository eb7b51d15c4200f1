"""A model from a `.keras` file: sizes are checked first, and code in it is not run unasked."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path

import keras

from normcraft._core.errors import InputError
from normcraft._core.memory import check_memory
from normcraft.recipes._builder import check_model
from normcraft.recipes._imports import failure

__all__ = ["load_keras_file"]

WEIGHTS = ("model.weights.h5", "model.weights.npz")
HDF5_MAGIC = b"\x89HDF"


def load_keras_file(path: Path, *, unsafe: bool = False) -> keras.Model:
    """The model in a `.keras` file.

    Args:
        path: An existing file.
        unsafe: Whether code in the file (Lambda layers) may be loaded and run.

    Returns:
        The model, compiled as it was saved.

    Raises:
        InputError: The file is damaged or too large, uses unknown classes, or holds no built
            Sequential or Functional model.
    """  # noqa: DOC501, DOC502 - ruff does not see through _loading_error
    name = str(path)
    _check_archive(path)
    try:
        with warnings.catch_warnings():
            # A model that was saved before it was trained has an optimizer without a state.
            warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
            model = keras.saving.load_model(name, safe_mode=not unsafe)
    except Exception as error:
        raise _loading_error(name, error) from error
    return check_model(model, f"the model in {name!r}")


def _check_archive(path: Path) -> None:
    name = str(path)
    expected = "a file that model.save('model.keras') wrote"
    try:
        with path.open("rb") as file:
            begin = file.read(4)
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, EOFError) as error:
        if isinstance(error, OSError) and not isinstance(error, zipfile.BadZipFile):
            raise InputError(f"{name!r} cannot be read", received=failure(error)) from error
        received, hint = _other_bytes(begin)
        raise InputError(
            f"{name!r} is no .keras file", received=received, expected=expected, hint=hint
        ) from error
    names = {member.filename for member in members}
    if "config.json" not in names or not names.intersection(WEIGHTS):
        raise InputError(
            f"{name!r} is an archive, but no .keras file",
            received=f"{len(names)} files without config.json or without weights",
            expected=expected,
        )
    size = sum(member.file_size for member in members)
    check_memory(repr(name), size, hint="load the model yourself and pass it in place of the path")


def _other_bytes(begin: bytes) -> tuple[str, str | None]:
    if not begin:
        return "an empty file", None
    if begin == HDF5_MAGIC:
        return "an HDF5 file", "load it as .h5 and save it as .keras"
    return "bytes that are no archive", "the file may be damaged or cut short"


def _loading_error(name: str, error: Exception) -> InputError:
    text = str(error)
    unknown = re.search(r"Could not locate (?:class|function) '([^']*)'", text)
    if unknown:
        return InputError(
            f"{name!r} uses {unknown[1]!r}, which Keras does not know",
            expected="layers and functions of Keras, or of modules that are imported",
            hint="name the module that defines it with --import MODULE (imports=['module'])",
        )
    if "safe_mode" in text or "unsafe deserialization" in text:
        return InputError(
            f"{name!r} holds Python code, as Lambda layers do, which is not run unasked",
            expected="a model without code",
            hint="if you trust the file, load it with --unsafe (unsafe=True)",
        )
    return InputError(
        f"{name!r} cannot be loaded",
        received=failure(error),
        expected="a .keras file that this Keras can read",
        hint="the file may be damaged, or written by a newer Keras",
    )
