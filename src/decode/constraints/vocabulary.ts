/**
 * The vocabulary as a trie over bytes, so that one walk finds every token that a state allows and leaves as soon as
 * the automaton does. Nodes are numbers; children are ranges of one flat list.
 */
import type { Tokenizer } from '../../text/tokenizer.ts';

export interface Vocabulary {
  readonly size: number;
  /**
   * The nodes in depth-first order, without the root. A walk goes from one to the next, or leaves out all below node n
   * by going to `skip[n]`.
   */
  readonly byte: Uint8Array;
  /** Bytes on the way to a node: 1 for those below the root. */
  readonly depth: Uint16Array;
  readonly skip: Int32Array;
  /** Tokens in byte order, so that those at and below a node are neighbours. */
  readonly order: Int32Array;
  /** Where in `order` the tokens that end at node n begin; they go on to `first[n + 1]`, those below to `first[skip[n]]`. */
  readonly first: Int32Array;
  /** Bytes that occur below node n, as eight words of bits from 8n on. */
  readonly below: Uint32Array;
  /** By byte: the node below the root, or -1. */
  readonly roots: Int32Array;
  /** Most bytes of a token. */
  readonly longest: number;
  /** Bytes of a token; none for special ones. */
  bytes(token: number): Uint8Array;
  /** Which bytes are a token by themselves, as 0 and 1. */
  readonly singleBytes: Uint8Array;
}

const known = new WeakMap<Tokenizer, Vocabulary>();

/** Made once for each tokenizer. */
export function vocabularyOf(tokenizer: Tokenizer): Vocabulary {
  let vocabulary = known.get(tokenizer);
  if (!vocabulary) known.set(tokenizer, (vocabulary = createVocabulary(tokenizer)));
  return vocabulary;
}

function createVocabulary(tokenizer: Tokenizer): Vocabulary {
  const size = tokenizer.vocabSize;
  const bytesOf = Array.from({ length: size }, (_, id) => tokenizer.bytes(id));
  // In byte order, tokens that share a beginning lie next to each other, so nodes come out in depth-first order.
  const sorted = bytesOf.flatMap((bytes, id) => (bytes.length > 0 ? [id] : []));
  sorted.sort((a, b) => compareBytes(bytesOf[a], bytesOf[b]) || a - b);

  const byte: number[] = [];
  const depth: number[] = [];
  const first: number[] = [];
  let previous: Uint8Array = new Uint8Array(0);
  sorted.forEach((id, index) => {
    const bytes = bytesOf[id];
    for (let i = sharedLength(previous, bytes); i < bytes.length; i++) {
      byte.push(bytes[i]);
      depth.push(i + 1);
      // The token ends at the last of its nodes; a second one with the same bytes adds no node.
      first.push(index);
    }
    previous = bytes;
  });
  first.push(sorted.length);

  const longest = depth.reduce((most, each) => Math.max(most, each), 0);
  const skip = skips(depth, longest);
  const roots = new Int32Array(256).fill(-1);
  const singleBytes = new Uint8Array(256);
  for (let node = 0; node < byte.length; node = skip[node]) {
    roots[byte[node]] = node;
    if (first[node] < first[node + 1]) singleBytes[byte[node]] = 1;
  }
  return {
    size,
    byte: Uint8Array.from(byte),
    depth: Uint16Array.from(depth),
    skip,
    order: Int32Array.from(sorted),
    first: Int32Array.from(first),
    below: bytesBelow(byte, skip),
    roots,
    longest,
    bytes: (token) => bytesOf[token],
    singleBytes,
  };
}

/** Bytes of all nodes below each, from the last node to the first: a node's children are complete before it. */
function bytesBelow(byte: readonly number[], skip: Int32Array): Uint32Array {
  const below = new Uint32Array(byte.length * 8);
  for (let node = byte.length - 1; node >= 0; node--) {
    for (let child = node + 1; child < skip[node]; child = skip[child]) {
      below[node * 8 + (byte[child] >> 5)] |= 1 << (byte[child] & 31);
      for (let word = 0; word < 8; word++) below[node * 8 + word] |= below[child * 8 + word];
    }
  }
  return below;
}

/** For each node the next one that is not below it. */
function skips(depth: readonly number[], longest: number): Int32Array {
  const skip = new Int32Array(depth.length);
  // By depth: the nearest node on the right that is no deeper.
  const next = new Int32Array(longest + 1).fill(depth.length);
  for (let node = depth.length - 1; node >= 0; node--) {
    skip[node] = next[depth[node]];
    next.fill(node, depth[node]);
  }
  return skip;
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = sharedLength(a, b);
  if (shared < a.length && shared < b.length) return a[shared] - b[shared];
  return a.length - b.length;
}
