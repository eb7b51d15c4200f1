"""How much batch normalization can fold, told from Keras's nodes alone.

Written from the rules, not from the code under test: flat models whose layers are called once,
gammas positive and shifts not zero.
"""

import keras
from keras import layers

LINEAR = (
    layers.Dense, layers.EinsumDense, layers.DepthwiseConv1D, layers.DepthwiseConv2D,
    layers.SeparableConv1D, layers.SeparableConv2D, layers.Conv1D, layers.Conv2D, layers.Conv3D,
    layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose,
)  # fmt: skip
TRANSPOSED = LINEAR[-3:]
FREE = (
    layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.GaussianNoise,
    layers.Identity, layers.ActivityRegularization, layers.Permute, layers.Cropping2D,
    layers.UpSampling1D, layers.UpSampling2D,
    layers.AveragePooling1D, layers.AveragePooling2D, layers.MaxPooling1D, layers.MaxPooling2D,
    layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D,
)  # fmt: skip


class Oracle:
    """Counts over one model."""

    def __init__(self, model: keras.Model) -> None:
        graph = getattr(model, "_functional", model)
        nodes = [node for level in graph._nodes_by_depth.values() for node in level]
        assert len({id(node.operation) for node in nodes}) == len(nodes), "a layer is shared"
        assert not any(isinstance(node.operation, keras.Model) for node in nodes), "it is nested"
        self.maker = {id(t): node for node in nodes for t in node.outputs}
        self.reads = {id(node): [*map(id, node.input_tensors)] for node in nodes}
        self.nodes = nodes
        self.ends = {id(tensor) for tensor in graph.outputs}

    def folded(self) -> set[str]:
        """Names of the normalization that folds."""
        gone: set[str] = set()
        while True:
            waiting = [n for n in self.nodes if isinstance(n.operation, layers.BatchNormalization)]
            found = next((n for n in waiting if self._back(n) or self._forth(n)), None)
            if found is None:
                return gone
            gone.add(found.operation.name)
            self._drop(found)

    def _drop(self, node) -> None:
        source, made = self.reads[id(node)][0], id(node.outputs[0])
        for reads in self.reads.values():
            reads[:] = [source if tensor == made else tensor for tensor in reads]
        if made in self.ends:
            self.ends = (self.ends - {made}) | {source}
        self.nodes = [other for other in self.nodes if other is not node]

    def _readers(self, tensor: int) -> list:
        return [node for node in self.nodes if tensor in self.reads[id(node)]]

    def _back(self, node) -> bool:
        """Whether everything that made the input of a node can take a map behind it."""
        sources = self.reads[id(node)]
        return len(set(sources)) == len(sources) and all(
            self._takes_behind(tensor, node) for tensor in sources
        )

    def _takes_behind(self, tensor: int, reader) -> bool:
        before = self.maker[tensor]
        layer = before.operation
        if before.is_input or tensor in self.ends or self._readers(tensor) != [reader]:
            return False
        if isinstance(layer, (*LINEAR, layers.Embedding, layers.BatchNormalization)):
            return linear(layer) and axis(layer, before) == (
                axis(reader.operation, reader) if normalizes(reader) else axis(layer, before)
            )
        joins = type(layer).__name__ in {"Add", "Concatenate"} and len(self.reads[id(before)]) > 1
        if type(layer).__name__ == "Add":
            joins = joins and len({tuple(t.shape) for t in before.input_tensors}) == 1
        return (joins or passes(layer) or keeps_positions(layer, before)) and self._back(before)

    def _forth(self, node) -> bool:
        """Whether everything that reads a node's result can take a map on what it reads."""
        tensor = id(node.outputs[0])
        readers = self._readers(tensor)
        return (
            tensor not in self.ends
            and bool(readers)
            and all(self._takes_before(reader) for reader in readers)
        )

    def _takes_before(self, reader) -> bool:
        layer, reads = reader.operation, self.reads[id(reader)]
        if isinstance(layer, layers.BatchNormalization):
            return True
        if isinstance(layer, LINEAR):
            return sees_no_zeros(layer, reader.input_tensors[0].shape)
        if type(layer).__name__ == "Concatenate":
            return len(set(reads)) == len(reads) and self._forth(reader)
        flattens = isinstance(layer, layers.Flatten | layers.Reshape)
        return (passes(layer) or flattens) and self._forth(reader)


def normalizes(node) -> bool:
    return isinstance(node.operation, layers.BatchNormalization)


def linear(layer) -> bool:
    activation = getattr(layer, "activation", None)
    return activation is None or activation is keras.activations.linear


def passes(layer) -> bool:
    if isinstance(layer, layers.Activation):
        return layer.activation is keras.activations.linear
    return isinstance(layer, FREE)


def keeps_positions(layer, node) -> bool:
    """A reshape that leaves the last axis alone."""
    if not isinstance(layer, layers.Flatten | layers.Reshape):
        return False
    return node.input_tensors[0].shape[-1] == node.outputs[0].shape[-1]


def axis(layer, node) -> int:
    rank = len(node.outputs[0].shape)
    if isinstance(layer, layers.BatchNormalization):
        return layer.axis % rank
    return 1 if getattr(layer, "data_format", None) == "channels_first" else rank - 1


def sees_no_zeros(layer, shape) -> bool:
    """Whether each output of a convolution sums over true inputs alone, and over equally many."""
    sizes = getattr(layer, "kernel_size", (1,))
    steps = getattr(layer, "strides", (1,))
    if isinstance(layer, TRANSPOSED):
        return {*sizes, *steps} == {1}
    if {*sizes} == {1} or layer.padding == "valid":
        return True
    if layer.padding == "causal":
        return False
    spatial = shape[2:] if layer.data_format == "channels_first" else shape[1:-1]
    whole = zip(spatial, sizes, steps, layer.dilation_rate, strict=True)
    return all(
        n is not None and (-(-n // step) - 1) * step + 1 + (size - 1) * rate <= n
        for n, size, step, rate in whole
    )
