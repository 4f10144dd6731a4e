/**
 * Shapes whose dimensions are numbers or names. A named dimension is fixed only when a session runs, so one graph
 * serves every batch size, number of rows and length of prefix. Products of names stay exact: `8*B*T`.
 */
import { assert } from '../errors.ts';

export type Dim = number | string;
export type Shape = readonly Dim[];

interface Monomial {
  coefficient: number;
  names: string[];
}

const parse = (dim: Dim): Monomial => {
  if (typeof dim === 'number') return { coefficient: dim, names: [] };
  const names: string[] = [];
  let coefficient = 1;
  for (const factor of dim.split('*')) {
    if (/^\d+$/.test(factor)) coefficient *= Number(factor);
    else names.push(factor);
  }
  return { coefficient, names: names.sort() };
};

const print = ({ coefficient, names }: Monomial): Dim => {
  if (names.length === 0) return coefficient;
  return coefficient === 1 ? names.join('*') : `${coefficient}*${names.join('*')}`;
};

/** Product of dimensions; numbers multiply, names are kept. */
export function product(dims: Shape): Dim {
  const out: Monomial = { coefficient: 1, names: [] };
  for (const dim of dims) {
    const { coefficient, names } = parse(dim);
    out.coefficient *= coefficient;
    out.names.push(...names);
  }
  out.names.sort();
  return print(out);
}

/** A sum of dimensions along a concatenated axis; a sum with names becomes a new name. */
export function sum(dims: Shape): Dim {
  const fixed = dims.filter((dim) => typeof dim === 'number');
  const named = dims.filter((dim) => typeof dim === 'string');
  const total = fixed.reduce((a, b) => a + b, 0);
  if (named.length === 0) return total;
  return [...named, ...(total > 0 ? [String(total)] : [])].join('+').replaceAll('*', 'x');
}

/** The shape of an elementwise result (NumPy's rule). */
export function broadcast(a: Shape, b: Shape, what: string): Dim[] {
  const rank = Math.max(a.length, b.length);
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[i - (rank - a.length)] ?? 1;
    const y = b[i - (rank - b.length)] ?? 1;
    assert(x === y || x === 1 || y === 1, `${what}: [${a}] and [${b}] do not broadcast at axis ${i}`);
    out.push(x === 1 ? y : x);
  }
  return out;
}

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((dim, i) => dim === b[i]);

/**
 * The operand of ONNX `Reshape`: numbers, 0 for "as in the input at this axis", -1 for the one that follows from the rest.
 * @throws when more than one named dimension would have to be inferred.
 */
export function reshapeOperand(from: Shape, to: Shape): number[] {
  const operand = to.map((dim, i) => (typeof dim === 'number' ? dim : dim === from[i] ? 0 : -1));
  assert(operand.filter((d) => d === -1).length <= 1, `reshape [${from}] to [${to}]: two unknown dimensions`);
  return operand;
}
