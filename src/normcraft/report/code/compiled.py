"""`model.compile(...)` from a serialized model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normcraft.report.code.arguments import keyword
from normcraft.report.code.classes import InexpressibleError
from normcraft.report.code.expressions import Expressions
from normcraft.report.code.layout import Group, lay_out

__all__ = ["compile_lines"]

# `jit_compile` is left to Keras: it holds what the backend at hand made of "auto".
_DEFAULTS = {
    "optimizer": None,
    "loss": None,
    "loss_weights": None,
    "metrics": None,
    "weighted_metrics": None,
    "run_eagerly": False,
    "steps_per_execution": 1,
}


def compile_lines(config: Mapping[str, Any] | None, write: Expressions) -> list[str]:
    """The call that compiles the model as it was.

    Args:
        config: The `compile_config` of the model; None where it was not compiled.
        write: Writes the values.

    Returns:
        A blank line and the call, or a comment that says why it cannot be written; nothing where
        the model was not compiled.
    """
    if not config:
        return []
    try:
        given = {k: config[k] for k, default in _DEFAULTS.items() if config.get(k) != default}
        pieces = tuple(keyword(key, write.value(value).code) for key, value in given.items())
    except InexpressibleError as reason:
        return ["", f"# model.compile(...) is left out: {reason}."]
    return ["", lay_out(Group("model.compile(", pieces, ")"))]
