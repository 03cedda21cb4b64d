"""`python -m forge`: train a recipe and export its bundle."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import torch

from .clips import E4_DEFAULT, ClipError
from .config import RECIPES
from .footage import options
from .footage.project import open_run
from .pipeline import STAGES, Run
from .quantised import SUFFIX, QuantisedRun

ROOT = Path(__file__).resolve().parents[3]


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m forge", description=__doc__)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="mobilenetv2-e5", help="what to make")
    parser.add_argument("--smoke", action="store_true", help="make engines/tiny-e2, in about two minutes")
    parser.add_argument("--stage", choices=("all", *STAGES, "int8"), default="all", help="only one stage of the run")
    parser.add_argument("--int8", action="store_true", help="then make the 8-bit variant, too: as --stage int8, [OUT-int8]")
    parser.add_argument("--run", type=Path, metavar="DIR", help="clips, checkpoints, features [runs/NAME]")
    parser.add_argument("--out", type=Path, metavar="DIR", help="the bundle [engines/NAME; footage: RUN/bundle; int8: with -int8 behind]")
    parser.add_argument("--e4", metavar="PATH", help="the e4 binary that makes clips [built by cargo]")
    parser.add_argument("--generator", default="", metavar="COMMIT", help="commit of that binary, for the card")
    parser.add_argument("--note", default="", metavar="TEXT", help="a sentence about this run, for the card")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="threads of PyTorch [its own choice]")
    parser.add_argument("--compile", action="store_true", help="train through torch.compile (needs a C++ compiler)")
    parser.add_argument("--resume", action=argparse.BooleanOptionalAction, default=True, help="go on from a checkpoint")
    options.add(parser)
    args = parser.parse_args(arguments)
    if args.data and args.smoke:
        parser.error("--smoke makes tiny-e2 of generated clips: leave out --data")
    return args


def main(arguments: list[str]) -> int:
    """Run the stages; 0 when done, 2 for unusable input."""
    args = parse(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        run, out, command = on_footage(args, arguments) if args.data else on_generated(args)
        steps = {
            "clips": run.all_clips,
            "train": run.train,
            "gates": run.gates,
            "choose": run.choose,
            "evaluate": run.evaluate,
            "export": lambda: run.export(args.out or out, command, args.generator, args.note),
        }
        for name, step in steps.items():
            if args.stage == name or (args.stage == "all" and name != "choose"):
                step()
        if args.int8 or args.stage == "int8":
            whole = args.out or out
            folder = whole if args.stage == "int8" and args.out else whole.with_name(whole.name + SUFFIX)
            QuantisedRun(run).run_all(folder, f"{command} --stage int8", args.generator, args.note)
    except (ClipError, ValueError) as error:
        print(f"forge: {error}", file=sys.stderr)
        return 2
    return 0


def on_generated(args: argparse.Namespace) -> tuple[Run, Path, str]:
    """A recipe's run, its bundle's folder and the command for the card."""
    recipe = RECIPES["tiny-e2" if args.smoke else args.recipe]
    manifest = ["--manifest-path", str(ROOT / "Cargo.toml")]
    e4 = [args.e4] if args.e4 else [*E4_DEFAULT[:-1], *manifest, E4_DEFAULT[-1]]
    folder = args.run or Path("runs") / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    command = "python -m forge " + shlex.join(["--smoke"] if args.smoke else ["--recipe", recipe.name])
    return Run(recipe, folder, e4, args.resume, args.compile), ROOT / "engines" / recipe.name, command


def on_footage(args: argparse.Namespace, arguments: list[str]) -> tuple[Run, Path, str]:
    """The same for a folder of clips."""
    run = open_run(args)
    return run, run.folder / "bundle", "python -m forge " + shlex.join(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
