"""A MODEL argument: a file, a function in a file or module, a recipe's name, or a model itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from difflib import get_close_matches
from pathlib import Path

import keras

from normcraft._core.errors import InputError, MissingFileError
from normcraft.recipes._builder import build_model, functions_in_file, load_function
from normcraft.recipes._imports import import_modules, import_path
from normcraft.recipes._keras_file import load_keras_file
from normcraft.recipes._names import load_recipe, recipe_names

__all__ = ["load_model"]

FORMS = "a .keras file, path/to/file.py:function, package.module:function, or a recipe's name"


def load_model(
    source: str | os.PathLike[str] | keras.Model | Callable[[], keras.Model],
    *,
    imports: Iterable[str] = (),
    unsafe: bool = False,
) -> keras.Model:
    """The model that a MODEL argument names; an existing path wins over a recipe's name.

    1. A `.keras` file, read in Keras's safe mode. 2. `path/to/file.py:function` or
    `package.module:function`: that code is run, and the function called without arguments.
    3. A recipe's name. 4. A Keras model, returned as it is. 5. A function that builds one.
    Modules are also looked for in the current folder, a file's own imports in the file's folder.
    What the code prints while a file or module is loaded goes to stderr.

    Args:
        source: Which model.
        imports: Modules to import first. Layers, losses and the like that they define are
            registered with Keras, decorated or not, so that files which use them can be loaded.
        unsafe: Read `.keras` files with safe mode off. A file can then run any code: use it only
            for files whose origin you trust.

    Returns:
        The model, built.

    Raises:
        InputError: The source is none of these, or gives no built Sequential or Functional model.
        MissingFileError: The path does not exist.

    Example:
        >>> load_model("digits_cnn").count_params()
        13706
    """  # noqa: DOC502 - a missing path is noticed further down
    if isinstance(source, keras.Model):
        import_modules(imports)
        return source
    if isinstance(source, str | os.PathLike):
        with redirect_stdout(sys.stderr):  # stdout is the command's: it may be one JSON document
            import_modules(imports)
            return _from_name(os.fspath(source), unsafe=unsafe)
    import_modules(imports)
    if isinstance(source, keras.layers.Layer) or not callable(source):
        raise InputError(
            "this is no model",
            received=type(source).__name__,
            expected="a keras.Model, a function that builds one, or a name or path",
        )
    return build_model(source, getattr(source, "__name__", type(source).__name__))


def _from_name(name: str, *, unsafe: bool) -> keras.Model:
    if os.path.lexists(name):
        return _from_path(name, unsafe=unsafe)
    where, colon, function = name.rpartition(":")
    if colon:
        return _from_function(name, where, function)
    path = Path(name)
    if path.suffix or len(path.parts) > 1:
        raise MissingFileError("no such model file", received=repr(name), expected=FORMS)
    if name not in recipe_names():
        raise _unknown_recipe(name)
    return load_recipe(name)()


def _from_function(name: str, where: str, function: str) -> keras.Model:
    is_file = where.endswith(".py") or os.path.lexists(where) or os.sep in where
    if not (where and function.isidentifier()):
        raise InputError(
            "no function is named",
            received=repr(name),
            expected="path/to/file.py:function or package.module:function",
        )
    # The path stays in force while the function runs, which may import on its own.
    with import_path(Path(where).resolve().parent if is_file else Path.cwd()):
        return build_model(load_function(where, function, is_file=is_file), name)


def _from_path(name: str, *, unsafe: bool) -> keras.Model:
    path = Path(name)
    if path.is_file() and path.suffix == ".keras":
        return load_keras_file(path, unsafe=unsafe)
    received, hint = _other_file(path)
    if name in recipe_names():
        hint = "it hides the recipe of that name: rename it, or work in another folder"
    raise InputError(
        f"{name!r} is not a model that can be read", received=received, expected=FORMS, hint=hint
    )


def _other_file(path: Path) -> tuple[str, str | None]:
    # What a path is that is no `.keras` file, and how a model is got from it.
    resave = "load it with the Keras that wrote it, then model.save('model.keras')"
    if path.is_dir():
        is_saved_model = (path / "saved_model.pb").exists()
        return ("a SavedModel", resave) if is_saved_model else ("a folder", None)
    if not path.is_file():
        return "neither a file nor a folder", None
    if path.name.endswith(".weights.h5"):
        return "weights without a model", "build the model, load_weights into it, and save that"
    if path.suffix in {".h5", ".hdf5"}:
        return "an HDF5 file", resave
    if path.suffix == ".py":
        functions = functions_in_file(path)
        first = functions[0] if functions else "function"
        listing = f"; it has {', '.join(functions)}" if functions else ""
        return "a Python file", f"name the function too, {str(path)!r} and ':{first}'{listing}"
    return f"a {path.suffix!r} file" if path.suffix else "a file without a suffix", None


def _unknown_recipe(name: str) -> InputError:
    near = get_close_matches(name, recipe_names(), n=1)
    return InputError(
        "unknown model",
        received=repr(name),
        expected=f"{FORMS} ({', '.join(recipe_names())})",
        hint=f"did you mean {near[0]!r}?" if near else None,
    )
