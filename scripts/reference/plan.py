"""A plan for train.py: a pair from nothing, four runs in one process, each ending at a minute of the plan.

  python3 plan.py --config code-6m.json --data DIR --held-out DIR --out OUT --until 1.2,4.2,5.0,6.3 > plan.json
"""

import argparse
import json
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--config", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--held-out", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--until", required=True, help="minutes at which shared, code, own and ar end")
parser.add_argument("--learning-rate", type=float, default=4e-3)
parser.add_argument("--muon-learning-rate", type=float, default=6e-3)
parser.add_argument("--rows", type=int, default=32)
args = parser.parse_args()
minutes = dict(zip(("shared", "code", "own", "ar"), args.until.split(","), strict=True))


def run(name, loss, *more, share=1.0):
    rates = ["--learning-rate", args.learning_rate * share, "--muon-learning-rate", args.muon_learning_rate * share]
    common = ["--config", args.config, "--data", args.data, "--held-out", args.held_out, "--compile", "--rows", args.rows]
    own = ["--micro-rows", args.rows, "--out", f"{args.out}/{name}", "--loss", loss, "--until", minutes[name]]
    return [str(word) for word in (*common, *own, *rates, *more)]


branch = ("--decay", 0.35, "--warmup", 1, "--from", f"{args.out}/shared")
json.dump(
    [
        run("shared", "ar", "--decay", 0, "--warmup", 150),
        run("code", "diffusion", *branch),
        run("own", "diffusion", "--decay", 1, "--warmup", 30, "--own-rate", 0.7, "--block-lengths", "4,8", "--fresh",
            "--from", f"{args.out}/code", share=0.5),
        run("ar", "ar", *branch),
    ],
    sys.stdout,
    indent=1,
)  # fmt: skip
