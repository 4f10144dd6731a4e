"""Trains the native model on a GPU (or, slowly, a CPU): the losses and schedule of the TypeScript trainer.

A pair takes four runs: a shared autoregressive one without decay, two branches from its state, and blocks that the
diffusion model wrote itself (`distill --method own`):

  train.py --config code.json --data DIR --out OUT/shared --loss ar --tokens 300e6 --decay 0
  train.py ... --out OUT/ar   --loss ar        --from OUT/shared --tokens 600e6
  train.py ... --out OUT/code --loss diffusion --from OUT/shared --tokens 600e6
  train.py ... --out OUT/own  --loss diffusion --from OUT/code --fresh --own-rate 0.7 --block-lengths 4,8 --decay 1 --mean --tokens 20e6

On a machine that is lent for minutes, --minutes in place of --tokens makes the schedule follow the clock, and
--plan FILE (a JSON list of argument lists, each with --until MINUTE of the whole plan) runs all of them in one
process, so that kernels are compiled once.

--config is the `model` part of a training configuration (src/train/config.ts) as JSON, --data a folder written by
pack.ts, which also gives vocabulary and tokenizer. With --tokens a run can be stopped (--minutes) and goes on with
--resume, ending exactly where an unstopped run would.
In --out: log.jsonl, state.pt, and the model as a Hugging Face folder (fp16).
"""

import argparse
import json
import os
import shlex
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.attention.flex_attention import flex_attention

import objective as obj
import sight
from folders import load, write_model
from model import Transformer, ar_targets, masked_loss, next_token_loss, states_of
from optimizers import create_optimizers

EVAL_BLOCK_LENGTH = 8
NAMES = {"arLoss": "autoregressiveNats", "diffusionLoss": "diffusionNats"}  # in the log, as `tintype plot` knows them


# Data


class PackedRows:
    """Rows of packed documents, on the device. Which rows a step sees follows from their number alone, so resuming
    needs no state."""

    def __init__(self, folder, seed, device):
        self.meta = meta = json.loads((Path(folder) / "meta.json").read_text())
        shape = meta["rows"], meta["length"]
        self.length, self.seed = meta["length"], seed
        tokens = np.fromfile(Path(folder) / "tokens.bin", "<i2").reshape(shape)  # [N,T], padding is -1
        bits = np.unpackbits(np.fromfile(Path(folder) / "starts.bin", np.uint8), count=tokens.size, bitorder="little")
        self.tokens = torch.from_numpy(tokens).to(device)
        self.starts = torch.from_numpy(bits.reshape(shape)).to(device)  # [N,T] 1 where a piece starts

    def take(self, first, count):
        """The rows number first .. first + count - 1 of an endless, reshuffled series -> ids, segments [B,T]."""
        total = len(self.tokens)
        rows = [self.order(n // total)[n % total] for n in range(first, first + count)]
        rows = torch.tensor(np.array(rows), device=self.tokens.device)
        tokens = self.tokens[rows].long()
        padding = tokens < 0
        segments = self.starts[rows].long().cumsum(1).masked_fill(padding, -1)
        return tokens.masked_fill(padding, 0), segments

    def order(self, epoch):
        if getattr(self, "epoch", None) != epoch:
            self.epoch, self.permutation = epoch, np.random.default_rng((self.seed, epoch)).permutation(len(self.tokens))
        return self.permutation


# Steps


def fused_attention(q, k, v, mask):
    """`mask` is a BlockMask on a GPU (whole tiles that nobody sees cost nothing), else bool [B,S,S]."""
    if not isinstance(mask, torch.Tensor):
        return flex_attention(q, k, v, block_mask=mask, enable_gqa=True)
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])


def schedule(step, done, warmup, decay):
    """Warm-up, stable, linear decay to 0 over the last share `decay` of what is `done` -> factor of the learning rate."""
    return max(0.0, min(1, (step + 1) / max(1, warmup), (1 - done) / decay if decay else 1))


def flops_of(config, parts, rows, length):
    """Matrix products of forward and backward: body and visible scores once per stream, head once per loss row."""
    streams = (1 + parts.get("rounds", 0) / 3) * (1 + (parts["diffusionLoss"] is not None))  # a round is one forward
    D, F_, heads, kv = config["width"], config["ffnWidth"], config["heads"] * config["headDim"], config["kvHeads"] * config["headDim"]
    layer = D * (2 * heads + 2 * kv + 3 * F_)
    body = config["layers"] * (6 * layer + 6 * heads * length) * rows * length * streams
    return body + 6 * D * config["vocabSize"] * parts["lossRows"]


class Run:
    """Model, optimisers and counters of one run, and how to take a step with them."""

    def __init__(self, args):
        self.args, self.device = args, torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.data = open_rows(args.data, args.seed, self.device)
        self.held_out = open_rows(args.held_out, 0, self.device) if args.held_out else None
        config = json.loads(Path(args.config).read_text())
        config |= {key: self.data.meta[key] for key in ("vocabSize", "tokens")}
        config["layout"] = "causal" if args.loss == "ar" else config["layout"]
        torch.manual_seed(args.seed)
        self.model = Transformer(config, fused_attention)
        for p in self.model.parameters():
            if p.ndim == 2:
                torch.nn.init.normal_(p, std=0.02)
        if args.init:
            self.model.load_state_dict(load(args.init).state_dict())
        self.model.to(self.device)
        if args.compile:
            for layer in self.model.model.layers:  # one graph serves all layers
                layer.compile(dynamic=False)
        self.mask_of = sight.sparse_mask if args.compile and self.device.type == "cuda" else sight.dense_mask
        self.optimizers = create_optimizers(self.model, args.optimizer, args.weight_decay)
        self.rates = [args.learning_rate, args.muon_learning_rate or args.learning_rate]
        self.steps = max(1, round(args.tokens / (args.rows * self.data.length))) if args.tokens else None
        # rowsSeen and flops go on through branches; step and elapsedMs belong to this run.
        self.counters = {"step": 0, "rowsSeen": 0, "flops": 0.0, "elapsedMs": 0.0}

    def states(self, ids, rule):
        """[B,S] -> [B,S,D], S = T or 2T"""
        return states_of(self.model, ids, rule, ids.shape[1] // self.data.length, self.mask_of)

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.bf16)

    def ar_parts(self, ids, segments):
        states = self.states(ids, sight.causal_rule(segments))
        loss, logits = next_token_loss(self.model, states, ids, ar_targets(segments))
        return loss, {"arLoss": loss, "diffusionLoss": None, "lossRows": len(logits)}

    def diffusion_parts(self, ids, segments, block_length, own_rate, rng):
        model, layout, T = self.model, self.model.config["layout"], ids.shape[1]
        phase = torch.randint(block_length, (len(ids), 1), device=self.device, generator=rng)
        blocks = obj.blocks_of(segments, block_length, phase if layout == "causalContext" else 0)
        eligible = obj.maskable(segments, blocks, layout)
        own, goal, rounds = obj.draw_blocks(blocks, own_rate, rng), ids, 0
        if own_rate:
            rule = sight.two_stream_rule(segments, blocks, layout, own_past_only=True)
            beside = lambda goal: self.states(torch.cat([ids, goal], 1), rule)[:, T:]
            rounds = min(block_length - 1, self.args.own_rounds)
            goal = obj.own_continuation(beside, model.head, ids, own & eligible, rounds)
        noisy, masked, weights = obj.corrupt(goal, eligible, blocks, own, model.config["tokens"]["mask"], rng)
        both = self.states(torch.cat([ids, noisy], 1), sight.two_stream_rule(segments, blocks, layout))
        loss, logits = masked_loss(model, both[:, T:], goal, masked, weights, eligible.sum())
        parts = {"arLoss": None, "diffusionLoss": loss, "lossRows": len(logits), "maskable": eligible.sum(), "rounds": rounds}
        if layout == "causalContext":
            ar, clean = next_token_loss(model, both[:, :T], ids, ar_targets(segments))
            loss = loss + self.args.ar_weight * ar
            parts |= {"arLoss": ar, "lossRows": parts["lossRows"] + len(clean)}
        return loss, parts

    def losses(self, ids, segments, step, rng):
        """-> loss, parts (tensors, or None where a loss has no such part)."""
        with self.autocast():
            if self.args.loss == "ar":
                return self.ar_parts(ids, segments)
            lengths = [int(n) for n in self.args.block_lengths.split(",")]
            block_length = int(np.random.default_rng((self.args.seed, step)).choice(lengths))  # one for all of a batch
            return self.diffusion_parts(ids, segments, block_length, self.args.own_rate, rng)

    def step(self, done):
        """One optimiser step, at share `done` of the run -> the log line's figures."""
        args, at = self.args, self.counters
        rng = torch.Generator(self.device).manual_seed(args.seed * 1_000_003 + at["step"])
        factor = schedule(at["step"], done, args.warmup, args.decay)
        ids, segments = self.data.take(at["rowsSeen"], args.rows)
        sums = {"lossNats": 0.0, "autoregressiveNats": 0.0, "diffusionNats": 0.0}
        for part_ids, part_segments in zip(ids.split(args.micro_rows), segments.split(args.micro_rows)):
            loss, parts = self.losses(part_ids, part_segments, at["step"], rng)
            share = len(part_ids) / args.rows
            (loss * share).backward()
            for key, value in [("lossNats", loss), ("autoregressiveNats", parts["arLoss"]), ("diffusionNats", parts["diffusionLoss"])]:
                sums[key] += value.detach() * share if value is not None else 0
            at["flops"] += flops_of(self.model.config, parts, len(part_ids), self.data.length)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), args.clip)
        if not torch.isfinite(norm):
            raise SystemExit(f"step {at['step']}: the gradient is not finite; state.pt holds the last good weights. Try a lower --learning-rate.")
        for optimizer, peak in zip(self.optimizers, self.rates):
            for group in optimizer.param_groups:
                group["lr"] = peak * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        at["step"] += 1
        at["rowsSeen"] += args.rows
        sums = {key: value for key, value in sums.items() if key != "diffusionNats" or self.args.loss == "diffusion"}
        return {**sums, "learningRate": args.learning_rate * factor, "gradNorm": norm}

    @torch.no_grad()
    def evaluate(self):
        """Held-out nats a token, over at most --eval-rows rows: exact for `ar`, one draw of the bound at block length 8."""
        sums, counts, rng = {}, {}, torch.Generator(self.device).manual_seed(0)
        rows = self.args.micro_rows
        for first in range(0, min(self.args.eval_rows, len(self.held_out.tokens)) // rows * rows, rows):
            ids, segments = self.held_out.take(first, rows)
            with self.autocast():
                ar = self.args.loss == "ar"
                parts = self.ar_parts(ids, segments)[1] if ar else self.diffusion_parts(ids, segments, EVAL_BLOCK_LENGTH, 0, rng)[1]
            for key, n in [("arLoss", ar_targets(segments).sum()), ("diffusionLoss", parts.get("maskable"))]:
                if parts[key] is not None:
                    sums[key] = sums.get(key, 0) + float(parts[key] * n)
                    counts[key] = counts.get(key, 0) + int(n)
        return {NAMES[key]: value / counts[key] for key, value in sums.items()}

    # Files. Whatever replaces an older file is complete before it takes the name.

    def save_state(self, path):
        state = {"model": self.model.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers], "counters": self.counters}
        torch.save(state, f"{path}.partial")
        os.replace(f"{path}.partial", path)

    def load_state(self, path, branch):
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        if not (branch and self.args.fresh):
            for optimizer, saved in zip(self.optimizers, state["optimizers"]):
                optimizer.load_state_dict(saved)
        self.counters = {**state["counters"], **({"step": 0, "elapsedMs": 0.0} if branch else {})}


DATA = {}


def open_rows(folder, seed, device):
    """A plan's runs share their data."""
    return DATA.setdefault((folder, seed), PackedRows(folder, seed, device))


def train(args):
    started = time.monotonic()
    run, out = Run(args), Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    state = Path(args.state or args.out) / "state.pt"
    state.parent.mkdir(parents=True, exist_ok=True)
    if args.resume and state.exists():
        if not args.tokens:
            raise SystemExit("a schedule that follows the clock cannot be resumed; give --tokens")
        run.load_state(state, branch=False)
    elif args.branch_from:
        run.load_state(Path(args.branch_from) / "state.pt", branch=True)
    began = {key: value.clone() for key, value in run.model.state_dict().items()} if args.mean else None
    at, ends = run.counters, started + args.minutes * 60
    before, saved, marked = at["elapsedMs"], started, (started, at["step"])
    log = (out / "log.jsonl").open("a", buffering=1)

    def write(line):
        line = {key: float(value) if isinstance(value, torch.Tensor) else value for key, value in line.items()}
        log.write(json.dumps(line) + "\n")
        print(out, json.dumps(line), flush=True)

    # A clock that follows the time starts after the first step, which compiles.
    now, clock_starts, figures = started, None, {}
    while True:
        if run.steps:
            done = at["step"] / run.steps
        else:
            done = (now - clock_starts) / max(1e-9, ends - clock_starts) if clock_starts else 0
        if done >= 1 or (now >= ends and figures):
            break
        figures = run.step(done)
        if clock_starts is None or at["step"] % args.log_every == 0:
            figures = {key: float(value) for key, value in figures.items()}  # waits for the device
        now = time.monotonic()
        if clock_starts is None:
            clock_starts, marked = now, (now, at["step"])
        at["elapsedMs"] = before + (now - started) * 1000
        place = {"step": at["step"], "tokens": at["rowsSeen"] * run.data.length}
        if at["step"] % args.log_every == 0:
            rate = (at["step"] - marked[1]) * args.rows * run.data.length / max(1e-9, now - marked[0])
            marked = (now, at["step"])
            write({"type": "step", **place, "flops": at["flops"], **figures, "tokensPerSecond": round(rate), "elapsedMs": round(at["elapsedMs"])})
        if run.held_out and at["step"] % args.eval_every == 0:
            write({"type": "eval", **place, **run.evaluate()})
        if now - saved > args.save_minutes * 60:
            saved = now
            run.save_state(state)
    place = {"step": at["step"], "tokens": at["rowsSeen"] * run.data.length}
    write({"type": "end", **place, "flops": at["flops"], **figures, **(run.evaluate() if run.held_out else {}), "elapsedMs": round(at["elapsedMs"])})
    run.save_state(state)
    if began:
        run.model.load_state_dict({key: (value + began[key]) / 2 for key, value in run.model.state_dict().items()})
        write({"type": "mean", **place, **(run.evaluate() if run.held_out else {})})
    write_model(run.model, out / "model", args.shard_megabytes, sorted(Path(args.data).glob("tokenizer*.json")))
    unfinished = run.steps and at["step"] < run.steps
    print(f"{out}: stopped at step {at['step']}" + (f" of {run.steps}; go on with --resume" if unfinished else ""), flush=True)


def main():
    torch.set_float32_matmul_precision("high")
    torch._dynamo.config.recompile_limit = 64  # a graph for each rule of sight, with and without gradients
    parser = create_parser()
    args = parser.parse_args()
    if not args.plan:
        return train(checked(parser, args))
    started = time.monotonic()
    for words in json.loads(Path(args.plan).read_text()):
        part = parser.parse_args(shlex.split(words) if isinstance(words, str) else words)
        part.minutes = part.until - (time.monotonic() - started) / 60
        train(checked(parser, part))


def checked(parser, args):
    if args.mean and args.resume:
        parser.error("--mean needs the weights of the start, which --resume does not have")
    missing = [name for name in ("config", "data", "out", "loss") if not getattr(args, name)]
    if missing or not (args.tokens or args.minutes < 1e9):
        parser.error(f"needed: {', '.join('--' + name for name in missing) or '--tokens, or --minutes'}")
    return args


def create_parser():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--plan", help="JSON list of argument lists, run one after the other")
    add("--until", type=float, default=1e9, help="minute of the plan at which this run ends")
    add("--config", help="model description as JSON")
    add("--data", help="packed rows to train on")
    add("--held-out", help="packed rows to evaluate on")
    add("--out")
    add("--state", help="where state.pt goes, if not into --out")
    add("--loss", choices=["ar", "diffusion"])
    add("--from", dest="branch_from", help="folder with the state.pt of the run to branch from")
    add("--fresh", action="store_true", help="of --from take the weights alone, not what the optimisers remember")
    add("--init", help="model folder to start from")
    add("--resume", action="store_true")
    add("--tokens", type=float, help="length of this run, for its schedule")
    add("--minutes", type=float, default=1e9, help="stop after so many; without --tokens the length of the schedule")
    add("--rows", type=int, default=64, help="rows of a step")
    add("--micro-rows", type=int, default=64, help="rows of a forward")
    add("--learning-rate", type=float, default=2e-3)
    add("--muon-learning-rate", type=float, help="of the matrices under Muon (default: the same)")
    add("--warmup", type=int, default=100, help="steps")
    add("--decay", type=float, default=0.3, help="share of the run")
    add("--optimizer", choices=["adamw", "muon"], default="muon")
    add("--weight-decay", type=float, default=0.1)
    add("--clip", type=float, default=1.0)
    add("--block-lengths", default="4,8,8,16", help="one is drawn for each step")
    add("--own-rate", type=float, default=0.0, help="share of blocks that become the model's own continuation")
    add("--own-rounds", type=int, default=7, help="at most so many tokens of such a block are exact")
    add("--mean", action="store_true", help="the model written is the mean of the weights at the start and at the end (2203.05482); not with --resume")
    add("--ar-weight", type=float, default=1.0, help="of the next-token loss in causalContext")
    add("--bf16", action=argparse.BooleanOptionalAction, default=torch.cuda.is_available())
    add("--compile", action="store_true")
    add("--log-every", type=int, default=10, help="steps")
    add("--eval-every", type=int, default=200, help="steps")
    add("--eval-rows", type=int, default=256)
    add("--save-minutes", type=float, default=3)
    add("--shard-megabytes", type=float, default=15)
    add("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
