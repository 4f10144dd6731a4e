/** A run forward by forward: what every position of the answer held after each of them, and what became of it. */
import { MASKED } from '../../../src/decode/canvas.ts';
import type { CommittedToken, LookEvent, StepEvent } from '../../../src/decode/events.ts';
import type { Cell } from '../../../src/decode/film.ts';
import type { Candidate } from '../../../src/decode/policies/policy.ts';
import type { RunLine } from '../../runs/run.ts';
import { doubtOf } from '../../views/canvas.tsx';

/** Everything is indexed from the start of the answer. */
export interface Moment {
  /** The forward that made it; null for what was there before the first. */
  step: StepEvent | null;
  look: LookEvent | null;
  commits: CommittedToken[];
  remasked: number[];
  /** What stands there after it; `MASKED` where undecided. */
  ids: Int32Array;
  /** Of the tokens that stand there, when they were committed; NaN where given or undecided. */
  probabilities: Float32Array;
  /** Everything before it is settled. */
  settledEnd: number;
  /** How far the answer has been worked on. */
  reached: number;
  /** Masks in the whole answer. */
  masksLeft: number;
  /** For the heat map: `HEAT` and doubt, see `heatCode`. */
  heat: Uint8Array;
}

/** What happened to a position. */
export interface Fate {
  kind: 'commit' | 'remask';
  /** After which forward: place in `moments`. */
  at: number;
  id: number;
  probability: number;
}

export const HEAT = { unseen: 0, masked: 1, fresh: 2, held: 3, settled: 4, given: 5, remasked: 6 } as const;
export type HeatKind = (typeof HEAT)[keyof typeof HEAT];

/** A kind, and how unsure the model was (0 to 4). */
const heatCode = (kind: HeatKind, doubt: number): number => kind * 8 + doubt;
export const heatKind = (code: number): HeatKind => (code >> 3) as HeatKind;
export const heatDoubt = (code: number): number => code & 7;
export const HEAT_CODES = 7 * 8;

export interface History {
  /** Position on the canvas of the answer's first token. */
  readonly answerStart: number;
  /** Positions of the answer. */
  readonly length: number;
  /** The first is what was there before the first forward; the last one may still change. */
  readonly moments: readonly Moment[];
  /** Takes in what was added to the lines of a run since the last time. */
  read(lines: readonly RunLine[]): void;
  isGiven(index: number): boolean;
  cells(at: number): Cell[];
  fates(index: number): readonly Fate[];
  /** What the model said of a position. */
  candidate(at: number, index: number): Candidate | null;
  /** Positions on the canvas that held a committed token before this forward. */
  committedBefore(at: number): number[];
}

export function createHistory(): History {
  let answerStart = 0;
  let given = new Int32Array(0);
  const moments: Moment[] = [];
  const fates: Fate[][] = [];
  let taken = 0;

  function begin(step: StepEvent | null): void {
    const before = moments.at(-1);
    moments.push({
      step,
      look: null,
      commits: [],
      remasked: [],
      ids: (before?.ids ?? given).slice(),
      probabilities: before?.probabilities.slice() ?? new Float32Array(given.length).fill(NaN),
      settledEnd: before?.settledEnd ?? 0,
      reached: Math.max(before?.reached ?? 0, step ? step.block.end - answerStart : 0),
      masksLeft: before?.masksLeft ?? 0,
      heat: new Uint8Array(given.length),
    });
  }

  function take(line: RunLine): void {
    if (line.type === 'canvas') {
      answerStart = line.answerStart;
      given = Int32Array.from(line.ids.slice(line.answerStart));
      begin(null);
      return;
    }
    const now = moments.at(-1);
    if (!now) return;
    if (line.type === 'step') {
      shade(now);
      begin(line);
    } else if (line.type === 'look') {
      now.look = line;
    } else if (line.type === 'commit') {
      now.commits.push(...line.tokens);
      for (const { position, id, probability } of line.tokens) {
        const index = position - answerStart;
        now.ids[index] = id;
        now.probabilities[index] = probability;
        now.reached = Math.max(now.reached, index + 1);
        (fates[index] ??= []).push({ kind: 'commit', at: moments.length - 1, id, probability });
      }
    } else if (line.type === 'remask') {
      now.remasked.push(...line.positions);
      for (const position of line.positions) {
        const index = position - answerStart;
        const lost = { id: now.ids[index], probability: now.probabilities[index] };
        (fates[index] ??= []).push({ kind: 'remask', at: moments.length - 1, ...lost });
        now.ids[index] = MASKED;
        now.probabilities[index] = NaN;
      }
    } else if (line.type === 'block') {
      now.settledEnd = line.settledEnd - answerStart;
    }
  }

  function shade(moment: Moment): void {
    const { heat, ids, probabilities, look, commits, remasked, settledEnd } = moment;
    moment.masksLeft = ids.reduce((count, id) => count + (id === MASKED ? 1 : 0), 0);
    for (let i = 0; i < heat.length; i++) {
      if (given[i] !== MASKED) heat[i] = heatCode(HEAT.given, 0);
      else if (ids[i] === MASKED) heat[i] = heatCode(HEAT.unseen, 0);
      else heat[i] = heatCode(i < settledEnd ? HEAT.settled : HEAT.held, doubtOf(probabilities[i]));
    }
    const mark = (position: number, kind: HeatKind, probability: number): void => {
      heat[position - answerStart] = heatCode(kind, doubtOf(probability));
    };
    for (const { position, probability } of look?.candidates ?? []) {
      if (ids[position - answerStart] === MASKED) mark(position, HEAT.masked, probability);
    }
    for (const position of remasked)
      if (ids[position - answerStart] === MASKED) mark(position, HEAT.remasked, 0);
    for (const { position, probability } of commits) mark(position, HEAT.fresh, probability);
  }

  return {
    get answerStart() {
      return answerStart;
    },
    get length() {
      return given.length;
    },
    moments,
    read(lines) {
      if (taken === lines.length) return;
      for (; taken < lines.length; taken++) take(lines[taken]);
      const last = moments.at(-1);
      if (last) shade(last);
    },
    isGiven: (index) => given[index] !== MASKED,
    cells(at) {
      const moment = moments[at];
      const fresh = new Set(moment.commits.map(({ position }) => position));
      return Array.from({ length: moment.reached }, (_, index): Cell => {
        const position = answerStart + index;
        const id = moment.ids[index];
        if (id === MASKED) return { position, id, state: 'masked', probability: null };
        const own = moment.probabilities[index];
        const probability = Number.isNaN(own) ? null : own;
        if (fresh.has(position)) return { position, id, state: 'fresh', probability };
        const isSettled = index < moment.settledEnd || given[index] !== MASKED;
        return { position, id, state: isSettled ? 'settled' : 'held', probability };
      });
    },
    fates: (index) => fates[index] ?? [],
    candidate: (at, index) =>
      moments[at].look?.candidates.find(({ position }) => position === answerStart + index) ?? null,
    committedBefore(at) {
      const before = moments[at - 1];
      if (!before) return [];
      const positions: number[] = [];
      for (const [index, id] of before.ids.entries()) {
        if (id !== MASKED && given[index] === MASKED) positions.push(answerStart + index);
      }
      return positions;
    },
  };
}
