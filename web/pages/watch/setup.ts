/** What somebody asks for on this page, and the request that it becomes. */
import type { CompleteOptions } from '../../../src/decode/complete.ts';
import { POSSIBLE_MODES } from '../../../src/decode/modes.ts';
import type { Mode } from '../../../src/decode/modes.ts';
import {
  namedPolicy,
  parametersOf,
  POLICIES,
  POLICY_PARAMETERS,
} from '../../../src/decode/policies/index.ts';
import type { PolicyName } from '../../../src/decode/policies/index.ts';
import type { Layout } from '../../../src/model/config.ts';
import { createRng } from '../../../src/rng.ts';
import { HOLE } from '../../../src/text/fim.ts';
import type { ModelInfo, RunRequest } from '../../runs/run.ts';

/** Numbers as they are typed; empty for the default. */
export interface Setup {
  /** Empty: the first that there is. */
  model: string;
  /** With `HOLE` where text is missing; without one it is continued. */
  text: string;
  /** Digits and dots, for models of puzzles. */
  puzzle: string;
  mode: Mode;
  policy: PolicyName;
  /** By name. */
  parameters: Record<string, string>;
  blockLength: string;
  maxTokens: string;
  temperature: string;
  seed: string;
}

export interface Sample {
  name: string;
  text: string;
}

export const SAMPLES: readonly Sample[] = [
  {
    name: 'Body of a function',
    text: `export function clamp(value: number, low: number, high: number): number {\n  ${HOLE}\n}\n`,
  },
  {
    name: 'Gap in an expression',
    text: `const names = users.filter((user) => ${HOLE}).map((user) => user.name);\n`,
  },
  {
    name: 'A class to go on with',
    text: 'export class Queue<T> {\n  private items: T[] = [];\n\n  push(item: T): void {\n    ',
  },
];

const SUDOKU = 6;

export const isPuzzleModel = (id: string): boolean => id.includes('sudoku');

export const INITIAL: Setup = {
  model: '',
  text: SAMPLES[0].text,
  puzzle: '',
  mode: 'diffusion',
  policy: 'confidenceThreshold',
  parameters: {},
  blockLength: '',
  maxTokens: '64',
  temperature: '0',
  seed: '0',
};

/** What the browser remembers may be of another version of the page. */
export const knownSetup = (remembered: Setup): Setup => {
  const all = { ...INITIAL, ...remembered };
  return all.policy in POLICIES ? all : { ...all, policy: INITIAL.policy, parameters: {} };
};

/** A puzzle as rows of digits and dots. The generator is fetched when it is first wanted. */
export async function newPuzzle(seed: number): Promise<string> {
  const { createPuzzle } = await import('../../../src/train/sudoku.ts');
  const { givens } = createPuzzle(SUDOKU, createRng(seed, 'watch'));
  const rows = Array.from({ length: SUDOKU }, (_, row) => givens.subarray(row * SUDOKU, (row + 1) * SUDOKU));
  return rows
    .map((row) => Array.from(row, (digit) => (digit === 0 ? '.' : String(digit))).join(''))
    .join('\n');
}

/** Throws an `Error` that says what is wrong with the puzzle. */
async function puzzleSource(puzzle: string, layout: string): Promise<RunRequest['source']> {
  const cells = Array.from(puzzle.replace(/\s/g, ''));
  const wrong = cells.find((cell) => !/[.1-6]/.test(cell));
  if (wrong !== undefined || cells.length !== SUDOKU * SUDOKU) {
    throw new Error(
      `A puzzle is ${SUDOKU} rows of ${SUDOKU} cells, each a digit from 1 to ${SUDOKU} or a dot; ` +
        (wrong === undefined ? `here are ${cells.length} cells.` : `“${wrong}” is neither.`),
    );
  }
  const { puzzleCanvas } = await import('../../../src/eval/sudoku-canvas.ts');
  const givens = Uint8Array.from(cells, (cell) => (cell === '.' ? 0 : Number(cell)));
  const { ids, answerStart } = puzzleCanvas({ givens }, layout === 'full' ? 'full' : 'causal');
  return { canvas: { ids: [...ids], answerStart } };
}

export const modesOf = (model: ModelInfo): readonly Mode[] =>
  POSSIBLE_MODES[model.layout as Layout] ?? POSSIBLE_MODES.full;

/** Drafts are never taken back by their policy, and have no steps to count. */
export function canVerify(name: PolicyName): boolean {
  const { blocks, committed } = namedPolicy(name, {}, 1).needs;
  return !blocks && committed === undefined;
}

/** Enough for every policy to be asked afterwards. */
const CANDIDATES = 16;

const numberOf = (text: string): number | undefined => (text.trim() === '' ? undefined : Number(text));

/** Throws an `Error` with words for a person. */
export async function requestOf(setup: Setup, model: ModelInfo): Promise<RunRequest> {
  const { text, puzzle, policy, parameters } = setup;
  const mode = modesOf(model).includes(setup.mode) ? setup.mode : modesOf(model)[0];
  const parts = text.split(HOLE);
  if (parts.length > 2) throw new Error(`Mark one gap: there are ${parts.length - 1} here.`);
  const source = isPuzzleModel(model.id)
    ? await puzzleSource(puzzle, model.layout)
    : { prompt: parts[0], suffix: parts.length === 2 ? parts[1] : null };
  const said = parametersOf(policy, parameters.inner).flatMap((name) => {
    const value = parameters[name]?.trim() ?? '';
    if (value === '') return [];
    return [[name, POLICY_PARAMETERS[name].type === 'choice' ? value : Number(value)] as const];
  });
  const blockLength = numberOf(setup.blockLength);
  const parallel = {
    policy,
    ...Object.fromEntries(said),
    ...(blockLength === undefined ? {} : { blockLength }),
  };
  const options: CompleteOptions = { mode, ...(mode === 'ar' ? {} : parallel) };
  return {
    model: model.id,
    source,
    maxTokens: numberOf(setup.maxTokens) ?? 64,
    temperature: numberOf(setup.temperature) ?? 0,
    seed: numberOf(setup.seed) ?? 0,
    options,
    candidates: CANDIDATES,
  };
}
