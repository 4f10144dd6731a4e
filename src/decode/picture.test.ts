import { describe, expect, it } from 'vitest';
import { cell, FRAME, frame, LAST, tokenizer } from '../../tests/frames.ts';
import { drawRun, layOutRun } from './picture.ts';

describe('drawRun', () => {
  it('draws a row for each frame and a cell for each token', () => {
    const svg = drawRun([FRAME, LAST], tokenizer, 'a < b & "c"');
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" /);
    expect(svg).toContain('<title>a &#60; b &#38; &#34;c&#34;</title>');
    expect(svg).toContain(' 3 denoise</text>');
    // The legend has one of each state.
    for (const [state, count] of [
      ['masked', 2],
      ['fresh', 2],
      ['held', 2],
      ['settled', 4],
    ]) {
      expect(svg.split(`<g class="${state}">`)).toHaveLength((count as number) + 1);
    }
    expect(svg).not.toMatch(/(href|src|url\()/);
  });

  it('goes on below where the picture would be too wide', () => {
    const cells = Array.from({ length: 80 }, (_, position) => cell('a', 'settled', position));
    const [, width] = /viewBox="0 0 (\d+) /.exec(drawRun([frame(...cells)], tokenizer, 'wide'))!;
    expect(Number(width)).toBeLessThan(1200);
  });

  it('lays out boxes that do not overlap and stay inside', () => {
    const { width, height, boxes, labels } = layOutRun([FRAME, LAST], tokenizer, 'run');
    expect(boxes).toHaveLength(FRAME.cells.length + LAST.cells.length + 4);
    for (const [i, a] of boxes.entries()) {
      expect(a.x + a.width).toBeLessThanOrEqual(width);
      expect(a.y + a.height).toBeLessThanOrEqual(height);
      for (const b of boxes.slice(i + 1)) {
        const isBeside = a.x + a.width <= b.x || b.x + b.width <= a.x;
        const isBelow = a.y + a.height <= b.y || b.y + b.height <= a.y;
        expect(isBeside || isBelow).toBe(true);
      }
    }
    expect(labels.map(({ text }) => text)).toEqual(['run', ' 3 denoise', 'text']);
  });
});
