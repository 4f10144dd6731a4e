import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { curvesOf, movingMean, parseRunLog } from './curves.ts';

const step = (step: number, lossNats: number): object => ({
  type: 'step',
  step,
  tokens: step * 100,
  flops: step * 1e6,
  lossNats,
  elapsedMs: step * 6000,
});
const log = (...events: object[]): string => events.map((event) => `${JSON.stringify(event)}\n`).join('');

describe('parseRunLog', () => {
  test('takes the name, the steps and the evaluations', () => {
    const text = log({ type: 'start', name: 'code', resumedAtStep: 0 }, step(1, 8), step(2, 7), {
      type: 'eval',
      step: 2,
      bitsPerByte: 2.5,
    });
    const run = parseRunLog(text, 'folder');
    expect(run.name).toBe('code');
    expect(run.steps.map(({ lossNats }) => lossNats)).toEqual([8, 7]);
    expect(run.evals).toEqual([{ step: 2, tokens: 200, flops: 2e6, elapsedMs: 12000, bitsPerByte: 2.5 }]);
  });

  test('cut anywhere, it gives the steps whose lines are whole', () => {
    const text = log({ type: 'start', name: 'code' }, step(1, 8), step(2, 7), step(3, 6));
    for (let length = 0; length <= text.length; length++) {
      const cut = text.slice(0, length);
      const whole = cut.split('\n').filter((line) => line.includes('"step"') && line.endsWith('}')).length;
      expect(parseRunLog(cut, 'folder').steps).toHaveLength(whole);
    }
  });

  test('what a killed run did after its last checkpoint and then again counts once', () => {
    const killed = `${log({ type: 'start', name: 'code' }, step(1, 8), step(2, 7), { type: 'eval', step: 2, bitsPerByte: 9 }, step(3, 6))}{"type":"st`;
    const resumed = `${killed}\n${log({ type: 'start', name: 'code', resumedAtStep: 1 }, step(2, 5), step(3, 4))}`;
    const run = parseRunLog(resumed, 'folder');
    expect(run.steps.map((row) => [row.step, row.lossNats])).toEqual([
      [1, 8],
      [2, 5],
      [3, 4],
    ]);
    expect(run.evals).toEqual([]);
  });

  test('without the line that says so, the steps themselves do', () => {
    const run = parseRunLog(log(step(10, 8), step(20, 7), step(30, 6), step(20, 5)), 'folder');
    expect(run.steps.map((row) => [row.step, row.lossNats])).toEqual([
      [10, 8],
      [20, 5],
    ]);
    expect(run.name).toBe('folder');
  });
});

describe('movingMean', () => {
  const points = fc
    .array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1 })
    .map((ys) => ys.map((y, x) => ({ x, y })));

  test('a window of one changes nothing, and a straight line stays one away from its end', () => {
    fc.assert(
      fc.property(points, (curve) => {
        expect(movingMean(curve, 1)).toEqual(curve);
      }),
    );
    const line = Array.from({ length: 20 }, (_, x) => ({ x, y: 3 * x }));
    expect(movingMean(line, 7).slice(0, 17)).toEqual(line.slice(0, 17));
  });

  test('stays within the values it averages', () => {
    fc.assert(
      fc.property(points, fc.integer({ min: 1, max: 30 }), (curve, window) => {
        const ys = curve.map(({ y }) => y);
        for (const { y } of movingMean(curve, window)) {
          expect(y).toBeGreaterThanOrEqual(Math.min(...ys) - 1e-9);
          expect(y).toBeLessThanOrEqual(Math.max(...ys) + 1e-9);
        }
      }),
    );
  });
});

describe('curvesOf', () => {
  const run = parseRunLog(log(...Array.from({ length: 5000 }, (_, i) => step(i + 1, 5 - i / 5000))), 'long');

  test('every axis in its unit', () => {
    const last = (x: 'tokens' | 'steps' | 'minutes' | 'flops'): number =>
      curvesOf([run], x, 'lossNats', 1)[0].line.at(-1)!.x;
    expect([last('tokens'), last('steps'), last('minutes'), last('flops')]).toEqual([
      500_000, 5000, 500, 5e9,
    ]);
  });

  test('a long run is thinned and keeps both ends', () => {
    const [{ line, raw }] = curvesOf([run], 'steps', 'lossNats', null);
    expect(line.length).toBeLessThanOrEqual(601);
    expect([raw[0].x, raw.at(-1)!.x]).toEqual([1, 5000]);
  });

  test('runs without the field are left out; if all are, the error names the fields there are', () => {
    const other = parseRunLog(log({ type: 'eval', step: 5, tokens: 50, bitsPerByte: 1.5 }), 'other');
    expect(curvesOf([run, other], 'tokens', 'bitsPerByte', null)).toEqual([
      { name: 'other', raw: [], line: [], dots: [{ x: 50, y: 1.5 }] },
    ]);
    expect(() => curvesOf([run], 'tokens', 'loss', null)).toThrow(
      /wanted: step, tokens, flops, lossNats, elapsedMs/,
    );
    expect(() => curvesOf([parseRunLog('', 'empty')], 'tokens', 'loss', null)).toThrow(
      /no run has logged a step yet/,
    );
  });
});
