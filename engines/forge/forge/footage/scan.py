"""What lies in the data folder: one folder per class, clips at any depth in it, `groups.csv`.

A file counts as a clip unless its ending says that it is something else; whether it decodes is
found out later. Files are listed in the order of their paths, so that the same folder gives the
same set on every machine.
"""

from __future__ import annotations

import csv
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from . import FootageError

NO_CLIPS = frozenset(
    ".aac .bmp .bz2 .csv .db .doc .docx .flac .gif .gz .htm .html .ini .jpeg .jpg .json .jsonl .log .m4a .md .mp3 .npy "
    ".npz .ogg .opus .pdf .png .py .pt .rtf .sh .srt .svg .tar .tif .tiff .toml .tsv .txt .vtt .wav .webp .xlsx .xml "
    ".yaml .yml .zip".split()
)
GROUPS = "groups.csv"


@dataclass(frozen=True)
class Clip:
    """One file."""

    path: Path
    name: str
    """Relative to the data folder, with forward slashes."""
    label: str
    group: str
    """Clips of one group go into one split."""


def note(text: str) -> None:
    """A line on stderr."""
    print(f"footage: {text}", file=sys.stderr, flush=True)


def scan(data: Path) -> list[Clip]:
    """Every clip of every class, sorted by name."""
    if not data.is_dir():
        raise FootageError(f"--data {data} is no folder")
    groups, clips, others = read_groups(data), [], []
    for path in sorted(_files(data), key=lambda p: p.relative_to(data).as_posix()):
        parts = path.relative_to(data).parts
        name = "/".join(parts)
        if len(parts) == 1 or path.suffix.lower() in NO_CLIPS:
            if name != GROUPS:
                others.append(name)
            continue
        clips.append(Clip(path, name, parts[0], groups.pop(name, f"file:{name}")))
    if others:
        shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        note(f"ignored, not clips in a class's folder: {shown}")
    if groups:
        note(f"{GROUPS} names files that are not there: {', '.join(sorted(groups)[:5])}")
    if len({c.label for c in clips}) < 2:
        raise FootageError(f"--data {data} needs at least two folders of clips, one per class")
    return clips


def _files(folder: Path) -> list[Path]:
    """All files below `folder`; hidden ones are passed over, linked folders entered once."""
    found, seen = [], set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        found += [Path(root) / f for f in files if not f.startswith(".")]
    return found


def read_groups(data: Path) -> dict[str, str]:
    """`groups.csv`: group by clip name (relative to the folder); empty when there is no such file."""
    path = data / GROUPS
    if not path.exists():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FootageError(f"{path} cannot be read: {error}") from error
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "file" not in head or "group" not in head:
        raise FootageError(f"{path} needs a first line with the columns file,group")
    at, to, groups = head.index("file"), head.index("group"), {}
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(at, to) or not row[at].strip() or not row[to].strip():
            raise FootageError(f"{path} line {number} lacks a file or a group")
        name, group = row[at].strip().replace("\\", "/").removeprefix("./"), row[to].strip()
        if groups.setdefault(name, group) != group:
            raise FootageError(f"{path} line {number} puts {name} into a second group")
    return groups
