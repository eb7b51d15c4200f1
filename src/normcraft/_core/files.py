"""Writing files so that nobody finds half of one, and nothing is lost that was there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from normcraft._core.errors import MissingFileError, OutputError, OverwriteError

__all__ = ["check_apart", "check_writable", "save_atomically", "write_atomically"]


def check_writable(path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Make sure that a file can be written, before the work whose result it shall hold.

    Args:
        path: Where it shall be written.
        force: Whether a file that stands there may be replaced.

    Returns:
        The path.

    Raises:
        MissingFileError: The folder does not exist.
        OutputError: Nothing can be written in the folder.
        OverwriteError: Something stands there already: a file without `force`, or a folder.

    Example:
        >>> check_writable("no-such-folder/report.html")
        Traceback (most recent call last):
        normcraft._core.errors.MissingFileError: there is no folder 'no-such-folder'...
    """
    target = Path(path)
    _check_name(target)
    if not target.parent.is_dir():
        raise MissingFileError(
            f"there is no folder {str(target.parent)!r}",
            received=repr(str(target)),
            hint="create the folder or choose another path",
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise OutputError(
            f"{str(target)!r} cannot be written",
            received=f"the folder {str(target.parent)!r}, which may not be written to",
            hint="choose another path",
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
    temporary = target.with_name(f".{secrets.token_hex(4)}{target.suffix}")
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


def check_apart(**paths: str | os.PathLike[str] | None) -> None:
    """Refuse that one file serves two purposes, of which one would be lost.

    Args:
        **paths: What is read or written, by what it is; None for what is not.

    Raises:
        OverwriteError: Two of them are the same file.

    Example:
        >>> check_apart(store="runs.db", report="./runs.db")
        Traceback (most recent call last):
        normcraft._core.errors.OverwriteError: report and store are the same file...
    """
    purposes: dict[str, str] = {}
    for purpose, path in paths.items():
        if path is None:
            continue
        other = purposes.setdefault(os.path.realpath(path), purpose)
        if other != purpose:
            raise OverwriteError(
                f"{purpose} and {other} are the same file",
                received=repr(os.fspath(path)),
                hint="choose another path for one of them",
            )


def _check_name(path: Path) -> None:
    # Names with a null byte, or longer than the file system takes.
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except (OSError, ValueError) as error:
        raise OutputError(
            f"{str(path)!r} cannot be written",
            received=getattr(error, "strerror", None) or str(error),
            expected="the path of a file",
        ) from error


def _write(path: Path, data: bytes) -> None:
    # `open` rather than `mkstemp`: the file gets the rights that any new file of the user gets.
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
