import numpy as np
import pytest
import torch

from forge.clips import ClipError, read_y4m, yuv_to_rgb


def write_y4m(path, frames, width, height, tag="C420jpeg"):
    body = b"".join(b"FRAME\n" + f for f in frames)
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 {tag}\n".encode() + body)


def test_grey_and_colour_of_a_y4m_frame(tmp_path):
    grey = bytes([16] * 8 + [235] * 8 + [128] * 8)
    red = bytes([81] * 16 + [90] * 4 + [240] * 4)
    write_y4m(tmp_path / "a.y4m", [grey, red], 4, 4)
    rgb = read_y4m(tmp_path / "a.y4m")
    assert rgb.shape == (2, 4, 4, 3) and rgb.dtype == np.uint8
    assert (rgb[0, :2] == 0).all() and (rgb[0, 2:] == 255).all()
    assert np.abs(rgb[1].astype(int) - [254, 0, 0]).max() <= 2


def test_chroma_is_raised_centre_aligned():
    uv = torch.tensor([[[[0.0, 80.0]], [[128.0, 128.0]]]])
    rgb = yuv_to_rgb(torch.full((1, 1, 2, 4), 235.0), uv)
    blue = [255 + 2.017232 * (u - 128) for u in (0, 20, 60, 80)]
    assert np.abs(rgb[0, 0, :, 2].astype(float) - np.clip(blue, 0, 255)).max() <= 0.6


def test_odd_sizes_are_read(tmp_path):
    write_y4m(tmp_path / "a.y4m", [bytes([100] * 15 + [128] * 12)], 5, 3)
    assert read_y4m(tmp_path / "a.y4m").shape == (1, 3, 5, 3)


def test_a_truncated_or_foreign_file_is_refused_by_name(tmp_path):
    write_y4m(tmp_path / "cut.y4m", [bytes(24), bytes(20)], 4, 4)
    write_y4m(tmp_path / "deep.y4m", [bytes(48)], 4, 4, "C420p10")
    (tmp_path / "text.y4m").write_text("hello")
    for name in ("cut.y4m", "deep.y4m", "text.y4m"):
        with pytest.raises(ClipError, match=name):
            read_y4m(tmp_path / name)
