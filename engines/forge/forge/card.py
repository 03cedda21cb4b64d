"""CARD.md from the measurements: what the bundle is, how it was made, what it was seen to do."""

from __future__ import annotations

from collections.abc import Iterable

from .config import Recipe, Split


def percent(x: float) -> str:
    """0.9512 -> 95.12."""
    return f"{100 * x:.2f}"


def points(x: float) -> str:
    """A signed difference in points."""
    return f"{100 * x:+.2f}"


def span(interval: tuple[float, float] | list[float], signed: bool = False) -> str:
    """An interval in points."""
    form = points if signed else percent
    return f"{form(interval[0])} .. {form(interval[1])}"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(c) for c in row) + " |" for row in lines) + "\n"


def render(recipe: Recipe, results: dict, made: dict) -> str:
    """The whole card. `results` as `evaluate` measured them, `made`: command, commit, versions."""
    sections = [
        _head(recipe, results, made),
        _clips(results["clips"]),
        _costs(results),
        _ablations(results),
        _streams(results),
        _robustness(results),
        _made(recipe, made),
    ]
    return "\n".join(s for s in sections if s)


def _head(recipe: Recipe, results: dict, made: dict) -> str:
    clips = results["clips"]
    gated = clips["gated"]
    return f"""# {recipe.name}

{recipe.backbone} with {len(clips["pure"])} exits and the temporal heads of `e4.bundle/1`, {recipe.size}x{recipe.size} px,
T = {recipe.window} frames of {1000 / recipe.fps:g} ms. Classes: {", ".join(results["labels"])}.
{made["provenance"]}

On {clips["clips"]} test clips, gated: **{percent(gated["accuracy"])} %** ({span(clips["gated_interval"])}) at
**{percent(gated["cost"])} %** of the backbone's multiply-accumulates; full depth {percent(clips["pure"][-1]["accuracy"])} % \
({span(clips["full_interval"])});
gated minus full depth {points(clips["difference"])} points, paired 95 % interval {span(clips["difference_interval"], True)}.

Clip accuracy is that of the class at a clip's last frame. Intervals are 95 % bootstrap intervals over clips
and know nothing of the spread between training runs. MACs are counted, not timed. Exits count from 1.
"""


def _clips(clips: dict) -> str:
    exits = range(1, len(clips["pure"]) + 1)
    rows = [
        [f"always exit {e}", percent(p["accuracy"]), percent(p["frame_accuracy"]), percent(p["cost"]), e, ""]
        for e, p in zip(exits, clips["pure"])
    ]
    for name in ("gated", "softmax"):
        p = clips[name]
        shares = " / ".join(f"{100 * x:.1f}" for x in p["exits"])
        title = "**gates**" if name == "gated" else "max-softmax at the gates' validation accuracy"
        depth = f"{p['mean_exit'] + 1:.2f}"
        rows.append([title, percent(p["accuracy"]), percent(p["frame_accuracy"]), percent(p["cost"]), depth, shares])
    head = ["path", "clip accuracy %", "frame accuracy %", "MACs %", "mean exit", "exits taken %"]
    text = "## Accuracy and depth on the test split\n\n" + table(head, rows)
    text += f"\nMax-softmax (threshold picked for the gates' validation accuracy) minus gates: \
{span(clips['softmax_difference_interval'], True)} points.\n"
    frames = " ".join(f"{x + 1:.2f}" for x in clips["mean_exit_by_frame"])
    text += f"\nMean exit by frame of the clip: {frames}.\n"
    if "quartiles" in clips:
        q = clips["quartiles"]
        rows = [
            [name, *(f"{x + 1:.2f}" if key == "mean_exit" else percent(x) for x in q[key])]
            for name, key in (
                ("gates, accuracy %", "gated"),
                ("full depth, accuracy %", "full"),
                ("always exit 1, accuracy %", "first"),
                ("gates, mean exit", "mean_exit"),
            )
        ]
        text += "\n" + table(["quarter of the clips by difficulty", "easiest", "2", "3", "hardest"], rows)
    return text


def _costs(results: dict) -> str:
    rows = [
        [f"{e + 1}", f"{s:,}", f"{h:,}", percent(c), percent(b), "always taken" if t is None else f"{t:g}"]
        for e, (s, h, c, b, t) in enumerate(
            zip(results["macs"], results["head_macs"], results["cost"], results["cost_with_heads"], results["thresholds"])
        )
    ]
    gated = results["clips"]["gated"]
    head = ["exit", "segment MACs", "head and gate MACs", "cumulative %", "with heads %", "gate threshold"]
    return f"""## Cost of backbone, heads and gates

{table(head, rows)}
Gated, with the heads of every exit visited counted in: {percent(gated["cost_with_heads"])} % of backbone plus all heads.
All heads together are {percent(sum(results["head_macs"]) / sum(results["macs"]))} % of the backbone.
"""


def _ablations(results: dict) -> str:
    clips = results["clips"]
    text = "## Does the task need the method?\n\n"
    exits = [f"exit {e + 1}" for e in range(len(clips["single_frame"]))]
    text += table(["one frame, no temporal state", *exits], [["accuracy %", *map(percent, clips["single_frame"])]])
    rows = [
        [t, percent(w["accuracy"]), percent(w["full_accuracy"]), percent(w["cost"])] for t, w in clips["windows"].items()
    ]
    text += "\nThe state zeroed every T frames, the last frame of each T counted:\n\n"
    text += table(["T", "gates, accuracy %", "full depth, accuracy %", "gates, MACs %"], rows)
    if "fewer_exits" in results:
        f = results["fewer_exits"]
        gated = clips["gated"]
        text += "\nFewer exits, thresholds picked again (the adapters of the exits left out still feed the deeper ones):\n\n"
        text += table(
            ["exits", "accuracy %", "MACs %"],
            [
                [" ".join(str(e + 1) for e in range(len(clips["pure"]))), percent(gated["accuracy"]), percent(gated["cost"])],
                [" ".join(str(e + 1) for e in f["exits"]), percent(f["accuracy"]), percent(f["cost"])],
            ],
        )
    return text


def stream_table(results: dict) -> str:
    """Every life of the state on streams, the chosen one in bold."""
    rows = []
    for r in results["streams"]:
        life = r["life"]
        chosen = "**" if life == results["life"] else ""
        cut = "ignored" if life["cut_distance"] is None else f"reset above {life['cut_distance']:g}"
        rows.append(
            [
                f"{chosen}{life['policy']}{chosen}",
                cut,
                percent(r["frame_accuracy"]),
                f"{r['delay_median']:g} / {r['delay_p90']:g}",
                percent(r["never"]),
                f"{r['exit_after_change'] + 1:.2f} / {r['exit_elsewhere'] + 1:.2f}",
                percent(r["cost"]),
            ]
        )
    head = [
        "state beyond T",
        "scene cut",
        "frame accuracy %",
        "delay, frames, median / p90",
        "never recognised %",
        "mean exit in the 5 frames after a change / elsewhere",
        "MACs %",
    ]
    return table(head, rows)


def _streams(results: dict) -> str:
    if "streams" not in results:
        return ""
    return f"""## Endless streams

{results["stream_count"]} generated test streams of {results["stream_frames"]} frames whose action and scene change at
random, {results["streams"][0]["changes"]} changes of action. Policies were compared, cut distances picked and the
choice (bold) made on validation streams of another seed. Delay: frames from the change until the answer
is first right (the action's length if it never was).

{stream_table(results)}"""


def _robustness(results: dict) -> str:
    if "paces" not in results:
        return ""
    rows = [
        [name, percent(p["gated"]["accuracy"]), percent(p["full"]["accuracy"]), percent(p["gated"]["cost"])]
        for name, p in (*results["paces"].items(), *results["drops"].items())
    ]
    head = ["frames", "gates, accuracy %", "full depth, accuracy %", "gates, MACs %"]
    return f"""## Other frame intervals, lost frames

{table(head, rows)}"""


def hardness(split: Split) -> str:
    """How difficult a split's scenes are."""
    return "0..1, uniform" if split.difficulty is None else f"{split.difficulty:g}"


def _made(recipe: Recipe, made: dict) -> str:
    rows = [
        [name, s.seed, s.count, f"{s.frames} at {s.fps:g} Hz" + (", streams" if s.stream else ""), hardness(s)]
        for name, s in recipe.splits.items()
    ]
    t = recipe.training
    return f"""## How it was made

```
{made["command"]}
```

Commit {made["commit"]}; scene generator of commit {made["generator"]}; torch {made["torch"]}, seed {t.seed}
(training), {recipe.tuning.seed} (tuning), {recipe.gating.seed} (gates). {t.steps} steps of {t.clips} clips x {t.frames} frames end to end,
{recipe.tuning.epochs} epochs of the temporal part, {recipe.gating.epochs} epochs of the gates. ONNX Runtime against PyTorch: largest
relative error of a pooled feature {made["onnx_error"]}.
Thresholds were picked on the validation split: full depth {percent(made["validation"]["full"])} %, gated {percent(made["validation"]["gated"])} % at {percent(made["validation"]["cost"])} % of the MACs.
{made["note"]}

{table(["split", "seed", "count", "frames", "difficulty"], rows)}"""
