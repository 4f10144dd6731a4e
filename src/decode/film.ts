/** A run as pictures: what every position of the answer holds after each forward that changed something. */
import { MASKED } from './canvas.ts';
import type { Canvas } from './canvas.ts';
import type { DecodeEvent, StepEvent } from './events.ts';

/**
 * `masked`: undecided; `fresh`: committed by the last forward; `held`: committed before, in a block that is not
 * finished; `settled`: in a finished block, or given.
 */
export type CellState = 'masked' | 'fresh' | 'held' | 'settled';

export interface Cell {
  position: number;
  /** `MASKED` where undecided. */
  id: number;
  state: CellState;
  /** The model's own, of the token when it was committed; null where it is undecided or was given. */
  probability: number | null;
}

export interface Frame {
  /** The forward that made it; null for the last frame, which only settles the text. */
  step: StepEvent | null;
  /** The answer, as far as it has been worked on. */
  cells: Cell[];
}

/** A fold over the events of one run: each event may complete a frame. The last one shows the useful answer alone. */
export function createFilm(canvas: Canvas): (event: DecodeEvent) => Frame | null {
  const ids = canvas.ids.slice();
  const probabilities = new Map<number, number>();
  let step: StepEvent | null = null;
  let settledEnd = canvas.answerStart;
  /** How far the answer has been worked on. */
  let reached = canvas.answerStart;

  const frame = (end: number, fresh: ReadonlySet<number>): Cell[] =>
    Array.from({ length: end - canvas.answerStart }, (_, i) => {
      const position = canvas.answerStart + i;
      const id = ids[position];
      if (id === MASKED) return { position, id, state: 'masked', probability: null };
      const probability = probabilities.get(position) ?? null;
      if (fresh.has(position)) return { position, id, state: 'fresh', probability };
      const isSettled = position < settledEnd || canvas.ids[position] !== MASKED;
      return { position, id, state: isSettled ? 'settled' : 'held', probability };
    });

  return (event) => {
    switch (event.type) {
      case 'step':
        step = event;
        return null;
      case 'commit':
        for (const { position, id, probability } of event.tokens) {
          ids[position] = id;
          probabilities.set(position, probability);
        }
        reached = Math.max(
          reached,
          step?.block.end ?? 0,
          ...event.tokens.map(({ position }) => position + 1),
        );
        return { step, cells: frame(reached, new Set(event.tokens.map(({ position }) => position))) };
      case 'remask':
        for (const position of event.positions) ids[position] = MASKED;
        return null;
      case 'block':
        settledEnd = event.settledEnd;
        return null;
      case 'look':
        return null;
      case 'done':
        return { step: null, cells: frame(settledEnd, new Set()) };
    }
  };
}
