/**
 * What tells the model which tokens may stand: a bias on logits by token, and a constraint, a language that the answer
 * must belong to. Both are added to the logits inside the graph, so that what is best, or drawn, is best among what is
 * allowed, however small its probability.
 */
import type { ModelConfig } from '../model/config.ts';
import type { Canvas } from './canvas.ts';
import type { Candidate } from './policies/policy.ts';

/** A language over token ids, compiled once and used by any number of runs. */
export interface Constraint {
  /** Begins a run whose answer has room for `budget` tokens. Throws `bad_option` when no text of the language fits. */
  begin(budget: number): ConstraintRun;
}

/** The answer so far, by place from 0. */
export interface ConstraintRun {
  /** Tokens that are certain before the model is asked. */
  forced(): readonly { place: number; id: number }[];
  /** Tokens that may stand at a masked place such that the rest can still be filled; null: no opinion yet. */
  allowed(place: number): Uint32Array | null;
  /** Takes a commit in; false, and nothing changes, where it would leave no way to finish. */
  commit(place: number, id: number): boolean;
}

export interface Bias {
  /** Certain from the start. */
  forced: readonly Candidate[];
  /** Rows for `StatisticsRequest.logitBias`; undefined when nothing is biased. */
  rows(positions: readonly number[]): Float32Array | undefined;
  /** Those of the commits that may stand together; the first always may. */
  agree(commits: readonly Candidate[]): readonly Candidate[];
}

/** Large enough that no model's logits reach across. */
const FORBIDDEN = -1e9;

export function createBias(
  { vocabSize: V }: ModelConfig,
  canvas: Canvas,
  logitBias: Readonly<Record<string, number>>,
  constraint: Constraint | undefined,
): Bias {
  const { answerStart, ids } = canvas;
  const run = constraint?.begin(ids.length - answerStart);
  const biased = Object.entries(logitBias).map(([id, bias]) => [Number(id), bias] as const);
  const forced = (run?.forced() ?? []).map(({ place, id }): Candidate => ({
    position: answerStart + place,
    id,
    probability: 1,
    runnerUp: 0,
    entropy: 0,
    top: [],
    current: null,
  }));
  return {
    forced,
    rows(positions) {
      if (biased.length === 0 && !run) return undefined;
      const rows = new Float32Array(positions.length * V);
      for (const [row, position] of positions.entries()) {
        const out = rows.subarray(row * V, (row + 1) * V);
        const allowed = run?.allowed(position - answerStart);
        if (allowed) {
          out.fill(FORBIDDEN);
          for (const id of allowed) out[id] = 0;
        }
        for (const [id, bias] of biased) if (id >= 0 && id < V) out[id] += bias;
      }
      return rows;
    },
    agree(commits) {
      if (!run) return commits;
      const [first, ...others] = commits;
      const surestFirst = others.sort((a, b) => b.probability - a.probability);
      return [first, ...surestFirst].filter(
        (candidate) => candidate && run.commit(candidate.position - answerStart, candidate.id),
      );
    },
  };
}
