"""Writes mnist_step.f32: one step of the MNIST net as PyTorch computes it in double precision.

The file is little-endian f32: the loss, then the gradient of each parameter in the model's order and
layout. Both sides make images and weights by the same formula, so nothing else is stored.
usage: python make.py   (needs numpy and torch)"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F

BATCH = 4
# Shape [KH, KW, Cin, Cout] or [In, Out] or [Out], and a scale that is a power of two.
PARAMETERS = [
    ((3, 3, 1, 32), 0.5), ((32,), 0.125), ((3, 3, 32, 64), 0.125), ((64,), 0.125), ((3, 3, 64, 64), 0.0625),
    ((64,), 0.125), ((576, 64), 0.0625), ((64,), 0.125), ((64, 10), 0.25), ((10,), 0.125),
]


def numbers(count, seed):
    """Numbers from -1 to 1 by a linear congruential generator, each exact in f32."""
    state, out = seed, np.empty(count, np.float32)
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = (state >> 8) / 2**23 - 1
    return out


def to_torch(array):
    t = torch.from_numpy(array.astype(np.float64))
    return t.permute(3, 2, 0, 1).contiguous() if t.dim() == 4 else t


images = (numbers(BATCH * 28 * 28, 100) * 0.5 + 0.5).reshape(BATCH, 28, 28, 1)
labels = torch.tensor([(3 * i + 1) % 10 for i in range(BATCH)])
weights = [
    to_torch(numbers(int(np.prod(shape)), i + 1).reshape(shape) * np.float32(scale)).requires_grad_()
    for i, (shape, scale) in enumerate(PARAMETERS)
]
w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = weights
x = torch.from_numpy(images.astype(np.float64)).permute(0, 3, 1, 2)
x = F.max_pool2d(F.relu(F.conv2d(x, w1, b1)), 2)
x = F.max_pool2d(F.relu(F.conv2d(x, w2, b2)), 2)
x = F.relu(F.conv2d(x, w3, b3))
x = x.permute(0, 2, 3, 1).reshape(BATCH, -1)
x = F.relu(x @ w4 + b4) @ w5 + b5
loss = F.cross_entropy(x, labels)
loss.backward()
out = [np.array([loss.item()])]
for w in weights:
    g = w.grad
    out.append((g.permute(2, 3, 1, 0) if g.dim() == 4 else g).contiguous().numpy().ravel())
path = pathlib.Path(__file__).with_name("mnist_step.f32")
np.concatenate(out).astype("<f4").tofile(path)
print(path.name, "loss", loss.item(), "made by torch", torch.__version__)
