"""Where a class or function of the user's is defined, so that another process finds it."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from normcraft._core.errors import InputError
from normcraft.recipes._builder import load_function
from normcraft.recipes._imports import import_path

__all__ = ["Reference"]


@dataclass(frozen=True)
class Reference:
    """The home of a class or function.

    Attributes:
        module: Full name of its module.
        name: Its qualified name there.
        file: The module's file, where it has one.

    Example:
        >>> from collections import OrderedDict
        >>> Reference.to(OrderedDict).find() is OrderedDict
        True
    """

    module: str
    name: str
    file: str | None

    @classmethod
    def to(cls, thing: Any) -> Reference:
        """The reference to a class or function.

        Args:
            thing: The class or function.

        Returns:
            The reference.

        Raises:
            InputError: It stands in the script or notebook that runs, which is not run again
                elsewhere, or within a function.
        """
        module, name = thing.__module__, thing.__qualname__
        if module == "__main__" or not all(part.isidentifier() for part in name.split(".")):
            where = "the script or notebook that runs" if module == "__main__" else repr(module)
            raise InputError(
                f"{name!r} cannot be found by worker processes",
                received=f"a definition in {where}",
                expected="a class or function at the top of a module",
                hint="move it into a module of its own, or use the executor 'local'",
            )
        return cls(module, name, getattr(sys.modules.get(module), "__file__", None))

    def find(self) -> Any:
        """The class or function; its module is imported, or its file run, where it is not yet.

        Returns:
            The object.
        """
        top, *inner = self.name.split(".")
        is_import = self._is_imported or self.file is None
        where = self.module if is_import else str(self.file)
        with import_path(self._folder):
            found = load_function(where, top, is_file=not is_import)
        return reduce(getattr, inner, found)

    def sources(self) -> dict[str, bytes]:
        """The code that another machine needs to find it.

        Returns:
            Its file, or all Python files of its package, by path below the folder that is imported
            from; empty where it belongs to Python or to an installed package.
        """
        if self.file is None or Path(self.file).suffix != ".py" or self._is_installed:
            return {}
        files = [Path(self.file)]
        if self._is_imported and "." in self._package:
            files = sorted((self._folder / self._package.split(".")[0]).rglob("*.py"))
        return {str(file.relative_to(self._folder)): file.read_bytes() for file in files}

    def moved(self, folder: Path) -> Reference:
        """The reference where its sources were written to another folder.

        Args:
            folder: The folder.

        Returns:
            A reference; the same where there are none.
        """
        if self.file is None or self._is_installed:
            return self
        return replace(self, file=str(folder / Path(self.file).relative_to(self._folder)))

    @property
    def _is_installed(self) -> bool:
        homes = {sysconfig.get_path(name) for name in ("stdlib", "platlib", "purelib")}
        return any(Path(str(self.file)).is_relative_to(home) for home in homes)

    @property
    def _package(self) -> str:
        # The module's name, with a dot at the end where the module is a package itself.
        return f"{self.module}." if Path(str(self.file)).stem == "__init__" else self.module

    @property
    def _is_imported(self) -> bool:
        # A `file.py:function` is run, under a name that no file has.
        return self.file is not None and Path(self.file).stem in {
            self.module.split(".")[-1],
            "__init__",
        }

    @property
    def _folder(self) -> Path:
        depth = len(self.module.split(".")) - 1 if self._is_imported else 0
        if self.file is None:
            return Path.cwd()
        file = Path(self.file)
        return file.parents[depth + (file.stem == "__init__")]
