"""Writes onnx_nets.safetensors: small nets as both exporters of PyTorch write them, an input of each and PyTorch's output.

With torch 2.15.0, onnx 1.23.2, safetensors 0.8.0. `onnx_nets.py FOLDER NAME…` writes nets of torchvision 0.29.2 with random weights
instead, NAME.onnx, NAME.input.npy and NAME.output.npy, for `bantam import --check`.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
warnings.filterwarnings("ignore")


def conv(cin: int, cout: int, kernel: int = 3, stride: int = 1, groups: int = 1, act=nn.ReLU) -> nn.Sequential:
    layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, *([act()] if act else []))


class Residual(nn.Module):
    """Two blocks of a ResNet, a padded pool, and a classifier."""

    def __init__(self):
        super().__init__()
        self.stem, self.pool = conv(3, 6, 7, 2), nn.MaxPool2d(3, 2, 1)
        self.a = nn.Sequential(conv(6, 6), conv(6, 6, act=None))
        self.b = nn.Sequential(conv(6, 8, stride=2), conv(8, 8, act=None))
        self.short = conv(6, 8, 1, 2, act=None)
        self.mean, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, x):
        x = self.pool(self.stem(x))
        x = F.relu(x + self.a(x))
        x = F.relu(self.short(x) + self.b(x))
        return self.head(torch.flatten(self.mean(x), 1))


class Inverted(nn.Module):
    """Blocks of a MobileNetV2 with ReLU6, and of a V3 with squeeze-and-excitation and hard-swish."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 8, stride=2, act=nn.ReLU6)
        self.a = nn.Sequential(conv(8, 24, 1, act=nn.ReLU6), conv(24, 24, groups=24, act=nn.ReLU6), conv(24, 8, 1, act=None))
        self.b = nn.Sequential(conv(8, 16, 1, act=nn.Hardswish), conv(16, 16, 5, 2, 16, act=nn.Hardswish))
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1), nn.Hardsigmoid())
        self.last, self.head = conv(16, 12, 1, act=nn.Hardswish), nn.Linear(12, 5)

    def forward(self, x):
        x = self.stem(x)
        x = self.b(x + self.a(x))
        x = self.last(self.squeeze(x) * x)
        return self.head(F.dropout(x.mean([2, 3]), training=self.training))


class Dense(nn.Module):
    """A block of a DenseNet, whose normalisations come first, and its transition."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 8, stride=2)
        before = lambda cin, cout, kernel: nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU(), nn.Conv2d(cin, cout, kernel, padding=kernel // 2, bias=False))
        self.layers = nn.ModuleList(nn.Sequential(before(8 + 4 * i, 8, 1), before(8, 4, 3)) for i in range(3))
        self.transition = nn.Sequential(before(20, 10, 1), nn.AvgPool2d(2, 2))
        self.norm, self.head = nn.BatchNorm2d(10), nn.Linear(10, 5)

    def forward(self, x):
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        x = F.relu(self.norm(self.transition(torch.cat(features, 1))))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class Inception(nn.Module):
    """An inception block with an average that counts its padding, channels shuffled, and a classifier over all pixels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True))
        self.a, self.b = conv(6, 4, 1), nn.Sequential(conv(6, 4, 1), conv(4, 4, 3, 1))
        self.c = nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(6, 4, 1))
        self.shuffled, self.head = nn.Conv2d(12, 6, 3, groups=3), nn.Linear(6 * 3 * 3, 5)

    def forward(self, x):
        x = self.stem(x)
        x = torch.cat([self.a(x), self.b(x), self.c(x)], 1)
        n, c, h, w = x.shape
        x = x.view(n, 3, c // 3, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        x = F.silu(self.shuffled(x))
        return F.softmax(self.head(x.view(n, -1)), 1)


class Segmenting(nn.Module):
    """Down and up again, with what was skipped, to a class for each pixel."""

    def __init__(self):
        super().__init__()
        self.down, self.deep = conv(3, 6), conv(6, 8, stride=2, act=nn.GELU)
        self.up, self.last = nn.ConvTranspose2d(8, 6, 2, 2), nn.Conv2d(20, 2, 1)

    def forward(self, x):
        down = self.down(x)
        deep = self.deep(down)
        near = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(torch.cat([down, self.up(deep), near], 1))


SMALL = {"residual": Residual, "inverted": Inverted, "dense": Dense, "inception": Inception, "segmenting": Segmenting}


def made(build) -> nn.Module:
    """With statistics that are not those of a net that has seen nothing."""
    torch.manual_seed(1)
    net = build()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return net.eval()


def export(net: nn.Module, x: torch.Tensor, dynamo: bool, path: Path) -> None:
    if dynamo:
        batch = {0: torch.export.Dim("batch", min=1, max=1024)}
        torch.onnx.export(net, (x,), path, dynamo=True, dynamic_shapes=(batch,), external_data=False, verbose=False)
    else:
        torch.onnx.export(net, (x,), path, dynamo=False, input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "N"}})


def main() -> None:
    if len(sys.argv) > 1:
        return large(Path(sys.argv[1]), sys.argv[2:])
    from safetensors.numpy import save_file

    x = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(2))
    arrays = {"input": x.numpy()}
    for name, build in SMALL.items():
        net = made(build)
        with torch.no_grad():
            y = net(x)
        for dynamo in (False, True):
            path = Path(tempfile.mkdtemp()) / "net.onnx"
            export(net, x, dynamo, path)
            key = f"{name}_{'dynamo' if dynamo else 'script'}"
            arrays[f"{key}/model"] = np.frombuffer(stripped(path), "uint8").copy()
        arrays[f"{name}/output"] = y.numpy()
    save_file(arrays, HERE / "onnx_nets.safetensors")


def stripped(path: Path) -> bytes:
    """Without what an importer does not read: traces, which have the paths of the machine, and inferred shapes."""
    import onnx

    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    return model.SerializeToString()


def large(folder: Path, names: list[str]) -> None:
    import torchvision

    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        how = dict(aux_logits=False, init_weights=False) if name in ("inception_v3", "googlenet") else {}
        net = made(lambda: torchvision.models.get_model(name, weights=None, **how))
        # VGG has 7×7 pixels before its head: PyTorch exports no other pool for them than none.
        side = 139 if name == "inception_v3" else 224 if name.startswith("vgg") else 96
        x = torch.randn(2, 3, side, side)
        with torch.no_grad():
            y = net(x)
        for dynamo in (False, True):
            key = f"{name}_{'dynamo' if dynamo else 'script'}"
            export(net, x, dynamo, folder / f"{key}.onnx")
            np.save(folder / f"{key}.input.npy", x.numpy())
            np.save(folder / f"{key}.output.npy", y.numpy())


if __name__ == "__main__":
    main()
