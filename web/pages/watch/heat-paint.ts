/** Painting the heat map: one pixel a cell, blown up; then marks and words where cells are large enough for them. */
import { HEAT, HEAT_CODES, heatDoubt, heatKind } from './history.ts';
import type { HeatKind, History } from './history.ts';

/** Colours of the page's tokens as the browser computes them. */
export interface HeatColours {
  doubt: string[];
  /** Ground of cells that no forward has looked at. */
  unseen: string;
  page: string;
  text: string;
  soft: string;
  mask: string;
  given: string;
  remasked: string;
  now: string;
}

/** CSS pixels. */
export interface HeatGeometry {
  cellWidth: number;
  cellHeight: number;
  gutterLeft: number;
  gutterTop: number;
  /** Of the part that is visible. */
  width: number;
  height: number;
  scrollLeft: number;
  scrollTop: number;
}

export const GUTTER = { left: 36, top: 20 };

/** Below, marks would be specks. */
const MARK_FROM = 6;
const WORDS_FROM = { width: 18, height: 14 };
/** A character that is still readable. */
const NARROWEST = 5.5;

const NAMES = ['--doubt-0', '--doubt-1', '--doubt-2', '--doubt-3', '--doubt-4'] as const;

/** Reads tokens through an element, since only a colour in use is a computed one. */
export function heatColours(probe: HTMLElement): HeatColours {
  const read = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  return {
    doubt: NAMES.map(read),
    unseen: read('--sunken'),
    page: read('--surface'),
    text: read('--text'),
    soft: read('--text-soft'),
    mask: read('--mask'),
    given: read('--edge'),
    remasked: read('--bad'),
    now: read('--accent'),
  };
}

/** `rgb(…)` or `color(srgb …)` as one little-endian word. */
function wordOf(colour: string): number {
  const isUnit = colour.startsWith('color(');
  const [r, g, b] = (colour.match(/[\d.]+/g) ?? []).map((part) => Number(part) * (isUnit ? 255 : 1));
  return ((255 << 24) | (Math.round(b) << 16) | (Math.round(g) << 8) | Math.round(r)) >>> 0;
}

/** The word of every heat code. Where marks do not fit, a fresh token and a lost one are a colour of their own. */
function paletteOf(colours: HeatColours, hasMarks: boolean): Uint32Array {
  const colourOf = (kind: HeatKind, doubt: number): string => {
    if (kind === HEAT.unseen) return colours.unseen;
    if (kind === HEAT.given) return colours.given;
    if (kind === HEAT.fresh && !hasMarks) return colours.text;
    if (kind === HEAT.remasked) return hasMarks ? colours.unseen : colours.remasked;
    return colours.doubt[Math.min(doubt, 4)];
  };
  return Uint32Array.from({ length: HEAT_CODES }, (_, code) =>
    wordOf(colourOf(heatKind(code), heatDoubt(code))),
  );
}

let pixels: HTMLCanvasElement | null = null;

/** @param at the row to point out @param word of a cell, by row and column */
export function paintHeat(
  context: CanvasRenderingContext2D,
  history: History,
  at: number,
  geometry: HeatGeometry,
  colours: HeatColours,
  word: (row: number, column: number) => string,
): void {
  const { cellWidth, cellHeight, gutterLeft, gutterTop, width, height, scrollLeft, scrollTop } = geometry;
  const rows = spanOf(scrollTop, height - gutterTop, cellHeight, history.moments.length);
  const columns = spanOf(scrollLeft, width - gutterLeft, cellWidth, history.length);
  const xOf = (column: number): number => gutterLeft + column * cellWidth - scrollLeft;
  const yOf = (row: number): number => gutterTop + row * cellHeight - scrollTop;
  const hasMarks = cellWidth >= MARK_FROM && cellHeight >= MARK_FROM - 2;

  context.fillStyle = colours.page;
  context.fillRect(0, 0, width, height);
  if (rows.count === 0 || columns.count === 0) return;

  context.save();
  context.beginPath();
  context.rect(gutterLeft, gutterTop, width - gutterLeft, height - gutterTop);
  context.clip();
  blowUp(context, history, rows, columns, paletteOf(colours, hasMarks), {
    x: xOf(columns.start),
    y: yOf(rows.start),
    cellWidth,
    cellHeight,
  });
  if (hasMarks) {
    context.fillStyle = colours.page;
    for (let c = columns.start; c <= columns.end; c++) context.fillRect(xOf(c) - 1, gutterTop, 1, height);
    for (let r = rows.start; r <= rows.end; r++) context.fillRect(gutterLeft, yOf(r) - 1, width, 1);
    drawMarks();
  }
  context.strokeStyle = colours.now;
  context.lineWidth = 1.5;
  const lastX = Math.min(width, xOf(history.length)) - gutterLeft;
  context.strokeRect(gutterLeft + 0.75, yOf(at) - 0.25, lastX - 1.5, Math.max(cellHeight - 0.5, 2));
  context.restore();
  drawGutters();

  function drawMarks(): void {
    const crosses = new Path2D();
    const hasWords = cellWidth >= WORDS_FROM.width && cellHeight >= WORDS_FROM.height;
    const [w, h] = [cellWidth - 1, cellHeight - 1];
    const fitting = Math.floor(w / NARROWEST);
    context.font = `${Math.min(12, cellHeight - 4)}px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace`;
    context.textBaseline = 'middle';
    context.textAlign = 'center';
    const words: [string, number, number][] = [];
    const bars: [number, number][] = [];
    context.fillStyle = colours.mask;
    for (let r = rows.start; r < rows.end; r++) {
      const { heat } = history.moments[r];
      const y = yOf(r);
      for (let c = columns.start; c < columns.end; c++) {
        const kind = heatKind(heat[c]);
        const x = xOf(c);
        if (kind === HEAT.masked || kind === HEAT.unseen) {
          const size = kind === HEAT.masked ? 2 : 1;
          context.fillRect(x + (w - size) / 2, y + (h - size) / 2, size, size);
        } else if (kind === HEAT.remasked) {
          crosses.moveTo(x + 1, y + 1);
          crosses.lineTo(x + w - 1, y + h - 1);
          crosses.moveTo(x + w - 1, y + 1);
          crosses.lineTo(x + 1, y + h - 1);
        } else {
          if (kind === HEAT.fresh) bars.push([x, y + h - 2]);
          if (hasWords) words.push([word(r, c).slice(0, fitting), x + w / 2, y + h / 2]);
        }
      }
    }
    context.fillStyle = colours.text;
    for (const [x, y] of bars) context.fillRect(x, y, w, 2);
    for (const [text, x, y] of words) context.fillText(text, x, y, w);
    context.strokeStyle = colours.remasked;
    context.lineWidth = 1.5;
    context.stroke(crosses);
  }

  function drawGutters(): void {
    context.fillStyle = colours.page;
    context.fillRect(0, 0, width, gutterTop);
    context.fillRect(0, 0, gutterLeft, height);
    context.fillStyle = colours.soft;
    context.font = '11px system-ui, sans-serif';
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    const everyRow = niceStep(16 / cellHeight);
    for (let r = Math.ceil(rows.start / everyRow) * everyRow; r < rows.end; r += everyRow) {
      const y = yOf(r) + cellHeight / 2;
      if (y > gutterTop + 4) context.fillText(String(r), gutterLeft - 6, y);
    }
    context.textAlign = 'left';
    const everyColumn = niceStep(34 / cellWidth);
    for (let c = Math.ceil(columns.start / everyColumn) * everyColumn; c < columns.end; c += everyColumn) {
      const x = xOf(c);
      if (x >= gutterLeft - 1) context.fillText(String(c), x + 1, gutterTop / 2);
    }
  }
}

interface Range {
  start: number;
  end: number;
  count: number;
}

/** Which cells of a line are visible. */
function spanOf(scroll: number, visible: number, size: number, all: number): Range {
  const start = Math.min(all, Math.max(0, Math.floor(scroll / size)));
  const end = Math.min(all, Math.ceil((scroll + Math.max(0, visible)) / size));
  return { start, end: Math.max(start, end), count: Math.max(0, end - start) };
}

/** Round numbers on an axis: 1, 2, 5, 10, 20 … at least as far apart as this. */
function niceStep(least: number): number {
  for (let step = 1; ; step *= 10) {
    for (const factor of [1, 2, 5]) if (step * factor >= least) return step * factor;
  }
}

function blowUp(
  context: CanvasRenderingContext2D,
  { moments }: History,
  rows: Range,
  columns: Range,
  palette: Uint32Array,
  { x, y, cellWidth, cellHeight }: { x: number; y: number; cellWidth: number; cellHeight: number },
): void {
  const image = new ImageData(columns.count, rows.count);
  const words = new Uint32Array(image.data.buffer);
  for (let r = 0; r < rows.count; r++) {
    const { heat } = moments[rows.start + r];
    for (let c = 0; c < columns.count; c++) {
      words[r * columns.count + c] = palette[heat[columns.start + c]];
    }
  }
  pixels ??= document.createElement('canvas');
  [pixels.width, pixels.height] = [columns.count, rows.count];
  pixels.getContext('2d')!.putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(pixels, x, y, columns.count * cellWidth, rows.count * cellHeight);
}
