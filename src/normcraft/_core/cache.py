"""What may be kept from one run to the next and be lost at any time."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from normcraft._core.errors import NormcraftError
from normcraft._core.files import write_atomically

__all__ = ["cache_folder", "read_cache", "write_cache"]


def cache_folder(name: str) -> Path | None:
    """A folder in the user's cache, made where it is missing.

    Args:
        name: What it is for.

    Returns:
        The folder; None where nothing can be written there.
    """
    folder = Path(platformdirs.user_cache_dir("normcraft")) / name
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def read_cache(path: Path) -> dict[str, Any]:
    """What was written to a file of the cache.

    Args:
        path: The file.

    Returns:
        A dictionary, empty where the file is missing or damaged.
    """
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    return {}


def write_cache(path: Path, content: dict[str, Any]) -> None:
    """Writes a file of the cache; does nothing where that is not possible.

    Args:
        path: The file.
        content: What is JSON-able.
    """
    with suppress(OSError, NormcraftError):
        write_atomically(path, json.dumps(content, indent=1, sort_keys=True), force=True)
