"""Keras descriptions as Python expressions, each checked by building what it says.

Cases of `Expressions.value`:

1. plain values, lists and dictionaries: as they are
2. slices, ellipses and arrays: their Python spelling
3. tensors of the graph: their variable
4. functions: by reference
5. a data type policy: its name
6. models: a variable, the model's own code standing in front
7. any other object: a call with the arguments that differ from the defaults

In case 7 the arguments are found by building the object and comparing what Keras then says of it
with the description, until the two agree: defaults that depend on other arguments cannot mislead.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from normcraft.report.code.arguments import build, differing, initial, ordered
from normcraft.report.code.classes import InexpressibleError, Reference, class_of, function_of
from normcraft.report.code.layout import Group, Piece, flat, literal, prefixed
from normcraft.report.code.names import Names
from normcraft.report.escape import visible

__all__ = ["Expression", "Expressions", "Variable", "is_model", "snake_case"]

_SCALAR_OR_TUPLE = frozenset({"kernel_size", "strides", "pool_size", "dilation_rate", "size"})


@dataclass(frozen=True)
class Expression:
    """Code and the value that it stands for."""

    code: Piece
    value: Any


@dataclass(frozen=True)
class Variable:
    """A tensor of the graph, as the variable that holds it."""

    code: str
    shape: tuple[int | None, ...]
    dtype: str


def is_model(description: object) -> bool:
    """Whether the description is of a Sequential or Functional model.

    Returns:
        False for a subclassed model, which is an object like any other.
    """
    return (
        isinstance(description, Mapping)
        and description.get("class_name") in {"Functional", "Model", "Sequential"}
        and str(description.get("module")).split(".")[0] == "keras"
        and "layers" in description["config"]
    )


class Expressions:
    """Writes expressions and gathers the imports that they need.

    Args:
        names: The names in use.
        write_model: Writes a nested model's code in front; gives its variable.

    Attributes:
        imports: Import lines that the expressions need.
        undefined: Classes and functions of the user's own notebook or script.
    """

    def __init__(self, names: Names, write_model: Callable[[Mapping[str, Any]], str]) -> None:
        self.imports: set[str] = set()
        self.undefined: set[str] = set()
        self._names = names
        self._write_model = write_model
        self._known: dict[str, Any] = {}

    def value(self, config: Any) -> Expression:
        """The expression for anything that stands in a description.

        Returns:
            Code, and the value it gives.
        """
        if isinstance(config, Variable):
            return _tensor(config)
        if isinstance(config, (list, tuple)):
            return self._sequence(config)
        if not isinstance(config, Mapping):
            return Expression(_plain(config), config)
        if "class_name" not in config or "config" not in config:
            return self._dictionary(config)
        return self._described(config)

    def object(self, config: Mapping[str, Any]) -> Expression:
        """The call that builds a described object; a layer always keeps its name.

        Returns:
            Code, and the object.

        Raises:
            InexpressibleError: No arguments of its class give this description.
        """
        found, wanted = class_of(config), config["config"]
        if _is_optimizer(found.value):  # counts up a name of its own, which nothing refers to
            wanted = {name: value for name, value in wanted.items() if name != "name"}
        chosen = missing = initial(found.value, wanted)
        while True:
            arguments = {name: self.argument(name, wanted[name]) for name in chosen}
            built = build(found, {name: each.value for name, each in arguments.items()})
            different = differing(built, wanted)
            missing = [name for name in different if name not in chosen]
            if not missing:
                break
            chosen = chosen + missing
        if different:
            raise InexpressibleError(f"{visible(found.code)} cannot be rebuilt from its arguments")
        pieces = {name: arguments[name].code for name in wanted if name in arguments}
        head = flat(self._reference(found).code)
        return Expression(Group(f"{head}(", ordered(found.value, pieces), ")"), built)

    def argument(self, name: str, config: Any) -> Expression:
        """The expression for one argument, in its shortest common form.

        Returns:
            Code and value; `[3, 3]` becomes `3` or a tuple, a learning rate drops the digits that
            float32 added.
        """
        if name == "learning_rate" and isinstance(config, float):
            config = _short_float32(config)
        if isinstance(config, list) and config and all(type(item) is int for item in config):
            same = len(set(config)) == 1 and name in _SCALAR_OR_TUPLE
            config = config[0] if same else tuple(config)
        expression = self.value(config)
        if isinstance(config, Mapping) and config.get("module") == "keras.initializers":
            return _short_initializer(str(config["class_name"]), expression)
        return expression

    def _described(self, config: Mapping[str, Any]) -> Expression:
        special: dict[str, Callable[[Any], Expression]] = {
            "function": lambda inner: self._reference(function_of(str(inner))),
            "DTypePolicy": lambda inner: self.value(str(inner["name"])),
            "__ellipsis__": lambda _: Expression("...", ...),
            "__slice__": self._slice,
            "__numpy__": self._array,
        }
        if write := special.get(config["class_name"]):
            return write(config["config"])
        return self._model(config) if is_model(config) else self.object(config)

    def _model(self, config: Mapping[str, Any]) -> Expression:
        import keras

        # `from_config` empties the dictionary that it is given.
        value = keras.saving.deserialize_keras_object(copy.deepcopy(dict(config)))
        return Expression(self._write_model(config), value)

    def _slice(self, inner: Mapping[str, Any]) -> Expression:
        parts = [self.value(inner[key]) for key in ("start", "stop", "step")]
        code = Group("slice(", tuple(each.code for each in parts), ")")
        return Expression(code, slice(*(each.value for each in parts)))

    def _array(self, inner: Mapping[str, Any]) -> Expression:
        import numpy as np

        self.imports.add("import numpy as np")
        values, dtype = self.value(inner["value"]), self.value(str(inner["dtype"]))
        code = Group("np.array(", (values.code, prefixed("dtype=", dtype.code)), ")")
        return Expression(code, np.array(values.value, dtype=dtype.value))

    def _reference(self, found: Reference) -> Expression:
        if found.code.startswith("layers."):
            self.imports.add("from keras import layers")
        if "." not in found.code:
            if self._known.setdefault(found.code, found.value) is not found.value:
                raise InexpressibleError(f"two classes are called {found.code}")
            lines, line = self.undefined, found.code
            if found.module:
                lines, line = self.imports, f"from {found.module} import {found.code}"
            if line not in lines and not self._names.claim(found.code):
                raise InexpressibleError(f"the name {found.code} is taken")
            lines.add(line)
        return Expression(found.code, found.value)

    def _sequence(self, items: list[Any] | tuple[Any, ...]) -> Expression:
        written = [self.value(item) for item in items]
        opening, closing = "[]" if isinstance(items, list) else "()"
        if isinstance(items, tuple) and len(items) == 1:
            closing = ",)"
        code = Group(opening, tuple(each.code for each in written), closing)
        return Expression(code, type(items)(each.value for each in written))

    def _dictionary(self, config: Mapping[str, Any]) -> Expression:
        written = {str(key): self.value(value) for key, value in config.items()}
        items = tuple(prefixed(f"{literal(k)}: ", each.code) for k, each in written.items())
        return Expression(Group("{", items, "}"), {k: each.value for k, each in written.items()})


def snake_case(name: str) -> str:
    """The name of a class as Keras spells it for a function or a string argument.

    Returns:
        For example `"glorot_uniform"` for `"GlorotUniform"`.
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def _tensor(variable: Variable) -> Expression:
    import keras

    return Expression(variable.code, keras.KerasTensor(variable.shape, dtype=variable.dtype))


def _is_optimizer(cls: Any) -> bool:
    import keras

    return issubclass(cls, keras.optimizers.Optimizer)


def _plain(value: object) -> str:
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _short_float32(value: float) -> float:
    import numpy as np

    rounded = np.float32(value)
    return float(str(rounded)) if float(rounded) == value else value


def _short_initializer(name: str, expression: Expression) -> Expression:
    if flat(expression.code) != f"keras.initializers.{name}()":
        return expression
    return Expression(literal(snake_case(name)), expression.value)
