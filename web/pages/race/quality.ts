/** Whether what was written is any good, where that can be checked by rule. */
import { validGrid, solves } from '../../../src/train/sudoku.ts';
import { decodeGrid } from '../../../src/train/sudoku-rows.ts';
import type { Recording } from '../../runs/recording.ts';
import type { Prompt } from './racers.ts';

export type Quality =
  /** Places at which a TypeScript parser gives up on prefix, answer and suffix together. */
  | { kind: 'code'; syntaxErrors: number }
  /** `solved`: a valid grid that keeps the givens. */
  | { kind: 'puzzle'; solved: boolean; valid: boolean };

export async function qualityOf(prompt: Prompt, { text, frames }: Recording): Promise<Quality> {
  if (prompt.kind === 'code') {
    return { kind: 'code', syntaxErrors: await syntaxErrors(prompt.prefix + (text ?? '') + prompt.suffix) };
  }
  const { size } = prompt.sudoku;
  const cells = frames.at(-1)?.cells.map(({ id }) => id) ?? [];
  const grid = cells.length >= size * size ? decodeGrid(cells, size) : [];
  return { kind: 'puzzle', solved: solves(prompt.sudoku, grid), valid: validGrid(grid, size) };
}

export const isGood = (quality: Quality): boolean =>
  quality.kind === 'code' ? quality.syntaxErrors === 0 : quality.solved;

/** The parser is the editor's, fetched when it is first needed. */
async function syntaxErrors(code: string): Promise<number> {
  const { typescriptLanguage } = await import('@codemirror/lang-javascript');
  let errors = 0;
  typescriptLanguage.parser.parse(code).iterate({
    enter: ({ type }) => {
      if (type.isError) errors++;
    },
  });
  return errors;
}
