"""The templates of what is shown as HTML; everything put in is escaped."""

from __future__ import annotations

from functools import cache
from typing import Any

from normcraft.report.escape import visible

__all__ = ["template"]


@cache
def template(name: str) -> Any:
    """A template of this package.

    Args:
        name: Name of the file in `assets`.

    Returns:
        A Jinja template that escapes, has the filter `visible`, and fails on what is undefined.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("normcraft.report", "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible
    return environment.get_template(name)
