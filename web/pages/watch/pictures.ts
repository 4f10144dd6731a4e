/** Pictures of a run, made in a worker: an SVG or a PNG with a row for each forward, a GIF that moves. */
import { applyPalette, GIFEncoder, quantize } from 'gifenc';
import { MASKED } from '../../../src/decode/canvas.ts';
import type { CellState, Frame } from '../../../src/decode/film.ts';
import { piecesOf } from '../../../src/decode/canvas-frames.ts';
import type { CanvasPiece } from '../../../src/decode/canvas-frames.ts';
import { COLOURS, drawRun, FONT, layOutRun } from '../../../src/decode/picture.ts';
import type { PictureColours } from '../../../src/decode/picture.ts';
import { replay } from '../../runs/recording.ts';
import type { Recording, SavedRun } from '../../runs/recording.ts';
import { tokenWord } from './words.ts';

export type PictureKind = 'svg' | 'png' | 'gif';
export type PictureTheme = 'light' | 'dark';

/** More would be a picture that nobody can open. */
const MOST_CELLS = 8000;
const MOST_GIF_FRAMES = 240;
const SCALE = 2;
/** Of a side. */
const MOST_PIXELS = 16_000;

export async function makePicture(kind: PictureKind, run: SavedRun, theme: PictureTheme): Promise<Blob> {
  const recording = replay(run);
  if (recording.frames.length === 0) throw new Error('Nothing was committed, so there is nothing to draw.');
  if (kind === 'gif') return gifOf(recording, COLOURS[theme]);
  const { frames, title } = rowsOf(recording);
  const names = { show: (id: number) => tokenWord(recording.vocabulary, id) };
  if (kind === 'svg') return new Blob([drawRun(frames, names, title)], { type: 'image/svg+xml' });
  return pngOf(layOutRun(frames, names, title), COLOURS[theme]);
}

/** The frames that fit into one picture, evenly chosen with the first and the last, and what is said above them. */
function rowsOf({ frames, request, done, steps }: Recording): { frames: Frame[]; title: string } {
  const widest = Math.max(1, ...frames.map(({ cells }) => cells.length));
  const chosen = evenly(frames, Math.max(2, Math.floor(MOST_CELLS / widest)));
  const forwards = done?.nfe ?? steps.length;
  const some = chosen.length < frames.length ? `, ${chosen.length} of ${frames.length} steps shown` : '';
  const tpf = done ? `, ${done.tpf.toFixed(2)} tokens per forward` : '';
  return { frames: chosen, title: `${request.model}: ${forwards} forwards${tpf}${some}` };
}

function evenly<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, i) => items[Math.round((i * (items.length - 1)) / (most - 1))]);
}

async function pngOf(layout: ReturnType<typeof layOutRun>, colours: PictureColours): Promise<Blob> {
  const { width, height, fontSize, indent, baseline, labels, boxes } = layout;
  const scale = Math.min(SCALE, MOST_PIXELS / Math.max(width, height));
  const canvas = new OffscreenCanvas(Math.ceil(width * scale), Math.ceil(height * scale));
  const context = canvas.getContext('2d', { alpha: false })!;
  context.scale(scale, scale);
  context.fillStyle = colours.page;
  context.fillRect(0, 0, width, height);
  for (const { x, y, text, isTitle } of labels) {
    context.font = `${isTitle ? 'bold ' : ''}${fontSize}px ${FONT}`;
    context.fillStyle = isTitle ? colours.text : colours.label;
    context.fillText(text, x, y);
  }
  for (const box of boxes) {
    const { fill, stroke, text } = colours[box.state];
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, 4);
    if (fill !== 'none') {
      context.fillStyle = fill;
      context.fill();
      context.setLineDash(box.state === 'masked' ? [3, 2] : []);
      context.strokeStyle = stroke;
      context.stroke();
    }
    context.font = `${box.state === 'fresh' ? 'bold ' : ''}${fontSize}px ${FONT}`;
    context.fillStyle = text;
    context.fillText(box.text, box.x + indent, box.y + baseline);
  }
  return canvas.convertToBlob({ type: 'image/png' });
}

const GIF = {
  columns: 84,
  fontSize: 14,
  charWidth: 8.4,
  lineHeight: 22,
  margin: 16,
  frameMs: 120,
  lastMs: 3000,
};

async function gifOf(recording: Recording, colours: PictureColours): Promise<Blob> {
  const frames = evenly(recording.frames, MOST_GIF_FRAMES);
  const drawn = frames.map((frame) => ({
    lines: linesOf(piecesOf(frame.cells, recording.vocabulary)),
    caption: captionOf(frame, recording),
  }));
  const most = Math.max(...drawn.map(({ lines }) => lines.length));
  const width = Math.ceil(GIF.columns * GIF.charWidth + 2 * GIF.margin);
  const height = Math.ceil((most + 1.5) * GIF.lineHeight + 2 * GIF.margin);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { alpha: false, willReadFrequently: true })!;
  const pixelsOf = ({ lines, caption }: (typeof drawn)[number]): Uint8ClampedArray => {
    paintText(context, lines, caption, colours, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
  // The looks of all frames are those of one in the middle and the last.
  const samples = [drawn[drawn.length >> 1], drawn[drawn.length - 1]].map((each) => pixelsOf(each).slice());
  const all = new Uint8ClampedArray(samples.reduce((sum, { length }) => sum + length, 0));
  samples.reduce((at, sample) => (all.set(sample, at), at + sample.length), 0);
  const palette = quantize(all, 64);
  const encoder = GIFEncoder();
  for (const [i, each] of drawn.entries()) {
    const delay = i === drawn.length - 1 ? GIF.lastMs : GIF.frameMs;
    const index = applyPalette(pixelsOf(each), palette);
    encoder.writeFrame(index, width, height, { delay, ...(i === 0 && { palette, repeat: 0 }) });
  }
  encoder.finish();
  return new Blob([encoder.bytes()], { type: 'image/gif' });
}

function captionOf({ step, cells }: Frame, { request, done }: Recording): string {
  if (step === null) {
    return done
      ? `${request.model}: ${done.nfe} forwards, ${done.tpf.toFixed(2)} tokens per forward`
      : request.model;
  }
  const masks = cells.filter(({ id }) => id === MASKED).length;
  return `forward ${step.nfe}: ${masks} masks in sight`;
}

interface Glyph {
  text: string;
  state: CellState;
}

/** Characters on a grid, as a terminal would wrap them. */
function linesOf(pieces: readonly CanvasPiece[]): Glyph[][] {
  const lines: Glyph[][] = [[]];
  for (const { text, state } of pieces) {
    for (const char of state === 'masked' ? ' ' : text.replaceAll('\t', '  ')) {
      if (char === '\n' || lines.at(-1)!.length === GIF.columns) lines.push([]);
      if (char !== '\n') lines.at(-1)!.push({ text: char, state });
    }
  }
  return lines;
}

function paintText(
  context: OffscreenCanvasRenderingContext2D,
  lines: readonly Glyph[][],
  caption: string,
  colours: PictureColours,
  width: number,
  height: number,
): void {
  const { charWidth, lineHeight, margin, fontSize } = GIF;
  context.fillStyle = colours.page;
  context.fillRect(0, 0, width, height);
  context.textBaseline = 'middle';
  context.font = `${fontSize}px ${FONT}`;
  context.fillStyle = colours.label;
  context.fillText(caption, margin, margin + lineHeight / 2);
  for (const [row, line] of lines.entries()) {
    const y = margin + (row + 1.5) * lineHeight;
    for (const [column, { text, state }] of line.entries()) {
      const look = colours[state];
      const x = margin + column * charWidth;
      if (state === 'masked') {
        context.fillStyle = look.stroke;
        context.fillRect(x + 1, y + 3, charWidth - 2, lineHeight - 6);
        continue;
      }
      if (look.fill !== 'none') {
        context.fillStyle = look.fill;
        context.fillRect(Math.floor(x), y + 1, Math.ceil(charWidth), lineHeight - 2);
      }
      context.fillStyle = look.text;
      context.fillText(text, x, y + lineHeight / 2);
    }
  }
}
