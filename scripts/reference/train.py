"""Trains the native model on a GPU (or, slowly, a CPU): the same losses and schedule as the TypeScript trainer.

A pair takes three runs: a shared autoregressive one without decay, and two branches from its state.

  python3 train.py --config code.json --data DIR --out OUT/shared --loss ar --tokens 300e6 --decay 0
  python3 train.py ... --out OUT/ar   --loss ar        --from OUT/shared --tokens 600e6
  python3 train.py ... --out OUT/code --loss diffusion --from OUT/shared --tokens 600e6

--config is the `model` part of a training configuration (src/train/config.ts) as JSON, --data a folder written by
pack.ts, which also gives vocabulary and tokenizer. A run stops after
--minutes with everything needed to go on; --resume goes on, and ends exactly where an unstopped run would.
In --out: log.jsonl, state.pt, and the model as a Hugging Face folder (fp16).
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from folders import write_model
from model import Transformer, ar_loss, ar_targets, block_loss
from optimizers import create_optimizers

PADDING = 65535  # in tokens.bin
BLOCK_LENGTHS = (1, 4, 8, 16, 32)
EVAL_BLOCK_LENGTH = 8


# Data


class PackedRows:
    """Rows of packed documents. Which rows a step sees follows from their number alone, so resuming needs no state."""

    def __init__(self, folder, seed):
        self.meta = meta = json.loads((Path(folder) / "meta.json").read_text())
        shape = meta["rows"], meta["length"]
        self.length, self.seed = meta["length"], seed
        self.tokens = np.fromfile(Path(folder) / "tokens.bin", "<u2").reshape(shape)  # [N,T]
        bits = np.unpackbits(np.fromfile(Path(folder) / "starts.bin", np.uint8), count=self.tokens.size, bitorder="little")
        self.starts = bits.reshape(shape)  # [N,T] 1 where a document starts

    def take(self, first, count, device):
        """The rows number first .. first + count - 1 of an endless, reshuffled series -> ids, segments [B,T]."""
        total = len(self.tokens)
        rows = [self.order(n // total)[n % total] for n in range(first, first + count)]
        tokens = torch.from_numpy(self.tokens[rows].astype(np.int64))
        padding = tokens == PADDING
        segments = torch.from_numpy(self.starts[rows].astype(np.int64)).cumsum(1).masked_fill(padding, -1)
        return tokens.masked_fill(padding, 0).to(device), segments.to(device)

    def order(self, epoch):
        if getattr(self, "epoch", None) != epoch:
            self.epoch, self.permutation = epoch, np.random.default_rng((self.seed, epoch)).permutation(len(self.tokens))
        return self.permutation


def blocks_of(segments, length, phase):
    """Blocks of `length` from `phase` tokens before each document's start; the first one is shorter. [B,T] -> [B,T]."""
    at = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    starts = torch.ones_like(segments, dtype=torch.bool)
    starts[:, 1:] = segments[:, 1:] != segments[:, :-1]
    offset = at - torch.where(starts, at, 0).cummax(1).values  # place in the document
    return (starts | ((offset + phase) % length == 0)).cumsum(1) - 1


def corrupt(ids, segments, blocks, mask_id, rng):
    """Masks k of a block's n tokens, k uniform in 1..n, weight n/k -> noisy, masked, weights [B,T].

    This is the NELBO of the linear schedule with its time integrated out (LLaDA, arXiv:2502.09992, eq. 14). The draws
    of k are stratified over all blocks of the batch.
    """
    flat = (blocks + torch.arange(len(blocks), device=ids.device)[:, None] * (ids.shape[1] + 1)).flatten()  # [B*T]
    _, block, size = flat.unique_consecutive(return_inverse=True, return_counts=True)  # block of a token, size of a block
    count = len(size)
    strata = (torch.arange(count, device=ids.device) + torch.rand(count, device=ids.device, generator=rng)) / count
    uniform = strata[torch.randperm(count, device=ids.device, generator=rng)]
    k = (uniform * size).long().clamp(max=size - 1) + 1  # masked tokens of a block
    # Sorting by block, then at random, leaves every block in its place: rank inside the block = place - start.
    noise = torch.rand(len(flat), device=ids.device, generator=rng, dtype=torch.float64)
    order = (block + noise).argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(flat), device=ids.device) - (size.cumsum(0) - size)[block]
    masked = (rank < k[block]).view_as(ids) & (segments >= 0)
    weights = (size / k)[block].view_as(ids) * masked
    return ids.masked_fill(masked, mask_id), masked, weights


# Steps


def fused_attention(q, k, v, mask):
    """Expanded heads: the kernels that take a mask know no grouped queries."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None])


def schedule(step, steps, warmup, decay):
    """Warm-up, stable, linear decay to 0 over the last share `decay` -> factor of the learning rate."""
    tail = decay * steps
    return min(1, (step + 1) / max(1, warmup), (steps - step) / tail if tail else 1)


def diffusion_loss(model, ids, segments, block_length, phase, ar_weight, rng):
    blocks = blocks_of(segments, block_length, phase)
    noisy, masked, weights = corrupt(ids, segments, blocks, model.config["tokens"]["mask"], rng)
    eligible = (segments >= 0).sum()
    return block_loss(model, ids, noisy, segments, blocks, masked, weights, eligible, model.config["layout"], ar_weight)


def flops_of(config, parts, rows, length):
    """Matrix products of forward and backward: body and visible scores once per stream, head once per loss row."""
    streams = 1 + (parts["diffusionLoss"] is not None)
    D, F_, heads, kv = config["width"], config["ffnWidth"], config["heads"] * config["headDim"], config["kvHeads"] * config["headDim"]
    layer = D * (2 * heads + 2 * kv + 3 * F_)
    body = config["layers"] * (6 * layer + 6 * heads * length) * rows * length * streams
    return body + 6 * D * config["vocabSize"] * parts["lossRows"]


class Run:
    """Model, optimisers and counters of one run, and how to take a step with them."""

    def __init__(self, args):
        self.args, self.device = args, torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.data = PackedRows(args.data, args.seed)
        self.held_out = PackedRows(args.held_out, 0) if args.held_out else None
        config = json.loads(Path(args.config).read_text())
        config |= {key: self.data.meta[key] for key in ("vocabSize", "tokens")}
        config["layout"] = "causal" if args.loss == "ar" else config["layout"]
        torch.manual_seed(args.seed)
        self.model = Transformer(config, fused_attention).to(self.device)
        for p in self.model.parameters():
            if p.ndim == 2:
                torch.nn.init.normal_(p, std=0.02)
        if args.compile:
            self.model.hidden = torch.compile(self.model.hidden)
        self.optimizers = create_optimizers(self.model, args.optimizer, args.weight_decay)
        self.steps = max(1, round(args.tokens / (args.rows * self.data.length)))
        # rowsSeen and flops go on through branches; step and elapsedMs belong to this run.
        self.counters = {"step": 0, "rowsSeen": 0, "flops": 0.0, "elapsedMs": 0.0}

    def losses(self, ids, segments, step, rng):
        """-> loss, parts (tensors, or None where a loss has no such part)."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.bf16):
            if self.args.loss == "ar":
                loss, out = ar_loss(self.model, ids, segments)
                return loss, {"arLoss": loss, "diffusionLoss": None, "lossRows": len(out["logits"])}
            draw = np.random.default_rng((self.args.seed, step))  # one block length for all of a batch
            block_length = int(draw.choice(BLOCK_LENGTHS))
            phase = int(draw.integers(block_length)) if self.model.config["layout"] == "causalContext" else 0
            loss, out = diffusion_loss(self.model, ids, segments, block_length, phase, self.args.ar_weight, rng)
            rows = len(out["logits"]) + len(out.get("cleanLogits", ()))
            return loss, {"arLoss": out.get("arLoss"), "diffusionLoss": out["diffusionLoss"], "lossRows": rows}

    def step(self):
        """One optimiser step -> the log line's figures."""
        args, at = self.args, self.counters
        rng = torch.Generator(self.device).manual_seed(args.seed * 1_000_003 + at["step"])
        rate = args.learning_rate * schedule(at["step"], self.steps, args.warmup, args.decay)
        ids, segments = self.data.take(at["rowsSeen"], args.rows, self.device)
        sums = {"lossNats": 0.0, "arNats": 0.0, "diffusionNats": 0.0}
        for part_ids, part_segments in zip(ids.split(args.micro_rows), segments.split(args.micro_rows)):
            loss, parts = self.losses(part_ids, part_segments, at["step"], rng)
            share = len(part_ids) / args.rows
            (loss * share).backward()
            for key, value in [("lossNats", loss), ("arNats", parts["arLoss"]), ("diffusionNats", parts["diffusionLoss"])]:
                sums[key] += value.detach() * share if value is not None else 0
            at["flops"] += flops_of(self.model.config, parts, len(part_ids), self.data.length)
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), args.clip)
        if not torch.isfinite(norm):
            raise SystemExit(f"step {at['step']}: the gradient is not finite; state.pt holds the last good weights. Try a lower --learning-rate.")
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        at["step"] += 1
        at["rowsSeen"] += args.rows
        sums = {key: float(value) for key, value in sums.items() if key == "lossNats" or self.args.loss == "diffusion"}
        return {**sums, "learningRate": rate, "gradNorm": float(norm)}

    @torch.no_grad()
    def evaluate(self):
        """Held-out nats a token, over at most --eval-rows rows: exact for `ar`, one draw of the bound at block length 8."""
        sums, count, rng = {"arNats": 0.0, "diffusionNats": 0.0}, 0, torch.Generator(self.device).manual_seed(0)
        total = min(self.args.eval_rows, len(self.held_out.tokens))
        for first in range(0, total, self.args.micro_rows):
            ids, segments = self.held_out.take(first, min(self.args.micro_rows, total - first), self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.bf16):
                if self.args.loss == "ar":
                    out = {"arLoss": ar_loss(self.model, ids, segments)[0]}
                else:
                    out = diffusion_loss(self.model, ids, segments, EVAL_BLOCK_LENGTH, 0, 1.0, rng)[1]
            n = int(ar_targets(segments).sum())
            count += n
            for key in sums:
                sums[key] += float(out.get(key.replace("Nats", "Loss"), 0)) * n
        return {key: value / count for key, value in sums.items() if value}

    # Files. Whatever replaces an older file is complete before it takes the name.

    def save_state(self, path):
        state = {"model": self.model.state_dict(), "optimizers": [o.state_dict() for o in self.optimizers], "counters": self.counters}
        torch.save(state, f"{path}.partial")
        os.replace(f"{path}.partial", path)

    def load_state(self, path, branch):
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)
        self.counters = {**state["counters"], **({"step": 0, "elapsedMs": 0.0} if branch else {})}


def train(args):
    run, out = Run(args), Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    state = Path(args.state or args.out) / "state.pt"
    state.parent.mkdir(parents=True, exist_ok=True)
    if args.resume and state.exists():
        run.load_state(state, branch=False)
    elif args.branch_from:
        run.load_state(Path(args.branch_from) / "state.pt", branch=True)
    at, started = run.counters, time.monotonic()
    before, saved, marked = at["elapsedMs"], started, (started, at["step"])
    log = (out / "log.jsonl").open("a", buffering=1)

    def write(line):
        log.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)

    while at["step"] < run.steps and time.monotonic() - started < args.minutes * 60:
        figures = run.step()
        now = time.monotonic()
        at["elapsedMs"] = before + (now - started) * 1000
        tokens = at["rowsSeen"] * run.data.length
        place = {"step": at["step"], "tokens": tokens}
        if at["step"] % args.log_every == 0 or at["step"] == run.steps:
            rate = (at["step"] - marked[1]) * args.rows * run.data.length / (now - marked[0])
            marked = (now, at["step"])
            write({"type": "step", **place, "flops": at["flops"], **figures, "tokensPerSecond": round(rate), "elapsedMs": round(at["elapsedMs"])})
        if run.held_out and (at["step"] % args.eval_every == 0 or at["step"] == run.steps):
            write({"type": "eval", **place, **run.evaluate()})
        if now - saved > args.save_minutes * 60:
            saved = now
            run.save_state(state)
    run.save_state(state)
    write_model(run.model, out / "model", args.shard_megabytes, sorted(Path(args.data).glob("tokenizer*.json")))
    print(f"stopped at step {at['step']} of {run.steps}" + ("" if at["step"] >= run.steps else "; go on with --resume"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--config", required=True, help="model description as JSON")
    add("--data", required=True, help="packed rows to train on")
    add("--held-out", help="packed rows to evaluate on")
    add("--out", required=True)
    add("--state", help="where state.pt goes, if not into --out")
    add("--loss", choices=["ar", "diffusion"], required=True)
    add("--from", dest="branch_from", help="folder with the state.pt of the run to branch from")
    add("--resume", action="store_true")
    add("--tokens", type=float, required=True, help="length of this run, for its schedule")
    add("--minutes", type=float, default=1e9, help="stop earlier, to be resumed")
    add("--rows", type=int, default=256, help="rows of a step")
    add("--micro-rows", type=int, default=64, help="rows of a forward")
    add("--learning-rate", type=float, default=2e-3)
    add("--warmup", type=int, default=100, help="steps")
    add("--decay", type=float, default=0.3, help="share of the run")
    add("--optimizer", choices=["adamw", "muon"], default="muon")
    add("--weight-decay", type=float, default=0.1)
    add("--clip", type=float, default=1.0)
    add("--ar-weight", type=float, default=1.0, help="of the next-token loss in causalContext")
    add("--bf16", action=argparse.BooleanOptionalAction, default=torch.cuda.is_available())
    add("--compile", action="store_true")
    add("--log-every", type=int, default=10, help="steps")
    add("--eval-every", type=int, default=200, help="steps")
    add("--eval-rows", type=int, default=512)
    add("--save-minutes", type=float, default=3)
    add("--shard-megabytes", type=float, default=15)
    add("--seed", type=int, default=1)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
