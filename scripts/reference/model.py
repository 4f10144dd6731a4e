"""The native transformer and its three losses in plain PyTorch: what the TypeScript graphs must reproduce.

Axes: B batch, T positions, S sequence of one forward (T, or 2T for two streams), D width, H heads,
K kv-heads, V vocabulary, M loss rows. Configurations are dicts with the fields of src/model/config.ts.
A segment is the number of a document inside its row; -1 is padding.
"""

import torch
import torch.nn.functional as F
from torch import nn

from sight import causal_rule, dense_mask, full_rule, two_stream_rule


def plain_attention(q, k, v, mask):
    """Softmax attention with an additive bias. q [B,H,S,hd], k and v [B,K,S,hd], mask [B,S,S] bool -> [B,H,S,hd]."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)  # [B,H,S,hd]
    bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, float("-inf"))[:, None]  # [B,1,S,S]
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias  # [B,H,S,S]
    return scores.softmax(-1) @ v


def rope_table(positions, head_dim, theta, dtype):
    """cos and sin for pairs (i, i + hd/2). positions [S] -> two [S,hd/2]."""
    frequencies = theta ** (-torch.arange(0, head_dim, 2, dtype=dtype, device=positions.device) / head_dim)
    angles = positions.to(dtype)[:, None] * frequencies  # [S,hd/2]
    return angles.cos(), angles.sin()


def rotate(x, rope):
    """Half-rotation RoPE. x [B,H,S,hd]."""
    cos, sin = rope
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        D, H, K, hd = c["width"], c["heads"], c["kvHeads"], c["headDim"]
        self.head_dim = hd
        self.q_proj = nn.Linear(D, H * hd, bias=False)
        self.k_proj = nn.Linear(D, K * hd, bias=False)
        self.v_proj = nn.Linear(D, K * hd, bias=False)
        self.q_norm = nn.RMSNorm(hd, c["normEps"])
        self.k_norm = nn.RMSNorm(hd, c["normEps"])
        self.o_proj = nn.Linear(H * hd, D, bias=False)

    def forward(self, x, rope, mask, attend):
        split = lambda y: y.unflatten(-1, (-1, self.head_dim))  # [B,S,heads*hd] -> [B,S,heads,hd]
        q = self.q_norm(split(self.q_proj(x))).transpose(1, 2)  # [B,H,S,hd]
        k = self.k_norm(split(self.k_proj(x))).transpose(1, 2)  # [B,K,S,hd]
        v = split(self.v_proj(x)).transpose(1, 2)  # [B,K,S,hd]
        q, k = rotate(q, rope).to(v.dtype), rotate(k, rope).to(v.dtype)
        out = attend(q, k, v, mask)
        return self.o_proj(out.transpose(1, 2).flatten(2))  # [B,S,D]


class SwiGlu(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c["width"], c["ffnWidth"], bias=False)
        self.up_proj = nn.Linear(c["width"], c["ffnWidth"], bias=False)
        self.down_proj = nn.Linear(c["ffnWidth"], c["width"], bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(c["width"], c["normEps"])
        self.self_attn = Attention(c)
        self.post_attention_layernorm = nn.RMSNorm(c["width"], c["normEps"])
        self.mlp = SwiGlu(c)

    def forward(self, x, rope, mask, attend):
        x = x + self.self_attn(self.input_layernorm(x), rope, mask, attend)
        return x + self.mlp(self.post_attention_layernorm(x))


class Body(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embed_tokens = nn.Embedding(c["vocabSize"], c["width"])
        self.layers = nn.ModuleList(Layer(c) for _ in range(c["layers"]))
        self.norm = nn.RMSNorm(c["width"], c["normEps"])


class Transformer(nn.Module):
    """State-dict names are Qwen3's. `attend` is injected, so that speed runs may use fused kernels."""

    def __init__(self, config, attend=plain_attention):
        super().__init__()
        self.config, self.attend = config, attend
        self.model = Body(config)
        if not config["tiedHead"]:
            self.lm_head = nn.Linear(config["width"], config["vocabSize"], bias=False)

    def hidden(self, ids, positions, mask):
        """ids [B,S], positions [S], mask [B,S,S] bool (true: visible) -> normed states [B,S,D]."""
        c = self.config
        x = self.model.embed_tokens(ids)  # [B,S,D]
        exact = torch.promote_types(x.dtype, torch.float32)
        rope = rope_table(positions, c["headDim"], c["ropeTheta"], exact)
        for layer in self.model.layers:
            x = layer(x, rope, mask, self.attend)
        return self.model.norm(x)

    def head(self, states):
        """[...,D] -> logits [...,V]."""
        return F.linear(states, (self.model.embed_tokens if self.config["tiedHead"] else self.lm_head).weight)


# Losses. Each returns (loss, {name: logits at its loss rows [M,V]}); rows run over [B,T] row by row.


def ar_targets(segments, answer=None):
    """[B,T] bool: position p predicts ids[p+1] inside one document (and only answers, where they are marked)."""
    rows = torch.zeros_like(segments, dtype=torch.bool)
    rows[:, :-1] = (segments[:, :-1] == segments[:, 1:]) & (segments[:, 1:] >= 0)
    if answer is not None:
        rows[:, :-1] &= answer[:, 1:] == 1
    return rows


def next_token_loss(model, states, ids, rows):
    """Mean cross-entropy (nats) of ids[p+1] at `rows`."""
    logits = model.head(states[rows])  # [M,V]
    return F.cross_entropy(logits, ids.roll(-1, 1)[rows]), logits


def masked_loss(model, states, ids, masked, weights, normaliser):
    """sum over masked positions of w * CE of the clean id at that same position, over `normaliser`."""
    logits = model.head(states[masked])  # [M,V]
    losses = F.cross_entropy(logits, ids[masked], reduction="none")  # [M]
    return (losses * weights[masked]).sum() / normaliser, logits


def states_of(model, ids, rule, streams=1, mask_of=dense_mask):
    """[B,S] -> [B,S,D], S = T times `streams`"""
    B, S = ids.shape
    positions = torch.arange(S // streams, device=ids.device).repeat(streams)
    return model.hidden(ids, positions, mask_of(rule, B, S, ids.device))


def ar_loss(model, ids, segments, answer=None):
    states = states_of(model, ids, causal_rule(segments))
    loss, logits = next_token_loss(model, states, ids, ar_targets(segments, answer))
    return loss, {"logits": logits}


def mdlm_loss(model, ids, noisy, segments, masked, weights, normaliser):
    """Layout `full`. ids, noisy, masked (bool) and weights are [B,T]; normaliser: eligible tokens."""
    states = states_of(model, noisy, full_rule(segments))
    loss, logits = masked_loss(model, states, ids, masked, weights, normaliser)
    return loss, {"logits": logits}


def block_loss(model, ids, noisy, segments, blocks, masked, weights, normaliser, layout, ar_weight=0.0):
    """Block diffusion in two streams (BD3-LM, arXiv:2503.09573); `causalContext` adds the clean stream's AR loss."""
    T = ids.shape[1]
    states = states_of(model, torch.cat([ids, noisy], 1), two_stream_rule(segments, blocks, layout), streams=2)
    clean, denoised = states[:, :T], states[:, T:]  # [B,T,D] each
    loss, logits = masked_loss(model, denoised, ids, masked, weights, normaliser)
    out = {"logits": logits, "diffusionLoss": loss}
    if layout == "causalContext":
        ar, clean_logits = next_token_loss(model, clean, ids, ar_targets(segments))
        loss = loss + ar_weight * ar
        out |= {"cleanLogits": clean_logits, "arLoss": ar}
    return loss, out
