"""Weights as PyTorch's `state_dict` and safetensors write them, and what the nets give.

usage: torch_weights.py FOLDER            with torch 2.15.0 and safetensors 0.8.0
       torch_weights.py FOLDER NAME…      nets of torchvision 0.29.2 with random weights instead: NAME.safetensors,
                                          NAME.input.npy and NAME.output.npy, for `bantam import --into|--net --check`

Writes FOLDER/net.safetensors, net_f16.safetensors, net_bf16.safetensors, series.safetensors, and recorded.safetensors: for each
net NAME its input, NAME/input, and its output, NAME/output.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
torch.manual_seed(17)


def draw(net):
    """Statistics and factors that are not those of a new net."""
    for name, values in net.state_dict().items():
        if name.endswith(("running_var",)):
            values.uniform_(0.5, 1.5)
        elif values.is_floating_point() and values.ndim == 1:
            values.uniform_(-0.5, 1.0)
    return net.eval()


class Net(nn.Module):
    """Each kind of weights, and a dense layer over a map that is flat."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_bn = nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.depthwise, self.grouped = nn.Conv2d(6, 12, 3, 2, 1, groups=6), nn.Conv2d(12, 8, 1, groups=2)
        self.slope, self.up = nn.PReLU(8), nn.ConvTranspose2d(8, 5, 2, 2)
        self.flat_bn, self.hidden, self.out = nn.BatchNorm1d(6 * 4 * 5), nn.Linear(6 * 4 * 5, 7), nn.Linear(7, 4)

    def forward(self, x):
        x = self.depthwise(torch.relu(self.stem_bn(self.stem(x))))
        x = self.flat_bn(torch.flatten(self.up(self.slope(self.grouped(x))), 1))
        return self.out(torch.relu(self.hidden(x)))


class Series(nn.Module):
    """The same over series, in modules of modules."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(2, 6, 3), nn.ReLU(), nn.Conv1d(6, 6, 2, groups=6), nn.BatchNorm1d(6))
        self.head = nn.ModuleDict({"fc": nn.Linear(6 * 4, 3)})

    def forward(self, x):
        return self.head["fc"](torch.flatten(self.body(x), 1))


# Nets that end with probabilities in bantam-zoo.
PROBABILITIES = ("densenet", "vgg")


def torchvision_nets(names):
    import torchvision

    for name in names:
        net = draw(getattr(torchvision.models, name)(weights=None))
        x = torch.rand(2, 3, 224, 224)
        ends = name.startswith(PROBABILITIES)
        if ends:
            # Of random weights all classes may be as probable, whatever the layers before compute.
            last = [module for module in net.modules() if isinstance(module, nn.Linear)][-1]
            last.weight *= 2 / net(x).std(dim=1).mean()
        save_file(net.state_dict(), folder / f"{name}.safetensors")
        np.save(folder / f"{name}.input.npy", x.numpy())
        # In double precision: what is compared is what the reader does, not what PyTorch's sums round.
        outputs = lambda x: net(x).softmax(1) if ends else net(x)
        single = outputs(x)
        net.double()
        double = outputs(x.double())
        np.save(folder / f"{name}.output.npy", double.float().numpy())
        print(f"{name}: {((single - double).abs().max() / double.square().mean().sqrt()).item():.1e} of PyTorch's single precision")


def small_nets():
    arrays = {}
    for name, net, x in [("net", Net(), torch.randn(2, 3, 5, 4)), ("series", Series(), torch.randn(2, 2, 7))]:
        draw(net)
        for suffix, kind in [("", torch.float32), ("_f16", torch.float16), ("_bf16", torch.bfloat16)]:
            if suffix and name != "net":
                continue
            state = {key: value.to(kind) if value.is_floating_point() else value for key, value in net.state_dict().items()}
            save_file(state, folder / f"{name}{suffix}.safetensors")
            net.load_state_dict(state)
            arrays[f"{name}{suffix}/input"] = x.clone()
            arrays[f"{name}{suffix}/output"] = net(x).detach()
    save_file(arrays, folder / "recorded.safetensors")


if len(sys.argv) > 2:
    with torch.no_grad():
        torchvision_nets(sys.argv[2:])
else:
    small_nets()
