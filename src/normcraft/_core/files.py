"""Writing files so that nobody finds half of one, and nothing is lost that was there."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from normcraft._core.errors import MissingFileError, OverwriteError

__all__ = ["check_writable", "write_atomically"]


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
    target = check_writable(path, force=force)
    # `open` rather than `mkstemp`: the file gets the rights that any new file of the user gets.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
