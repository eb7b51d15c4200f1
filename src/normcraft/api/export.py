"""Export a model to ONNX, and run what came out."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import EquivalenceError, MissingDependencyError, SurgeryError
from normcraft._core.files import save_atomically
from normcraft._core.keras_private import graph_outputs, output_structure
from normcraft.graph import functional_graph
from normcraft.surgery import Difference, compare_outputs, run_model, trial_inputs

__all__ = ["export_onnx"]

Array = np.ndarray[Any, np.dtype[Any]]
CONVERTERS = {"torch": "onnxscript", "tensorflow": "tf2onnx", "jax": "jax2onnx"}
TOLERANCE = 1e-4  # another runtime adds up in another order, and fuses


def export_onnx(
    model: keras.Model, path: str | os.PathLike[str], *, force: bool = False
) -> tuple[Difference, ...]:
    """Writes a model as ONNX and compares ONNX Runtime's outputs with those of Keras.

    Keras's own `Model.export` does the conversion: through onnxscript on PyTorch (where every open
    axis, the batch too, becomes 1), tf2onnx on TensorFlow, jax2onnx on JAX. Inputs are made up, as
    `verify_equivalence` does.

    Args:
        model: A built model.
        path: Where to write, for example `"model.onnx"`.
        force: Whether to replace a file that stands there.

    Returns:
        The differences between both, one for each sort of inputs and output.

    Raises:
        MissingDependencyError: If ONNX Runtime or the backend's converter is not installed.
        SurgeryError: If Keras cannot export the model, or ONNX Runtime cannot run what came out.
        EquivalenceError: If the outputs differ by more than 1e-4, relative to the largest; nothing
            is written then.
    """  # noqa: DOC502 - raised further down
    runtime = _runtime()
    found: list[Difference] = []

    def save(temporary: Path) -> None:
        _export(model, temporary)
        found.extend(_compared(model, runtime, temporary))
        _check(model, max(found, key=lambda one: one.relative))

    save_atomically(path, save, force=force)
    return tuple(found)


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            "ONNX needs packages that are not installed",
            received="no onnxruntime",
            hint='pip install "normcraft[export]"',
        ) from error
    return onnxruntime


def _export(model: keras.Model, path: Path) -> None:
    name = keras.backend.backend()
    try:
        with _quiet():
            model(_first_inputs(model), training=False)  # Keras exports what was called before
            model.export(str(path), format="onnx", verbose=False)
    except ImportError as error:
        raise MissingDependencyError(
            f"Keras exports to ONNX on {name} through a package that is not installed",
            received=f"no {CONVERTERS.get(name, 'converter')}",
            hint=f"pip install {CONVERTERS.get(name, 'onnx')}, or set KERAS_BACKEND=torch",
        ) from error
    except Exception as error:
        raise _failed("Keras cannot export it to ONNX", model, error) from error


def _first_inputs(model: keras.Model) -> Any:
    function = functional_graph(model)
    arrays = next(iter(trial_inputs(model).values()))
    entries, _ = output_structure(function, arrays, graph_outputs(function))
    return entries


def _compared(model: keras.Model, runtime: Any, path: Path) -> Iterator[Difference]:
    try:
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what is fatal; its errors are raised as well
        providers = ["CPUExecutionProvider"]
        session = runtime.InferenceSession(str(path), options, providers=providers)
        for sort, arrays in trial_inputs(model).items():
            expected = run_model(model, arrays)
            given = _run(session, arrays)
            yield from compare_outputs(model, sort, "float32", expected, given, TOLERANCE)
    except Exception as error:
        raise _failed("ONNX Runtime cannot run it", model, error) from error


def _run(session: Any, arrays: list[Array]) -> list[Array]:
    # Where the batch is fixed, row by row.
    entries = session.get_inputs()
    fixed = isinstance(entries[0].shape[0], int)
    size = entries[0].shape[0] if fixed else len(arrays[0])
    parts = []
    for start in range(0, len(arrays[0]), size):
        feed = {
            e.name: np.ascontiguousarray(a[start : start + size])
            for e, a in zip(entries, arrays, strict=True)
        }
        parts.append(session.run(None, feed))
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def _check(model: keras.Model, worst: Difference) -> None:
    if not worst.holds:
        raise EquivalenceError(
            f"what ONNX Runtime computes is not model {model.name!r}",
            received=f"a relative difference of {worst.relative:.1e} on {worst.inputs} inputs",
            expected=f"at most {worst.tolerance:.0e}",
            hint="nothing was written; try another backend by KERAS_BACKEND",
        )


def _failed(message: str, model: keras.Model, error: Exception) -> SurgeryError:
    return SurgeryError(
        f"{message}: model {model.name!r}",
        received=" ".join(str(error).split())[:200] or type(error).__name__,
        hint="save it as .keras, or try another backend by KERAS_BACKEND",
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # Converters greet and count their steps on standard output, which belongs to the document.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
