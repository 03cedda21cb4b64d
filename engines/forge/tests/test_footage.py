"""Reading a folder of clips: containers, rates, sizes, broken files, windows, groups."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from forge.footage import FootageError, decode
from forge.footage.decode import frames
from forge.footage.resize import yuv_to_square
from forge.footage.scan import Clip, scan
from forge.footage.split import SHARES, split
from forge.footage.store import Sampling, Store, Windows, cut

av = pytest.importorskip("av")
TENTH = Fraction(1, 10)


def write(path, count, width=64, height=48, rate=10, codec="mpeg4", first=0):
    """A clip whose brightness rises by 4 a frame, with a bright left half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for i in range(count):
            image = np.full((height, width, 3), 20 + (first + 4 * i) % 140, np.uint8)
            image[:, : width // 2] += 60
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def levels(path, interval=TENTH, size=32):
    """Grey level of the right half of every sampled frame."""
    return [float(f[:, size // 2 + 4 :].mean()) for f in frames(path, interval, size, "crop")]


KINDS = [("a.mp4", "mpeg4"), ("a.avi", "mjpeg"), ("a.mkv", "libx264"), ("a.webm", "libvpx")]


@pytest.mark.parametrize(("name", "codec"), KINDS)
def test_containers_are_sampled_by_timestamp(tmp_path, name, codec):
    try:
        path = write(tmp_path / name, 30, 62, 46, rate=25, codec=codec)
    except (ValueError, OSError) as error:
        pytest.skip(f"this build of PyAV has no {codec}: {error}")
    # 25 Hz at a tenth of a second: the first frames at or after 0, 100, 200, ... ms are 0, 3, 5, 8, 10, ...
    expected = [20 + 4 * i for i in (0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28)]
    found = levels(path)
    assert len(found) == len(expected)
    assert np.abs(np.array(found) - expected).max() < 6
    assert found == levels(path)


def test_a_slow_source_is_not_repeated_and_every_rate_keeps_time(tmp_path):
    assert len(levels(write(tmp_path / "slow.mp4", 6, rate=5))) == 6
    assert len(levels(write(tmp_path / "even.mp4", 6, rate=10))) == 6
    assert len(levels(write(tmp_path / "fast.mp4", 60, rate=60))) == 10


@pytest.mark.parametrize("shape", [(48, 64), (64, 48), (200, 120), (33, 47), (16, 16)])
def test_resize_is_torchs_antialiased_triangle(shape):
    rng = np.random.default_rng(0)
    y = rng.integers(16, 236, shape, dtype=np.uint8)
    u, v = (rng.integers(16, 241, ((shape[0] + 1) // 2, (shape[1] + 1) // 2), dtype=np.uint8) for _ in "uv")
    found = yuv_to_square(y, u, v, 32, "stretch")
    if shape[0] % 2 == 0 and shape[1] % 2 == 0:

        def resize(x):
            whole = torch.from_numpy(x)[None, None].float()
            return F.interpolate(whole, (32, 32), mode="bilinear", antialias=True)[0, 0]

        luma, cb, cr = 1.164383 * (resize(y) - 16), resize(u) - 128, resize(v) - 128
        rgb = torch.stack([luma + 1.596027 * cr, luma - 0.391762 * cb - 0.812968 * cr, luma + 2.017232 * cb], -1)
        assert np.abs(found.astype(float) - rgb.clamp(0, 255).numpy()).max() <= 0.51
    grey = [np.full(p.shape, level, np.uint8) for p, level in ((y, 126), (u, 128), (v, 128))]
    flat = yuv_to_square(*grey, 32, "crop")
    assert (flat == 128).all()


def test_crop_takes_the_centred_square_and_stretch_the_whole_frame():
    y = np.full((40, 80), 16, np.uint8)
    y[:, 20:60] = 235
    half = np.full((20, 40), 128, np.uint8)
    assert yuv_to_square(y, half, half, 20, "crop")[:, 1:-1].min() == 255
    assert yuv_to_square(y, half, half, 20, "stretch")[:, :4].max() == 0


def test_broken_files_are_named(tmp_path):
    whole = write(tmp_path / "whole.mp4", 30).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    (tmp_path / "empty.avi").write_bytes(b"")
    for name in ("cut.mp4", "text.mp4", "empty.avi", "missing.mkv"):
        with pytest.raises(FootageError, match=name):
            list(frames(tmp_path / name, TENTH, 32, "crop"))


def test_opencv_reads_the_same_frames(tmp_path):
    pytest.importorskip("cv2")
    path = write(tmp_path / "a.avi", 30, rate=25, codec="mjpeg")
    a = list(decode._sampled(decode._pyav(path), TENTH, 32, "crop"))
    b = list(decode._sampled(decode._opencv(path), TENTH, 32, "crop"))
    assert len(a) == len(b) and np.abs(np.array(a).astype(int) - np.array(b)).mean() < 3


def numbered(count):
    return (np.full((2, 2, 3), i % 256, np.uint8) for i in range(count))


def starts(count, window=10, limit=4):
    windows, read = cut(numbered(count), window, limit)
    assert read == count
    return [int(w[0, 0, 0, 0]) for w in windows]


def test_windows_cover_a_clip_and_short_ones_hold_their_last_frame():
    assert starts(10) == [0]
    assert starts(14) == [0]
    assert starts(15) == [0, 5]
    assert starts(29) == [0, 10, 19]
    assert starts(0) == []
    windows, _ = cut(numbered(3), 10, 4)
    assert windows[0, :, 0, 0, 0].tolist() == [0, 1, 2, 2, 2, 2, 2, 2, 2, 2]


def test_a_long_clip_gives_windows_spread_over_it():
    found = starts(250)
    assert len(found) == 4 and found[0] == 0 and found[-1] >= 200 and (np.diff(found) > 30).all()


def test_a_second_run_decodes_nothing_and_a_changed_clip_alone_is_decoded(tmp_path, monkeypatch):
    paths = [write(tmp_path / "d" / "a" / f"{i}.avi", 12, codec="mjpeg", first=9 * i) for i in range(2)]
    clips = [Clip(p, p.name, "a", p.name) for p in paths]
    sampling = Sampling(32, "crop", 10**8, 5, 4)
    first = Store(tmp_path / "cache", sampling).add_all(clips)
    calls = []
    original = decode.frames
    monkeypatch.setattr("forge.footage.store.frames", lambda *a: calls.append(a[0].name) or original(*a))
    store = Store(tmp_path / "cache", sampling)
    assert store.add_all(clips) == first and not calls
    write(paths[1], 12, codec="mjpeg", first=77)
    changed = Store(tmp_path / "cache", sampling).add_all(clips)
    assert calls == ["1.avi"] and changed[0] == first[0] and changed[1].key != first[1].key
    windows = Windows(store, first)
    assert windows.shape == (4, 5, 32, 32, 3) and windows[0:2].shape == (2, 5, 32, 32, 3)
    assert np.array_equal(windows[1, 2:4], windows[1][2:4])


def test_a_folder_is_scanned_with_odd_names_nested_folders_and_other_files(tmp_path, capsys):
    clips = ("run/ä b;c.mp4", "run/deep/er/x.MKV", "walk/#1.webm", "walk/noending")
    for name in (*clips, ".hidden/x.mp4", "loose.mp4", "walk/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "groups.csv").write_text("group,file\ntape 1,run/ä b;c.mp4\ntape 1,walk/#1.webm\nx,gone.mp4\n")
    clips = scan(tmp_path)
    assert [c.name for c in clips] == ["run/deep/er/x.MKV", "run/ä b;c.mp4", "walk/#1.webm", "walk/noending"]
    assert [c.group for c in clips] == ["file:run/deep/er/x.MKV", "tape 1", "tape 1", "file:walk/noending"]
    told = capsys.readouterr().err
    assert "loose.mp4" in told and "walk/a.txt" in told and "gone.mp4" in told


def test_unusable_folders_and_tables_are_one_sentence(tmp_path):
    with pytest.raises(FootageError, match="no folder"):
        scan(tmp_path / "none")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.mp4").write_bytes(b"x")
    with pytest.raises(FootageError, match="two folders"):
        scan(tmp_path)
    (tmp_path / "groups.csv").write_text("name,source\n")
    with pytest.raises(FootageError, match="file,group"):
        scan(tmp_path)
    (tmp_path / "groups.csv").write_text("file,group\none/a.mp4\n")
    with pytest.raises(FootageError, match="line 2"):
        scan(tmp_path)


def some(counts, group=lambda label, i: f"{label}{i}"):
    return [Clip(None, f"{label}/{i}", label, group(label, i)) for label, n in counts.items() for i in range(n)]


def test_groups_stay_whole_and_classes_are_in_every_split():
    clips = some({"a": 60, "b": 12, "c": 24}, lambda label, i: f"{label}{i // 3}")
    parts = split(clips, 1)
    homes = {}
    for name, chosen in parts.items():
        assert {c.label for c in chosen} == {"a", "b", "c"}
        for c in chosen:
            assert homes.setdefault(c.group, name) == name
    assert sum(map(len, parts.values())) == len(clips)
    assert 0.45 < len(parts["train"]) / len(clips) < 0.65
    assert parts == split(clips, 1) and parts != split(clips, 2)


def test_groups_across_classes_stay_whole():
    clips = some({"a": 20, "b": 20}, lambda label, i: f"tape{i}")
    for chosen in split(clips, 3).values():
        assert len({c.group for c in chosen}) * 2 == len(chosen) > 0


def test_too_few_groups_are_refused_with_the_number_needed(capsys):
    with pytest.raises(FootageError, match="at least 3 groups.*b has 2"):
        split(some({"a": 10, "b": 2}), 1)
    parts = split(some({"a": 10, "b": 3}), 1)
    assert {n for n in SHARES if any(c.label == "b" for c in parts[n])} == {"train", "test", "calibration"}
    assert "validation split has no clips of b" in capsys.readouterr().err
    assert split(some({"a": 3, "b": 3}), 1)["validation"]
