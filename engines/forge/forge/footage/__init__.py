"""Real footage (`--data DIR`): clips of any kind in one folder per class, made into a bundle.

| file | does |
|---|---|
| `scan` | finds classes, clips and groups |
| `decode` | frames of a clip at the recipe's interval, as the engine would see them |
| `store` | windows of T frames, decoded once and kept |
| `split` | train, calibration, validation and test by group |
| `frozen` | pooled features kept on disk, heads trained on them (`--freeze`) |
| `report` | intervals over groups, accuracy by class, the card |
| `project` | the stages of a run on footage |
"""

from ..clips import ClipError


class FootageError(ClipError):
    """One sentence naming the file, folder or class that cannot be used."""
