"""Who sees whom: rules over (row, head, query, key) as flex_attention takes them, and masks made of them.

B rows, T tokens, S = T, or 2T for two streams. Padding (segment -1) sees only itself, so that its softmax is defined.
"""

import torch
from torch.nn.attention.flex_attention import create_block_mask


def causal_rule(segments):
    def visible(b, h, q, k):
        return (q == k) | ((k <= q) & (segments[b, q] == segments[b, k]) & (segments[b, q] >= 0))

    return visible


def full_rule(segments):
    def visible(b, h, q, k):
        return (q == k) | ((segments[b, q] == segments[b, k]) & (segments[b, q] >= 0))

    return visible


def two_stream_rule(segments, blocks, layout, own_past_only=False):
    """Over concat(clean, noisy): noisy tokens see the clean blocks before theirs and their own block, noisy; of that
    only the past with `own_past_only`: a continuation that stands beside the text."""
    T = segments.shape[1]

    def visible(b, h, q, k):
        noisy_q, noisy_k = q >= T, k >= T
        at, to = q % T, k % T
        same = (segments[b, at] == segments[b, to]) & (segments[b, at] >= 0)
        block_q, block_k = blocks[b, at], blocks[b, to]
        clean = block_k <= block_q if layout == "blockCausal" else to <= at
        own = (block_k == block_q) & (to <= at) if own_past_only else block_k == block_q
        seen = (~noisy_q & ~noisy_k & clean) | (noisy_q & ~noisy_k & (block_k < block_q)) | (noisy_q & noisy_k & own)
        return (q == k) | (same & seen)

    return visible


def dense_mask(rule, rows, S, device):
    """[B,S,S] bool"""
    at = torch.arange(S, device=device)
    return rule(torch.arange(rows, device=device)[:, None, None], 0, at[None, :, None], at[None, None, :])


def sparse_mask(rule, rows, S, device):
    return create_block_mask(rule, rows, None, S, S, device=device)
