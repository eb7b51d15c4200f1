"""A model from a `.keras` file: sizes are checked first, and code in it is not run unasked."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path

import keras

from normcraft._core.errors import InputError
from normcraft._core.keras_private import variables_within
from normcraft.recipes._builder import check_model
from normcraft.recipes._imports import failure
from normcraft.recipes._keras_sizes import (
    CONFIG,
    WEIGHTS,
    check_unpacked_size,
    check_values,
    variable_limit,
)

__all__ = ["load_keras_file"]

HDF5_MAGIC = b"\x89HDF"
# Keras's errors are long; what is wrong stands somewhere inside.
UNKNOWN = re.compile(r"Could not (?:locate|deserialize|interpret) (?:[\w ]+:? )?'?([^'\n{]+)")
MISFIT = re.compile(
    r"error message for object <(?:\w+ name=)?(.*?)(?:,| object at)[^\n]*>:\s*(\S[^\n]*)"
)


def load_keras_file(path: Path, *, unsafe: bool = False) -> keras.Model:
    """The model in a `.keras` file.

    Args:
        path: An existing file.
        unsafe: Whether code in the file (Lambda layers) may be loaded and run.

    Returns:
        The model, compiled as it was saved.

    Raises:
        InputError: The file is damaged or too large, describes a model that its weights are not of,
            uses unknown classes, or holds no built Sequential or Functional model.
    """  # noqa: DOC501, DOC502 - ruff does not see through _loading_error
    from normcraft.layers import BatchNormalization  # noqa: F401 - known to Keras from then on

    name = str(path)
    limit = _check_archive(path)
    with warnings.catch_warnings(record=True) as remarks, variables_within(limit) as taken:
        warnings.simplefilter("always")
        try:
            model = keras.saving.load_model(name, safe_mode=not unsafe)
        except Exception as error:
            if taken[-1] > limit:
                raise _larger_than_its_weights(name, taken[-1], limit) from error
            raise _loading_error(name, error) from error
    for remark in remarks:
        # A model that was saved before it was trained has an optimizer without a state.
        if "Skipping variable loading for optimizer" not in str(remark.message):
            warnings.warn(str(remark.message), remark.category, stacklevel=2)
    check_model(model, f"the model in {name!r}")
    check_values(model, f"the model in {name!r}")
    return model


def _check_archive(path: Path) -> int:
    # How many bytes the variables of the model may take.
    name = str(path)
    expected = "a file that model.save('model.keras') wrote"
    try:
        with path.open("rb") as file:
            begin = file.read(4)
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged archive raises anything, from struct's errors on
        if isinstance(error, OSError) and not isinstance(error, zipfile.BadZipFile):
            raise InputError(f"{name!r} cannot be read", received=failure(error)) from error
        received, hint = _other_bytes(begin)
        raise InputError(
            f"{name!r} is no .keras file", received=received, expected=expected, hint=hint
        ) from error
    with archive:
        names = set(archive.namelist())
        if not {CONFIG, WEIGHTS} <= names:
            raise InputError(
                f"{name!r} is an archive, but no .keras file",
                received=f"{len(names)} files without {CONFIG} or without {WEIGHTS}",
                expected=expected,
            )
        check_unpacked_size(path, archive.infolist())
        return variable_limit(path, archive)


def _other_bytes(begin: bytes) -> tuple[str, str | None]:
    if not begin:
        return "an empty file", None
    if begin == HDF5_MAGIC:
        return "an HDF5 file", "load it as .h5 and save it as .keras"
    return "bytes that are no archive", "the file may be damaged or cut short"


def _larger_than_its_weights(name: str, size: int, limit: int) -> InputError:
    return InputError(
        f"{name!r} describes a model that is larger than its weights",
        received=f"layers whose variables take {size:,} bytes or more",
        expected=f"at most {limit:,} for the weights in the file",
        hint="the file may be damaged",
    )


def _loading_error(name: str, error: Exception) -> InputError:
    text = str(error).rpartition("Exception encountered: ")[2]
    unknown = UNKNOWN.search(text)
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
    misfit = MISFIT.search(text)
    if misfit:
        return InputError(
            f"the weights in {name!r} do not fit {misfit[1]!r}",
            received=repr(misfit[2][:200]),
            expected="weights as its configuration asks for",
            hint="the file may be damaged",
        )
    return InputError(
        f"{name!r} cannot be loaded",
        received=failure(error, text),
        expected="a .keras file that this Keras can read",
        hint="the file may be damaged, or written by a newer Keras",
    )
