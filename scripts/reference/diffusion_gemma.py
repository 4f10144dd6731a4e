"""Writes fixtures/checkpoints/diffusion-gemma: a tiny DiffusionGemma with random weights in the published layout, and what
the official code computes from it in float32.

pip install torch==2.13.0 transformers==5.18.0
python3 scripts/reference/diffusion_gemma.py      (rerunning gives the same numbers)

The official sampler is nothing but draws. Here `torch.randint` and `torch.multinomial` of its loop take the numbers of
src/rng.ts, which depend on seed, position and step alone, so that a transcript is a function of its seed on both sides.
Mode `argmax` has the best token in place of the draw, and the same noise. Prompts are redrawn until no choice hangs by
rounding (`gaps`).
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.models.diffusion_gemma import generation_diffusion_gemma as official

OUT = Path(__file__).parents[2] / "fixtures/checkpoints/diffusion-gemma"
V, B, WINDOW = 96, 8, 6
TOKENS = {"mask": None, "eos": [1, 94], "pad": 0, "bos": 2}
# The nearest that a token, a draw, an acceptance, an end of a block or an expert may come to its alternative.
LEAST = {"token": 1e-4, "draw": 1e-5, "bound": 2e-5, "confidence": 2e-5, "router": 1e-5}
WORD = 0xFFFFFFFF


def stream(seed, *labels):
    """`createRng` of src/rng.ts: sfc32, seeded with FNV-1a over the labels."""
    key = 2166136261
    for char in "\0".join(map(str, labels)):
        key = ((key ^ ord(char)) * 16777619) & WORD
    a, b, c, d = seed & WORD, seed >> 32, key, 1
    turns = 0
    while True:
        t = (a + b + d) & WORD
        d = (d + 1) & WORD
        a = b ^ (b >> 9)
        b = (c + (c << 3)) & WORD
        c = (((c << 21) | (c >> 11)) + t) & WORD
        turns += 1
        if turns > 15:
            yield t / 4294967296


def integer(n, seed, *labels):
    return int(next(stream(seed, *labels)) * n)


def tiny():
    vision = {
        "model_type": "gemma4_vision", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "patch_size": 2, "position_embedding_size": 4,
    }  # fmt: skip
    text = {
        "vocab_size": V, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 16, "global_head_dim": 32, "num_global_key_value_heads": 1,
        "sliding_window": WINDOW, "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 24,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
        "max_position_embeddings": 256, "use_bidirectional_attention": "vision", "pad_token_id": 0, "bos_token_id": 2,
        "eos_token_id": 1,
    }  # fmt: skip
    config = DiffusionGemmaConfig(
        text_config=text, vision_config=vision, canvas_length=B,
        image_token_id=93, boi_token_id=91, eoi_token_id=92, dtype="float32",
    )  # fmt: skip
    torch.manual_seed(5)
    model = DiffusionGemmaForBlockDiffusion(config).eval()
    rng = torch.Generator().manual_seed(17)
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *model.named_buffers()]:
            if "inv_freq" in name or "embed_scale" in name or p.dtype != torch.float32:
                continue
            # Softer than their size would make it: scores are not divided by anything, and rounding must stay small.
            scale = 0.5 if "q_norm" in name or "k_norm" in name else 1
            if p.ndim <= 1:
                p.copy_(scale * (0.8 + 0.4 * torch.rand(p.shape, generator=rng)))
            elif "embed_tokens" in name:
                p.copy_(torch.randn(p.shape, generator=rng))
            else:
                p.copy_(torch.randn(p.shape, generator=rng) * p.shape[-1] ** -0.5)
    model.generation_config = official.DiffusionGemmaGenerationConfig(
        **official.DiffusionGemmaGenerationConfig._get_default_generation_params(),
        eos_token_id=TOKENS["eos"], pad_token_id=0, bos_token_id=2,
    )  # fmt: skip
    return model


class Near:
    """The nearest misses of a run."""

    def __init__(self):
        self.gaps = dict.fromkeys(LEAST, float("inf"))

    def see(self, name, distances):
        if distances.numel() > 0:
            self.gaps[name] = min(self.gaps[name], distances.abs().min().item())

    def routers(self, model):
        def hook(module, inputs, outputs):
            top = outputs[0].sort(dim=-1, descending=True).values
            k = module.config.top_k_experts
            self.see("router", top[:, k - 1] - top[:, k])

        return [m.register_forward_hook(hook) for m in model.modules() if type(m).__name__.endswith("TextRouter")]

    def is_clear(self):
        return all(self.gaps[name] > least for name, least in LEAST.items())


def transcript(model, prompt, seed, mode, **args):
    """One run of the official `generate`, its draws replaced; None where a choice is too near."""
    near = Near()
    hooks = near.routers(model)
    at = {"start": len(prompt), "step": 0}
    canvases, kinds, lens = [], [], []
    text = list(prompt)

    def noise():
        ids = [integer(V, seed, "noise", at["start"] + i, at["step"]) for i in range(B)]
        return torch.tensor([ids])

    class Sampler(official.EntropyBoundSampler):
        def initialize_canvas(self, batch_size, device):
            return noise()

        def accept_canvas(self, current, drawn, logits, cur_step):
            entropy = torch.distributions.Categorical(logits=logits).entropy().sort(dim=-1).values
            near.see("bound", (entropy.cumsum(-1) - entropy)[:, 1:] - self.entropy_bound)
            near.see("confidence", entropy.mean(-1) - args["confidence_threshold"])
            accepted = super().accept_canvas(current, drawn, logits, cur_step)
            at["step"] += 1
            shown = torch.where(self.accepted_token_mask, accepted, -1)
            canvases.append(text + shown[0].tolist())
            return accepted

    def multinomial(probabilities, num_samples):
        top = probabilities.topk(2, dim=-1).values.log()
        near.see("token", top[:, 0] - top[:, 1])
        if mode == "argmax":
            return probabilities.argmax(-1, keepdim=True)
        u = [integer(2**24, seed, "sample", at["start"] + i, at["step"]) / 2**24 for i in range(B)]
        u = torch.tensor(u)[:, None]
        cumulative = probabilities.cumsum(-1)
        near.see("draw", cumulative - u)
        return (cumulative <= u).sum(-1, keepdim=True).clamp(max=V - 1)

    def denoiser_inputs(**kwargs):
        at["step"] = 0
        return plain_inputs(**kwargs)

    def denoising_step(**kwargs):
        kinds.append("denoise")
        lens.append(B)
        result = plain_step(**kwargs)
        # The last step of a block leaves the best tokens.
        if result[3].all() or kwargs["cur_step"] == 1:
            canvases[-1] = text + result[1][0].tolist()
            text.extend(result[1][0].tolist())
            at["start"] += B
        return result

    plain_inputs, plain_step = model._prepare_denoiser_inputs, model._denoising_step
    plain_multinomial, plain_sampler = torch.multinomial, official.EntropyBoundSampler
    encoder = model.model.encoder
    forward = encoder.forward

    def encoded(*a, **kwargs):
        kinds.append("store" if kinds else "prefill")
        lens.append(kwargs["input_ids"].shape[1])
        return forward(*a, **kwargs)

    try:
        encoder.forward = encoded
        model._prepare_denoiser_inputs, model._denoising_step = denoiser_inputs, denoising_step
        torch.multinomial, official.EntropyBoundSampler = multinomial, Sampler
        bound = official.EntropyBoundSamplerConfig(entropy_bound=args["entropy_bound"])
        options = {k: v for k, v in args.items() if k != "entropy_bound"}
        out = model.generate(torch.tensor([prompt]), sampler_config=bound, **options)
    finally:
        del encoder.forward, model._prepare_denoiser_inputs, model._denoising_step
        torch.multinomial, official.EntropyBoundSampler = plain_multinomial, plain_sampler
        for hook in hooks:
            hook.remove()
    if not near.is_clear():
        return None
    return {
        "sampler": "diffusion_gemma.generate", "mode": mode, "args": {**args, "seed": seed}, "prompt": prompt,
        "canvases": canvases, "forwards": len(kinds), "forwardKinds": kinds, "forwardLens": lens,
        "final": out.sequences[0].tolist(),
        "gaps": {k: float(f"{v:.3g}") for k, v in near.gaps.items() if v < float("inf")},
    }  # fmt: skip


def redrawn(model, length, seed, mode, **args):
    """The first of many prompts, and seeds, that is clear."""
    args = {
        "max_new_tokens": 2 * B, "max_denoising_steps": 6, "entropy_bound": 0.1, "t_min": 0.4, "t_max": 0.8,
        "stability_threshold": 1, "confidence_threshold": 0.005, "eos_token_id": TOKENS["eos"], "pad_token_id": 0, **args,
    }  # fmt: skip
    for attempt in range(200):
        prompt = [2] + [3 + integer(88, seed, "prompt", attempt, i) for i in range(length - 1)]
        found = transcript(model, prompt, seed + 1000 * attempt, mode, **args)
        if found:
            return found
    sys.exit(f"no clear prompt: length {length}, seed {seed}, {args}")


def forwards(model):
    """Logits of first and later steps, [T, V] with zeros where the official code computes none."""
    golden, tensors = [], {}
    rng = torch.Generator().manual_seed(23)
    ids = lambda n: torch.randint(3, 90, (1, n), generator=rng)  # noqa: E731
    for P in [1, 4, WINDOW, 13, 40]:
        prompt, canvas = ids(P), ids(B)
        before = None
        for temperature in [None, 0.7, 0.4]:
            conditioning = None if before is None else before / temperature
            with torch.no_grad():
                logits = model(
                    input_ids=prompt, decoder_input_ids=canvas, self_conditioning_logits=conditioning
                ).logits
            key = f"fwd{len(golden)}"
            tensors[key] = torch.cat([torch.zeros(P, V), logits[0]]).contiguous()
            golden.append(
                {
                    "input_ids": torch.cat([prompt, canvas], 1)[0].tolist(),
                    "attention": {"type": "anchored", "clean": P},
                    "compareRows": list(range(P, P + B)),
                    "logits": key,
                }
            )
            if before is not None:
                golden[-1]["conditionedOn"] = {"forward": len(golden) - 2, "temperature": temperature}
            before, canvas = logits, ids(B)
    return golden, tensors


def main():
    torch.set_num_threads(1)
    model = tiny()
    model.save_pretrained(OUT)
    golden, tensors = forwards(model)
    save_file(tensors, OUT / "golden.safetensors")
    runs = []
    early = {"entropy_bound": 2.0, "t_max": 0.4, "t_min": 0.2, "confidence_threshold": 0.5, "max_denoising_steps": 12}
    for mode in ["draws", "argmax"]:
        for length in [1, 2, WINDOW - 1, WINDOW, B + 1, 21]:
            runs.append(redrawn(model, length, 100 + len(runs), mode))
        runs += [
            redrawn(model, 5, 131, mode, max_new_tokens=13, max_denoising_steps=4),
            redrawn(model, 9, 132, mode, max_denoising_steps=1),
            redrawn(model, 9, 133, mode, entropy_bound=2.0),
            # Ends before the last step, by the best tokens of one, two and no steps before.
            redrawn(model, 7, 134, mode, **early),
            redrawn(model, 7, 135, mode, **early, stability_threshold=2),
            redrawn(model, 3, 136, mode, **early, stability_threshold=0),
            redrawn(model, 4, 137, mode, t_min=0.2, t_max=1.5, max_new_tokens=3 * B),
        ]
        # An end of text in the first block, and one at its very beginning.
        plain = redrawn(model, 6, 138, mode)
        for at in [3, 0]:
            args = {**plain["args"], "eos_token_id": [plain["final"][6 + at]]}
            ended = transcript(model, plain["prompt"], args.pop("seed"), mode, **args)
            if ended:
                runs.append(ended)
    with open(OUT / "golden.json", "w") as file:
        head = {
            "family": "diffusion-gemma",
            "source": {
                "repo": "huggingface/transformers", "version": transformers.__version__, "licence": "Apache-2.0",
                "files": [f"src/transformers/models/diffusion_gemma/{n}_diffusion_gemma.py" for n in ["modeling", "generation"]],
            },
            "versions": {"python": sys.version.split()[0], "torch": torch.__version__},
            "tokens": TOKENS,
            "tokenNote": "ids remapped; image tokens 91 to 93",
            "note": "draws are those of src/rng.ts; canvases hold -1 where the next forward sees new noise",
            "logitShift": "none",
            "forward": golden,
        }  # fmt: skip
        text = json.dumps(head, separators=(",", ":"))[:-1]
        lines = ",\n".join(json.dumps(run, separators=(",", ":")) for run in runs)
        file.write(f'{text},"transcripts":[\n{lines}\n]}}\n')
    steps = [len(run["canvases"]) for run in runs]
    print(f"{len(golden)} forwards, {len(runs)} transcripts, denoising forwards {steps}")


main()
