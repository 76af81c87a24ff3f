#!/usr/bin/env python3
"""Trains the digit classifier of this folder and writes every file in it.

    python3 models/digits/train.py

Needs torch, scikit-learn, numpy and safetensors. The data are the 1797 scans
of handwritten digits that scikit-learn bundles (8 by 8 pixels, 0 to 16), so
nothing is downloaded. One seed and one thread: the same versions of the
packages write the same bytes again. README.md says which ones were used.
"""

import json
import pathlib

import numpy as np
import safetensors.torch
import sklearn.datasets
import sklearn.model_selection
import torch
from torch import nn

SEED = 7
HELD_OUT = 360
EPOCHS = 60
BATCH = 64
FOLDER = pathlib.Path(__file__).parent

FILES = {
    "digits.safetensors": torch.float32,
    "digits.f16.safetensors": torch.float16,
    "digits.bf16.safetensors": torch.bfloat16,
}


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 32)
        self.fc3 = nn.Linear(32, 10)

    def forward(self, x):
        x = torch.relu(self.fc1(x.flatten(1)))
        x = torch.relu(self.fc2(x))
        return self.fc3(x)


def load_data():
    """Images in 0..1 as float32[n, 8, 8] and labels, split by class."""
    digits = sklearn.datasets.load_digits()
    images = (digits.images / 16).astype(np.float32)
    split = sklearn.model_selection.train_test_split(
        images, digits.target, test_size=HELD_OUT, random_state=SEED,
        stratify=digits.target)
    return [torch.from_numpy(np.ascontiguousarray(part)) for part in split]


def shifted(images):
    """Three images in ten moved by at most one pixel: the scans fill their
    8 by 8 pixels, so a moved one loses ink and more of them would hurt."""
    moved = torch.rand(len(images)) < 0.3
    dy, dx = torch.randint(-1, 2, (2, len(images))) * moved
    rows = (torch.arange(8) - dy[:, None]).unsqueeze(2)
    cols = (torch.arange(8) - dx[:, None]).unsqueeze(1)
    inside = (rows >= 0) & (rows < 8) & (cols >= 0) & (cols < 8)
    picked = images[torch.arange(len(images))[:, None, None],
                    rows.clamp(0, 7), cols.clamp(0, 7)]
    return picked * inside


def train(images, labels):
    model = Digits()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3,
                                  weight_decay=1e-1)
    steps = EPOCHS * ((len(images) + BATCH - 1) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = nn.functional.cross_entropy(
                model(shifted(images[batch])), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model


def save(trained, path, dtype):
    model = Digits().to(dtype)
    model.load_state_dict(trained)
    tensors = {name: param for name, param in model.named_parameters()}
    safetensors.torch.save_file(tensors, path)


def correct_with_float16_weights(path, images, labels):
    """How many are right with the file's weights rounded to float16 and
    float32 arithmetic; and the smallest lead of a winning logit."""
    model = Digits()
    tensors = safetensors.torch.load_file(path)
    model.load_state_dict({name: t.half().float() for name, t in tensors.items()})
    with torch.no_grad():
        logits = model(images)
    first, second = logits.topk(2).values.unbind(1)
    return (int((logits.argmax(1) == labels).sum()),
            round(float((first - second).min()), 4))


if __name__ == "__main__":
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    train_images, test_images, train_labels, test_labels = load_data()
    trained = train(train_images, train_labels).state_dict()

    safetensors.torch.save_file(
        {"images": test_images, "labels": test_labels.float()},
        FOLDER / "heldout.safetensors")

    expected = {"held_out": len(test_labels), "correct": {}, "smallest_lead": {}}
    for file, dtype in FILES.items():
        save(trained, FOLDER / file, dtype)
        correct, lead = correct_with_float16_weights(
            FOLDER / file, test_images, test_labels)
        expected["correct"][file] = correct
        expected["smallest_lead"][file] = lead

    text = json.dumps(expected, indent=2)
    (FOLDER / "EXPECTED.json").write_text(text + "\n")
    print(text)
