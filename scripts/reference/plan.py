"""A plan for train.py: a pair in one process, each run ending at a minute of the plan.

  python3 plan.py --config code-6m.json --data DIR --held-out DIR --out OUT --until 1.2,4.2,5.0,6.3 > plan.json

From nothing the runs are shared, code, own and ar; with --pair EARLIER, the --out of an earlier plan, its pair
goes on (on other data, say) and the runs are code, own and ar.
"""

import argparse
import json
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--config", required=True)
parser.add_argument("--data", required=True)
parser.add_argument("--held-out", required=True)
parser.add_argument("--out", required=True)
parser.add_argument("--pair", help="folder with code/model and ar/model to go on with")
parser.add_argument("--until", required=True, help="minutes at which the runs end")
parser.add_argument("--learning-rate", type=float, default=4e-3)
parser.add_argument("--muon-learning-rate", type=float, default=6e-3)
parser.add_argument("--rows", type=int, default=32)
args = parser.parse_args()
names = ("code", "own", "ar") if args.pair else ("shared", "code", "own", "ar")
minutes = dict(zip(names, args.until.split(","), strict=True))


def run(name, loss, *more, share=1.0):
    rates = ["--learning-rate", args.learning_rate * share, "--muon-learning-rate", args.muon_learning_rate * share]
    common = ["--config", args.config, "--data", args.data, "--held-out", args.held_out, "--compile", "--rows", args.rows]
    own = ["--micro-rows", args.rows, "--out", f"{args.out}/{name}", "--loss", loss, "--until", minutes[name]]
    return [str(word) for word in (*common, *own, *rates, *more)]


def branch(name):
    if args.pair:
        return "--decay", 0.6, "--warmup", 200, "--init", f"{args.pair}/{name}/model"
    return "--decay", 0.35, "--warmup", 1, "--from", f"{args.out}/shared"


shared = [] if args.pair else [run("shared", "ar", "--decay", 0, "--warmup", 150)]
own = run("own", "diffusion", "--decay", 1, "--warmup", 30, "--own-rate", 0.7, "--block-lengths", "4,8", "--fresh", "--mean",
          "--from", f"{args.out}/code", share=0.5)  # fmt: skip
pair = [run("code", "diffusion", *branch("code")), own, run("ar", "ar", *branch("ar"))]
json.dump([*shared, *pair], sys.stdout, indent=1)
