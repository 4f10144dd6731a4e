/**
 * Fill-in-the-middle: a model writes the text of a gap, and the text that stood there is the truth.
 *
 * What is scored: white space at the end counts for nothing, and where the truth is a single line the prediction is cut
 * at its first line break, because a model may go on with the next line, which nobody asked for. All measures are of
 * the prediction so cut. Times are of whole requests, one after the other, and count every useful token.
 */
import type { InfillRow } from './documents.ts';
import { editSimilarity, exactMatch, mean, parses, percentile } from './metrics.ts';

/** What one request gave. */
export interface Completion {
  text: string;
  /** Useful tokens: those before the end of the text. */
  tokens: number;
  /** Denoiser forwards. */
  nfe: number;
  /** Of the whole request. */
  elapsedMs: number;
}

export type Complete = (row: InfillRow, signal: AbortSignal | undefined) => Promise<Completion>;

/** A line of the predictions file. */
export interface Prediction {
  id: string;
  /** The text that was scored. */
  middle: string;
  /** Milliseconds of the whole request. */
  ms: number;
  nfe: number;
  tokens: number;
}

export interface FimResult {
  /** Share of rows, 0 to 1. */
  exactMatch: number;
  exactMatchStandardError: number | null;
  /** Mean of 1 − Levenshtein distance / length of the longer text. */
  editSimilarity: number;
  /** Share of files that parse with the prediction in the gap, among those that parse with the truth in it; null if none does. */
  parseRate: number | null;
  tokensPerSecond: number;
  /** Denoiser forwards in all. */
  nfe: number;
  /** Useful tokens a forward. */
  tpf: number;
  p50Ms: number;
  p95Ms: number;
  /** Useful tokens in all. */
  tokens: number;
  /** Rows. */
  n: number;
}

/** Whether a truth has no line break but at its end. */
export const isSingleLine = (truth: string): boolean => !/[\r\n]/.test(truth.trimEnd());

/** The part of a prediction that is compared with the truth. */
export function scoredText(prediction: string, truth: string): string {
  return (isSingleLine(truth) ? prediction.split(/\r?\n|\r/, 1)[0] : prediction).trimEnd();
}

/** File name inside ids of the form package/path:line:column; decides how a file is parsed. */
const fileName = (id: string): string => id.replace(/(?::\d+){1,2}$/, '');

export interface RowScore {
  /** The part of the prediction that is compared. */
  middle: string;
  isExact: boolean;
  similarity: number;
  /** Whether the file parses with the prediction in the gap; null if it does not with the truth in it. */
  parses: boolean | null;
}

export function scoreRow({ id, prefix, suffix, middle: truth }: InfillRow, prediction: string): RowScore {
  const middle = scoredText(prediction, truth);
  const isParsed = (text: string): boolean => parses(prefix + text + suffix, fileName(id));
  return {
    middle,
    isExact: exactMatch(middle, truth.trimEnd()),
    similarity: editSimilarity(middle, truth.trimEnd()),
    parses: isParsed(truth) ? isParsed(middle) : null,
  };
}

/** Runs all rows in order. An error or an abort of one request ends the evaluation. */
export async function evaluateFim(
  rows: readonly InfillRow[],
  complete: Complete,
  options: {
    signal?: AbortSignal | undefined;
    onRow?: (prediction: Prediction, isExact: boolean) => void;
  } = {},
): Promise<FimResult> {
  const { signal, onRow } = options;
  const predictions: Prediction[] = [];
  const matches: number[] = [];
  const similarities: number[] = [];
  const parsed: number[] = [];
  for (const row of rows) {
    signal?.throwIfAborted();
    const { text, tokens, nfe, elapsedMs } = await complete(row, signal);
    const score = scoreRow(row, text);
    matches.push(score.isExact ? 1 : 0);
    similarities.push(score.similarity);
    if (score.parses !== null) parsed.push(score.parses ? 1 : 0);
    const prediction = { id: row.id, middle: score.middle, ms: elapsedMs, nfe, tokens };
    predictions.push(prediction);
    onRow?.(prediction, score.isExact);
  }
  const times = predictions.map(({ ms }) => ms);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const tokens = sum(predictions.map((prediction) => prediction.tokens));
  const nfe = sum(predictions.map((prediction) => prediction.nfe));
  const exact = mean(matches);
  return {
    exactMatch: exact.value,
    exactMatchStandardError: exact.standardError,
    editSimilarity: mean(similarities).value,
    parseRate: parsed.length > 0 ? mean(parsed).value : null,
    tokensPerSecond: (tokens / sum(times)) * 1000,
    nfe,
    tpf: tokens / Math.max(1, nfe),
    p50Ms: percentile(times, 0.5),
    p95Ms: percentile(times, 0.95),
    tokens,
    n: rows.length,
  };
}
