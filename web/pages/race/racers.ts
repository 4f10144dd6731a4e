/** Who runs, on what, in which order. */
import type { CompleteOptions } from '../../../src/decode/complete.ts';
import type { Rng } from '../../../src/rng.ts';
import { createRng, shuffle } from '../../../src/rng.ts';
import { createPuzzle, onlySolution } from '../../../src/train/sudoku.ts';
import type { SudokuSize } from '../../../src/train/sudoku.ts';
import type { ModelInfo, RunRequest } from '../../runs/run.ts';
import type { Sudoku } from '../solve/board.ts';
import { requestCanvas, solversAmong } from '../solve/puzzle.ts';

export const RACER_IDS = ['diffusion', 'verify', 'twin', 'ar'] as const;
export type RacerId = (typeof RACER_IDS)[number];

export interface Racer {
  id: RacerId;
  label: string;
  about: string;
  model: string;
  layout: string;
  options: CompleteOptions;
}

export type Prompt =
  | { kind: 'code'; prefix: string; suffix: string }
  | { kind: 'puzzle'; seed: number; sudoku: Sudoku };

/** The models that can run against each other on a kind of prompt; twins are the autoregressive ones. */
export function fieldFor(
  kind: Prompt['kind'],
  listed: readonly ModelInfo[],
): { runners: ModelInfo[]; twins: ModelInfo[] } {
  const solvers = new Set(solversAmong(listed).map(({ model }) => model));
  const able = listed.filter(({ id }) => solvers.has(id) === (kind === 'puzzle'));
  return {
    runners: able.filter(({ layout }) => layout !== 'causal'),
    twins: able.filter(({ layout }) => layout === 'causal'),
  };
}

/** All that a model and its twin can run as. */
export function racersOf(runner: ModelInfo, twin: ModelInfo | null, threshold: number): Racer[] {
  const own = { model: runner.id, layout: runner.layout };
  const racers: (Racer | false | null)[] = [
    {
      ...own,
      id: 'diffusion',
      label: 'Diffusion',
      about: 'commits every mask that it is sure of',
      options: { mode: 'diffusion', policy: 'confidenceThreshold', threshold },
    },
    runner.layout === 'causalContext' && {
      ...own,
      id: 'verify',
      label: 'Verify',
      about: 'drafts in parallel, keeps what one token at a time would have written',
      options: { mode: 'verify', policy: 'confidenceThreshold', threshold },
    },
    twin && {
      id: 'twin',
      label: 'Twin',
      about: 'autoregressive, of the same size',
      model: twin.id,
      layout: twin.layout,
      options: { mode: 'ar' },
    },
    {
      ...own,
      id: 'ar',
      label: 'One at a time',
      about: 'the same file as diffusion, token by token',
      options: { mode: 'ar' },
    },
  ];
  return racers.filter((racer) => racer !== false && racer !== null);
}

/** A first order by lot, then each round begins with the next: over as many rounds as racers everybody is first once. */
export function drawOrders(racers: readonly RacerId[], rounds: number, rng: Rng): RacerId[][] {
  const first = shuffle([...racers], rng);
  return Array.from({ length: rounds }, (_, round) => {
    const from = round % first.length;
    return [...first.slice(from), ...first.slice(0, from)];
  });
}

export function drawPuzzle(size: SudokuSize, seed: number): Prompt {
  const { givens } = createPuzzle(size, createRng(seed, 'page'));
  return { kind: 'puzzle', seed, sudoku: { size, givens, solution: onlySolution(givens, size) } };
}

/**
 * What makes a prompt one that no cache has seen: a comment at the head of both of its parts, since models read the part
 * after the gap first.
 */
export const marked = (prompt: Prompt, mark: string): Prompt =>
  prompt.kind === 'puzzle'
    ? prompt
    : {
        kind: 'code',
        prefix: `// ${mark}\n${prompt.prefix}`,
        suffix: prompt.suffix === '' ? '' : `/* ${mark} */${prompt.suffix}`,
      };

export function requestFor(racer: Racer, prompt: Prompt, maxTokens: number, seed: number): RunRequest {
  const { model, options } = racer;
  if (prompt.kind === 'code') {
    const source = { prompt: prompt.prefix, suffix: prompt.suffix === '' ? null : prompt.suffix };
    return { model, source, maxTokens, temperature: 0, seed, options };
  }
  const layout = racer.layout === 'causal' ? 'causal' : 'full';
  return {
    model,
    source: { canvas: requestCanvas(prompt.sudoku.givens, layout) },
    temperature: 0,
    seed,
    options,
  };
}
