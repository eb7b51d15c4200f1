"""A Functional model as a block of code: inputs, one line a call, `keras.Model`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from normcraft.report.code.arguments import keyword
from normcraft.report.code.classes import InexpressibleError
from normcraft.report.code.expressions import Expression, Expressions, is_model
from normcraft.report.code.inputs import input_call
from normcraft.report.code.layout import Group, Piece, flat, lay_out, literal, prefixed
from normcraft.report.code.names import Names
from normcraft.report.code.operations import is_operation, operation
from normcraft.report.code.tensors import Node, Variables, ends, nodes_of
from normcraft.report.escape import visible

__all__ = ["FunctionalBlock"]


class FunctionalBlock:
    """Writes one Functional model.

    Args:
        description: The model as Keras serializes it.
        write: Writes expressions.
        names: Names in use.
        write_model: Writes a nested model's code in front; gives its variable.
    """

    def __init__(
        self,
        description: Mapping[str, Any],
        write: Expressions,
        names: Names,
        write_model: Callable[[Mapping[str, Any]], str],
    ) -> None:
        self._config = description["config"]
        self._write, self._names, self._write_model = write, names, write_model
        self._nodes = nodes_of(self._config["layers"])
        self._variables = Variables(names, self._nodes, self._config["output_layers"])
        self._layers: dict[str, Expression] = {}
        self._lines: list[str] = []

    def lines(self, variable: str) -> list[str]:
        """The block.

        Args:
            variable: What the model is called.

        Returns:
            Lines of code, the last of which assigns the model.
        """
        self._write_inputs()
        for node in self._ordered():
            self._write_node(node)
        config, structure = self._config, self._variables.structure
        arguments = [structure(config["input_layers"]), structure(config["output_layers"])]
        arguments.append(keyword("name", literal(str(config["name"]))))
        if config.get("trainable") is False:
            arguments.append("trainable=False")
        self._add(variable, Group("keras.Model(", tuple(arguments), ")"))
        return self._lines

    def _add(self, variable: str, code: Piece) -> None:
        self._lines.append(lay_out(prefixed(f"{variable} = ", code)))

    def _write_inputs(self) -> None:
        inputs = [each for each in self._config["layers"] if not each["inbound_nodes"]]
        for layer in inputs:
            variable = "inputs" if len(inputs) == 1 else self._names.fresh(layer["name"])
            self._variables.hold((layer["name"], 0), variable)
            self._add(variable, input_call(layer, self._write))

    def _ordered(self) -> Iterator[Node]:
        waiting = self._nodes
        while waiting:
            left = []
            for node in waiting:
                if self._variables.ready(node):
                    yield node
                else:
                    left.append(node)
            if len(left) == len(waiting):
                raise InexpressibleError("its graph has a loop or a loose end")
            waiting = left

    def _write_node(self, node: Node) -> None:
        arguments = self._variables.insert(node.arguments)
        call = operation if is_operation(node.layer) else self._call
        code, several = call(node.layer, arguments, self._write)
        self._add(self._variables.assign(node, several=several), code)

    def _call(
        self, description: Mapping[str, Any], arguments: Mapping[str, Any], write: Expressions
    ) -> tuple[Piece, bool]:
        layer = self._layer(description)
        items = [write.value(item) for item in arguments["args"]]
        keywords = {key: write.value(each) for key, each in arguments["kwargs"].items()}
        pieces = [each.code for each in items]
        pieces += [keyword(k, each.code) for k, each in keywords.items() if each.value is not None]
        written = f"({', '.join(map(flat, pieces))})"
        settings = {key: each.value for key, each in keywords.items()}
        several = _returns_several(description, layer.value, [e.value for e in items], settings)
        return prefixed("", layer.code, written), several

    def _layer(self, description: Mapping[str, Any]) -> Expression:
        name = description["name"]
        if name in self._layers:
            return self._layers[name]
        if is_model(description):
            layer = Expression(self._write_model(description), None)
        else:
            layer = self._write.object(description)
            if len(description["inbound_nodes"]) > 1:
                variable = self._names.fresh(name)
                self._add(variable, layer.code)
                layer = Expression(variable, layer.value)
        self._layers[name] = layer
        return layer


def _returns_several(
    description: Mapping[str, Any], layer: Any, items: list[Any], settings: Mapping[str, Any]
) -> bool:
    inner = description["config"]
    if is_model(description):
        return len(list(ends(inner.get("output_layers", [])))) > 1
    if str(description["module"]).startswith("keras."):
        return bool(inner.get("return_state") or settings.get("return_attention_scores"))
    try:
        return isinstance(layer(*items, **settings), (list, tuple))
    except Exception as error:
        name = visible(description["name"])
        raise InexpressibleError(f"layer {name!r} refuses its input") from error
