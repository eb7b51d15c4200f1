"""Writing files so that nobody finds half of one, and nothing is lost that was there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from normcraft._core.errors import MissingFileError, OutputError, OverwriteError

__all__ = ["check_writable", "save_atomically", "write_atomically"]


def check_writable(path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Make sure that a file can be written, before the work whose result it shall hold.

    Args:
        path: Where it shall be written.
        force: Whether a file that stands there may be replaced.

    Returns:
        The path.

    Raises:
        MissingFileError: The folder does not exist.
        OverwriteError: Something stands there already: a file without `force`, or a folder.

    Example:
        >>> check_writable("no-such-folder/report.html")
        Traceback (most recent call last):
        normcraft._core.errors.MissingFileError: there is no folder 'no-such-folder'...
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise MissingFileError(
            f"there is no folder {str(target.parent)!r}",
            received=repr(str(target)),
            hint="create the folder or choose another path",
        )
    if target.is_dir():
        raise OverwriteError(f"{str(target)!r} is a folder", expected="the path of a file")
    if target.exists() and not force:
        raise OverwriteError(
            f"{str(target)!r} exists already", hint="choose another path, or overwrite with --force"
        )
    return target


def write_atomically(
    path: str | os.PathLike[str], content: str | bytes, *, force: bool = False
) -> Path:
    """Write a whole file, or nothing: to a temporary file beside it, then renamed.

    Refuses as `check_writable` does, which is called first.

    Args:
        path: Where to write; its folder exists.
        content: Text (written as UTF-8) or bytes.
        force: Whether to replace a file that stands there.

    Returns:
        The path.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> write_atomically(f"{folder}/report.html", "<p>done</p>").read_text()
        '<p>done</p>'
    """
    data = content.encode() if isinstance(content, str) else content
    return save_atomically(path, lambda temporary: _write(temporary, data), force=force)


def save_atomically(
    path: str | os.PathLike[str], save: Callable[[Path], object], *, force: bool = False
) -> Path:
    """Let a function write a whole file, or nothing: to a temporary file beside it, then renamed.

    Refuses as `check_writable` does, which is called first.

    Args:
        path: Where to write; its folder exists.
        save: Writes to the path it is given, which has the same suffix.
        force: Whether to replace a file that stands there.

    Returns:
        The path.

    Raises:
        OutputError: The file cannot be written: the disk is full, or the folder read-only.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp(), "numbers.txt")
        >>> save_atomically(target, lambda path: path.write_text("1 2 3")).read_text()
        '1 2 3'
    """
    target = check_writable(path, force=force)
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        save(temporary)
        temporary.replace(target)
    except OSError as error:
        raise OutputError(
            f"{str(target)!r} cannot be written",
            received=error.strerror or str(error),
            hint="nothing was changed; choose another path, or make room and try again",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _write(path: Path, data: bytes) -> None:
    # `open` rather than `mkstemp`: the file gets the rights that any new file of the user gets.
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
