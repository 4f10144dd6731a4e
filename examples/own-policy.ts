/**
 * A policy of one's own: which masks become tokens at each step is a plain function, passed to `decode`.
 *
 *     npx tsx examples/own-policy.ts
 *
 * Two cells that are guessed in the same step do not see each other. In a sudoku that matters most where they share a
 * row or a column, so `apart` takes what is nearly certain as it is, and of the rest one cell a row and column.
 */
import { puzzleCanvas } from '../src/eval/sudoku-canvas.ts';
import { collect, confidenceThreshold, decode, loadDenoiser } from '../src/index.ts';
import type { UnmaskPolicy } from '../src/index.ts';
import { decodeGrid } from '../src/train/sudoku-rows.ts';
import { evaluationPuzzles } from '../src/train/sudoku-source.ts';
import { validGrid } from '../src/train/sudoku.ts';

const SIZE = 6;

const apart: UnmaskPolicy = {
  name: 'apart',
  needs: { topK: 1, entropy: false },
  choose({ candidates }) {
    const taken = new Set<string>();
    const surestFirst = [...candidates].sort((a, b) => b.probability - a.probability);
    const commit = surestFirst.filter(({ position, probability }, rank) => {
      if (probability > 0.99) return true;
      // Position 0 is the begin-of-text token.
      const cell = position - 1;
      const lines = [`row ${Math.floor(cell / SIZE)}`, `column ${cell % SIZE}`];
      const isAlone = lines.every((line) => !taken.has(line));
      for (const line of lines) taken.add(line);
      // One at least, or decoding would never end.
      return rank === 0 || (probability > 0.9 && isAlone);
    });
    return { commit };
  },
};

const { denoiser } = await loadDenoiser(new URL('../models/tintype-sudoku', import.meta.url).pathname);
const puzzles = evaluationPuzzles(SIZE, 50, 1);
for (const policy of [confidenceThreshold(0.9), apart]) {
  let [forwards, valid] = [0, 0];
  for (const puzzle of puzzles) {
    const { done } = await collect(decode(denoiser, puzzleCanvas(puzzle, 'full'), { policy }));
    forwards += done.nfe;
    valid += Number(validGrid(decodeGrid(done.ids, SIZE), SIZE));
  }
  console.log(
    `${policy.name}: ${valid} of ${puzzles.length} valid, ${forwards / puzzles.length} forwards each`,
  );
}
await denoiser.close();
