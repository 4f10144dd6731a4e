/** `tintype eval bpb | fim | sudoku`: measures models. */
import type { Command } from 'commander';
import { addBpb } from './eval-bpb.ts';
import { addFim } from './eval-fim.ts';
import { addSudoku } from './eval-sudoku.ts';

export function register(program: Command): void {
  const evalCommand = program
    .command('eval')
    .description('measure a model: bits per byte, fill-in-the-middle, sudoku')
    .addHelpText(
      'after',
      `
Examples:
  tintype eval bpb --model models/tintype-code --data data/ts/heldout.jsonl.gz --bytes 200000
  tintype eval fim --model models/tintype-code --data data/ts/fim.jsonl.gz --limit 200
  tintype eval sudoku --model models/tintype-sudoku --nfe 12,4,2,1

Results go to stdout (--json: one document), progress to stderr.`,
    );
  addBpb(evalCommand);
  addFim(evalCommand);
  addSudoku(evalCommand);
}
