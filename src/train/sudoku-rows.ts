/**
 * Sudoku as sequences. A diffusion model (`full`) sees the grid itself and fills the masks in any order; its
 * autoregressive twin (`causal`) reads the puzzle, then writes the solution from left to right:
 *
 *   full    <|bos|> 5 3 ▒ ▒ 7 …            1 + cells; givens stand, blanks are the answer
 *   causal  <|bos|> 5 3 . . 7 … <|sep|> 5 3 4 6 7 …    2 + 2 · cells; the solution is the answer
 */
import type { Puzzle, SudokuSize } from './sudoku.ts';

export type SudokuLayout = 'full' | 'causal';

/** Token ids, the same for every size. Digit d has id `DIGIT_ZERO` + d; blank stands where a digit 0 would. */
export const PAD = 0;
const MASK = 1;
const BOS = 2;
const SEP = 3;
export const DIGIT_ZERO = 4;

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
