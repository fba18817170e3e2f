"""The network that finds fields on a page: Faster R-CNN of torchvision, cut down to a laptop and to lines of text.

A date on a letter is about 40 x 8 pixels of a page of 704 x 512: wide, flat, and small. So it looks for boxes of the
widths and the height of such lines, on a map with a place every 4 pixels. Which field it is, the label beside it says;
what is around comes in from coarser maps. Taught in notebook 10.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.resnet import BasicBlock
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

#: Pixels of a page that is 704 high; for other heights they are scaled. The ratios of height to width are 0.07 to 0.5.
ANCHOR_WIDTHS, ANCHOR_HEIGHT, ANCHOR_PAGE = (16, 32, 60, 110), 8, 704
#: Channels of the body's stages, which have strides 2, 4, 8, 16 and 32.
STAGES = (16, 32, 64, 96, 128)
MAP_CHANNELS = 48
#: An anchor is for a box that it overlaps by the first, and for none below the second. They are lower than usual: a
#: line 8 pixels high that is moved by half a stride of 4 overlaps itself by 0.6 alone, before the widths differ.
MATCH, NO_MATCH = 0.4, 0.3

#: Group norm (Wu and He 2018, https://arxiv.org/abs/1803.08494) is the same in training and after it: a batch of few
#: pages, which is what a laptop has room for, is too little for the statistics of batch norm.
group_norm = partial(nn.GroupNorm, 8)


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
        stages = [nn.Sequential(nn.Conv2d(1, stem, 3, 2, 1, bias=False), group_norm(stem), nn.ReLU(inplace=True))]
        for channels in STAGES[1:]:
            skip = nn.Sequential(nn.Conv2d(before, channels, 1, 2, bias=False), group_norm(channels))
            first = BasicBlock(before, channels, 2, skip, norm_layer=group_norm)
            stages.append(nn.Sequential(first, BasicBlock(channels, channels, norm_layer=group_norm)))
            before = channels
        stages[-1] = stages[-1][:1]
        self.stages = nn.ModuleList(stages)
        self.pyramid = FeaturePyramidNetwork(list(STAGES[1:]), MAP_CHANNELS, norm_layer=group_norm)
        for number in range(1, len(STAGES) - 1):
            self.pyramid.layer_blocks[number] = nn.Identity()  # only the finest map comes out
        for layer in self.stages.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps, x = {}, self.stages[0](images)
        for number, stage in enumerate(self.stages[1:]):
            x = maps[str(number)] = stage(x)
        return {"0": self.pyramid(maps)["0"]}


class FixedSize(nn.Module):
    """Stands in for torchvision's transform: pages come in at one size, from -1 to 1, and boxes stay where they are."""

    def forward(self, images: Tensor, targets: list[dict] | None) -> tuple[ImageList, list[dict] | None]:
        return ImageList(images, [tuple(images.shape[-2:])] * len(images)), targets

    def postprocess(self, found: list[dict], shapes, original_shapes) -> list[dict]:
        return found


def faster_rcnn(num_classes: int, anchors: TextAnchors) -> nn.Module:
    """Faster R-CNN (Ren et al. 2015, https://arxiv.org/abs/1506.01497) over `Body`; its regions are wide and flat."""
    height, width, hidden = 3, 12, 128
    return FasterRCNN(
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


#: Name -> what builds the network from the number of classes, background included, and the anchors. One of your own
#: that is put in here is created, saved and loaded by its name: `tools.benchmarks.detectors` compares two more.
DETECTORS: dict[str, Callable[[int, TextAnchors], nn.Module]] = {"faster-rcnn": faster_rcnn}


def build_detector(name: str, num_kinds: int, image_size: tuple[int, int]) -> nn.Module:
    """Make a detector of torchvision with new weights, for fields of `num_kinds` kinds; class 0 is the background.

    In training mode it takes images `(N, 1, H, W)`, float from -1 to 1, and N targets, `{"boxes": (B, 4), "labels":
    (B,)}` with labels from 1, and gives a dict of losses, in float32. In evaluation mode it takes the images and gives
    N dicts with `boxes`, `labels` and `scores`.

    Raises a ValueError where `DETECTORS` has no such name, there is no kind, or a side of `image_size`, (height, width)
    in pixels, is no multiple of 32. Taught in notebook 10.
    """
    if name not in DETECTORS:
        raise ValueError(f"no detector is named {name!r}; there are: {', '.join(DETECTORS)}")
    if num_kinds < 1:
        raise ValueError("a detector needs at least one kind of field")
    if min(image_size) < 64 or any(side % 32 for side in image_size):
        raise ValueError(f"image_size={tuple(image_size)}: both sides must be multiples of 32, from 64 on")
    scale = image_size[0] / ANCHOR_PAGE
    anchors = TextAnchors(tuple(scale * width for width in ANCHOR_WIDTHS), scale * ANCHOR_HEIGHT)
    model = DETECTORS[name](num_kinds + 1, anchors)
    model.transform, model.architecture, model.num_classes = FixedSize(), name, num_kinds + 1
    # Coordinates of hundreds of pixels need more digits than 16-bit floats have, so what the layers give is widened.
    two_rounds = hasattr(model, "rpn")
    for module in [model.rpn.head, model.roi_heads.box_predictor, model.backbone] if two_rounds else [model.head]:
        module.register_forward_hook(lambda _, inputs, output: _to_float(output))
    return model


def _to_float(output):
    if isinstance(output, Tensor):
        return output.float()
    if isinstance(output, dict):
        return {name: _to_float(part) for name, part in output.items()}
    return type(output)(map(_to_float, output))
