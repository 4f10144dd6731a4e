"""Writes fixtures/reference/*.{json,safetensors}: losses, logits and gradients that TypeScript must reproduce.

python3 scripts/reference/make_goldens.py      (rerunning gives the same bytes)

Parameters and inputs are drawn in float32. Expected values come from a float64 run, rounded once to float32;
the loss of a float32 run stands beside it to show what rounding alone costs.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from model import Transformer, ar_loss, block_loss, mdlm_loss

OUT = Path(__file__).parents[2] / "fixtures/reference"
B, T, V, MASK, PAD = 2, 24, 61, 60, 0


def config(layout, tied, block):
    return {
        "modelType": "qwen3" if layout == "causal" else "tintype",
        "layout": layout, "width": 32, "layers": 2, "heads": 4, "kvHeads": 2, "headDim": 8, "ffnWidth": 48,
        "vocabSize": V, "tiedHead": tied, "normEps": 1e-6, "ropeTheta": 10000, "contextLength": T, "blockLength": block,
        "tokens": {"mask": None if layout == "causal" else MASK, "eos": [1], "pad": PAD, "bos": None},
    }  # fmt: skip


def random_weights(model, rng):
    """Norms 1 ± 0.2; matrices scaled so that attention and logits are far from uniform."""
    for name, p in model.named_parameters():
        if p.ndim == 1:
            p.data = 0.8 + 0.4 * torch.rand(p.shape, generator=rng)
        else:
            p.data = torch.randn(p.shape, generator=rng) * (0.4 if "embed" in name else p.shape[1] ** -0.5)


def rows_of(lengths):
    """Document lengths per row -> segments [B,T], the rest padding."""
    segments = torch.full((B, T), -1)
    for b, row in enumerate(lengths):
        start = 0
        for number, length in enumerate(row):
            segments[b, start : start + length] = number
            start += length
    return segments


def blocks_of(segments, cut):
    """Numbers blocks along each row; a new one starts where a document does, where padding does, and where cut(b, offset)."""
    blocks = torch.zeros_like(segments)
    for b, row in enumerate(segments.tolist()):
        number, offset = 0, 0
        for p in range(1, T):
            offset = offset + 1 if row[p] == row[p - 1] else 0
            number += offset == 0 or cut(b, offset)
            blocks[b, p] = number
    return blocks


def corrupt(ids, eligible, rng):
    """Masks about half of the eligible positions -> noisy ids, masked (bool), weights 1/t in [1,4]; all [B,T]."""
    masked = eligible & (torch.rand(ids.shape, generator=rng) < 0.5)
    weights = torch.where(masked, 1 + 3 * torch.rand(ids.shape, generator=rng), 0.0)
    return ids.masked_fill(masked, MASK), masked, weights


def write(name, description, tensors, outline):
    tensors = {key: t.detach().to(torch.float32 if t.is_floating_point() else torch.int32).contiguous() for key, t in tensors.items()}
    save_file(tensors, OUT / f"{name}.safetensors")
    document = {"name": name, "description": description, **outline}
    (OUT / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")


def loss_golden(name, description, seed, model_config, lengths, make_inputs, loss_of, args):
    """Runs `loss_of(model, inputs)` in float64 and float32 and writes everything it took and gave."""
    rng = torch.Generator().manual_seed(seed)
    model = Transformer(model_config)
    random_weights(model, rng)
    params = {key: p.detach().clone() for key, p in model.named_parameters()}
    segments = rows_of(lengths)
    ids = torch.randint(2, MASK, (B, T), generator=rng).masked_fill(segments < 0, PAD)
    inputs = {"ids": ids, "segments": segments, **make_inputs(ids, segments, rng)}
    loss32, _ = loss_of(model, inputs)
    model.double()
    loss, out = loss_of(model, {key: t.double() if t.is_floating_point() else t for key, t in inputs.items()})
    loss.backward()
    scalars = {key: t.item() for key, t in out.items() if t.ndim == 0}
    tensors = params
    tensors |= {f"input.{key}": t for key, t in inputs.items()}
    tensors |= {f"grad.{key}": p.grad for key, p in model.named_parameters()}
    tensors |= {"expected.loss": loss.reshape(1)} | {f"expected.{key}": t for key, t in out.items() if t.ndim}
    expected = {"loss": loss.item(), "lossFloat32": loss32.item(), **scalars}
    args = {"rows": B, "length": T, **args, "normaliser": normaliser(inputs)}
    write(name, description, tensors, {"config": model_config, "args": args, "expected": expected})


def normaliser(inputs):
    """N of the diffusion losses: eligible tokens, masked or not (`ar` takes the mean over its own rows instead)."""
    return int(inputs["answer"].sum()) if "answer" in inputs else int((inputs["segments"] >= 0).sum())


def diffusion(i):
    return i["ids"], i["noisy"], i["segments"]


def ar():
    def inputs(ids, segments, rng):
        # The first three tokens of each row are a prompt: seen, not predicted.
        return {"answer": (segments >= 0) & (torch.arange(T) >= 3)}

    loss_golden(
        "ar", "Next-token loss, attention causal inside each document, only answer tokens predicted, tied head.",
        1, config("causal", True, 1), [[9, 11], [17, 7]], inputs,
        lambda m, i: ar_loss(m, i["ids"], i["segments"], i["answer"]), {"loss": "ar"},
    )  # fmt: skip


def mdlm():
    def inputs(ids, segments, rng):
        answer = (segments >= 0) & (torch.arange(T) >= 4)
        noisy, masked, weights = corrupt(ids, answer, rng)
        return {"answer": answer, "noisy": noisy, "masked": masked, "weights": weights}

    loss_golden(
        "mdlm", "Masked diffusion over the answer, attention full inside each document, untied head.",
        2, config("full", False, T), [[10, 8], [13, 11]], inputs,
        lambda m, i: mdlm_loss(m, *diffusion(i), i["masked"].bool(), i["weights"], normaliser(i)), {"loss": "mdlm"},
    )  # fmt: skip


def block(name, description, seed, layout, lengths, cut, ar_weight):
    def inputs(ids, segments, rng):
        noisy, masked, weights = corrupt(ids, segments >= 0, rng)
        return {"noisy": noisy, "masked": masked, "weights": weights, "blocks": blocks_of(segments, cut)}

    def loss(m, i):
        return block_loss(m, *diffusion(i), i["blocks"], i["masked"].bool(), i["weights"], normaliser(i), layout, ar_weight)

    args = {"loss": "block", "layout": layout, "arWeight": ar_weight}
    loss_golden(name, description, seed, config(layout, True, 4), lengths, inputs, loss, args)


def adamw():
    """Three clipped AdamW steps: the first two gradients are longer than 1, the third is shorter."""
    rng = torch.Generator().manual_seed(5)
    shapes = {"first.weight": (8, 6), "norm.weight": (6,), "second.weight": (5, 7)}
    params = {key: torch.randn(shape, generator=rng) for key, shape in shapes.items()}
    tensors = {f"before.{key}": p.clone() for key, p in params.items()}
    params = {key: p.double().requires_grad_() for key, p in params.items()}
    matrices, vectors = [p for p in params.values() if p.ndim > 1], [p for p in params.values() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
    rates, norms = [3e-2, 2e-2, 1e-2], []
    for step, (rate, scale) in enumerate(zip(rates, [1.0, 0.3, 0.03])):
        for group in optimizer.param_groups:
            group["lr"] = rate
        for key, p in params.items():
            grad = torch.randn(p.shape, generator=rng) * scale
            tensors[f"grad.{step}.{key}"] = grad
            p.grad = grad.double()
        norms.append(torch.nn.utils.clip_grad_norm_(params.values(), 1.0).item())
        optimizer.step()
        tensors |= {f"after.{step}.{key}": p.detach().clone() for key, p in params.items()}
    args = {
        "learningRates": rates, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weightDecay": 0.1, "decayed": "matrices only",
        "clipNorm": 1.0, "clipRule": "grad *= min(1, clipNorm / (gradNorm + 1e-6))",
    }  # fmt: skip
    write("adamw", "Three steps of torch.optim.AdamW after clip_grad_norm_.", tensors, {"args": args, "expected": {"gradNorms": norms}})


if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    ar()
    mdlm()
    block("block-causal", "Block diffusion in two streams, clean context by blocks of 4, no loss on the clean stream.",
          3, "blockCausal", [[10, 9], [16, 8]], lambda b, offset: offset % 4 == 0, 0.0)  # fmt: skip
    block("causal-context", "Block diffusion in two streams over a causal context, plus next-token loss on the clean stream; blocks of 5 and 3.",
          4, "causalContext", [[11, 6, 4], [24]], lambda b, offset: offset % (5, 3)[b] == 0, 0.7)  # fmt: skip
    adamw()
