/** The canvas as a client can draw it: pieces of text with their state. A fold over the events of a run (`film.ts`). */
import type { Tokenizer } from '../text/tokenizer.ts';
import { MASKED } from './canvas.ts';
import type { Canvas } from './canvas.ts';
import type { DecodeEvent, DoneEvent } from './events.ts';
import { createFilm } from './film.ts';
import type { Cell, CellState } from './film.ts';

export interface CanvasPiece {
  /** Whole characters; empty where masked. */
  text: string;
  state: CellState;
  /** The model's own probability of the least certain token in it; null where masked. */
  confidence: number | null;
}

export interface CanvasFrame {
  /** Settled stretches so far. */
  block: number;
  /** Forwards so far. */
  step: number;
  /** Most positions that the answer may have, so the most forwards that commit. */
  total: number;
  /** Share of the answer that is decided, 0 to 1; 1 only in the last frame. */
  progress: number;
  canvas: CanvasPiece[];
}

/** Shown for a mask where a canvas is plain text. */
export const MASK_GLYPH = '▒';

/** The canvas as text, masks shown. */
export const canvasText = ({ canvas }: CanvasFrame): string =>
  canvas.map(({ text, state }) => (state === 'masked' ? MASK_GLYPH : text)).join('');

/** Each event may complete a frame. The last one holds the text of the reply, as `text` cuts it. */
export function createCanvasFrames(
  canvas: Canvas,
  tokenizer: Pick<Tokenizer, 'bytes'>,
  text: (done: DoneEvent) => string,
): (event: DecodeEvent) => CanvasFrame | null {
  const film = createFilm(canvas);
  const total = canvas.ids.length - canvas.answerStart;
  let block = 0;
  let step = 0;
  return (event) => {
    if (event.type === 'block') block = event.index + 1;
    if (event.type === 'step') step = event.nfe;
    const frame = film(event);
    if (event.type === 'done') {
      const whole: CanvasPiece = {
        text: text(event),
        state: 'settled',
        confidence: confidenceOf(frame!.cells),
      };
      return { block, step, total, progress: 1, canvas: whole.text === '' ? [] : [whole] };
    }
    if (frame === null) return null;
    const decided = frame.cells.filter(({ id }) => id !== MASKED).length;
    return {
      block,
      step,
      total,
      progress: Math.min(decided / total, 0.99),
      canvas: piecesOf(frame.cells, tokenizer),
    };
  };
}

/**
 * Cells as pieces of whole characters. Tokens that share a character are one piece; bytes of a character that is not
 * whole yet are shown as a mask.
 */
export const piecesOf = (cells: readonly Cell[], tokenizer: Pick<Tokenizer, 'bytes'>): CanvasPiece[] =>
  groupCells(cells, tokenizer).map(({ piece }) => piece);

/** A piece, and the cells that it is made of. */
export interface CellGroup {
  piece: CanvasPiece;
  cells: readonly Cell[];
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** `piecesOf` with what each piece is made of; cells that are no text, such as special tokens, are in none. */
export function groupCells(cells: readonly Cell[], tokenizer: Pick<Tokenizer, 'bytes'>): CellGroup[] {
  const groups: CellGroup[] = [];
  let open: Cell[] = [];
  let bytes: number[] = [];
  const mask = (cell: Cell): void => {
    groups.push({ piece: { text: '', state: 'masked', confidence: null }, cells: [cell] });
  };
  const giveUp = (): void => {
    open.forEach(mask);
    [open, bytes] = [[], []];
  };
  for (const cell of cells) {
    if (cell.id === MASKED) {
      giveUp();
      mask(cell);
      continue;
    }
    const own = tokenizer.bytes(cell.id);
    if (own.length === 0) continue;
    open.push(cell);
    bytes.push(...own);
    if (endsInsideCharacter(bytes)) continue;
    const text = utf8.decode(Uint8Array.from(bytes));
    groups.push({ piece: { text, state: leastSettled(open), confidence: confidenceOf(open) }, cells: open });
    [open, bytes] = [[], []];
  }
  giveUp();
  return groups;
}

/** Whether the last bytes begin a UTF-8 character that needs more. */
function endsInsideCharacter(bytes: readonly number[]): boolean {
  for (let back = 1; back <= Math.min(4, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needed > back;
  }
  return false;
}

const ORDER: readonly CellState[] = ['masked', 'fresh', 'held', 'settled'];
const leastSettled = (cells: readonly Cell[]): CellState =>
  ORDER[Math.min(...cells.map(({ state }) => ORDER.indexOf(state)))];

function confidenceOf(cells: readonly Cell[]): number | null {
  const known = cells.flatMap(({ probability }) => (probability === null ? [] : [probability]));
  return known.length === 0 ? null : Math.min(...known);
}
