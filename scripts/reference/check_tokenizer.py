"""Checks that Python `tokenizers` gives the ids that tintype gives, and writes a small golden.

usage: check_tokenizer.py TOKENIZER_DIR TEXTS.json [--write GOLDEN.json]

TEXTS.json holds [{"text": ..., "ids": [...]}] as written by check_tokenizer.ts; every row is compared.
With --write the texts of up to 400 characters and Python's own ids become the golden file.
pip install tokenizers==0.23.3
"""
import json
import sys
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
tokenizer.encode_special_tokens = True  # special tokens in the text are text
rows = json.load(open(sys.argv[2], encoding="utf-8"))
wrong, tokens = 0, 0
for row in rows:
    ids = tokenizer.encode(row["text"], add_special_tokens=False).ids
    tokens += len(ids)
    if ids != row["ids"]:
        wrong += 1
        if wrong <= 5:
            print("differs:", repr(row["text"][:80]), ids[:20], row["ids"][:20])
    if tokenizer.decode(ids) != row["text"]:
        print("does not round-trip:", repr(row["text"][:80]))
        wrong += 1
print(f"{len(rows)} texts, {tokens} tokens, {wrong} differences")
if "--write" in sys.argv:
    small = [r["text"] for r in rows if len(r["text"]) <= 400][:200]
    golden = [{"text": t, "ids": tokenizer.encode(t, add_special_tokens=False).ids} for t in small]
    with open(sys.argv[sys.argv.index("--write") + 1], "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(g, ensure_ascii=True) for g in golden) + "\n]\n")
sys.exit(wrong > 0)
