/**
 * What tells the model which tokens may stand: a bias on logits by token, and a constraint, a language that the answer
 * must belong to. Both are added to the logits inside the graph, so that what is best, or drawn, is best among what is
 * allowed, however small its probability.
 *
 * Under a constraint several tokens of one forward may be allowed each, and yet not together. They are committed one
 * after the other, the surest first, each only if the answer can still be completed with those before it; what the
 * language leaves no choice about is written at once and costs no forward.
 */
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Canvas } from './canvas.ts';
import { createConstraintCanvas } from './constraints/constraint-canvas.ts';
import type { TokenAutomaton } from './constraints/tokens.ts';
import type { Candidate } from './policies/policy.ts';

export interface Bias {
  /** Rows for `StatisticsRequest.logitBias`, one a position; undefined when nothing is biased. */
  rows(positions: readonly number[]): Float32Array | undefined;
  /** Takes commits in; those that may stand together, where the first that may stand alone always does. */
  agree(commits: readonly Candidate[]): readonly Candidate[];
  /** Tokens that are certain now. To be asked at the start and after each `agree`. */
  forced(): readonly Candidate[];
}

/** Far below any model's logits, and small enough that a float32 still tells those apart beside it. */
const FORBIDDEN = -1e5;

export function createBias(
  { vocabSize: V }: ModelConfig,
  { answerStart, ids }: Canvas,
  logitBias: Readonly<Record<string, number>>,
  constraint: TokenAutomaton | undefined,
): Bias {
  const biased = Object.entries(logitBias).map(([id, bias]) => [Number(id), bias] as const);
  const alien = biased.find(([id]) => id >= V);
  if (alien) {
    throw new TintypeError('bad_option', {
      what: 'logitBias names a token that the model does not have',
      got: `id ${alien[0]}`,
      wanted: `0 to ${V - 1}`,
      next: 'take ids of the tokenizer of this model',
    });
  }
  const run = constraint && createConstraintCanvas(constraint, { budget: ids.length - answerStart });
  const forget = (out: Float32Array, mask: Uint32Array): void => {
    // All zero: nothing is known about this position yet, and nothing will be committed there.
    if (mask.every((word) => word === 0)) return;
    for (let id = 0; id < V; id++) if (((mask[id >> 5] >>> (id & 31)) & 1) === 0) out[id] = FORBIDDEN;
  };

  return {
    rows(positions) {
      if (biased.length === 0 && !run) return undefined;
      const rows = new Float32Array(positions.length * V);
      for (const [row, position] of positions.entries()) {
        const out = rows.subarray(row * V, (row + 1) * V);
        if (run) forget(out, run.allowedAt(position - answerStart));
        for (const [id, bias] of biased) out[id] += bias;
      }
      return rows;
    },
    agree(commits) {
      if (!run) return commits;
      const [first, ...others] = commits;
      const surestFirst = others.sort((a, b) => b.probability - a.probability);
      return (first ? [first, ...surestFirst] : []).filter(({ position, id }) => {
        const possible = run.canCommit(position - answerStart, id);
        if (possible) run.commit(position - answerStart, id);
        return possible;
      });
    },
    forced: () =>
      (run?.commitForced() ?? []).map(({ position, token }) => ({
        position: answerStart + position,
        id: token,
        probability: 1,
        runnerUp: 0,
        entropy: 0,
        logSumExp: NaN,
        top: [],
        current: null,
      })),
  };
}
