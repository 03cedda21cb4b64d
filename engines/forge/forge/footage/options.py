"""The flags of `python -m forge` that concern footage."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from ..backbones import names
from ..initial import LITE0_PACKAGE
from .resize import FITS


def add(parser: ArgumentParser) -> None:
    """Add them to the command line."""
    group = parser.add_argument_group("real footage")
    flag = group.add_argument
    flag("--data", type=Path, metavar="DIR", help="one folder of clips per class; may hold groups.csv (file,group)")
    flag("--name", help="name of the bundle [that of DIR]")
    flag("--backbone", choices=names(), help="[that of --init where it says so, else mobilenetv2]")
    flag("--init", metavar="WEIGHTS", help=f"torchvision:FILE, FILE, a bundle's folder, or {LITE0_PACKAGE}")
    flag("--freeze", action="store_true", help="train the heads only, on features computed once")
    flag("--size", type=int, default=128, metavar="PX", help="side of the input, a multiple of 32 [128]")
    flag("--fit", choices=FITS, default="crop", help="how other aspect ratios become square [crop]")
    flag("--interval-ms", type=float, default=100.0, metavar="MS", help="spacing of frames [100]")
    flag("--window", type=int, default=20, metavar="T", help="frames of a window [20]")
    flag("--windows-per-clip", type=int, default=8, metavar="N", help="of a long clip at most [8]")
    flag("--steps", type=int, metavar="N", help="training steps [400 frozen, else 3000]")
    flag("--seed", type=int, default=11, metavar="N", help="of splits and training [11]")
    flag("--cache", type=Path, metavar="DIR", help="decoded clips and features [RUN/cache]")
