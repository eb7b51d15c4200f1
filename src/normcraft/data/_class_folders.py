"""Which files of a folder are images of which class; nothing is opened here."""

from __future__ import annotations

import os
from pathlib import Path

from normcraft._core.errors import InputError
from normcraft.data._labels import listing

__all__ = ["Images", "class_folders"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
PARTS = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
LAYOUT = "a folder of images for every class, or such folders in train/, validation/ and test/"

Images = dict[str, list[Path]]


def class_folders(root: Path) -> tuple[dict[str, Images], list[str]]:
    """The images of every class and part.

    Where `root` has a folder `train` with folders in it, `train`, `validation` (or `val`) and
    `test` are parts; else every folder in `root` is a class. Links to folders are followed down to
    the classes and no further, so that none leads in a circle.

    Args:
        root: The folder.

    Returns:
        `(parts, left_out)`: class names with the paths of their images, both sorted, under
        `"train"`, `"validation"` and `"test"`; and what else lies in the folders, hidden files
        included.

    Raises:
        InputError: A part has fewer than two classes (`train`) or none, a class has no images, or
            one that is not in `train`.
    """
    left_out: list[str] = []
    folders, files = _entries(root)
    inner = _entries(root / "train")[0] if "train" in folders else []
    if not inner:
        parts = {"train": _classes(root, root, left_out)}
    else:
        parts = {}
        for name in folders:
            if name not in PARTS:
                left_out.append(f"{name}/")
            elif PARTS[name] in parts:
                raise InputError("two folders of validation data", received="val/ and validation/")
            else:
                parts[PARTS[name]] = _classes(root / name, root, left_out)
        left_out += files
    _check(parts)
    return parts, sorted(left_out)


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    # Names of the folders that are not hidden, and of everything else, sorted.
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_dir()) for entry in entries)
    folders = [name for name, is_dir in found if is_dir and not name.startswith((".", "__"))]
    return folders, [name for name, _ in found if name not in set(folders)]


def _classes(folder: Path, root: Path, left_out: list[str]) -> Images:
    names, others = _entries(folder)
    if not names:
        images = [name for name in others if name.lower().endswith(SUFFIXES)]
        raise InputError(
            f"there are no class folders in {_relative(folder, root)!r}",
            received=f"{len(others)} files, {len(images)} of them images",
            expected=LAYOUT,
        )
    left_out += [_relative(folder / name, root) for name in others]
    return {name: _images(folder / name, root, left_out) for name in names}


def _images(folder: Path, root: Path, left_out: list[str]) -> list[Path]:
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.is_file(), entry.is_dir()) for entry in entries)
    images = []
    for name, is_file, is_dir in found:
        if is_file and name.lower().endswith(SUFFIXES) and not name.startswith("."):
            images.append(folder / name)
        else:
            left_out.append(_relative(folder / name, root) + "/" * is_dir)
    if not images:
        raise InputError(
            f"there are no images in the class folder {_relative(folder, root)!r}",
            received=listing([name for name, *_ in found]) or "an empty folder",
            expected=f"files that end in {', '.join(SUFFIXES)}",
            hint="images lie right in the folder of their class: add some, or take the folder out",
        )
    return images


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path != root else root.name


def _check(parts: dict[str, Images]) -> None:
    classes = sorted(parts["train"])
    if len(classes) < 2:
        raise InputError(
            "there is one class alone", received=listing(classes), expected="two folders or more"
        )
    for part, images in parts.items():
        unknown = sorted(set(images) - set(classes))
        if unknown:
            raise InputError(
                f"{part} has classes that train lacks",
                received=listing(unknown),
                expected=f"among {listing(classes)}",
            )
