"""The model as it is: normalization that it has stays where it stands."""

from normcraft.graph import LayerGraph, Site

__all__ = ["select"]


def select(graph: LayerGraph) -> tuple[Site, ...]:
    """Adds nothing.

    Returns:
        No sites.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((8, 8, 1), name="x"), layers.Conv2D(4, 3, name="conv")]
        >>> chain += [layers.GlobalMaxPooling2D(name="pool"), layers.Dense(2, name="head")]
        >>> sites = select(LayerGraph.read(Sequential(chain)))
        >>> [site.name for site in sites if not site.refused]
        []
    """
    return ()
