"""AdamW, and Muon for matrices: momentum made orthogonal by Newton-Schulz (Keller Jordan, kellerjordan.github.io/posts/muon)."""

from collections import defaultdict

import torch


def orthogonalise(stack):
    """[n,r,c] -> nearest semi-orthogonal matrices, roughly: the quintic iteration pushes singular values into [0.7, 1.2]."""
    x = stack.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.mT if tall else x).to(stack.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised; equal shapes go through Newton-Schulz as one stack.

    Updates are scaled to the root mean square of AdamW's (0.2 sqrt(max(r, c)), arXiv:2502.16982), so one learning
    rate and one decay serve both optimisers.
    """

    def __init__(self, params, lr, momentum=0.95, weight_decay=0.1):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for p in group["params"]:
                by_shape[p.shape].append(p)
            for shape, params in by_shape.items():
                rate, grads = group["lr"], [p.grad for p in params]
                momenta = [self.state[p].setdefault("momentum", torch.zeros_like(p)) for p in params]
                torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
                updates = orthogonalise(torch.stack(torch._foreach_lerp(grads, momenta, group["momentum"])))
                torch._foreach_mul_(params, 1 - rate * group["weight_decay"])
                torch._foreach_add_(params, list(updates.unbind()), alpha=-rate * 0.2 * max(shape) ** 0.5)


def create_optimizers(model, kind, weight_decay):
    """kind `adamw` or `muon` (then AdamW keeps the embedding, the head and the norms). Vectors do not decay."""
    named = list(model.named_parameters())
    hidden = [p for name, p in named if p.ndim == 2 and ".layers." in name]
    tables = [p for name, p in named if p.ndim == 2 and ".layers." not in name]
    vectors = [p for _, p in named if p.ndim == 1]
    decayed = tables if kind == "muon" else hidden + tables
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=True)
    return [adamw, Muon(hidden, 0.0, weight_decay=weight_decay)] if kind == "muon" else [adamw]
