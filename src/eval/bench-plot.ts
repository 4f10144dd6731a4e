/**
 * Quality against speed, one series for each mode: whoever lies further right at the same height is faster at no loss. Modes
 * differ in shape and in lightness, and carry their names, so the picture can be read without colour.
 */
import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { FONT, GREY, INK, standAlone } from '../train/plot.ts';
import type { BenchMode, BenchResult, BenchRun } from './bench.ts';

interface Look {
  name: string;
  colour: string;
  symbol: 'circle' | 'triangle' | 'diamond' | 'square' | 'star';
}

/** From dark to light. */
const LOOKS: Record<BenchMode, Look> = {
  diffusion: { name: 'diffusion', colour: '#0b2a6b', symbol: 'circle' },
  verify: { name: 'verify', colour: '#7a1f5c', symbol: 'triangle' },
  ar: { name: 'same file, autoregressive', colour: '#a8431f', symbol: 'diamond' },
  twin: { name: 'twin', colour: '#5a7a00', symbol: 'square' },
  llama: { name: 'twin in llama.cpp', colour: '#8a8f98', symbol: 'star' },
};

const WIDTH = 860;
const HEIGHT = 480;
const TOP = 118;
const BOTTOM = 56;
const LEFT = 60;
const RIGHT = 32;
/** Names of the series above the picture: pixels a letter and a symbol. */
const LETTER_PX = 7.8;
const SYMBOL_PX = 36;

const labelOf = ({ name, mode }: BenchRun): string =>
  mode === 'llama' ? name.replace('llama-', '') : (name.split('@')[1] ?? '');

/** Exact matches of the best run from which on their share says something. */
const FEWEST_MATCHES = 10;

/** Where the label of a setting may stand, pixels below its point; the first place that no other label takes. */
const LABEL_PLACES_PX = [-16, 17, -31, 32, -46, 47];
const LABEL_WIDTH_PX = 40;
const LABEL_HEIGHT_PX = 14;

interface Placed extends BenchRun {
  label: string;
  percent: number;
  colour: string;
  dy: number;
}

/** @param toPx pixels of a point */
function placeLabels(points: readonly Placed[], toPx: (point: Placed) => { x: number; y: number }): void {
  const taken: { x: number; y: number }[] = [];
  for (const point of points) {
    if (point.label === '') continue;
    const { x, y } = toPx(point);
    const isFree = (dy: number): boolean =>
      taken.every(
        (other) => Math.abs(other.x - x) >= LABEL_WIDTH_PX || Math.abs(other.y - y - dy) >= LABEL_HEIGHT_PX,
      );
    point.dy = LABEL_PLACES_PX.find(isFree) ?? point.dy;
    taken.push({ x, y: y + point.dy });
  }
}

/** From somewhat below the worst, since differences are what the picture is for; speed starts at 0, so that ratios show. */
function qualityDomain(points: readonly Placed[]): [number, number] {
  const values = points.map(({ percent }) => percent);
  const [worst, best] = [Math.min(...values), Math.max(...values)];
  const room = Math.max(best - worst, 2);
  return [Math.max(0, worst - room), best + 0.4 * room];
}

/** @param title what was measured: model, prompts */
export function plotBench({ runs, prompts, repeat }: BenchResult, title: string): string {
  // Models that match next to nothing exactly still differ in how near they come.
  const most = Math.max(...runs.map(({ exactMatch }) => Math.round(exactMatch * prompts)));
  const isExact = most >= FEWEST_MATCHES;
  const points = runs.map((run): Placed => {
    const percent = 100 * (isExact ? run.exactMatch : run.editSimilarity);
    return { ...run, label: labelOf(run), percent, colour: LOOKS[run.mode].colour, dy: LABEL_PLACES_PX[0] };
  });
  const series = [...new Set(runs.map(({ mode }) => mode))].map((mode) => ({
    look: LOOKS[mode],
    // Along the setting, so that the line is the path of the threshold.
    points: points.filter((run) => run.mode === mode),
  }));
  const domain = {
    x: [0, 1.06 * Math.max(...runs.map(({ intervalHigh }) => intervalHigh))],
    y: qualityDomain(points),
  };
  placeLabels(points, ({ usefulTokensPerSecond, percent }) => ({
    x: (usefulTokensPerSecond / domain.x[1]) * (WIDTH - LEFT - RIGHT),
    y: ((domain.y[1] - percent) / (domain.y[1] - domain.y[0])) * (HEIGHT - TOP - BOTTOM),
  }));
  const at = { x: 'usefulTokensPerSecond', y: 'percent' } as const;
  const bar = { y: 'percent', x1: 'intervalLow', x2: 'intervalHigh' } as const;
  const marks = series.flatMap(({ look: { colour, symbol }, points }) => [
    Plot.ruleY(points, { ...bar, stroke: colour, strokeOpacity: 0.3, strokeWidth: 4 }),
    Plot.line(points, { ...at, stroke: colour, strokeWidth: 1.6 }),
    Plot.dot(points, { ...at, fill: colour, stroke: 'white', symbol, r: 7 }),
  ]);
  // Each by itself, since a mark moves all its labels by one distance.
  const labels = points.map(({ label, colour, dy, ...point }) =>
    Plot.text([point], {
      ...at,
      text: [label],
      dy,
      fill: colour,
      fontWeight: 600,
      stroke: 'white',
      strokeWidth: 4,
    }),
  );
  const above = (text: string, dx: number, dy: number, style: object): Plot.Markish =>
    Plot.text([text], {
      frameAnchor: 'top-left',
      textAnchor: 'start',
      lineAnchor: 'bottom',
      dx,
      dy,
      ...style,
    });
  let x = 16 - LEFT;
  const legend = series.flatMap(({ look: { name, colour, symbol } }) => {
    const from = x;
    x += name.length * LETTER_PX + SYMBOL_PX;
    return [
      Plot.dot([0], { frameAnchor: 'top-left', dx: from + 7, dy: -23, symbol, r: 6, fill: colour }),
      above(name, from + 18, -17, { fontSize: 13, fontWeight: 600, fill: colour }),
    ];
  });
  const { document } = parseHTML('<html></html>');
  const svg = Plot.plot({
    document: document as never,
    width: Math.max(WIDTH, x + LEFT + RIGHT),
    height: HEIGHT,
    marginTop: TOP,
    marginBottom: BOTTOM,
    marginLeft: LEFT,
    marginRight: RIGHT,
    style: { fontFamily: FONT, fontSize: '13px', color: INK },
    x: { label: null, domain: domain.x },
    y: { label: null, domain: domain.y },
    marks: [
      Plot.gridY({ stroke: '#d8dee4', strokeOpacity: 1, ticks: 5 }),
      Plot.axisY({ label: null, tickSize: 0, color: GREY, ticks: 5, tickFormat: (y: number) => `${y} %` }),
      Plot.axisX({ label: null, color: GREY, ticks: 8 }),
      Plot.ruleY([domain.y[0]], { stroke: GREY }),
      ...marks,
      ...labels,
      above(title, 16 - LEFT, -78, { fontSize: 19, fontWeight: 700, fill: INK }),
      above(
        `${isExact ? 'exact match' : `edit similarity (at most ${most} matched exactly)`}\u2002·\u2002${prompts} gaps, ${repeat === 1 ? 'once' : `${repeat} times`} each\u2002·\u2002numbers: threshold; bars: 95 % intervals over gaps`,
        16 - LEFT,
        -52,
        { fontSize: 13, fill: GREY },
      ),
      ...legend,
      Plot.text(['useful tokens per second, whole requests'], {
        frameAnchor: 'bottom-right',
        dy: 46,
        fill: GREY,
      }),
    ],
  });
  return standAlone(svg.outerHTML);
}
