"""What a step of block diffusion trains on: blocks, masks, who sees whom, and the model's own continuations.

The same as src/train/objective.ts, for a whole batch at once. B rows, T tokens, S = T, or 2T for two streams.
"""

import torch


def blocks_of(segments, length, phase):
    """Blocks of `length`, the first of a document shorter by `phase` [B,1]. -> number of each token's block [B,T]"""
    at = torch.arange(segments.shape[1], device=segments.device).expand_as(segments)
    starts = begins(segments)
    offset = at - torch.where(starts, at, 0).cummax(1).values  # place in the document
    return (starts | ((offset + phase) % length == 0)).cumsum(1) - 1


def begins(numbers):
    """[B,T] -> bool: the first token of each run of equal numbers."""
    first = torch.ones_like(numbers, dtype=torch.bool)
    first[:, 1:] = numbers[:, 1:] != numbers[:, :-1]
    return first


def maskable(segments, blocks, layout):
    """Over a causal context the first token of a block stays clean: decoding has it from the last causal logits."""
    eligible = segments >= 0
    return eligible & ~begins(blocks) if layout == "causalContext" else eligible


def draw_blocks(blocks, rate, rng):
    """bool [B,T]: the tokens of about `rate` of all blocks."""
    chance = torch.rand(blocks.shape, device=blocks.device, generator=rng)
    return (chance < rate).gather(1, blocks)


def corrupt(goal, eligible, blocks, whole, mask_id, rng):
    """Masks k of a block's n eligible tokens, k uniform in 1..n, weight n/k; all n of a block that is `whole`.

    This is the NELBO of the linear schedule with its time integrated out (LLaDA, arXiv:2502.09992, eq. 6). The draws
    of k are stratified over all blocks of the batch. -> noisy, masked, weights [B,T]
    """
    rows = torch.arange(len(blocks), device=goal.device)[:, None]
    group = (blocks + rows * (goal.shape[1] + 1))[eligible]  # [N] rising
    _, block, size = group.unique_consecutive(return_inverse=True, return_counts=True)
    count = len(size)
    strata = (torch.arange(count, device=goal.device) + torch.rand(count, device=goal.device, generator=rng)) / count
    uniform = strata[torch.randperm(count, device=goal.device, generator=rng)]
    k = (uniform * size).long().clamp(max=size - 1) + 1  # masked tokens of a block
    first = size.cumsum(0) - size
    k = torch.where(whole[eligible][first], size, k)
    # Sorting by block, then at random, leaves every block in its place: rank inside the block = place - start.
    noise = torch.rand(len(group), device=goal.device, generator=rng, dtype=torch.float64)
    order = (block + noise).argsort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(group), device=goal.device) - first[block]
    chosen = rank < k[block]  # [N]
    masked = torch.zeros_like(eligible).masked_scatter(eligible, chosen)
    weights = torch.zeros(goal.shape, device=goal.device).masked_scatter(eligible, (size / k)[block] * chosen)
    return goal.masked_fill(masked, mask_id), masked, weights


@torch.no_grad()
def own_continuation(hidden_of, head, ids, drawn, rounds):
    """The tokens `drawn` [B,T] as the model would write them one at a time after the clean text before their block.

    Each round asks about every token at once, given those before it as they are (Jacobi decoding, arXiv:2305.10427):
    round n makes the n-th token of each block exact. `hidden_of` [B,T] -> states of that continuation [B,T,D].
    """
    goal = ids.clone()
    before = drawn.roll(-1, 1)  # the row that predicts a drawn token; the first token of a row is never drawn
    for _ in range(rounds):
        goal[drawn] = head(hidden_of(goal)[before]).argmax(-1)
    return goal
