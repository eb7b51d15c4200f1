"""The whole text: imports, nested models, the model, its compilation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from normcraft.report.code.compiled import compile_lines
from normcraft.report.code.expressions import Expressions, is_model
from normcraft.report.code.graph import FunctionalBlock
from normcraft.report.code.layout import lay_out, prefixed
from normcraft.report.code.names import Names
from normcraft.report.code.sequential import sequential_lines

__all__ = ["Writer"]


class Writer:
    """Writes one model; nested models stand in front of those that call them."""

    def __init__(self) -> None:
        self._names = Names()
        self._write = Expressions(self._names, self._nested)
        self._blocks: list[list[str]] = []

    def code(self, description: Mapping[str, Any]) -> str:
        """The code that builds a described model as `model`.

        Returns:
            Python code, a line break at its end.
        """
        block = self._model(description, "model")
        block += compile_lines(description.get("compile_config"), self._write)
        blocks = [self._header(), *self._blocks, block]
        return "\n\n".join("\n".join(lines) for lines in blocks) + "\n"

    def _nested(self, description: Mapping[str, Any]) -> str:
        variable = self._names.fresh(str(description["config"]["name"]))
        self._blocks.append(self._model(description, variable))
        return variable

    def _model(self, description: Mapping[str, Any], variable: str) -> list[str]:
        if not is_model(description):
            return [lay_out(prefixed(f"{variable} = ", self._write.object(description).code))]
        if description["class_name"] == "Sequential":
            return sequential_lines(description, variable, self._write, self._nested)
        return FunctionalBlock(description, self._write, self._names, self._nested).lines(variable)

    def _header(self) -> list[str]:
        imports = {"import keras", *self._write.imports}
        lines = sorted(imports, key=lambda line: (line.startswith("from"), line))
        mine = sorted(self._write.undefined)
        lines += [f"# {name} is a name of your own notebook or script." for name in mine]
        return lines
