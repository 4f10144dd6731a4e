"""Hugging Face folders in and out."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from model import Transformer

# Our ModelConfig's names and config.json's.
KEYS = {
    "width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads",
    "kvHeads": "num_key_value_heads", "headDim": "head_dim", "ffnWidth": "intermediate_size",
    "vocabSize": "vocab_size", "contextLength": "max_position_embeddings", "tiedHead": "tie_word_embeddings",
    "normEps": "rms_norm_eps", "ropeTheta": "rope_theta",
}  # fmt: skip


def load(folder):
    """Folder with one or several safetensors files -> Transformer in float32."""
    folder = Path(folder)
    published = json.loads((folder / "config.json").read_text())
    model = Transformer({fact: published[key] for fact, key in KEYS.items()})
    for file in sorted(folder.glob("model*.safetensors")):
        model.load_state_dict({key: t.float() for key, t in load_file(file).items()}, strict=False)
    return model.eval()


def write_model(model, folder, shard_megabytes, companions=()):
    """config.json, fp16 safetensors (in several files where one would exceed `shard_megabytes`) and copied companions."""
    partial = Path(f"{folder}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shards, size = [{}], 0
    for name, p in model.state_dict().items():
        tensor = p.to("cpu", torch.float16)
        if shards[-1] and size + tensor.nbytes > shard_megabytes * 1e6:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    names = ["model.safetensors"] if len(shards) == 1 else [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    for name, tensors in zip(names, shards):
        save_file(tensors, partial / name, {"format": "pt"})
    if len(shards) > 1:
        places = {key: name for name, tensors in zip(names, shards) for key in tensors}
        total = sum(t.nbytes for tensors in shards for t in tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (partial / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    (partial / "config.json").write_text(json.dumps(published_config(model.config), indent=2) + "\n")
    for file in companions:
        shutil.copy(file, partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def published_config(c):
    """config.json as src/model/families.ts writes it: Qwen3's keys, with what makes it a diffusion model beside them."""
    native = c["layout"] in ("blockCausal", "full")  # a causal context is a Qwen3 model to other engines
    out = {
        "architectures": ["TintypeForMaskedDiffusion" if native else "Qwen3ForCausalLM"],
        "model_type": "tintype" if native else "qwen3",
        **{key: c[fact] for fact, key in KEYS.items()},
        "rope_scaling": None, "hidden_act": "silu", "attention_bias": False, "torch_dtype": "float16",
        "eos_token_id": c["tokens"]["eos"], "pad_token_id": c["tokens"]["pad"], "bos_token_id": c["tokens"]["bos"],
    }  # fmt: skip
    if c["layout"] != "causal":
        out |= {"attention_layout": c["layout"], "mask_token_id": c["tokens"]["mask"]}
    if c["layout"] in ("blockCausal", "causalContext"):
        out["block_length"] = c["blockLength"]
    return {key: value for key, value in out.items() if value is not None or key == "rope_scaling"}
