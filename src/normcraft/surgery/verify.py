"""Verify that two models compute the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import EquivalenceError, InputError
from normcraft._core.keras_private import graph_inputs, graph_outputs
from normcraft.graph import LayerGraph, functional_graph
from normcraft.surgery.calibrate import check_inputs
from normcraft.surgery.differences import compare_outputs, moved_by
from normcraft.surgery.equivalence import Difference, Equivalence
from normcraft.surgery.precision import in_float64
from normcraft.surgery.probe import Probe
from normcraft.surgery.result import EditResult
from normcraft.surgery.trial_inputs import trial_inputs

__all__ = ["checked", "narrowest_dtype", "run_model", "verify_equivalence"]

Array = np.ndarray[Any, np.dtype[Any]]
SPACING = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52}
SLACK = 32
ROUNDING = 4
DRAWS = 4  # with one alone a label on the edge may happen not to move; where rows are many some do
FEW = 256  # rows above which compiling a program takes less time than it saves


def verify_equivalence(
    model: keras.Model,
    other: keras.Model,
    x: Any = None,
    *,
    tolerance: float | None = None,
    float64: bool = True,
) -> Equivalence:
    """Whether two models compute the same at inference, by running both.

    They are run on `x`, if given, and on inputs made up to bring mistakes to light: ordinary,
    large, tiny, negative, constant and denormal ones. For each sort and output, max|a − b| / max|a|
    may be 32·ε·√(1 + depth), where ε is the spacing of the models' dtype at 1 (1.2e-7 for float32)
    and depth the number of layers with weights on the longest way through: the growth of rounding
    that adds up at random. A model may turn rounding into more than that, as softmax does between
    two large logits: four times as far is allowed as its own outputs move when each of its inputs
    and weights moves by ε up or down, at random.

    Args:
        model: A built model.
        other: A built model with the same inputs and outputs. Neither is changed.
        x: Inputs as `Model.predict` takes arrays; None for those made up alone.
        tolerance: Largest relative difference, in place of all of the above.
        float64: Whether to compute in float64 as well where Keras can (on TensorFlow; on the other
            backends it promotes to float32 at most): what is left of the difference then is that of
            the weights, not of the arithmetic.

    Returns:
        The differences with the verdict.

    Raises:
        InputError: If inputs or outputs do not fit.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(8), layers.BatchNormalization()])
        >>> from normcraft.surgery import fold_batch_normalization
        >>> verify_equivalence(model, fold_batch_normalization(model).model).equivalent
        True
    """  # noqa: DOC502 - raised further down
    _check_alike(model, other)
    inputs, dtype = _inputs(model, x), narrowest_dtype(model)
    rounding = 0 if tolerance else SPACING[dtype]
    allowed = float(tolerance or SLACK * rounding * np.sqrt(1 + _depth(model)))
    runs = _Runs(model, other, inputs, allowed, rounding)
    own = tuple(runs.differences(dtype))
    found = Equivalence(own, runs.rows, dtype, tuple(runs.constant()))
    reason = None if float64 and dtype != "float64" else "it was not asked for"
    if reason is None and keras.backend.result_type("float64", "float32") != "float64":
        reason = f"Keras computes in float32 at most on {keras.backend.backend()}"
    if reason is not None:
        return replace(found, no_float64=reason)
    wide = _Runs(in_float64(model), in_float64(other), inputs, allowed, rounding)
    return replace(found, differences=(*own, *wide.differences("float64")))


def checked(model: keras.Model, result: EditResult, verify: Any) -> EditResult:
    """The result of a pass, verified if that was asked for.

    Args:
        model: The original.
        result: The edit.
        verify: False for no check, True for one on inputs made up, or inputs to compare on as well.

    Returns:
        The result with the finding.

    Raises:
        EquivalenceError: If the edited model does not compute the same.
    """
    if verify is False:
        return result
    found = verify_equivalence(model, result.model, None if verify is True else verify)
    if not found.equivalent:
        worst = found.worst
        raise EquivalenceError(
            f"the edited copy of {model.name!r} does not compute the same",
            received=f"a relative difference of {worst.relative:.1e} on {worst.inputs} inputs"
            + f", {worst.label_flips} labels flipped" * bool(worst.label_flips),
            expected=f"at most {worst.tolerance:.1e}",
            hint="verify=False hands the copy back as it is",
        )
    return replace(result, equivalence=found)


def narrowest_dtype(model: keras.Model) -> str:
    """The floating-point dtype of fewest bits that a model computes in.

    Args:
        model: A built model.

    Returns:
        For example `"float32"`.

    Example:
        >>> narrowest_dtype(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
        'float32'
    """
    calls = [call for call in LayerGraph.read(model).calls if not call.is_input]
    own = {str(getattr(call.layer, "compute_dtype", "")) for call in calls}
    return next((name for name in SPACING if name in own), "float32")


def _depth(model: keras.Model) -> int:
    """How many layers with weights follow each other on the longest way.

    Returns:
        0 for a model without weights.
    """
    graph = LayerGraph.read(model)
    depth: dict[str, int] = {}
    for call in graph.calls:
        before = max((depth[graph.producer(v).site] for v in call.inputs), default=0)
        depth[call.site] = before + bool(getattr(call.layer, "weights", ()))
    return max(depth.values(), default=0)


def _inputs(model: keras.Model, x: Any) -> dict[str, list[Array]]:
    if x is None:
        return trial_inputs(model)
    check_inputs(model, x, purpose="comparison")
    given = [np.asarray(array) for array in keras.tree.flatten(x)]
    try:
        return {"given": given} | trial_inputs(model)
    except InputError:  # text, for example: only what is given can be compared
        return {"given": given}


def _check_alike(model: keras.Model, other: keras.Model) -> None:
    for what, ends in (("inputs", graph_inputs), ("outputs", graph_outputs)):
        shapes = [
            [tuple(tensor.shape) for tensor in ends(functional_graph(one))]
            for one in (model, other)
        ]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"the models have other {what}",
                received=f"{what} of shape {', '.join(map(str, shapes[1]))} in {other.name!r}",
                expected=f"{', '.join(map(str, shapes[0]))} as in {model.name!r}",
            )


class _Runs:
    """Both models run on all inputs.

    Attributes:
        rows: How many rows of inputs there are.
    """

    def __init__(
        self,
        model: keras.Model,
        other: keras.Model,
        inputs: dict[str, list[Array]],
        allowed: float,
        rounding: float,
    ) -> None:
        self.rows = sum(len(arrays[0]) for arrays in inputs.values())
        self._model = model
        self._probes = _probe(model), _probe(other)
        self._inputs = inputs
        self._allowed = allowed
        self._rounding = rounding
        self._outputs: list[list[Array]] = []

    def differences(self, dtype: str) -> Iterator[Difference]:
        first, second = self._probes
        for sort, arrays in self._inputs.items():
            before, after = _run(first, arrays, dtype), _run(second, arrays, dtype)
            tolerance = self._allowed
            if _furthest(before, after) > tolerance:
                tolerance = max(tolerance, ROUNDING * self._own_rounding(arrays, before, dtype))
            self._outputs.append(before)
            yield from compare_outputs(self._model, sort, dtype, before, after, tolerance)

    def _own_rounding(self, arrays: list[Array], outputs: list[Array], dtype: str) -> float:
        generator = np.random.default_rng(0)

        def moved(array: Array) -> Array:
            if array.dtype.kind != "f":
                return array
            signs = generator.choice((-1, 1), array.shape)
            return np.asarray(array * (1 + self._rounding * signs), array.dtype)

        def run() -> list[Array]:
            return _run(self._probes[0], list(map(moved, arrays)), dtype, moved=moved)

        draws = DRAWS if len(arrays[0]) <= FEW else 1
        return max(_furthest(outputs, run()) for _ in range(draws))

    def constant(self) -> Iterator[str]:
        graph = LayerGraph.read(self._model)
        for value, *parts in zip(graph.outputs, *self._outputs, strict=True):
            rows = np.concatenate(parts)
            if moved_by(rows, np.broadcast_to(rows[:1], rows.shape))[1] < self._allowed:
                yield graph.producer(value).site


def run_model(model: keras.Model, arrays: list[Array]) -> list[Array]:
    """Runs a model at inference on flat inputs.

    Args:
        model: A built model; it is not changed.
        arrays: Its inputs, flat.

    Returns:
        Its outputs, flat, in float64.
    """
    return _run(_probe(model), arrays, "float32")


def _probe(model: keras.Model) -> Probe:
    return Probe(model, lambda layer: False, by_batch=False)


def _run(probe: Probe, arrays: list[Array], dtype: str, **how: Any) -> list[Array]:
    arrays = _widened(arrays) if dtype == "float64" else arrays
    with np.errstate(all="ignore"):
        outputs, _ = probe.run(probe.packed(arrays), compiled=len(arrays[0]) > FEW, **how)
    return [np.asarray(value, "float64") for value in outputs]


def _furthest(before: list[Array], after: list[Array]) -> float:
    return max(moved_by(a, b)[1] for a, b in zip(before, after, strict=True))


def _widened(arrays: list[Array]) -> list[Array]:
    return [array.astype("float64") if array.dtype.kind == "f" else array for array in arrays]
