"""The tensors of a serialized graph: where they come from, and which variable holds them.

Keras writes a tensor as its history `(layer, call, output)`: the second output of the first call of
`"lstm"` is `("lstm", 0, 1)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from normcraft.report.code.expressions import Variable
from normcraft.report.code.layout import Group, Piece, literal, prefixed
from normcraft.report.code.names import Names

__all__ = ["Call", "Node", "Variables", "ends", "histories", "nodes_of"]

History = tuple[str, int, int]
Call = tuple[str, int]


@dataclass(frozen=True)
class Node:
    """One call in the graph: of which layer, the how many-eth of it, on what."""

    layer: Mapping[str, Any]
    index: int
    arguments: Mapping[str, Any]

    @property
    def key(self) -> Call:
        """Layer name and number of the call."""
        return self.layer["name"], self.index


def nodes_of(layers: Iterable[Mapping[str, Any]]) -> list[Node]:
    """All calls of a model, in the order of its layers.

    Returns:
        One node a call; inputs have none.
    """
    return [
        Node(layer, index, arguments)
        for layer in layers
        for index, arguments in enumerate(layer["inbound_nodes"])
    ]


def histories(tree: Any) -> Iterator[History]:
    """The tensors in the arguments of a call.

    Yields:
        Where each comes from.
    """
    if _is_tensor(tree):
        layer, call, output = tree["config"]["keras_history"]
        yield layer, call, output
    elif isinstance(tree, (list, Mapping)):
        for item in tree.values() if isinstance(tree, Mapping) else tree:
            yield from histories(item)


def ends(structure: Any) -> Iterator[History]:
    """The tensors in the `input_layers` or `output_layers` of a model.

    Yields:
        Where each comes from.
    """
    if _is_end(structure):
        yield tuple(structure)
    else:
        for item in structure.values() if isinstance(structure, Mapping) else structure:
            yield from ends(item)


class Variables:
    """Which variable holds which tensor, and until when it is needed.

    A chain keeps one variable: a result takes the name of an argument that nothing else needs.
    Where a branch opens, `y`, `z`, `branch_1` and so on hold it.

    Args:
        names: Names in use.
        nodes: All calls of the model.
        outputs: The `output_layers` of the model.
    """

    def __init__(self, names: Names, nodes: Iterable[Node], outputs: Any) -> None:
        used = [history for node in nodes for history in histories(node.arguments)]
        self._names = names
        self._held: dict[Call, str] = {}
        self._outputs = {history[:2] for history in ends(outputs)}
        self._uses = Counter(history[:2] for history in used)
        self._several = {h[:2] for h in chain(used, ends(outputs)) if h[2]}

    def hold(self, call: Call, name: str) -> None:
        """Note which variable holds the result of a call."""
        self._held[call] = name

    def assign(self, node: Node, *, several: bool) -> str:
        """Choose the variable for the result of a call.

        Args:
            node: The call; its arguments count as used.
            several: Whether it returns a list.

        Returns:
            The variable.
        """
        before = list(histories(node.arguments))
        self._uses.subtract(history[:2] for history in before)
        self._held[node.key] = self._choose(node, [self._held[h[:2]] for h in before])
        if several:
            self._several.add(node.key)
        return self._held[node.key]

    def ready(self, node: Node) -> bool:
        """Whether all that a call needs is there, its layer's earlier calls included.

        Returns:
            True where its line may be written.
        """
        needed = [history[:2] for history in histories(node.arguments)]
        needed += [(node.key[0], node.index - 1)] if node.index else []
        return all(call in self._held for call in needed)

    def insert(self, tree: Any) -> Any:
        """The arguments of a call with variables in place of tensors.

        Returns:
            The same structure.
        """
        if _is_tensor(tree):
            config = tree["config"]
            code = self._code(tuple(config["keras_history"]))
            return Variable(code, tuple(config["shape"]), str(config["dtype"]))
        if isinstance(tree, Mapping):
            return {key: self.insert(value) for key, value in tree.items()}
        return [self.insert(item) for item in tree] if isinstance(tree, list) else tree

    def structure(self, structure: Any) -> Piece:
        """The `input_layers` or `output_layers` of a model as code.

        Returns:
            A variable, or a list or dictionary of them.
        """
        if _is_end(structure):
            return self._code(tuple(structure))
        if isinstance(structure, Mapping):
            pairs = ((f"{literal(k)}: ", self.structure(v)) for k, v in structure.items())
            return Group("{", tuple(prefixed(*pair) for pair in pairs), "}")
        return Group("[", tuple(self.structure(item) for item in structure), "]")

    def _code(self, history: History) -> str:
        name = self._held[history[:2]]
        return f"{name}[{int(history[2])}]" if history[:2] in self._several else name

    def _choose(self, node: Node, arguments: list[str]) -> str:
        if node.key in self._outputs:
            return "outputs" if len(self._outputs) == 1 else self._names.fresh(node.key[0])
        live = {name for call, name in self._held.items() if self._uses[call] > 0}
        passing = (name for name in arguments if Names.is_passing(name))
        return next(name for name in chain(passing, _passing_names()) if name not in live)


def _passing_names() -> Iterator[str]:
    return chain("xyz", (f"branch_{number}" for number in count(1)))


def _is_tensor(tree: object) -> bool:
    return isinstance(tree, Mapping) and tree.get("class_name") == "__keras_tensor__"


def _is_end(structure: Any) -> bool:
    return isinstance(structure, list) and len(structure) == 3 and isinstance(structure[0], str)
