/**
 * A set of code points as bytes of UTF-8: a choice between first bytes, each followed by what may come after it.
 * First bytes with the same continuation share one branch, so that the result is deterministic and small (the idea of
 * Russ Cox's and Rust's utf8-ranges, with sharing by content).
 */
import type { CodePoints } from './code-points.ts';
import { bytes, byteSet, choice, sequence } from './nodes.ts';
import type { Node } from './nodes.ts';

/** First byte, its payload's first code point, how many leading bytes there are, continuation bytes after it. */
const FORMS = [
  { lead: 0xc0, base: 0, leads: 32, levels: 1, low: 0x80 },
  { lead: 0xe0, base: 0, leads: 16, levels: 2, low: 0x800 },
  { lead: 0xf0, base: 0, leads: 8, levels: 3, low: 0x10000 },
] as const;

const CONTINUATION = bytes([0x80, 0xbf]);
/** Everything that may follow: by number of continuation bytes. */
const FULL: readonly Node[] = [
  sequence(),
  CONTINUATION,
  sequence(CONTINUATION, CONTINUATION),
  sequence(CONTINUATION, CONTINUATION, CONTINUATION),
];

export function utf8(set: CodePoints): Node {
  const ascii = new Uint8Array(256);
  for (const [low, high] of set) if (low < 0x80) ascii.fill(1, low, Math.min(high, 0x7f) + 1);
  const shared = new Map<string, Node>();
  const options: Node[] = [byteSet(ascii)];
  for (const { lead, leads, levels, low } of FORMS) {
    const size = 64 ** levels;
    // Below `low` the form would be overlong; the set is cut there.
    const within = set
      .filter(([, high]) => high >= low)
      .map(([from, to]) => [Math.max(from, low), to] as const);
    options.push(branches(within, 0, leads, size, levels, lead, shared));
  }
  return choice(...options);
}

/** Choice between `count` bytes from `first` on, each standing for `size` code points from `base` on. */
function branches(
  set: CodePoints,
  base: number,
  count: number,
  size: number,
  levels: number,
  first: number,
  shared: Map<string, Node>,
): Node {
  const leadsOf = new Map<Node, Uint8Array>();
  for (let index = 0; index < count; index++) {
    const from = base + index * size;
    const rest = continuation(set, from, size, levels, shared);
    if (rest === null) continue;
    let leads = leadsOf.get(rest);
    if (!leads) leadsOf.set(rest, (leads = new Uint8Array(256)));
    leads[first + index] = 1;
  }
  return choice(...[...leadsOf].map(([rest, leads]) => sequence(byteSet(leads), rest)));
}

/** What `levels` continuation bytes may say so that the code point lies in the set; null if nothing. */
function continuation(
  set: CodePoints,
  base: number,
  size: number,
  levels: number,
  shared: Map<string, Node>,
): Node | null {
  const end = base + size - 1;
  const inside = set.filter(([low, high]) => high >= base && low <= end);
  if (inside.length === 0) return null;
  if (inside.length === 1 && inside[0][0] <= base && inside[0][1] >= end) return FULL[levels];
  const cut = inside.map(([low, high]) => [Math.max(low, base), Math.min(high, end)] as const);
  const key = `${levels}:${cut.map(([low, high]) => `${low - base}-${high - base}`).join(',')}`;
  let node = shared.get(key);
  if (!node) shared.set(key, (node = branches(cut, base, 64, size / 64, levels - 1, 0x80, shared)));
  return node;
}
