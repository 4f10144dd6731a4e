/**
 * A decode run as a picture: one row for each forward, one column for each position, so that an eye that runs down a
 * column sees a mask develop into a token. `layOutRun` says what stands where; `drawRun` makes an SVG of it that is
 * self-contained and readable on light and dark pages and without colour.
 */
import type { Tokenizer } from '../text/tokenizer.ts';
import type { CellState, Frame } from './film.ts';

const FONT_SIZE = 13;
const CHARACTER_WIDTH = 7.8;
const CELL_HEIGHT = 22;
const GAP = 3;
const LABEL_WIDTH = 110;
/** Columns that would end beyond this go on below. */
const MOST_WIDTH = 1100;
const MARGIN = 14;
const BASELINE = 15;
const INDENT = 5;

export const FONT = 'ui-monospace,SFMono-Regular,Menlo,Consolas,monospace';

interface Look {
  fill: string;
  stroke: string;
  text: string;
}

export interface PictureColours extends Record<CellState, Look> {
  page: string;
  text: string;
  label: string;
}

const NONE = 'none';
export const COLOURS: Record<'light' | 'dark', PictureColours> = {
  light: {
    page: '#ffffff',
    text: '#1f2328',
    label: '#59636e',
    masked: { fill: '#eceff2', stroke: '#aeb6bf', text: '#1f2328' },
    fresh: { fill: '#0b6e4f', stroke: '#0b6e4f', text: '#fff' },
    held: { fill: '#d3eee2', stroke: '#5aa98a', text: '#1f2328' },
    settled: { fill: NONE, stroke: NONE, text: '#1f2328' },
  },
  dark: {
    page: '#0d1117',
    text: '#e6edf3',
    label: '#9198a1',
    masked: { fill: '#1c2128', stroke: '#545d68', text: '#e6edf3' },
    fresh: { fill: '#56d3a2', stroke: '#56d3a2', text: '#04261a' },
    held: { fill: '#123c2d', stroke: '#2f7d5f', text: '#e6edf3' },
    settled: { fill: NONE, stroke: NONE, text: '#e6edf3' },
  },
};

const STATES: readonly CellState[] = ['masked', 'fresh', 'held', 'settled'];

const rulesOf = (colours: PictureColours): string =>
  [
    `text{fill:${colours.text}}.label{fill:${colours.label}}`,
    ...STATES.map((state) => {
      const { fill, stroke, text } = colours[state];
      return `.${state} rect{fill:${fill};stroke:${stroke}}.${state} text{fill:${text}}`;
    }),
  ].join('\n');

const STYLE = `
text{font:${FONT_SIZE}px ${FONT};white-space:pre}
.masked rect{stroke-dasharray:3 2}.fresh text{font-weight:700}
${rulesOf(COLOURS.light)}
@media(prefers-color-scheme:dark){${rulesOf(COLOURS.dark)}}`;

const LEGEND: [CellState, string][] = [
  ['masked', 'masked'],
  ['fresh', 'fresh: committed by this forward'],
  ['held', 'committed before'],
  ['settled', 'settled'],
];

/** A rounded box with words in it. */
export interface Box {
  state: CellState;
  x: number;
  y: number;
  width: number;
  height: number;
  text: string;
}

/** Words; y is their base line. */
export interface Label {
  x: number;
  y: number;
  text: string;
  isTitle: boolean;
}

export interface RunLayout {
  width: number;
  height: number;
  fontSize: number;
  /** From a box's corner to its words. */
  indent: number;
  baseline: number;
  labels: Label[];
  boxes: Box[];
}

type Shows = Pick<Tokenizer, 'show'>;

/** Space alone would be an empty cell. */
const visible = (tokenizer: Shows, id: number): string =>
  tokenizer.show(id).replace(/^ +$/, (spaces) => '␣'.repeat(spaces.length));

const widthOf = (words: string): number => Math.ceil(Array.from(words).length * CHARACTER_WIDTH + 10);

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
export function layOutRun(frames: readonly Frame[], tokenizer: Shows, title: string): RunLayout {
  const slots = placeColumns(frames, tokenizer);
  const labels: Label[] = [{ x: MARGIN, y: MARGIN + FONT_SIZE, text: title, isTitle: true }];
  const boxes: Box[] = [];
  let bottom = MARGIN + CELL_HEIGHT + GAP;
  for (const { step, cells } of frames) {
    const name = step === null ? 'text' : `${String(step.nfe).padStart(2)} ${step.kind}`;
    labels.push({ x: MARGIN, y: bottom + BASELINE, text: name, isTitle: false });
    for (const [i, { id, state }] of cells.entries()) {
      const { line, x, width } = slots[i];
      const text = state === 'masked' ? '' : visible(tokenizer, id);
      boxes.push({ state, x, y: bottom + line * (CELL_HEIGHT + GAP), width, height: CELL_HEIGHT, text });
    }
    const lines = 1 + (slots[cells.length - 1]?.line ?? 0);
    bottom += lines * (CELL_HEIGHT + GAP) + (lines > 1 ? 2 * GAP : 0);
  }
  const y = bottom + 2 * GAP;
  let x = LABEL_WIDTH;
  for (const [state, text] of LEGEND) {
    const width = widthOf(text);
    boxes.push({ state, x, y, width, height: CELL_HEIGHT, text });
    x += width + 2 * GAP;
  }
  return {
    width: Math.max(x, ...slots.map(({ x, width }) => x + width)) + MARGIN,
    height: y + CELL_HEIGHT + MARGIN,
    fontSize: FONT_SIZE,
    indent: INDENT,
    baseline: BASELINE,
    labels,
    boxes,
  };
}

/** Every position has one place, wide enough for whatever it holds. */
function placeColumns(frames: readonly Frame[], tokenizer: Shows): Slot[] {
  const widths: number[] = [];
  for (const { cells } of frames) {
    for (const [i, { id, state }] of cells.entries()) {
      const width = widthOf(state === 'masked' ? ' ' : visible(tokenizer, id));
      widths[i] = Math.max(widths[i] ?? 0, width);
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

const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.codePointAt(0)};`);

/** The layout as an SVG; parameters as for `layOutRun`. */
export function drawRun(frames: readonly Frame[], tokenizer: Shows, title: string): string {
  const { width, height, labels, boxes } = layOutRun(frames, tokenizer, title);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<style>${STYLE}</style>`,
    ...labels.map(({ x, y, text, isTitle }) => {
      const look = isTitle ? 'font-weight="700"' : 'class="label"';
      return `<text ${look} x="${x}" y="${y}">${escapeXml(text)}</text>`;
    }),
    ...boxes.map(
      ({ state, x, y, width, height, text }) =>
        `<g class="${state}"><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="4"/>` +
        `<text x="${x + INDENT}" y="${y + BASELINE}">${escapeXml(text)}</text></g>`,
    ),
    '</svg>\n',
  ].join('\n');
}
