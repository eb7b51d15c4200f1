"""What is inserted: how each kind of normalization is built, and its affine form at inference.

One file a kind, found by its name. Each has `build`, `ABSORBS_BIAS`, `refusal`, `matches`,
`learned`, `inference_affine` and, where the kind keeps statistics, `statistics` and
`set_statistics`.
"""

from normcraft.kinds._kind import Kind, kind_names, kind_of, load_kind

__all__ = ["Kind", "kind_names", "kind_of", "load_kind"]
