/** Curves as one SVG that stands on its own: light background, names at the ends of the lines. */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { compact, rangeOf, X_LABELS, Y_LABELS } from './curves.ts';
import type { Curve, XAxis } from './curves.ts';

const COLOURS = ['#4269d0', '#e4572e', '#2e933c', '#8a4fc7', '#c98a00', '#0f8b8d', '#c2447f', '#6b5b4e'];
export const INK = '#1f2328';
export const GREY = '#656d76';
/** Without quotes, since resvg does not know a quoted family. */
export const FONT = 'Helvetica Neue, Arial, Liberation Sans, DejaVu Sans, sans-serif';

const WIDTH = 960;
const HEIGHT = 540;
const TOP = 84;
const BOTTOM = 52;
const LEFT = 64;
/** Least distance between two names at the right edge. */
const LABEL_PX = 18;
const CHARACTER_PX = 8.2;

interface Label {
  text: string;
  colour: string;
  /** Where it stands, in data units. */
  y: number;
}

/** @param smoothed number of log lines averaged for the lines; null where each run chose its own */
export function plotCurves(curves: readonly Curve[], x: XAxis, y: string, smoothed: number | null): string {
  const { title, unit } = Y_LABELS[y] ?? { title: y, unit: y };
  const end = Math.max(...curves.flatMap(({ line, dots }) => [...line, ...dots].map((point) => point.x)));
  const [low, high] = rangeOf(curves, end);
  const labels = labelsOf(curves, low, high);
  const right = 28 + CHARACTER_PX * Math.max(...labels.map(({ text }) => text.length));
  const hasRaw = curves.some(({ raw, line }) => raw.some((point, i) => point.y !== line[i].y));
  const subtitle = [
    hasRaw
      ? `line: ${smoothed === null ? 'smoothed' : `mean of ${smoothed} log lines`}; faint: as logged`
      : '',
    y !== 'bitsPerByte' && curves.some(({ dots, raw }) => dots.length > 0 && raw.length > 0)
      ? 'dots: held out'
      : '',
  ].filter((part) => part !== '');

  const marks = curves.flatMap(({ raw, line, dots }, i) => {
    const stroke = COLOURS[i % COLOURS.length];
    const at = { x: 'x', y: 'y' } as const;
    const stroked = { ...at, stroke, strokeWidth: 2.2, strokeLinejoin: 'round', clip: true } as const;
    return [
      ...(hasRaw ? [Plot.line(raw, { ...stroked, strokeWidth: 1, strokeOpacity: 0.2 })] : []),
      Plot.line(line, stroked),
      Plot.dot(line.slice(-1), { ...at, fill: stroke, r: 3.5 }),
      ...(line.length === 0 ? [Plot.line(dots, stroked)] : []),
      Plot.dot(dots, { ...at, fill: stroke, stroke: 'white', r: 5 }),
    ];
  });
  const words = (text: string, dy: number, style: object): Plot.Markish =>
    Plot.text([text], { frameAnchor: 'top-left', lineAnchor: 'bottom', dx: -LEFT + 16, dy, ...style });
  const { document } = parseHTML('<html></html>');
  const svg = Plot.plot({
    document: document as never,
    width: WIDTH,
    height: HEIGHT,
    marginTop: TOP,
    marginBottom: BOTTOM,
    marginLeft: LEFT,
    marginRight: right,
    style: { fontFamily: FONT, fontSize: '13px', color: INK },
    x: { label: null, domain: [0, end] },
    y: { label: null, domain: [low, high] },
    marks: [
      Plot.gridY({ stroke: '#d8dee4', strokeOpacity: 1, ticks: 6 }),
      Plot.axisY({ label: null, tickSize: 0, color: GREY, ticks: 6 }),
      Plot.axisX({ label: null, color: GREY, ticks: 6, tickFormat: compact }),
      Plot.ruleY([low], { stroke: GREY }),
      ...marks,
      ...labels.map(({ text, colour, y }) =>
        Plot.text([text], {
          y: [y],
          frameAnchor: 'right',
          textAnchor: 'start',
          dx: 12,
          fill: colour,
          fontWeight: 600,
        }),
      ),
      words(title, -42, { fontSize: 19, fontWeight: 700, fill: INK }),
      words([unit, ...subtitle].join('\u2002·\u2002'), -18, { fontSize: 13, fill: GREY }),
      Plot.text([X_LABELS[x]], { frameAnchor: 'bottom-right', dy: 42, fill: GREY }),
    ],
  });
  return standAlone(svg.outerHTML);
}

/** A name and the last value for each curve, pushed apart where lines end close together. */
function labelsOf(curves: readonly Curve[], low: number, high: number): Label[] {
  const perPixel = (high - low) / (HEIGHT - TOP - BOTTOM);
  const labels = curves.map(({ name, line, dots }, i): Label => {
    const { y } = (line.at(-1) ?? dots.at(-1))!;
    return {
      text: `${name}\u2002${y < 1000 ? y.toPrecision(4) : Math.round(y)}`,
      colour: COLOURS[i % COLOURS.length],
      y: Math.min(y, high),
    };
  });
  labels.sort((a, b) => a.y - b.y);
  for (const [i, label] of labels.entries()) {
    const below = i === 0 ? low : labels[i - 1].y + LABEL_PX * perPixel;
    label.y = Math.max(label.y, below);
  }
  return labels;
}

/** Plot writes for a page: a file needs the namespace, a background, and no variables of style sheets. */
export function standAlone(svg: string): string {
  return svg
    .replace(/<style>[^]*?<\/style>/, '<rect width="100%" height="100%" fill="white"/>')
    .replaceAll('var(--plot-background)', 'white')
    .replace(/^<svg (?![^>]*xmlns=)/, '<svg xmlns="http://www.w3.org/2000/svg" ');
}
