"""Where `python -m forge` writes to."""

from forge.__main__ import ROOT, on_generated, parse


def test_a_smoke_run_makes_tiny_e2(tmp_path):
    _, out, _ = on_generated(parse(["--smoke", "--run", str(tmp_path), "--e4", "e4"]))
    assert out == ROOT / "engines" / "tiny-e2"


def test_a_recipe_goes_to_the_engines(tmp_path):
    _, out, _ = on_generated(parse(["--run", str(tmp_path), "--e4", "e4"]))
    assert out == ROOT / "engines" / "mobilenetv2-e5"
