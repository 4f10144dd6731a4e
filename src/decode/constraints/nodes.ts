/**
 * The one intermediate form that regular expressions and JSON schemas are compiled to: a grammar over bytes. It is
 * data; `automaton.ts` runs it. Rules make it recursive (a schema that refers to itself); a rule must read a byte
 * before it comes back to itself.
 */

/** Which of the 256 bytes, as 0 and 1. */
export type ByteSet = Uint8Array;

export type Node =
  /** Matches nothing at all. */
  | { readonly kind: 'none' }
  /** Matches the empty string. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'bytes'; readonly set: ByteSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Node[] }
  | { readonly kind: 'choice'; readonly options: readonly Node[] }
  | RepeatNode
  | { readonly kind: 'rule'; readonly rule: Rule };

export interface RepeatNode {
  readonly kind: 'repeat';
  /** Never matches the empty string: `repeat` sees to it. */
  readonly body: Node;
  readonly min: number;
  /** May be Infinity. */
  readonly max: number;
  /** The same with one repetition less, made when first needed. */
  less?: Node;
}

export interface Rule {
  body: Node;
  /** Fewest bytes that it matches, once known; Infinity if it matches nothing. */
  minBytes: number | null;
}

export const NONE: Node = { kind: 'none' };
export const EMPTY: Node = { kind: 'empty' };

const SINGLE: readonly Node[] = Array.from({ length: 256 }, (_, byte) => {
  const set = new Uint8Array(256);
  set[byte] = 1;
  return { kind: 'bytes', set };
});

/** Inclusive ranges of bytes. One byte alone is always the same node, so that literals share their ends. */
export function bytes(...ranges: (readonly [number, number])[]): Node {
  if (ranges.length === 1 && ranges[0][0] === ranges[0][1]) return SINGLE[ranges[0][0]];
  const set = new Uint8Array(256);
  for (const [low, high] of ranges) set.fill(1, low, high + 1);
  return byteSet(set);
}

export function byteSet(set: ByteSet): Node {
  const first = set.indexOf(1);
  if (first < 0) return NONE;
  return first === set.lastIndexOf(1) ? SINGLE[first] : { kind: 'bytes', set };
}

export function literal(text: string): Node {
  return sequence(...Array.from(new TextEncoder().encode(text), (byte) => SINGLE[byte]));
}

export function sequence(...parts: Node[]): Node {
  if (parts.some(({ kind }) => kind === 'none')) return NONE;
  const flat = parts.flatMap((part) =>
    part.kind === 'sequence' ? part.parts : part.kind === 'empty' ? [] : [part],
  );
  return flat.length === 0 ? EMPTY : flat.length === 1 ? flat[0] : { kind: 'sequence', parts: flat };
}

export function choice(...options: Node[]): Node {
  const flat = new Set(
    options.flatMap((option) =>
      option.kind === 'choice' ? option.options : option.kind === 'none' ? [] : [option],
    ),
  );
  if (flat.size === 0) return NONE;
  return flat.size === 1 ? [...flat][0] : { kind: 'choice', options: [...flat] };
}

export const optional = (node: Node): Node => choice(node, EMPTY);

/** `min` to `max` times. */
export function repeat(node: Node, min: number, max: number): Node {
  if (max < min) return NONE;
  // A body that may be empty could be repeated for ever without reading; its empty turns add nothing.
  const body = isNullable(node) ? nonEmpty(node) : node;
  const least = body === node ? min : 0;
  if (max === 0 || body.kind === 'empty') return EMPTY;
  if (body.kind === 'none') return least === 0 ? EMPTY : NONE;
  if (least === 1 && max === 1) return body;
  if (body.kind === 'repeat' && isGapless(body, least)) {
    // (x{a,b}){c,d} is x{ac,bd}, which needs one counter instead of two that run against each other.
    return repeat(body.body, body.min * least, body.max * max);
  }
  return { kind: 'repeat', body, min: least, max };
}

/** Whether so many repetitions of x{a,b} and more leave out no number of x. */
function isGapless({ min, max }: RepeatNode, times: number): boolean {
  return times === 0 ? min <= 1 : max * times + 1 >= min * (times + 1);
}

/** One repetition fewer. */
export function lessOnce(node: RepeatNode): Node {
  node.less ??= node.max === Infinity && node.min === 0 ? node : repeatLess(node);
  return node.less;
}

function repeatLess({ body, min, max }: RepeatNode): Node {
  return max === 1 ? EMPTY : { kind: 'repeat', body, min: Math.max(0, min - 1), max: max - 1 };
}

export function rule(): { node: Node; rule: Rule } {
  const made: Rule = { body: NONE, minBytes: null };
  return { node: { kind: 'rule', rule: made }, rule: made };
}

/** Whether a node matches the empty string. Rules are only made for what cannot. */
function isNullable(node: Node): boolean {
  switch (node.kind) {
    case 'empty':
      return true;
    case 'sequence':
      return node.parts.every(isNullable);
    case 'choice':
      return node.options.some(isNullable);
    case 'repeat':
      return node.min === 0;
    case 'rule':
      return node.rule.minBytes === 0;
    case 'none':
    case 'bytes':
      return false;
  }
}

/** The same language without the empty string. */
function nonEmpty(node: Node): Node {
  switch (node.kind) {
    case 'empty':
      return NONE;
    case 'choice':
      return choice(...node.options.map(nonEmpty));
    case 'sequence': {
      // The first part that reads something decides: a?b? without "" is a b? | b.
      const options: Node[] = [];
      for (const [index, part] of node.parts.entries()) {
        options.push(sequence(nonEmpty(part), ...node.parts.slice(index + 1)));
        if (!isNullable(part)) break;
      }
      return choice(...options);
    }
    case 'repeat':
      return node.min > 0 ? node : sequence(node.body, lessOnce(node));
    case 'none':
    case 'bytes':
    case 'rule':
      return node;
  }
}
