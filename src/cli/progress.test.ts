import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createProgress, formatCount, formatDuration } from './progress.ts';

/** A stream and a clock that the test moves by hand. */
function rig(isTTY: boolean, columns = 100) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const stream = { isTTY, columns, write: (text: string) => written.push(text) };
  const progress = createProgress({
    label: 'eval',
    total: 200,
    unit: 'rows',
    stream,
    nowMs: () => clock.ms,
  });
  return { written, clock, progress };
}

describe('createProgress', () => {
  it('redraws one line at most ten times a second on a terminal', () => {
    const { written, clock, progress } = rig(true);
    for (let i = 1; i <= 100; i++) {
      clock.ms = i * 10;
      progress.update(i);
    }
    expect(written.length).toBeGreaterThan(8);
    expect(written.length).toBeLessThanOrEqual(11);
    expect(written.every((text) => text.startsWith('\r') && !text.includes('\n'))).toBe(true);
    progress.finish();
    expect(written.at(-1)).toBe('\n');
  });

  it('prints a plain line every ten seconds in a log, with rate and time left', () => {
    const { written, clock, progress } = rig(false);
    for (let second = 1; second <= 20; second++) {
      clock.ms = second * 1000;
      progress.update(second * 5, 'loss 2.1');
    }
    expect(written).toEqual([
      'eval  25%  50/200 rows  5/s  30 s left  loss 2.1\n',
      'eval  50%  100/200 rows  5/s  20 s left  loss 2.1\n',
    ]);
    clock.ms = 40_000;
    progress.update(200);
    progress.finish('done');
    expect(written.at(-1)).toBe('eval  100%  200/200 rows  5/s  40 s  done\n');
  });

  it('never writes past the edge of the terminal', () => {
    const { written, clock, progress } = rig(true, 30);
    clock.ms = 500;
    progress.update(100, 'a note that is far too long for this line');
    expect(stripVTControlCharacters(written[0]).length).toBeLessThanOrEqual(30);
  });

  it('copes with nothing to do', () => {
    const { written, progress } = rig(false);
    progress.finish();
    expect(written[0]).toContain('0/200');
  });
});

describe('formats', () => {
  it.each([
    [0, '0 s'],
    [59.6, '1 min 00 s'],
    [65, '1 min 05 s'],
    [7620, '2 h 07 min'],
  ])('duration %d is %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));

  it.each([
    [0, '0'],
    [2.25, '2.3'],
    [950, '950'],
    [12_345, '12.3k'],
    [4_560_000, '4.56M'],
  ])('count %d is %s', (count, text) => expect(formatCount(count)).toBe(text));
});
