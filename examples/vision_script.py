"""A vision script as people have them: CIFAR-10's binary files, batch norm, SGD with momentum and a cosine.

python vision_script.py --data FOLDER     trains on cifar-10-batches-bin; without a folder, on digits in that layout

vision.py is the same training as a class, for autosched.
"""

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn


def read(files):
    """CIFAR-10's binary layout: records of one byte, the label, and 3 x 32 x 32 bytes, the image."""
    records = np.concatenate([np.fromfile(file, dtype=np.uint8).reshape(-1, 1 + 3 * 32 * 32) for file in files])
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32)).float() / 127.5 - 1
    return images, torch.from_numpy(records[:, 0]).long()


def made(folder):
    """No CIFAR-10, but files in its layout: the 8 x 8 digits that come with scikit-learn, enlarged, noisy and grey."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    noisy = digits.images * 15 + np.random.default_rng(0).normal(0, 60, digits.images.shape)
    images = np.clip(noisy, 0, 255).astype(np.uint8).repeat(4, axis=1).repeat(4, axis=2).reshape(-1, 1, 1024)
    records = np.concatenate([digits.target.astype(np.uint8)[:, None], np.tile(images, (1, 3, 1)).reshape(-1, 3072)], 1)
    records[:1297].tofile(folder / "data_batch_1.bin")
    records[1297:].tofile(folder / "test_batch.bin")
    return folder


def data(folder):
    folder = Path(folder) if folder else made(Path(tempfile.mkdtemp()))
    return read(sorted(folder.glob("data_batch_*.bin"))), read([folder / "test_batch.bin"])


def network():
    layers = []
    for channels, wider in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(channels, wider, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wider), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data")
    parser.add_argument("--steps", type=int, default=150)
    args = parser.parse_args()
    torch.manual_seed(0)
    (images, labels), (test_images, test_labels) = data(args.data)
    model = network()
    optimizer = sgd(model)
    for step in range(args.steps):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 + math.cos(math.pi * step / args.steps))
        batch = torch.randint(len(images), (64,))
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        print(f"test loss {nn.functional.cross_entropy(model(test_images), test_labels):.4f}")


if __name__ == "__main__":
    main()
