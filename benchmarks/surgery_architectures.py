"""Surgery on the architectures of other packages: every pass, outputs compared, refusals counted.

    python benchmarks/surgery_architectures.py [--only NAME ...] [--json FILE] [--table PAGE]

Models are small and built from configurations, never downloaded; weights and moving statistics are
random, and outputs vary over inputs. An architecture whose package is not installed is left out
with a note. `--json` keeps one line a model and goes on where it stopped; `--table` writes the
page.

Longer than other files because it holds the architectures, what is measured and the page.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import re
import sys
import tempfile
import textwrap
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("SM_FRAMEWORK", "keras")  # asked for by segmodels-keras

import keras
import numpy as np

from normcraft._core.errors import NormcraftError
from normcraft.graph import (
    LayerGraph,
    is_linear,
    is_normalization,
    is_wrapped_linear,
    layers_inside,
)
from normcraft.kinds import kind_of, load_kind
from normcraft.surgery import (
    EditResult,
    StatisticsProbe,
    insert_normalization,
    move_normalization,
    place,
    remove_normalization,
    replace_normalization,
    swap_activation,
)

IMAGE = (64, 64, 3)
OPEN = 12  # size of an axis that an input leaves open
ROWS = 8
VARIED = 5e-3  # how much outputs vary at least, for a difference to be seen
EDITS = ("inserted", "removed", "moved", "replaced")
PLACEMENTS = ("before_activation", "after_activation", "before_add+after_add", "input")
Array = np.ndarray[Any, np.dtype[Any]]
Build = Callable[[Any], keras.Model]

# --- the architectures ----------------------------------------------------------------------------


def _resnet(hub: Any, block: str = "basic_block", **settings: Any) -> keras.Model:
    sizes = {"stackwise_num_blocks": [2, 2, 2, 2], "stackwise_num_strides": [1, 2, 2, 2]}
    sizes |= {"stackwise_num_filters": [64, 16, 24, 32], "image_shape": IMAGE}
    stem = {"input_conv_filters": [64], "input_conv_kernel_sizes": [7]}
    return hub.models.ResNetBackbone(block_type=block, **{**sizes, **stem, **settings})


def _resnet_v2(hub: Any) -> keras.Model:
    backbone = _resnet(hub, "bottleneck_block", use_pre_activation=True)
    return hub.models.ResNetImageClassifier(backbone=backbone, num_classes=10)


def _resnet_vd(hub: Any) -> keras.Model:
    stem = {"input_conv_filters": [32, 32, 64], "input_conv_kernel_sizes": [3, 3, 3]}
    backbone = _resnet(hub, "bottleneck_block_vd", **stem)
    return hub.models.ResNetImageClassifier(backbone=backbone, num_classes=10)


def _vgg(hub: Any) -> keras.Model:
    backbone = hub.models.VGGBackbone([2, 2, 3, 3], [8, 16, 32, 32], image_shape=(112, 112, 3))
    return hub.models.VGGImageClassifier(backbone=backbone, num_classes=10, pooling_hidden_dim=64)


def _densenet(hub: Any) -> keras.Model:
    backbone = hub.models.DenseNetBackbone([2, 3, 4, 3], growth_rate=8, image_shape=IMAGE)
    return hub.models.DenseNetImageClassifier(backbone=backbone, num_classes=10)


def _xception(hub: Any) -> keras.Model:
    backbone = hub.models.XceptionBackbone(
        [[8, 16], [16, 24], [32, 32], [32, 32], [32, 64], [64, 64]],
        [False, True, True, False, True, False],
        image_shape=(71, 71, 3),
    )
    return hub.models.XceptionImageClassifier(backbone=backbone, num_classes=10)


def _mobilenet(hub: Any) -> keras.Model:
    backbone = hub.models.MobileNetBackbone(
        stackwise_expansion=[[40, 56], [64, 144, 144]],
        stackwise_num_blocks=[2, 3],
        stackwise_num_filters=[[16, 16], [24, 24, 24]],
        stackwise_kernel_size=[[3, 3], [5, 5, 5]],
        stackwise_num_strides=[[2, 1], [2, 1, 1]],
        stackwise_se_ratio=[[None, None], [0.25, 0.25, 0.25]],
        stackwise_activation=[["relu"] * 2, ["hard_swish"] * 3],
        stackwise_padding=[[1, 1], [2, 2, 2]],
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        squeeze_and_excite=0.5,
        output_num_filters=64,
        last_layer_filter=64,
        image_shape=IMAGE,
    )
    return hub.models.MobileNetImageClassifier(backbone=backbone, num_classes=10)


def _efficientnet(hub: Any) -> keras.Model:
    backbone = hub.models.EfficientNetBackbone(
        stackwise_kernel_sizes=[3, 3, 5, 3],
        stackwise_num_repeats=[1, 2, 2, 2],
        stackwise_input_filters=[8, 8, 16, 24],
        stackwise_output_filters=[8, 16, 24, 40],
        stackwise_expansion_ratios=[1, 6, 6, 6],
        stackwise_squeeze_and_excite_ratios=[0.25] * 4,
        stackwise_strides=[1, 2, 2, 2],
        stackwise_block_types=["v1", "v1", "fused", "v1"],
        stackwise_width_coefficients=[1.0] * 4,
        stackwise_depth_coefficients=[1.0] * 4,
        num_features=64,
        input_shape=IMAGE,
    )
    return hub.models.EfficientNetImageClassifier(backbone=backbone, num_classes=10)


def _cspnet(hub: Any) -> keras.Model:
    backbone = hub.models.CSPNetBackbone(
        stem_filters=16,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 2, 2],
        stackwise_strides=[2, 2, 2],
        stackwise_num_filters=[16, 32, 64],
        block_type="dark_block",
        stage_type="csp",
        bottle_ratio=[0.5, 1.0, 1.0],
        block_ratio=[1.0, 0.5, 0.5],
        expand_ratio=[2.0, 1.0, 1.0],
        image_shape=IMAGE,
    )
    return hub.models.CSPNetImageClassifier(backbone=backbone, num_classes=10)


def _hgnet(hub: Any) -> keras.Model:
    backbone = hub.models.HGNetV2Backbone(
        depths=[1, 2],
        embedding_size=16,
        hidden_sizes=[32, 64],
        stem_channels=[3, 16, 16],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[(16, 16, 64, 1, 1, 3), (64, 32, 128, 2, 1, 3)],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
        image_shape=IMAGE,
    )
    return hub.models.HGNetV2ImageClassifier(backbone, None, 10)


def _mit(hub: Any) -> keras.Model:
    return hub.models.MiTBackbone(
        num_layers=4,
        layerwise_depths=[1, 1, 1, 1],
        layerwise_num_heads=[1, 2, 4, 8],
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        hidden_dims=[16, 32, 40, 64],
        max_drop_path_rate=0.1,
        image_shape=IMAGE,
    )


def _segformer(hub: Any) -> keras.Model:
    backbone = hub.models.SegFormerBackbone(image_encoder=_mit(hub), projection_filters=32)
    return hub.models.SegFormerImageSegmenter(backbone=backbone, num_classes=4)


def _deeplab(hub: Any) -> keras.Model:
    backbone = hub.models.DeepLabV3Backbone(
        image_encoder=_resnet(hub, "bottleneck_block"),
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P4",
        dilation_rates=[2, 4, 6],
        upsampling_size=4,
        projection_filters=8,
        image_shape=IMAGE,
    )
    return hub.models.DeepLabV3ImageSegmenter(backbone=backbone, num_classes=4)


def _retinanet(hub: Any) -> keras.Model:
    return hub.models.RetinaNetBackbone(
        image_encoder=_resnet(hub, "bottleneck_block"),
        min_level=3,
        max_level=5,
        use_p5=False,
        use_fpn_batch_norm=True,
        image_shape=IMAGE,
    )


def _vit(hub: Any) -> keras.Model:
    backbone = hub.models.ViTBackbone((32, 32, 3), (8, 8), 2, 4, 32, 64)
    return hub.models.ViTImageClassifier(backbone=backbone, num_classes=10)


def _deit(hub: Any) -> keras.Model:
    backbone = hub.models.DeiTBackbone((32, 32, 3), (8, 8), 2, 4, 32, 64)
    return hub.models.DeiTImageClassifier(backbone=backbone, num_classes=10)


def _swin(hub: Any) -> keras.Model:
    backbone = hub.models.SwinTransformerBackbone((32, 32, 3), 16, [2, 2], [2, 4], 4, patch_size=4)
    return hub.models.SwinTransformerImageClassifier(backbone=backbone, num_classes=10)


def _sam(hub: Any) -> keras.Model:
    encoder = hub.models.ViTDetBackbone(
        hidden_size=16,
        num_layers=2,
        intermediate_dim=32,
        num_heads=2,
        global_attention_layer_indices=[0],
        patch_size=16,
        num_output_channels=8,
        window_size=2,
        image_shape=IMAGE,
    )
    prompts = hub.layers.SAMPromptEncoder(
        hidden_size=8, image_embedding_size=(4, 4), input_image_size=IMAGE[:2], mask_in_channels=16
    )
    decoder = hub.layers.SAMMaskDecoder(
        num_layers=2,
        hidden_size=8,
        intermediate_dim=16,
        num_heads=2,
        embedding_dim=8,
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=8,
    )
    return hub.models.SAMBackbone(
        image_encoder=encoder, prompt_encoder=prompts, mask_decoder=decoder
    )


def _text(hub: Any, backbone: str, task: str, **head: Any) -> keras.Model:
    encoder = getattr(hub.models, backbone)(100, 2, 4, 32, 64, max_sequence_length=16)
    return getattr(hub.models, task)(backbone=encoder, **head)


def _bert(hub: Any) -> keras.Model:
    return _text(hub, "BertBackbone", "BertTextClassifier", num_classes=3)


def _roberta(hub: Any) -> keras.Model:
    return _text(hub, "RobertaBackbone", "RobertaTextClassifier", num_classes=3)


def _distil_bert(hub: Any) -> keras.Model:
    return _text(hub, "DistilBertBackbone", "DistilBertTextClassifier", num_classes=3)


def _gpt2(hub: Any) -> keras.Model:
    return _text(hub, "GPT2Backbone", "GPT2CausalLM")


def _gemma(hub: Any) -> keras.Model:
    return hub.models.GemmaBackbone(100, 2, 4, 2, 32, 64, 8)


def _t5(hub: Any) -> keras.Model:
    return hub.models.T5Backbone(100, 2, 4, 32, 64)


def _whisper(hub: Any) -> keras.Model:
    return hub.models.WhisperBackbone(
        100, 2, 4, 32, 64, num_mels=8, max_encoder_sequence_length=16,
        max_decoder_sequence_length=16,
    )  # fmt: skip


def _image_model(name: str, size: int = 64) -> Build:
    shape = (size, size, 3)
    return lambda models: getattr(models, name)(input_shape=shape, weights=None, classes=10)


def _mixer(k3im: Any) -> keras.Model:
    from k3im.mlp_mixer import MlpMixer

    return MlpMixer(num_classes=10, img_size=32, patch_size=8, num_blocks=2, embed_dim=32)


def _gmlp(k3im: Any) -> keras.Model:
    from k3im.gmlp import gMLPModel

    return gMLPModel(32, 8, 32, 2, 0.1, 10)


def _unet(package: Any) -> keras.Model:
    settings = {"encoder_weights": None, "decoder_filters": (64, 32, 16, 16, 8)}
    return package.Unet("resnet18", input_shape=IMAGE, classes=3, **settings)


def _unet_3d(medicai: Any) -> keras.Model:
    encoder = medicai.DenseNetBackbone(
        blocks=[2, 2, 2, 2], growth_rate=8, input_shape=(32, 32, 32, 1)
    )
    return medicai.UNet(encoder=encoder, num_classes=2, decoder_filters=(32, 16, 16, 8, 8))


def _yolo(kyolo: Any) -> keras.Model:
    return kyolo.build_yolov8("n", nc=4, input_shape=IMAGE)


def _tcn(package: Any) -> keras.Model:
    entry = keras.Input((20, 4))
    x = package.TCN(8, use_batch_norm=True, dilations=(1, 2, 4))(entry)
    return keras.Model(entry, keras.layers.Dense(3)(x))


MODULES = {
    "keras-hub": "keras_hub",
    "kimm": "kimm.models",
    "k3im": "k3im",
    "kyolo": "kyolo.models",
    "medicai": "medicai.models",
    "segmodels-keras": "segmodels_keras",
    "keras-tcn": "tcn",
}
ARCHITECTURES: dict[str, tuple[str, Build]] = {
    "ResNet v2": ("keras-hub", _resnet_v2),
    "ResNet vd": ("keras-hub", _resnet_vd),
    "VGG": ("keras-hub", _vgg),
    "DenseNet": ("keras-hub", _densenet),
    "Xception": ("keras-hub", _xception),
    "EfficientNet": ("keras-hub", _efficientnet),
    "CSPDarkNet": ("keras-hub", _cspnet),
    "MobileNet v3": ("keras-hub", _mobilenet),
    "HGNet v2": ("keras-hub", _hgnet),
    "DeepLab v3+": ("keras-hub", _deeplab),
    "RetinaNet FPN": ("keras-hub", _retinanet),
    "SegFormer": ("keras-hub", _segformer),
    "ViT": ("keras-hub", _vit),
    "DeiT": ("keras-hub", _deit),
    "Swin": ("keras-hub", _swin),
    "SAM": ("keras-hub", _sam),
    "BERT": ("keras-hub", _bert),
    "RoBERTa": ("keras-hub", _roberta),
    "DistilBERT": ("keras-hub", _distil_bert),
    "GPT-2": ("keras-hub", _gpt2),
    "Gemma": ("keras-hub", _gemma),
    "T5": ("keras-hub", _t5),
    "Whisper": ("keras-hub", _whisper),
    "RegNet": ("kimm", _image_model("RegNetY002")),
    "RepVGG": ("kimm", _image_model("RepVGGA0")),
    "ConvNeXt": ("kimm", _image_model("ConvNeXtAtto")),
    "GhostNet": ("kimm", _image_model("GhostNetW050")),
    "MobileViT": ("kimm", _image_model("MobileViTS", 128)),
    "ViT (kimm)": ("kimm", _image_model("VisionTransformerTiny16")),
    "MLP-Mixer": ("k3im", _mixer),
    "gMLP": ("k3im", _gmlp),
    "U-Net": ("segmodels-keras", _unet),
    "U-Net 3D": ("medicai", _unet_3d),
    "YOLOv8": ("kyolo", _yolo),
    "TCN": ("keras-tcn", _tcn),
}


# --- models that are alive ------------------------------------------------------------------------

# What a Segment Anything model is asked: two points, a box and a mask.
PROMPTS = {"points": (2, 2), "labels": (2,), "boxes": (1, 2, 2), "masks": (1, 16, 16, 1)}


def inputs_for(model: keras.Model, seed: int) -> Any:
    """Random inputs in the structure that the model takes; pixels where it rescales them itself."""
    generator = np.random.default_rng(seed)
    pixels = any(isinstance(one, keras.layers.Rescaling) for one in model._flatten_layers())

    def draw(tensor: Any) -> Array:
        known = tuple(size or OPEN for size in tensor.shape[1:])
        value = _drawn_input(tensor, (ROWS, *PROMPTS.get(tensor.name, known)), generator)
        return 127 + 60 * value if pixels else value

    return keras.tree.map_structure(draw, model.input)


def _drawn_input(tensor: Any, shape: tuple[int, ...], generator: Any) -> Array:
    if "int" not in tensor.dtype:
        return (_patches(shape, generator) + generator.normal(0, 0.5, shape)).astype(tensor.dtype)
    if "mask" in tensor.name:
        lengths = generator.integers(shape[1] // 2, shape[1] + 1, (shape[0], 1))
        return (np.arange(shape[1]) < lengths).astype(tensor.dtype)
    return generator.integers(0, 2 if "segment" in tensor.name else 100, shape, tensor.dtype)


def _patches(shape: tuple[int, ...], generator: Any) -> Array:
    # Noise of single pixels would be averaged away, and all outputs would be alike.
    coarse = generator.normal(0, 1, (shape[0], *(-(-size // 8) for size in shape[1:-1]), shape[-1]))
    for axis in range(1, len(shape) - 1):
        coarse = np.repeat(coarse, 8, axis).take(range(shape[axis]), axis)
    return coarse


def enliven(model: keras.Model, x: Any, seed: int = 0) -> None:
    """Draws weights; moving statistics become those of the data, times factors near 1."""
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(_drawn_weight(variable, generator))
    StatisticsProbe(model).update(x)
    for variable in model.non_trainable_variables:
        if variable.name in {"moving_mean", "moving_variance"}:
            factor = generator.uniform(0.9, 1.1, variable.shape)
            variable.assign(keras.ops.convert_to_numpy(variable) * factor)


def _drawn_weight(variable: Any, generator: Any) -> Array:
    shape, name = tuple(variable.shape), variable.name
    if "kernel" in name and len(shape) > 1:
        depthwise = "depthwise" in variable.path and len(shape) > 2
        fan_in = np.prod(shape[:-2] if depthwise else shape[:-1])
        return generator.normal(0, (2 / fan_in) ** 0.5, shape)
    if name in {"gamma", "scale"}:
        return generator.uniform(0.5, 1.5, shape)
    return generator.normal(0, 0.2, shape)


def outputs(model: keras.Model, x: Any) -> list[Array]:
    """Outputs at inference as a flat list."""
    flat = keras.tree.flatten(model(x, training=False))
    return [np.array(keras.ops.convert_to_numpy(value)) for value in flat]


def difference(before: list[Array], after: list[Array]) -> float:
    """max|a - b| / max|a|, the largest over the outputs; infinite where shapes differ."""
    if [one.shape for one in before] != [one.shape for one in after]:
        return float("inf")
    pairs = [(a.astype("float64"), b.astype("float64")) for a, b in zip(before, after, strict=True)]
    return float(max(np.max(np.abs(a - b)) / max(np.max(np.abs(a)), 1e-30) for a, b in pairs))


def variation(values: list[Array]) -> float:
    """How much outputs vary over rows: their deviation relative to the largest value."""
    return float(max(np.mean(np.std(one, axis=0)) / np.max(np.abs(one)) for one in values))


def digest(model: keras.Model) -> str:
    """Configuration, flags, recorded calls and variables of a model in one number."""
    layers = list(model._flatten_layers())
    seen = [model.get_config(), [(one.name, one.trainable) for one in layers]]
    seen += [[(len(one._inbound_nodes), len(one._outbound_nodes)) for one in layers]]
    parts = [repr(one).encode() for one in seen]
    parts += [keras.ops.convert_to_numpy(variable).tobytes() for variable in model.variables]
    return hashlib.sha256(b"".join(parts)).hexdigest()


# --- what is measured -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A model with data to calibrate on and other data to compare outputs on."""

    model: keras.Model
    x: Any
    fresh: Any

    @cached_property
    def before(self) -> list[Array]:
        """Outputs of the model on the other data."""
        return outputs(self.model, self.fresh)

    def compared(self, result: EditResult) -> dict[str, Any]:
        """How an edited copy's outputs differ, and the evidence in numbers."""
        after = outputs(result.model, self.fresh)
        edits = {name: len(getattr(result, name)) for name in EDITS}
        edits |= {"folded": result.folded, "activations": result.activations_replaced}
        reasons = {"skipped": counted(result.skipped), "kept": counted(result.kept)}
        return {
            "difference": difference(self.before, after),
            "finite": all(np.all(np.isfinite(one)) for one in after),
            "shapes": [one.shape for one in self.before] == [one.shape for one in after],
            **{name: value for name, value in (edits | reasons).items() if value},
        }


def counted(reasons: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How often each reason was given, the names in it left out."""
    return dict(Counter(re.sub(r"'[^']*'", "'…'", reason) for _, reason in reasons))


def copied(case: Case) -> dict[str, Any]:
    """A copy without edits."""
    return case.compared(place(case.model, "as_given"))


def rounding(case: Case) -> dict[str, Any]:
    """How far outputs move when every weight moves by one unit in its last place."""
    copy, generator = place(case.model, "as_given").model, np.random.default_rng(2)
    for variable in copy.variables:
        value = keras.ops.convert_to_numpy(variable)
        if value.dtype.kind == "f":
            towards = generator.choice(np.array([-1e9, 1e9], value.dtype), value.shape)
            variable.assign(np.nextafter(value, towards))
    return {"difference": difference(case.before, outputs(copy, case.fresh))}


def inserted(case: Case) -> dict[str, Any]:
    """Fresh normalization at every placement."""
    return {one: case.compared(insert_normalization(case.model, one)) for one in PLACEMENTS}


def calibrated(case: Case) -> dict[str, Any]:
    """The same as an identity at inference, compared on data that the calibration has not seen."""
    return {
        one: case.compared(insert_normalization(case.model, one, calibrate=case.x))
        for one in PLACEMENTS
    }


def dropped(case: Case) -> dict[str, Any]:
    """Normalization taken out."""
    return case.compared(remove_normalization(case.model))


def folded(case: Case) -> dict[str, Any]:
    """Normalization folded into the weights before it."""
    return case.compared(remove_normalization(case.model, mode="fold"))


def moved(case: Case) -> dict[str, Any]:
    """Normalization moved behind activations, with all that it holds."""
    result = move_normalization(case.model, "after_activation")
    kept = _held(case.model, [site for site, _ in result.moved])
    arrived = _held(result.model, [site for site, _ in result.moved])
    return case.compared(result) | {"carried": kept == arrived}


def replaced(case: Case) -> dict[str, Any]:
    """Normalization replaced by that of groups and back, and by RMS; what is learned stays."""
    kinds = _kinds(case.model)
    there = replace_normalization(case.model, "group")
    sites = [site for site, _ in there.replaced]
    back = there
    for kind in sorted({kinds[site] for site in sites}):
        own = [site for site in sites if kinds[site] == kind]
        back = replace_normalization(back.model, kind, only=lambda call, own=own: call.site in own)
    learned = [_learned(model, sites) for model in (case.model, there.model, back.model)]
    returned = all(_kinds(back.model)[site] == kinds[site] for site in sites)
    row = {"carried": learned[0] == learned[1] == learned[2] and returned}
    return case.compared(there) | row | {"rms": _to_rms(case, kinds)}


def _to_rms(case: Case, kinds: dict[str, str | None]) -> dict[str, Any] | None:
    if "layer" not in kinds.values():
        return None
    result = replace_normalization(
        case.model, "rms", only=lambda call: kinds.get(call.site) == "layer"
    )
    sites = [site for site, _ in result.replaced]
    scales = [
        [scale for scale, _ in _learned(model, sites)] for model in (case.model, result.model)
    ]
    return case.compared(result) | {"carried": scales[0] == scales[1]}


def _layers(model: keras.Model) -> dict[str, Any]:
    return {call.site: call.layer for call in LayerGraph.read(model).calls}


def _kinds(model: keras.Model) -> dict[str, str | None]:
    found = _layers(model).items()
    return {site: kind_of(layer) for site, layer in found if is_normalization(layer)}


def _learned(model: keras.Model, sites: list[str]) -> list[tuple[bytes | None, ...]]:
    layers = _layers(model)
    pairs = (load_kind(str(kind_of(layers[site]))).learned(layers[site]) for site in sites)
    return [tuple(None if one is None else _bytes(one) for one in pair) for pair in pairs]


def _held(model: keras.Model, sites: list[str]) -> list[list[bytes]]:
    layers = _layers(model)
    return [[_bytes(variable) for variable in layers[site].variables] for site in sites]


def _bytes(variable: Any) -> bytes:
    return np.ravel(keras.ops.convert_to_numpy(variable)).tobytes()


def swapped(case: Case) -> dict[str, Any]:
    """Hidden activations replaced."""
    return case.compared(swap_activation(case.model, "softplus"))


def saved(case: Case) -> dict[str, Any]:
    """An edited copy written to a file and read back by Keras."""
    edited = insert_normalization(case.model, "as_given+before_activation", calibrate=case.x).model
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "edited.keras"
        edited.save(path)
        again = keras.saving.load_model(path, custom_objects=_custom_classes(edited))
    before = outputs(edited, case.fresh)
    return {
        "class": type(edited).__name__,
        "difference": difference(before, outputs(again, case.fresh)),
    }


def _custom_classes(model: keras.Model) -> dict[str, type]:
    # Of the packages that do not register their layers with Keras.
    classes = {type(layer) for layer in model._flatten_layers()}
    return {one.__name__: one for one in classes if not one.__module__.startswith("keras.")}


MEASURES = (
    *(copied, rounding, inserted, calibrated, dropped, folded, moved, replaced, swapped, saved),
)


def examine(name: str) -> dict[str, Any]:
    """Runs every pass on an architecture; a refusal or an error becomes a line of text."""
    package, build = ARCHITECTURES[name]
    model = build(importlib.import_module(MODULES[package]))
    row = {"architecture": name, "package": package} | versions(package) | facts(model)
    case = Case(model, inputs_for(model, 0), inputs_for(model, 1))
    error = _attempt(row, "alive", lambda: enliven(model, case.x))
    if error is None:
        row["variation"] = variation(case.before)
    before = digest(model)
    for measure in MEASURES:
        _attempt(row, measure.__name__, lambda measure=measure: measure(case))
    row["untouched"] = digest(model) == before
    return row | {"broken": list(broken(row))}


def _attempt(row: dict[str, Any], name: str, measure: Callable[[], Any]) -> str | None:
    try:
        row[name], error = measure(), None
    except NormcraftError as refusal:
        error = str(refusal)
        row[name] = {"refused": error}
    except Exception as failure:
        error = " ".join(f"{type(failure).__name__}: {failure}".split())[:400]
        row[name] = {"error": error}
    return error


def broken(row: dict[str, Any]) -> Iterator[str]:
    """The laws that did not hold, in words."""
    if not row["untouched"]:
        yield "the input model was changed"
    if row.get("variation", 1) < VARIED:
        yield f"outputs hardly vary over inputs: {row['variation']:.2g}"
    for name, found in _parts(row):
        if "error" in found:
            yield f"{name}: {found['error']}"
        if not (found.get("finite", True) and found.get("shapes", True)):
            yield f"{name}: outputs are not finite, or of another shape"
        if not found.get("carried", True):
            yield f"{name}: learned values were lost"
        if found.get("difference", 0) > bound(name, row):
            yield f"{name}: outputs moved by {found['difference']:.2g}"


def bound(name: str, row: dict[str, Any]) -> float:
    """How far a pass may move outputs: not at all, up to rounding, or as far as it does."""
    measure = name.partition(" ")[0]
    if measure in {"copied", "saved"}:
        return 0
    largest = max(1e-5, 5 * row["rounding"].get("difference", 0))
    return largest if measure in {"calibrated", "folded"} else float("inf")


def _parts(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    # What each pass gave; of those that are run at several placements, at each.
    for measure in MEASURES:
        found = row[measure.__name__]
        if any(one in found for one in PLACEMENTS):
            yield from ((f"{measure.__name__} {one}", found[one]) for one in PLACEMENTS)
        else:
            yield measure.__name__, found
    if row["replaced"].get("rms"):
        yield "replaced by RMS", row["replaced"]["rms"]


def versions(package: str) -> dict[str, str]:
    """Versions of the package and of Keras, and the backend."""
    own = importlib.metadata.version(package)
    return {"version": own, "keras": keras.__version__, "backend": keras.backend.backend()}


def facts(model: keras.Model) -> dict[str, Any]:
    """What there is in a model: calls, Dense and convolutions, normalization, what is hidden."""
    calls = [call.layer for call in LayerGraph.read(model).calls if not call.is_input]
    hidden = Counter(type(one).__name__ for one in calls if layers_inside(one, is_linear))
    return {
        "class": type(model).__name__,
        "weights": model.count_params(),
        "calls": len(calls),
        "linear": sum(is_linear(one) or is_wrapped_linear(one) for one in calls),
        "linear_inside": sum(layers_inside(one, is_linear) for one in calls),
        "normalization": sum(map(is_normalization, calls)),
        "normalization_inside": sum(layers_inside(one, is_normalization) for one in calls),
        "composite": dict(hidden),
    }


# --- the page -------------------------------------------------------------------------------------

PAGE = """# Surgery on the architectures of others

Every pass on {edited} public architectures from {packages} packages that know nothing of normcraft,
what is left alone in them and why, and {refused_number} more that are refused. Small models built
from configurations, with random weights and statistics; the outputs of every edited copy were
compared with those of the original on inputs that the calibration had not seen.
Keras {keras} on {backend}, CPU, float32:
`python benchmarks/surgery_architectures.py --table docs/architectures.md`.

{laws}

{table}

- *Dense, conv*: calls of Dense and convolution layers; *inside*: layers that a layer of another
  class computes with.
- *edited*, *not edited*: by `insert_normalization(model, "before_activation", calibrate=x)`.
- *normalization*, *folded*, *kept*: calls that `remove_normalization(model, mode="fold")` finds,
  folds, and keeps with the reason.
- *calibrated*: how far outputs moved at inference, max|a − b| / max|a|, the worst of
  {placements}.
- *rounding*: how far they move when every weight moves by one unit in its last place.

{refused}
{broken}"""
COLUMNS = (
    *("architecture", "from", "calls", "Dense, conv", "edited", "not edited"),
    *("normalization", "folded", "kept", "calibrated", "rounding"),
)
SHORT = (
    (r"output layer;.*", "output layer"),
    (r"(\w+) computes with .*", r"`\1`"),
    (r"backward, .*", "nothing that takes it next to it"),
    (r"(\w+) normalization takes its statistics.*", r"\1 normalization"),
    (r"the result of '…' before it is used elsewhere too.*", "result used elsewhere"),
    (r"'…' before it has an activation of its own.*", "behind an activation"),
)


# What was found out about a complaint, beyond the figures.
WHY = {
    "GPT-2: saved": "Keras loads a layer that a nested model shares with the model around it as "
    "two; a plain Keras model built so fails alike",
    "DeepLab v3+: saved": "keras-hub's `SpatialPyramidPooling` cannot be built from a file; "
    "`keras.Model(backbone.input, backbone.output)` fails alike",
}


def page(rows: list[dict[str, Any]]) -> str:
    """The page about these rows."""
    edited = [row for row in rows if not _refusal(row)]
    refused = [row for row in rows if _refusal(row)]
    return PAGE.format(
        **{name: rows[0][name] for name in ("keras", "backend")},
        edited=len(edited),
        refused_number=len(refused),
        packages=len({row["package"] for row in rows}),
        placements=", ".join(f"`{one}`" for one in PLACEMENTS),
        laws=_laws(edited),
        table=_table(COLUMNS, map(_cells, edited)),
        refused=_refused(refused),
        broken=_exceptions(rows),
    )


def _refusal(row: dict[str, Any]) -> str | None:
    return row["copied"].get("refused") or row["copied"].get("error")


def _table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(columns)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _cells(row: dict[str, Any]) -> list[object]:
    placed, gone = row["calibrated"]["before_activation"], row["folded"]
    return [
        row["architecture"],
        f"{row['package']} {row['version']}",
        row["calls"],
        _and_inside(row, "linear"),
        placed.get("inserted", 0),
        _shortened(placed.get("skipped", {})),
        _and_inside(row, "normalization"),
        gone.get("folded", 0),
        _shortened(gone.get("kept", {})),
        f"{_worst(row):.1e}" if _worst(row) else "0",
        f"{row['rounding']['difference']:.1e}",
    ]


def _and_inside(row: dict[str, Any], name: str) -> str:
    inside = row[f"{name}_inside"]
    return f"{row[name]} + {inside} inside" if inside else str(row[name])


def _shortened(reasons: dict[str, int]) -> str:
    counts: Counter[str] = Counter()
    for reason, number in reasons.items():
        found = (re.sub(pattern, text, reason) for pattern, text in SHORT)
        counts[next((text for text in found if text != reason), reason)] += number
    return ", ".join(f"{number} {text}" for text, number in counts.most_common())


def _worst(row: dict[str, Any]) -> float:
    return max(found["difference"] for found in row["calibrated"].values())


def _laws(rows: list[dict[str, Any]]) -> str:
    def number(holds: Callable[[dict[str, Any]], bool]) -> str:
        return f"{sum(map(holds, rows))} of {len(rows)}"

    worst = max(rows, key=_worst)
    folded = max(rows, key=lambda row: row["folded"]["difference"])
    copied = number(lambda row: row["copied"]["difference"] == 0)
    close = number(lambda row: _worst(row) <= max(1e-5, 2 * row["rounding"]["difference"]))
    carried = number(lambda row: row["moved"]["carried"] and row["replaced"]["carried"])
    loaded = number(lambda row: row["saved"].get("difference") == 0)
    lines = (
        f"An untouched copy computes the same, bit for bit: {copied}.",
        f"The input model is unchanged: {number(lambda row: row['untouched'])}.",
        "Inserted, removed, moved, replaced or with another activation, outputs are finite and "
        f"keep their shapes: {number(_is_sound)}.",
        f"Calibrated, outputs stay within 1e-5, or twice what rounding makes: {close}; the worst "
        f"{_worst(worst):.1e} ({worst['architecture']}), where rounding makes "
        f"{worst['rounding']['difference']:.1e}.",
        f"Folded, the worst {folded['folded']['difference']:.1e} ({folded['architecture']}).",
        "What normalization has learned survives moving, and replacing by another kind and back, "
        f"bit for bit: {carried}.",
        "Saved, and loaded by Keras with the architecture's package alone, an edited copy computes "
        f"the same, bit for bit: {loaded}.",
    )
    return "\n".join(f"- {line}" for line in lines)


def _is_sound(row: dict[str, Any]) -> bool:
    return all(found.get("finite", True) and found.get("shapes", True) for _, found in _parts(row))


def _refused(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    cells = [
        (row["architecture"], f"{row['package']} {row['version']}", _refusal(row)) for row in rows
    ]
    return f"## Refused\n\n{_table(('architecture', 'from', 'the line that says so'), cells)}"


def _exceptions(rows: list[dict[str, Any]]) -> str:
    complaints = [f"{row['architecture']}: {text}" for row in rows for text in row["broken"]]
    lines = [f"- {textwrap.shorten(one, 300)}{_reason(one)}" for one in complaints]
    return "\n## What did not hold\n\n" + "\n".join(lines) + "\n" if lines else ""


def _reason(complaint: str) -> str:
    known = (f" ({text})" for start, text in WHY.items() if complaint.startswith(start))
    return next(known, "")


def main() -> None:
    """Parses, runs and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(ARCHITECTURES), metavar="NAME")
    parser.add_argument(
        "--json", type=Path, help="one line a model; models in it are not run again"
    )
    parser.add_argument("--table", type=Path, help="the page to write")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    rows = run(arguments.only or list(ARCHITECTURES), arguments.json)
    for row in rows:
        for complaint in row["broken"]:
            print(f"{row['architecture']}: {complaint}", file=sys.stderr)
    if arguments.table:
        arguments.table.write_text(page(rows), "utf-8")


def run(names: list[str], file: Path | None) -> list[dict[str, Any]]:
    """Rows of these architectures, those that the file has already taken from it."""
    lines = file.read_text("utf-8").splitlines() if file and file.exists() else []
    known = {row["architecture"]: row for row in map(json.loads, lines)}
    rows = []
    for name in names:
        if name not in known:
            started = time.perf_counter()
            try:
                known[name] = examine(name)
            except (ImportError, importlib.metadata.PackageNotFoundError) as error:
                print(f"{name}: left out, {error}", file=sys.stderr)
                continue
            seconds = time.perf_counter() - started
            print(f"{name}: {seconds:.0f} s", file=sys.stderr, flush=True)
            if file:
                with file.open("a", encoding="utf-8") as stream:
                    print(json.dumps(known[name], ensure_ascii=False), file=stream)
        rows.append(known[name])
    return rows


if __name__ == "__main__":
    main()
