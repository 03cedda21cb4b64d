"""Small networks and random clips that every test shares."""

import numpy as np
import pytest
import torch

from forge.backbones import backbone
from forge.clips import ClipSet
from forge.config import TINY_E2
from forge.heads import Heads
from forge.trunk import Trunk

torch.set_num_threads(1)


@pytest.fixture
def clips() -> ClipSet:
    """Sixteen clips of noise around a brightness that gives the class away."""
    rng = np.random.default_rng(3)
    labels = np.arange(16) % 2
    base = np.where(labels, 190, 60)[:, None, None, None, None]
    frames = np.clip(base + rng.normal(0, 20, (16, 20, 32, 32, 3)), 0, 255).astype(np.uint8)
    return ClipSet(frames, labels, ["dark", "light"], rng.random(16).astype(np.float32))


@pytest.fixture
def network() -> tuple[Trunk, Heads]:
    """An untrained tiny network whose batch norms are not trivial."""
    torch.manual_seed(1)
    description = backbone("tiny")
    trunk = Trunk(description, 32, 32, TINY_E2.heads.grid)
    heads = Heads(description.channels(), 2, 20, TINY_E2.heads)
    for norm in (m for net in (trunk, heads) for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.5, 1.5)
    return trunk.eval(), heads.eval()
