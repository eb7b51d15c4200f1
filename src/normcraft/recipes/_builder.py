"""A model from a function: in the user's file, in a module, or at hand."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from normcraft._core.errors import InputError, MissingFileError
from normcraft._core.keras_private import trace_failure, traced_function
from normcraft.graph import TRACEABLE
from normcraft.recipes._imports import failure, import_module

__all__ = ["build_model", "check_model", "functions_in_file", "load_function"]


def load_function(where: str, function: str, *, is_file: bool) -> Any:
    """What a file or module calls by that name, after running it.

    Args:
        where: Path of a Python file, or full name of a module.
        function: The name.
        is_file: Whether `where` is a path.

    Returns:
        A function, or a model.

    Raises:
        InputError: There is nothing of that name; the error lists the functions there are.
    """
    module = _run_file(Path(where)) if is_file else import_module(where)
    if hasattr(module, function):
        return getattr(module, function)
    names = [
        name
        for name, member in vars(module).items()
        if inspect.isfunction(member) and not name.startswith("_") and name.isidentifier()
    ]
    near = get_close_matches(function, names, n=1)
    raise InputError(
        f"{where!r} has no function {function!r}",
        expected=f"one of {', '.join(names)}" if names else "a function that returns the model",
        hint=f"did you mean {near[0]!r}?" if near else None,
    )


def build_model(builder: Any, name: str) -> keras.Model:
    """The model that a function returns when it is called without arguments.

    Args:
        builder: The function; a model that stands in its place is taken as it is.
        name: What to call it in an error.

    Returns:
        A built Sequential or Functional model.

    Raises:
        InputError: It is no function, needs arguments, fails, or returns something else.
    """
    if isinstance(builder, keras.Model):
        return check_model(builder, repr(name))
    if isinstance(builder, keras.layers.Layer) or not callable(builder):
        raise InputError(
            f"{name!r} is no function",
            received=f"a {type(builder).__name__}",
            expected="a function that returns the model",
        )
    _check_parameters(builder, name)
    try:
        model = builder()
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{name!r} failed while it built the model",
            received=failure(error),
            expected="a function that returns the model",
        ) from error
    return check_model(model, f"what {name!r} returned")


def check_model(model: Any, what: str) -> keras.Model:
    """A model that can be read as a graph of layer calls.

    Args:
        model: What was built or loaded.
        what: What to call it in an error.

    Returns:
        The model.

    Raises:
        InputError: It is no model, was never built, or is a subclass that cannot be traced.
    """
    expected = "a built Sequential or Functional keras.Model"
    if not isinstance(model, keras.Model):
        hints = {
            "NoneType": "end the function with `return model`",
            "tuple": "return the model alone",
            "list": "return the model alone",
        }
        kind = "None" if model is None else f"a {type(model).__name__}"
        hint = hints.get(type(model).__name__)
        raise InputError(f"{what} is no model", received=kind, expected=expected, hint=hint)
    if traced_function(model) is not None:
        return model
    if isinstance(model, keras.Sequential) and not model.built:
        raise InputError(
            f"{what} was never built",
            received=f"Sequential {model.name!r} without weights",
            expected=expected,
            hint="begin it with keras.Input(shape)",
        )
    raise InputError(
        f"{what} has no graph of layer calls",
        received=f"a subclassed model ({type(model).__name__!r}): {trace_failure(model)}",
        expected=expected,
        hint=TRACEABLE,
    )


def functions_in_file(path: Path) -> tuple[str, ...]:
    """Functions that a Python file defines, read without running it.

    Args:
        path: The file.

    Returns:
        Their names, private ones left out; empty where the file cannot be read as Python.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    )


def _check_parameters(builder: Any, name: str) -> None:
    try:
        parameters = inspect.signature(builder).parameters.values()
    except (TypeError, ValueError):  # some callables written in C do not tell
        return
    needed = [
        repr(p.name)
        for p in parameters
        if p.default is p.empty and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
    ]
    if needed:
        raise InputError(
            f"{name!r} needs arguments",
            received=f"parameters without default: {', '.join(needed)}",
            expected="a function that is called without arguments",
            hint="give them defaults, or wrap it in a function of its own",
        )


def _run_file(path: Path) -> ModuleType:
    if not path.exists():
        raise MissingFileError("no such Python file", received=repr(str(path)))
    if not path.is_file():
        raise InputError(
            f"{str(path)!r} is no Python file", received="a folder", expected="file.py:function"
        )
    # A name of its own: the user's `test.py` must not stand in for a module that has that name.
    mark = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    module = ModuleType(f"normcraft_user_file_{mark}")
    module.__file__, module.__package__ = str(path.resolve()), ""
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        # Compiled here, not imported: no stale bytecode, and nothing written beside the file.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        if before is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = before
        hint = None
        if isinstance(error, ImportError) and "relative import" in str(error):
            hint = "for a file inside a package use package.module:function"
        raise InputError(
            f"{str(path)!r} cannot be run", received=failure(error), hint=hint
        ) from error
    return module
