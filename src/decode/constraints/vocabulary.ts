/**
 * The vocabulary as a trie over bytes, so that one walk finds every token that a state allows and leaves as soon as
 * the automaton does. Nodes are numbers; children are ranges of one flat list.
 */
import type { Tokenizer } from '../../text/tokenizer.ts';

export interface Vocabulary {
  readonly size: number;
  /** Children of node n: indices `firstChild[n]` to `firstChild[n + 1]` of `childByte` and `childNode`. Node 0 is the root. */
  readonly firstChild: Int32Array;
  readonly childByte: Uint8Array;
  readonly childNode: Int32Array;
  /** Tokens that end at node n: indices `firstToken[n]` to `firstToken[n + 1]` of `tokens` (mostly none or one). */
  readonly firstToken: Int32Array;
  readonly tokens: Int32Array;
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

  const children: { byte: number; node: number }[][] = [[]];
  const ending: number[][] = [[]];
  let path: number[] = [0];
  let previous: Uint8Array = new Uint8Array(0);
  for (const id of sorted) {
    const bytes = bytesOf[id];
    const shared = sharedLength(previous, bytes);
    path = path.slice(0, shared + 1);
    for (const byte of bytes.subarray(shared)) {
      const node = children.length;
      children.push([]);
      ending.push([]);
      children[path.at(-1)!].push({ byte, node });
      path.push(node);
    }
    ending[path.at(-1)!].push(id);
    previous = bytes;
  }

  const singleBytes = new Uint8Array(256);
  for (const { byte, node } of children[0]) if (ending[node].length > 0) singleBytes[byte] = 1;
  const flat = children.flat();
  return {
    size,
    firstChild: offsets(children),
    childByte: Uint8Array.from(flat, ({ byte }) => byte),
    childNode: Int32Array.from(flat, ({ node }) => node),
    firstToken: offsets(ending),
    tokens: Int32Array.from(ending.flat()),
    bytes: (token) => bytesOf[token],
    singleBytes,
  };
}

function offsets(lists: readonly unknown[][]): Int32Array {
  const out = new Int32Array(lists.length + 1);
  lists.forEach((list, i) => (out[i + 1] = out[i] + list.length));
  return out;
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
