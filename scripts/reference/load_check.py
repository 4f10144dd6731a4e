"""Prints logits of a Hugging Face folder for given token ids, to compare with another engine by hand.

python3 scripts/reference/load_check.py DIR --ids 5,6,7 [--attention causal|full|blockCausal:4] [--rows=-1,0] [--top 5] [--save FILE.npy]
"""

import argparse
import json

import numpy as np
import torch

from folders import load
from model import block_causal_mask, causal_mask, full_mask


def logits_of(model, ids, attention):
    """ids [T] -> logits [T,V]."""
    segments, positions = torch.zeros(1, len(ids), dtype=torch.long), torch.arange(len(ids))
    kind, _, length = attention.partition(":")
    if kind == "blockCausal":
        mask = block_causal_mask(segments, positions[None] // int(length))
    else:
        mask = {"causal": causal_mask, "full": full_mask}[kind](segments)
    with torch.no_grad():
        return model.head(model.hidden(torch.tensor([ids]), positions, mask))[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--ids", required=True, help="token ids, comma-separated")
    parser.add_argument("--attention", default="causal")
    parser.add_argument("--rows", default="-1", help="rows to print, comma-separated")
    parser.add_argument("--top", type=int, default=5)
    parser.add_argument("--save", help="write all logits [T,V] as .npy")
    args = parser.parse_args()
    logits = logits_of(load(args.folder), [int(i) for i in args.ids.split(",")], args.attention)
    for row in map(int, args.rows.split(",")):
        values, ids = logits[row].topk(args.top)
        top = [[i, round(v, 5)] for i, v in zip(ids.tolist(), values.tolist())]
        print(json.dumps({"row": row, "top": top, "logSumExp": round(logits[row].logsumexp(0).item(), 5)}))
    if args.save:
        np.save(args.save, logits.numpy())


if __name__ == "__main__":
    main()
