/**
 * Denoising in the terminal, redrawn in place: masked, fresh, held and settled tokens (`decode/film.ts`) differ also
 * without colour. Where the output is no terminal, each forward is one plain line.
 */
import pc from 'picocolors';
import { MASKED } from '../decode/canvas.ts';
import type { Cell, CellState, Frame } from '../decode/film.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

export interface Screen {
  isTTY?: boolean;
  columns?: number;
  rows?: number;
  write(text: string): unknown;
}

export interface FrameView {
  draw(frame: Frame): void;
}

/** Two cells wide, about what a token of code is. */
const MASK_GLYPH = '▒▒';

const LINES_BEFORE = 4;
const LINES_AFTER = 3;

const escape = (code: number, off: number) => (text: string) => `\x1b[${code}m${text}\x1b[${off}m`;
// Inverse and underline are no colours, so NO_COLOR leaves them.
type Style = CellState | 'around';
const STYLES: Record<Style, (text: string) => string> = {
  around: (text) => pc.dim(text),
  masked: (text) => pc.dim(text),
  fresh: (text) => escape(7, 27)(pc.cyan(text)),
  held: escape(4, 24),
  settled: (text) => text,
};

/** Text around the gap, shown beside the answer. */
export interface Surroundings {
  before: string;
  after: string;
}

export function createFrameView(screen: Screen, tokenizer: Tokenizer, around: Surroundings): FrameView {
  return screen.isTTY ? liveView(screen, tokenizer, around) : lineView(screen, tokenizer);
}

/** The lines next to a gap. */
export function surroundings(prefix: string, suffix: string | null): Surroundings {
  return {
    before: prefix.split('\n').slice(-LINES_BEFORE).join('\n'),
    after: (suffix ?? '').split('\n').slice(0, LINES_AFTER).join('\n'),
  };
}

function lineView(screen: Screen, tokenizer: Tokenizer): FrameView {
  return {
    draw({ step, cells }) {
      if (step === null) return;
      const { nfe, kind, masksLeft } = step;
      const text = cells.map((cell) =>
        cell.state === 'fresh' ? `[${shown(cell, tokenizer)}]` : shown(cell, tokenizer),
      );
      const masks = masksOf(masksLeft).padStart(9);
      screen.write(`${String(nfe).padStart(3)} ${kind.padEnd(7)} ${masks} | ${text.join('')}\n`);
    },
  };
}

function liveView(screen: Screen, tokenizer: Tokenizer, { before, after }: Surroundings): FrameView {
  let drawnRows = 0;
  return {
    draw({ step, cells }) {
      // A terminal that does not know its size says 0.
      const [columns, rows] = [screen.columns || 80, screen.rows || 24];
      const answer = cells.map((cell) => ({ text: printed(cell, tokenizer), style: cell.state }));
      const lines = layOut(
        [{ text: before, style: 'around' }, ...answer, { text: after, style: 'around' }],
        columns,
      );
      if (step !== null) {
        const { nfe, kind, masksLeft, elapsedMs } = step;
        lines.push(
          pc.dim(`forward ${nfe} (${kind}), ${masksOf(masksLeft)} left, ${elapsedMs.toFixed(0)} ms`),
        );
      }
      // Of a text that is higher than the screen the end is redrawn; the last frame is printed whole.
      const visible = step === null ? lines : lines.slice(-(rows - 1));
      const back = drawnRows > 0 ? `\x1b[${drawnRows}A\r` : '\r';
      screen.write(`${back}\x1b[J${visible.join('\n')}\n`);
      drawnRows = visible.length;
    },
  };
}

const masksOf = (count: number): string => `${count} ${count === 1 ? 'mask' : 'masks'}`;

/** Screen lines of styled text, broken at line ends and at the width of the screen. */
function layOut(pieces: readonly { text: string; style: Style }[], columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  let width = 0;
  const breakLine = (): void => {
    lines.push(line);
    line = '';
    width = 0;
  };
  for (const { text, style } of pieces) {
    for (const char of text) {
      const wide = widthOf(char);
      if (char === '\n') {
        // A line end that was just found should be seen as well.
        if (style === 'fresh' && width < columns) line += STYLES.fresh('⏎');
        breakLine();
        continue;
      }
      if (width + wide > columns) breakLine();
      line += STYLES[style](char);
      width += wide;
    }
  }
  breakLine();
  return lines;
}

/** A token on one line: line ends and tabs as symbols. */
const shown = ({ id }: Cell, tokenizer: Tokenizer): string =>
  id === MASKED ? MASK_GLYPH : tokenizer.show(id);

/** A token as text; pieces of characters, special tokens and control characters as symbols. */
function printed(cell: Cell, tokenizer: Tokenizer): string {
  if (cell.id === MASKED) return MASK_GLYPH;
  const text = tokenizer.decode([cell.id]);
  const isPlain = text !== '' && !text.includes('\uFFFD') && !/[^\P{Cc}\n\t]/u.test(text);
  return isPlain ? text.replaceAll('\t', '  ') : tokenizer.show(cell.id);
}

const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const widthOf = (char: string): number => (WIDE.test(char) ? 2 : /\p{Mn}/u.test(char) ? 0 : 1);
