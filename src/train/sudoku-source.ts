/**
 * Sudoku as sequences. A diffusion model (`full`) sees the grid itself and fills the masks in any order; its
 * autoregressive twin (`causal`) reads the puzzle, then writes the solution from left to right:
 *
 *   full    <|bos|> 5 3 ▒ ▒ 7 …            1 + cells; givens stand, blanks are the answer
 *   causal  <|bos|> 5 3 . . 7 … <|sep|> 5 3 4 6 7 …    2 + 2 · cells; the solution is the answer
 */
import { z } from 'zod';
import { TintypeError } from '../errors.ts';
import { createRng } from '../rng.ts';
import type { BatchSource, TokenBatch } from './batch.ts';
import { createPuzzle, type Puzzle, type SudokuSize } from './sudoku.ts';

export type SudokuLayout = 'full' | 'causal';

/** Token ids, the same for every size. Digit d has id `DIGIT_ZERO` + d; blank stands where a digit 0 would. */
const PAD = 0;
const MASK = 1;
const BOS = 2;
const SEP = 3;
const DIGIT_ZERO = 4;

/** What `config.json` says of the vocabulary: 14 tokens, rounded up. Answers have a fixed length and no end. */
export const SUDOKU_TOKENS = {
  vocabSize: 16,
  tokens: { mask: MASK, eos: [] as number[], pad: PAD, bos: BOS },
};

/** Positions of one row. */
export function sudokuLength(size: SudokuSize, layout: SudokuLayout): number {
  return layout === 'full' ? 1 + size * size : 2 + 2 * size * size;
}

/** What a model is given: `full` a row with masks at the blanks, `causal` everything before the solution. */
export function encodePuzzle({ givens }: Pick<Puzzle, 'givens'>, layout: SudokuLayout): Int32Array {
  const cells = Array.from(givens, (digit) => (digit === 0 && layout === 'full' ? MASK : DIGIT_ZERO + digit));
  return Int32Array.from(layout === 'full' ? [BOS, ...cells] : [BOS, ...cells, SEP]);
}

/** The grid that a finished row holds; 0 where a token is no digit. */
export function decodeGrid(ids: ArrayLike<number>, size: SudokuSize): Uint8Array {
  const cells = Array.from(ids).slice(-size * size);
  return Uint8Array.from(cells, (id) => (id > DIGIT_ZERO && id <= DIGIT_ZERO + size ? id - DIGIT_ZERO : 0));
}

const stateSchema = z.strictObject({ size: z.number(), seed: z.number(), puzzles: z.int().min(0) });

/**
 * Fresh puzzles without end, one a row: puzzle i is a function of the seed and i. Evaluation draws from another
 * stream (`evaluationPuzzles`). Puzzles are held out, not solution grids: there are 28,200,960 grids of 6x6, so a
 * long run meets the solution of an evaluation puzzle now and then, behind other givens. The rules are what can be
 * learned, and no grid is seen often enough to be memorised.
 */
export function createSudokuSource(options: {
  size: SudokuSize;
  seed: number;
  layout: SudokuLayout;
}): BatchSource {
  const { size, seed, layout } = options;
  const width = sudokuLength(size, layout);
  let puzzles = 0;
  return {
    next(rows, length): TokenBatch {
      if (length < width) {
        throw new TintypeError('bad_config', {
          what: 'batch.length is too short for a sudoku row',
          got: String(length),
          wanted: `at least ${width} (${size}x${size}, ${layout})`,
        });
      }
      const ids = new Int32Array(rows * length).fill(PAD);
      const segments = new Int32Array(rows * length).fill(-1);
      const answer = new Uint8Array(rows * length);
      for (let row = 0; row < rows; row++) {
        const puzzle = createPuzzle(size, createRng(seed, 'sudoku', 'train', puzzles++));
        const solution = puzzle.solution.map((digit) => DIGIT_ZERO + digit);
        const at = row * length;
        ids.set(encodePuzzle(puzzle, layout), at);
        ids.set(solution, at + width - solution.length);
        segments.fill(0, at, at + width);
        answer.set(
          layout === 'full' ? puzzle.givens.map((digit) => Number(digit === 0)) : solution.fill(1),
          at + width - solution.length,
        );
      }
      return { rows, length, ids, segments, answer };
    },
    state: () => ({ size, seed, puzzles }),
    restore(saved) {
      const state = stateSchema.safeParse(saved);
      if (!state.success || state.data.size !== size || state.data.seed !== seed) {
        throw new TintypeError('bad_data', {
          what: 'the saved position belongs to other puzzles',
          got: JSON.stringify(saved),
          wanted: `size ${size}, seed ${seed}`,
          next: 'resume with the data and seed that the run began with',
        });
      }
      puzzles = state.data.puzzles;
    },
    // Every puzzle is new.
    epochs: 0,
    description: `${size}x${size} sudoku, generated without end`,
  };
}

/** `count` puzzles that training never draws: another stream of the same generator. */
export function evaluationPuzzles(size: SudokuSize, count: number, seed: number): Puzzle[] {
  return Array.from({ length: count }, (_, i) =>
    createPuzzle(size, createRng(seed, 'sudoku', 'evaluation', i)),
  );
}

/** `tokenizer.json` (one character a token) and `tokenizer_config.json` for the model's folder. */
export function sudokuTokenizer(size: SudokuSize): { json: object; config: object } {
  const special = ['<|pad|>', '<|mask|>', '<|bos|>', '<|sep|>'];
  const cells = ['.', ...Array.from({ length: 9 }, (_, digit) => String(digit + 1))];
  const vocab = Object.fromEntries([...special, ...cells].map((token, id) => [token, id]));
  const json = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'Split', pattern: { Regex: '[\\s\\S]' }, behavior: 'Isolated', invert: false },
    post_processor: null,
    decoder: { type: 'Fuse' },
    model: { type: 'WordLevel', vocab, unk_token: '.' },
  };
  const config = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    pad_token: '<|pad|>',
    mask_token: '<|mask|>',
    bos_token: '<|bos|>',
    model_max_length: sudokuLength(size, 'causal'),
    clean_up_tokenization_spaces: false,
  };
  return { json, config };
}
