/**
 * A decode run as an SVG: one row for each forward, one column for each position, so that an eye that runs down a
 * column sees a mask develop into a token. Self-contained, readable on light and dark pages and without colour.
 */
import type { Cell, CellState, Frame } from './film.ts';
import type { Tokenizer } from '../text/tokenizer.ts';

const FONT_SIZE = 13;
const CHARACTER_WIDTH = 7.8;
const CELL_HEIGHT = 22;
const GAP = 3;
const LABEL_WIDTH = 110;
/** Columns that would end beyond this go on below. */
const MOST_WIDTH = 1100;
const MARGIN = 14;

const STYLE = `
text{font:${FONT_SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#1f2328;white-space:pre}
.label{fill:#59636e}
.masked rect{fill:#eceff2;stroke:#aeb6bf;stroke-dasharray:3 2}
.fresh rect{fill:#0b6e4f;stroke:#0b6e4f}.fresh text{fill:#fff;font-weight:700}
.held rect{fill:#d3eee2;stroke:#5aa98a}
.settled rect{fill:none;stroke:none}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.label{fill:#9198a1}
.masked rect{fill:#1c2128;stroke:#545d68}.fresh rect{fill:#56d3a2;stroke:#56d3a2}.fresh text{fill:#04261a}
.held rect{fill:#123c2d;stroke:#2f7d5f}}`;

const LEGEND: [CellState, string][] = [
  ['masked', 'masked'],
  ['fresh', 'fresh: committed by this forward'],
  ['held', 'committed before'],
  ['settled', 'settled'],
];

const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.codePointAt(0)};`);

/** Space alone would be an empty cell. */
const visible = (tokenizer: Tokenizer, id: number): string =>
  tokenizer.show(id).replace(/^ +$/, (spaces) => '␣'.repeat(spaces.length));

/** Place of a column: which line of its row, and where in it. */
interface Slot {
  line: number;
  x: number;
  width: number;
}

/**
 * @param frames of one run, in order; the last one shows the finished text
 * @param title what the picture is of: a heading, and the description for those who cannot see it
 */
export function drawRun(frames: readonly Frame[], tokenizer: Tokenizer, title: string): string {
  const slots = placeColumns(frames, tokenizer);
  let bottom = MARGIN + CELL_HEIGHT + GAP;
  const rows = frames.map((frame) => {
    const top = bottom;
    const lines = 1 + (slots[frame.cells.length - 1]?.line ?? 0);
    bottom += lines * (CELL_HEIGHT + GAP) + (lines > 1 ? 2 * GAP : 0);
    return drawRow(frame, slots, top, tokenizer);
  });
  const legend = drawLegend(bottom + 2 * GAP);
  const width = Math.max(legend.width, ...slots.map(({ x, width }) => x + width)) + MARGIN;
  const height = bottom + 2 * GAP + CELL_HEIGHT + MARGIN;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<text x="${MARGIN}" y="${MARGIN + FONT_SIZE}" font-weight="700">${escapeXml(title)}</text>`,
    ...rows,
    legend.svg,
    '</svg>\n',
  ].join('\n');
}

/** Every position has one place, wide enough for whatever it holds. */
function placeColumns(frames: readonly Frame[], tokenizer: Tokenizer): Slot[] {
  const widths: number[] = [];
  for (const { cells } of frames) {
    for (const [i, { id, state }] of cells.entries()) {
      const characters = state === 'masked' ? 1 : Array.from(visible(tokenizer, id)).length;
      widths[i] = Math.max(widths[i] ?? 0, Math.ceil(characters * CHARACTER_WIDTH + 10));
    }
  }
  const slots: Slot[] = [];
  let line = 0;
  let x = LABEL_WIDTH;
  for (const width of widths) {
    if (x + width > MOST_WIDTH && x > LABEL_WIDTH) {
      line++;
      x = LABEL_WIDTH;
    }
    slots.push({ line, x, width });
    x += width + GAP;
  }
  return slots;
}

function drawRow({ step, cells }: Frame, slots: readonly Slot[], top: number, tokenizer: Tokenizer): string {
  const label = step === null ? 'text' : `${String(step.nfe).padStart(2)} ${step.kind}`;
  const drawn = cells.map((cell, i) => {
    const { line, x, width } = slots[i];
    return drawCell(cell, x, top + line * (CELL_HEIGHT + GAP), width, tokenizer);
  });
  return `<text class="label" x="${MARGIN}" y="${top + 15}">${label}</text>${drawn.join('')}`;
}

function drawCell({ id, state }: Cell, x: number, y: number, width: number, tokenizer: Tokenizer): string {
  const text = state === 'masked' ? '' : escapeXml(visible(tokenizer, id));
  return `<g class="${state}">${box(x, y, width)}<text x="${x + 5}" y="${y + 15}">${text}</text></g>`;
}

const box = (x: number, y: number, width: number): string =>
  `<rect x="${x}" y="${y}" width="${width}" height="${CELL_HEIGHT}" rx="4"/>`;

function drawLegend(y: number): { svg: string; width: number } {
  let x = LABEL_WIDTH;
  const parts = LEGEND.map(([state, words]) => {
    const width = Math.ceil(words.length * CHARACTER_WIDTH + 10);
    const svg = `<g class="${state}">${box(x, y, width)}<text x="${x + 5}" y="${y + 15}">${words}</text></g>`;
    x += width + 2 * GAP;
    return svg;
  });
  return { svg: parts.join(''), width: x };
}
