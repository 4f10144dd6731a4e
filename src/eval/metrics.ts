/** Measures of text and of samples that the evaluations share. */
import { parseSync } from 'oxc-parser';
import { assert } from '../errors.ts';

/** Two texts are the same but for white space at their ends. */
export function exactMatch(prediction: string, truth: string): boolean {
  return prediction.trimEnd() === truth.trimEnd();
}

/** 1 − Levenshtein distance / length of the longer text, in characters (code points); 1 for two empty texts. */
export function editSimilarity(prediction: string, truth: string): number {
  const [a, b] = [Array.from(prediction), Array.from(truth)];
  const longer = Math.max(a.length, b.length);
  return longer === 0 ? 1 : 1 - levenshtein(a, b) / longer;
}

/** Fewest insertions, deletions and replacements that turn one sequence into the other. Memory: one row. */
export function levenshtein(a: ArrayLike<unknown>, b: ArrayLike<unknown>): number {
  // What both share at their ends costs nothing, and between similar texts that is most of it.
  let start = 0;
  let [aEnd, bEnd] = [a.length, b.length];
  while (start < aEnd && start < bEnd && a[start] === b[start]) start++;
  while (aEnd > start && bEnd > start && a[aEnd - 1] === b[bEnd - 1]) {
    aEnd--;
    bEnd--;
  }
  const width = bEnd - start;
  const row = Uint32Array.from({ length: width + 1 }, (_, j) => j);
  for (let i = 1; i <= aEnd - start; i++) {
    let diagonal = row[0];
    row[0] = i;
    for (let j = 1; j <= width; j++) {
      const replaced = diagonal + (a[start + i - 1] === b[start + j - 1] ? 0 : 1);
      diagonal = row[j]!;
      row[j] = Math.min(replaced, diagonal + 1, row[j - 1] + 1);
    }
  }
  return row[width];
}

const SOURCE_NAME = /\.(?:[mc]?[jt]s|[jt]sx)$/;

/**
 * Whether a source file parses without an error. The name decides between TypeScript, TSX and JavaScript; other
 * names are read as TypeScript.
 */
export function parses(source: string, filename: string): boolean {
  const name = SOURCE_NAME.test(filename) ? filename : 'source.ts';
  return parseSync(name, source).errors.length === 0;
}

/** The smallest of the values that `share` (0 to 1) of them do not exceed: nearest rank, so it is one of them. */
export function percentile(values: readonly number[], share: number): number {
  assert(values.length > 0, 'a percentile needs a value');
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

export interface Estimate {
  value: number;
  /** Standard deviation of `value`; null for a single observation, which tells nothing of it. */
  standardError: number | null;
}

/** Mean of independent observations. */
export function mean(values: readonly number[]): Estimate {
  return ratio(values.map((value) => ({ numerator: value, denominator: 1 })));
}

/**
 * Σ numerators / Σ denominators over independent units, say bits over bytes of documents. The standard error is the
 * linearised one of a ratio estimator, √(n/(n−1) · Σ (y − R x)²) / Σ x (Cochran, Sampling Techniques, 1977, 6.4):
 * long units count more, as they do in the value.
 */
export function ratio(units: readonly { numerator: number; denominator: number }[]): Estimate {
  const total = units.reduce((sum, { denominator }) => sum + denominator, 0);
  assert(total > 0, 'a ratio needs a positive denominator');
  const value = units.reduce((sum, { numerator }) => sum + numerator, 0) / total;
  const n = units.length;
  if (n < 2) return { value, standardError: null };
  const squares = units.reduce((sum, unit) => sum + (unit.numerator - value * unit.denominator) ** 2, 0);
  return { value, standardError: Math.sqrt((n / (n - 1)) * squares) / total };
}
