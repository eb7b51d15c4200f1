"""Compiled programs kept between runs: JAX's persistent compilation cache in the user's folder."""

from __future__ import annotations

import warnings
from functools import cache

import jax

from normcraft._core.cache import cache_folder

__all__ = ["keep_programs"]


@cache
def keep_programs() -> None:
    """Lets JAX keep what it compiles, unless a folder for that is set already or none can be had.

    JAX itself checks whether a program fits the machine and its version, and compiles anew what it
    cannot read; that an entry is damaged, or half written by another process, is no news to a user.
    """
    folder = cache_folder("programs")
    if jax.config.jax_compilation_cache_dir is None and folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
