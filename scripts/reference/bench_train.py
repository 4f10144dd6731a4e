"""Speed yardstick: the 6M model trained in eager PyTorch on the CPU, and the matrix-product rate of the machine.

python3 scripts/reference/bench_train.py --threads 2 --seconds 30 [--compile] [--gemm] [--json]

One step is 4 micro-batches of 4 x 256 tokens, next-token loss, clipping and AdamW, fp32. FLOPs count the
matrix products only: 6 per weight and token, and the visible half of the causal scores.
"""

import argparse
import json
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F

from model import Transformer

CONFIG = {
    "layout": "causal", "width": 256, "layers": 8, "heads": 4, "kvHeads": 2, "headDim": 64, "ffnWidth": 640,
    "vocabSize": 4096, "tiedHead": True, "normEps": 1e-6, "ropeTheta": 10000,
}  # fmt: skip
MICRO, ROWS, LENGTH = 4, 4, 256
# glibc hands every large tensor back to the kernel and faults its pages in again; keeping them is 10-15 % faster.
KEEP_PAGES = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}


def causal_attention(q, k, v, _mask):
    """`enable_gqa` instead of expanded heads came out no faster; one fused QKV and gate-up product 10-15 % slower."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def flops_per_token(model):
    c = model.config
    weights = sum(p.numel() for p in model.parameters() if p.ndim == 2)  # the tied embedding is the head
    return 6 * weights + 6 * c["layers"] * c["heads"] * c["headDim"] * LENGTH


def train_rate(seconds, compile_model):
    """-> {tokensPerSecond (median over steps), bestTokensPerSecond, steps, gflops, flopsPerToken}."""
    torch.manual_seed(0)
    model = Transformer(CONFIG, causal_attention)
    for p in model.parameters():
        if p.ndim == 2:
            torch.nn.init.normal_(p, std=0.02)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    positions = torch.arange(LENGTH)

    def loss_of(ids):  # [B,T+1]
        logits = model.head(model.hidden(ids[:, :-1], positions, None))  # [B,T,V]
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())

    forward = torch.compile(loss_of) if compile_model else loss_of
    data = torch.randint(0, CONFIG["vocabSize"], (MICRO, ROWS, LENGTH + 1))

    def step():
        for ids in data:
            (forward(ids) / MICRO).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    step()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    tokens = MICRO * ROWS * LENGTH
    rate = tokens / statistics.median(times)
    gflops = rate * flops_per_token(model) / 1e9
    return {
        "tokensPerSecond": round(rate), "bestTokensPerSecond": round(tokens / min(times)), "steps": len(times),
        "gflops": round(gflops, 1), "flopsPerToken": flops_per_token(model),
    }  # fmt: skip


def gemm_rate(m, k, n, seconds=1.0):
    """GFLOPS of [m,k] x [k,n] in fp32: median and best of as many runs as fit in `seconds`."""
    a, b = torch.randn(m, k), torch.randn(k, n)
    out = a @ b
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.mm(a, b, out=out)
        times.append(time.perf_counter() - start)
    flops = 2e-9 * m * k * n
    return {"median": round(flops / statistics.median(times), 1), "best": round(flops / min(times), 1)}


def gemm_rates():
    """The machine's roof and the model's shapes at one micro-batch (1024 rows)."""
    D, F_, V, M = CONFIG["width"], CONFIG["ffnWidth"], CONFIG["vocabSize"], ROWS * LENGTH
    shapes = {"square": (1024, 1024, 1024), "qkv": (M, D, D + 128), "gateUp": (M, D, 2 * F_), "down": (M, F_, D), "head": (M, D, V)}
    return {name: {"shape": shape, **gemm_rate(*shape)} for name, shape in shapes.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--compile", action="store_true", help="torch.compile the loss (needs a C++ compiler)")
    parser.add_argument("--gemm", action="store_true", help="measure matrix products too")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    report = {"torch": torch.__version__, "threads": args.threads, "compiled": args.compile, **train_rate(args.seconds, args.compile)}
    if args.gemm:
        report["gemmGflops"] = gemm_rates()
    print(json.dumps(report) if args.json else json.dumps(report, indent=2))


if __name__ == "__main__":
    if not KEEP_PAGES.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_PAGES})
    main()
