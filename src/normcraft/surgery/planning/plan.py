"""The plan of an edit: plain values that say what changes, keyed as `LayerGraph` names things."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from normcraft.surgery.planning.affine import Affine

__all__ = ["Fold", "Insertion", "LayerEdit", "Plan"]


@dataclass(frozen=True, eq=False)
class Insertion:
    """One normalization layer to build.

    Attributes:
        kind: Kind of normalization; None for that of `origin`, whatever it is.
        name: Name of the new layer.
        axis: Axis of the channels.
        shape: Shape of what is normalized, the batch axis first.
        dtype: Name of its dtype policy; None for Keras's default.
        origin: Normalization of the model whose settings and learned values it takes over.
    """

    kind: str | None
    name: str
    axis: int
    shape: tuple[int | None, ...]
    dtype: str | None
    origin: Any = None


@dataclass
class LayerEdit:
    """What changes in a layer itself, and so in all its calls.

    Attributes:
        split: Name of the layer of its own that its fused activation becomes; None if it stays.
        activation: Activation that replaces its own, or None.
        bias: True to give it a bias, False to take its bias, None to leave it.
        absorbers: Inserted normalization that takes over the layer's bias, and what is folded.
        dtype: Name of the dtype policy of an activation layer that is made for it.
        replacement: Normalization that stands in the layer's place.
        rescaling: Map that stands in the place of the layer, a normalization.
        settings: Other entries of its configuration that change.
    """

    split: str | None = None
    activation: str | None = None
    bias: bool | None = None
    absorbers: tuple[Insertion, ...] = ()
    dtype: str | None = None
    replacement: Insertion | None = None
    rescaling: Affine | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Fold:
    """What a layer takes into its weights of the normalization around it.

    Attributes:
        layer: The Dense, convolution, Embedding or other normalization.
        before: Map on its input, of vectors with one entry a channel; None for none.
        behind: Map on its output, likewise.
    """

    layer: Any
    before: Affine | None = None
    behind: Affine | None = None

    def around(self, own: Affine, *, axis: int = 1, rank: int = 2) -> Affine:
        """What a layer computes with the fold in it, where it computes a map itself.

        Args:
            own: That map.
            axis: Axis of the channels, the batch counted; by default that of vectors.
            rank: Rank of what the map works on, the batch counted.

        Returns:
            The map before, that of the layer, and the map behind, as one.
        """
        whole = self.before.on_axis(axis, rank).then(own) if self.before else own
        return whole.then(self.behind.on_axis(axis, rank)) if self.behind else whole

    @property
    def shifts(self) -> bool:
        """Whether the layer needs a bias for it."""
        return any(part.shifts for part in (self.before, self.behind) if part)


@dataclass
class Plan:
    """All edits of one pass, by the keys of `LayerGraph`.

    Attributes:
        dropped: Keys of calls that are taken out.
        folded: Those of them that other weights take in.
        folds: Normalization folded into layers, or into what absorbs their bias, by the `id`
            of the layer.
        inside: Insertions between the linear part of a call and its fused activation.
        behind: Insertions behind a call.
        layers: Edits of layers, by `id`.
        skipped: `(site, reason)` of places that were asked for and refused.
        kept: `(site, reason)` of normalization that was to go, or to change, and stays.
        moved: `(site, new site)` of normalization that goes elsewhere.
        replaced: `(site, kind)` of normalization that another kind takes the place of.
    """

    dropped: set[str] = field(default_factory=set)
    folded: set[str] = field(default_factory=set)
    folds: dict[int, Fold] = field(default_factory=dict)
    inside: dict[str, Insertion] = field(default_factory=dict)
    behind: dict[str, Insertion] = field(default_factory=dict)
    layers: dict[int, LayerEdit] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    moved: list[tuple[str, str]] = field(default_factory=list)
    replaced: list[tuple[str, str]] = field(default_factory=list)

    def edit(self, layer: Any) -> LayerEdit:
        """The edit of a layer, made on first use.

        Returns:
            A mutable `LayerEdit`.
        """
        return self.layers.setdefault(id(layer), LayerEdit())

    @property
    def insertions(self) -> list[Insertion]:
        """Every normalization layer that the plan builds, each once."""
        places = [*self.inside.values(), *self.behind.values()]
        places += [edit.replacement for edit in self.layers.values() if edit.replacement]
        return list(dict.fromkeys(places))
