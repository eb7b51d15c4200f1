"""Extensions found by file name: every module of a package is one member, named as its file."""

from __future__ import annotations

import pkgutil
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import ModuleType

from normcraft._core.errors import InputError, unknown_name

__all__ = ["load", "members"]


def members(package_name: str) -> tuple[str, ...]:
    """The names of the extensions in a package, sorted; none of them is imported.

    Modules whose name starts with an underscore are the package's own and no members.

    Args:
        package_name: Full name of the package, for example `"normcraft.data"`.

    Returns:
        Module names without the package's.

    Raises:
        InputError: Two files give one name: `foo.py` beside `foo/`, or files in two folders.

    Example:
        >>> members("normcraft.data")
        ('cifar10', 'cifar100', 'digits', 'fashion_mnist', 'mnist')
    """
    files = [file for folder in import_module(package_name).__path__ for file in _files(folder)]
    names = Counter(name for name, _ in files)
    twice = [file for name, file in files if names[name] > 1]
    if twice:
        raise InputError(
            f"a name in {package_name} is taken twice",
            received=" and ".join(repr(file) for file in twice),
            expected="one file a name",
            hint="rename one of them",
        )
    return tuple(sorted(names))


def load(package_name: str, name: str, *, what: str) -> ModuleType:
    """The extension of that name, imported now. Only what `members` lists can be imported this way.

    Args:
        package_name: Full name of the package.
        name: Name of the member.
        what: What a member is, for the error ("placement").

    Returns:
        The module.

    Raises:
        InputError: No member has that name; the error lists those there are, and the nearest.

    Example:
        >>> load("normcraft.data", "digits", what="dataset").CLASSES[:3]
        ('0', '1', '2')
    """  # noqa: DOC501, DOC502 - ruff does not see through unknown_name
    names = members(package_name)
    if name not in names:
        raise unknown_name(what, name, names)
    return import_module(f"{package_name}.{name}")


def _files(folder: str) -> list[tuple[str, str]]:
    # `(name, file)` of every public module; pkgutil alone hides a `foo.py` beside `foo/`.
    found = [(module.name, module.ispkg) for module in pkgutil.iter_modules([folder])]
    found += [
        (name, False) for name, is_package in found if is_package and _is_shadowed(folder, name)
    ]
    return [
        (name, str(Path(folder, name if is_package else f"{name}.py")))
        for name, is_package in found
        if not name.startswith("_")
    ]


def _is_shadowed(folder: str, name: str) -> bool:
    return Path(folder, f"{name}.py").is_file()
