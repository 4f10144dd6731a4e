/** Frames of a small run, for what shows them. */
import { expect } from 'vitest';
import { MASKED } from '../src/decode/canvas.ts';
import type { Cell, CellState, Frame } from '../src/decode/film.ts';
import { codeTokenizer } from './text-model.ts';

export const tokenizer = codeTokenizer();

/** One token; the tests use texts that are one. */
export const cell = (text: string | null, state: CellState, position = 0): Cell => {
  const [id, ...more] = text === null ? [MASKED] : tokenizer.encode(text);
  expect(more).toEqual([]);
  return { position, id, state, probability: null };
};

export const frame = (...cells: Cell[]): Frame => ({
  step: {
    type: 'step',
    nfe: 3,
    kind: 'denoise',
    positions: 4,
    block: { start: 0, end: 4 },
    masksLeft: 1,
    elapsedMs: 12,
  },
  cells,
});

/** A cell of each state. */
export const FRAME = frame(
  cell('a', 'settled'),
  cell('=', 'held'),
  cell('\n', 'fresh'),
  cell(null, 'masked'),
);
export const LAST: Frame = { step: null, cells: [cell('a', 'settled'), cell('=', 'settled')] };
