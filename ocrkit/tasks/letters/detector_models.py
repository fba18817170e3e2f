"""The networks that find fields on a page: three detectors of torchvision, cut down to a laptop and to lines of text.

A date on a letter is about 40 x 8 pixels of a page of 704 x 512: wide, flat, and small. So all three look for boxes of
the widths and the height of such lines, on a map with a place every 4 pixels (SSDlite: 8 and 16). Which field it is,
the label beside it says; what is around comes in from coarser maps. Taught in notebook 10.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection._utils import SSDMatcher
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.models.resnet import BasicBlock
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from ocrkit.tasks.glyphs.network import download_patience

#: Pixels of a page that is 704 high; for other heights they are scaled. The ratios of height to width are 0.07 to 0.5.
ANCHOR_WIDTHS, ANCHOR_HEIGHT, ANCHOR_PAGE = (16, 32, 60, 110), 8, 704
#: Channels of the body's stages, which have strides 2, 4, 8, 16 and 32.
STAGES = (16, 32, 64, 96, 128)
MAP_CHANNELS = 48
#: Of MobileNetV3's maps of strides 8 and 16.
MOBILENET_CHANNELS = [240, 672]
#: An anchor is for a box that it overlaps by the first, and for none below the second. They are lower than usual: a
#: line 8 pixels high that is moved by half a stride of 4 overlaps itself by 0.6 alone, before the widths differ.
MATCH, NO_MATCH = 0.4, 0.3


#: Group norm (Wu and He 2018, https://arxiv.org/abs/1803.08494) is the same in training and after it: a batch of few
#: pages, which is what a laptop has room for, is too little for the statistics of batch norm.
_norm = partial(nn.GroupNorm, 8)


class TextAnchors(AnchorGenerator):
    """Anchors by width, in pixels, and of one height: so are lines of text, whose widths differ tenfold."""

    def __init__(self, widths: tuple[float, ...], height: float, maps: int = 1):
        super().__init__((widths,) * maps, ((height,),) * maps)

    def generate_anchors(self, scales, aspect_ratios, dtype=torch.float32, device=None) -> Tensor:
        """What torchvision calls with its sizes and ratios, which are widths and heights here; `(A, 4)` around 0."""
        pairs = torch.cartesian_prod(torch.tensor(scales, dtype=dtype), torch.tensor(aspect_ratios, dtype=dtype))
        return (torch.cat([-pairs, pairs], 1) / 2).to(device)


class Body(nn.Module):
    """A narrow ResNet with a feature pyramid; `(N, 1, H, W)` to one map `{"0": (N, 48, H / 4, W / 4)}`.

    The maps of strides 8 to 32 go into it from above: from where a value stands they see its label, and the page.
    """

    out_channels = MAP_CHANNELS

    def __init__(self):
        super().__init__()
        stem, before = STAGES[0], STAGES[0]
        stages = [nn.Sequential(nn.Conv2d(1, stem, 3, 2, 1, bias=False), _norm(stem), nn.ReLU(inplace=True))]
        for channels in STAGES[1:]:
            skip = nn.Sequential(nn.Conv2d(before, channels, 1, 2, bias=False), _norm(channels))
            first = BasicBlock(before, channels, 2, skip, norm_layer=_norm)
            stages.append(nn.Sequential(first, BasicBlock(channels, channels, norm_layer=_norm)))
            before = channels
        stages[-1] = stages[-1][:1]
        self.stages = nn.ModuleList(stages)
        self.pyramid = FeaturePyramidNetwork(list(STAGES[1:]), MAP_CHANNELS, norm_layer=_norm)
        for number in range(1, len(STAGES) - 1):
            self.pyramid.layer_blocks[number] = nn.Identity()  # only the finest map comes out
        for layer in self.stages.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps, x = {}, images
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number >= 1:
                maps[str(number - 1)] = x
        return {"0": self.pyramid(maps)["0"]}


class FixedSize(nn.Module):
    """Stands in for torchvision's transform: pages come in at one size, from -1 to 1, and go through as they are."""

    def forward(self, images: Tensor, targets: list[dict] | None) -> tuple[ImageList, list[dict] | None]:
        return ImageList(images, [tuple(images.shape[-2:])] * len(images)), targets

    def postprocess(self, found: list[dict], shapes, original_shapes) -> list[dict]:
        """Boxes stay where they are."""
        return found


def retinanet(num_classes: int, anchors: TextAnchors) -> nn.Module:
    """RetinaNet (Lin et al. 2017, https://arxiv.org/abs/1708.02002) over `Body`, with one hidden layer in its heads."""
    (number,) = anchors.num_anchors_per_location()
    head = RetinaNetHead(MAP_CHANNELS, number, num_classes, norm_layer=_norm)
    for part in (head.classification_head, head.regression_head):
        part.conv = part.conv[:1]  # of four, which would take several times as long as all the rest
    settings = {"fg_iou_thresh": MATCH, "bg_iou_thresh": NO_MATCH, "topk_candidates": 300}
    return detection.RetinaNet(Body(), num_classes, anchor_generator=anchors, head=head, **settings)


def faster_rcnn(num_classes: int, anchors: TextAnchors) -> nn.Module:
    """Faster R-CNN (Ren et al. 2015, https://arxiv.org/abs/1506.01497) over `Body`; its regions are wide and flat."""
    height, width, hidden = 3, 12, 128
    return detection.FasterRCNN(
        Body(),
        rpn_anchor_generator=anchors,
        rpn_fg_iou_thresh=MATCH,
        rpn_bg_iou_thresh=NO_MATCH,
        rpn_pre_nms_top_n_train=600,
        rpn_pre_nms_top_n_test=300,
        rpn_post_nms_top_n_train=200,
        rpn_post_nms_top_n_test=60,
        box_roi_pool=MultiScaleRoIAlign(["0"], (height, width), sampling_ratio=2),
        box_head=TwoMLPHead(MAP_CHANNELS * height * width, hidden),
        box_predictor=FastRCNNPredictor(hidden, num_classes),
        box_batch_size_per_image=64,
    )


def ssdlite(num_classes: int, anchors: TextAnchors, weights_backbone: str | None = None) -> nn.Module:
    """SSDlite over MobileNetV3 (Howard et al. 2019, https://arxiv.org/abs/1905.02244), as torchvision builds it.

    Of its six maps the coarsest four are dropped: a line of text is less than a pixel high on them. In place of the
    second stands a finer one, of stride 8, taken as the first is: where a block widens what the last one gave.
    """
    norm = partial(nn.BatchNorm2d, eps=0.001)
    whole = {"weights": None, "weights_backbone": weights_backbone, "progress": False, "norm_layer": norm}
    model = detection.ssdlite320_mobilenet_v3_large(num_classes=num_classes, **whole)
    *blocks, last = model.backbone.features[0]
    fine = nn.Sequential(*blocks[:7], blocks[7].block[0])
    model.backbone.features = nn.Sequential(fine, nn.Sequential(*blocks[7].block[1:], *blocks[8:], last))
    model.backbone.extra = nn.ModuleList()
    anchors = TextAnchors(anchors.sizes[0], *anchors.aspect_ratios[0], maps=2)
    model.head = SSDLiteHead(MOBILENET_CHANNELS, anchors.num_anchors_per_location(), num_classes, norm)
    model.anchor_generator = anchors
    model.proposal_matcher = SSDMatcher(MATCH)
    model.score_thresh, model.nms_thresh = 0.05, 0.5
    # MobileNet takes colors; a gray page is three equal channels.
    model.backbone.register_forward_pre_hook(lambda _, inputs: (inputs[0].expand(-1, 3, -1, -1),))
    return model


#: Name -> what builds the network from the number of classes, background included, and the anchors.
DETECTORS: dict[str, Callable[[int, TextAnchors], nn.Module]] = {
    "retinanet": retinanet,
    "faster-rcnn": faster_rcnn,
    "ssdlite": ssdlite,
}


def build_detector(name: str, num_kinds: int, image_size: tuple[int, int], weights: str | None = None) -> nn.Module:
    """Make a detector of torchvision with new weights.

    In training mode it takes images `(N, 1, H, W)`, float from -1 to 1, and N targets, `{"boxes": (B, 4), "labels":
    (B,)}` with labels from 1, and gives a dict of losses, in float32. In evaluation mode it takes the images and gives
    N dicts with `boxes`, `labels` and `scores`.

    Args:
        name: a key of `DETECTORS`.
        num_kinds: how many kinds of fields there are; class 0 is the background.
        image_size: (height, width) in pixels, multiples of 32.
        weights: `"imagenet"` gives the body of `"ssdlite"` the weights that torchvision has for it; where they cannot
            be had, one line says so. The body of the other two is our own, and always new.

    Raises:
        ValueError: there is no such detector, or a setting cannot work.

    Taught in notebook 10.
    """
    if name not in DETECTORS:
        raise ValueError(f"no detector is named {name!r}; there are: {', '.join(DETECTORS)}")
    if num_kinds < 1:
        raise ValueError("a detector needs at least one kind of field")
    if min(image_size) < 64 or any(side % 32 for side in image_size):
        raise ValueError(f"image_size={tuple(image_size)}: both sides must be multiples of 32, from 64 on")
    if weights not in (None, "imagenet") or (weights and name != "ssdlite"):
        raise ValueError(f'weights={weights!r}: it must be None or, for "ssdlite" only, "imagenet"')
    scale = image_size[0] / ANCHOR_PAGE
    anchors = TextAnchors(tuple(scale * width for width in ANCHOR_WIDTHS), scale * ANCHOR_HEIGHT)
    model = None
    if weights:
        try:
            with download_patience():
                model = ssdlite(num_kinds + 1, anchors, "IMAGENET1K_V2")
        except (OSError, RuntimeError) as error:
            print(f"ImageNet weights for {name} cannot be had ({error}): training starts from scratch")
    model = model or DETECTORS[name](num_kinds + 1, anchors)
    model.transform, model.architecture = FixedSize(), name
    # Coordinates of hundreds of pixels need more digits than 16-bit floats have, so what the layers give is widened.
    outputs = [model.rpn.head, model.roi_heads.box_predictor, model.backbone] if name == "faster-rcnn" else [model.head]
    for module in outputs:
        module.register_forward_hook(lambda _, inputs, output: _to_float(output))
    return model


def _to_float(output):
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return {name: _to_float(part) for name, part in output.items()}
    return type(output)(map(_to_float, output))
