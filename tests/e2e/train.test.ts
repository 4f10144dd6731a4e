/** Training as a program: killed at any moment, it goes on as if nothing had happened. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finished, start, tintype } from './run.ts';

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'tintype-run-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const CONFIG = {
  name: 'tiny-sudoku',
  model: {
    layout: 'full',
    width: 16,
    layers: 1,
    heads: 2,
    kvHeads: 2,
    headDim: 8,
    ffnWidth: 24,
    contextLength: 17,
  },
  objective: { kind: 'maskedDiffusion' },
  data: { kind: 'sudoku', size: 4 },
  batch: { rows: 8, length: 17, microBatches: 2 },
  schedule: { warmupTokens: 500, totalTokens: 30_000, decayTokens: 5000 },
  threads: 1,
  // After every step, so that a kill falls into the middle of one sooner or later.
  checkpointMinutes: 1e-6,
};

const weights = (run: string): Buffer => readFileSync(join(dir, run, 'model', 'model.safetensors'));

describe('tintype train', () => {
  it('killed with -9 and resumed gives the same weights, bit for bit', async () => {
    const config = join(dir, 'config.json');
    writeFileSync(config, JSON.stringify(CONFIG));
    const through = await tintype('train', '--config', config, '--out', join(dir, 'through'));
    expect(through).toMatchObject({ status: 0 });

    const cut = join(dir, 'cut');
    let kills = 0;
    for (let attempt = 0; attempt < 30; attempt++) {
      const args = attempt === 0 ? ['--config', config] : ['--resume'];
      const child = start(['train', ...args, '--out', cut, '--json']);
      let steps = 0;
      child.stdout!.on('data', (chunk) => {
        steps += String(chunk).split('"type":"step"').length - 1;
        // A different place each time; after three kills it may finish.
        if (kills < 3 && steps > 9 + 7 * kills) child.kill('SIGKILL');
      });
      const { status } = await finished(child);
      if (status === 0) break;
      kills++;
    }
    expect(kills).toBe(3);
    expect(weights('cut').equals(weights('through'))).toBe(true);
  });

  it('stops at Ctrl-C with a checkpoint', async () => {
    const config = join(dir, 'long.json');
    writeFileSync(
      config,
      JSON.stringify({ ...CONFIG, checkpointMinutes: 5, schedule: { totalTokens: 1e9 } }),
    );
    const child = start(['train', '--config', config, '--out', join(dir, 'long'), '--json']);
    child.stdout!.once('data', () => setTimeout(() => child.kill('SIGINT'), 500));
    const { status, stdout } = await finished(child);
    expect(status).toBe(0);
    const last = JSON.parse(stdout.trim().split('\n').at(-1)!);
    expect(last).toMatchObject({ type: 'end', reason: 'stopped' });
    expect(last.step).toBeGreaterThan(0);
    const resumed = await tintype(
      'train',
      '--resume',
      '--out',
      join(dir, 'long'),
      '--minutes',
      '0.01',
      '--json',
    );
    expect(JSON.parse(resumed.stdout.split('\n')[0])).toMatchObject({
      type: 'start',
      resumedAtStep: last.step,
    });
  });

  it('refuses to start over a run, to resume nothing, and unknown presets', async () => {
    const config = join(dir, 'config.json');
    const over = await tintype('train', '--config', config, '--out', join(dir, 'through'));
    expect(over.status).toBe(2);
    expect(over.stderr).toContain('--resume');
    const nothing = await tintype('train', '--resume', '--out', join(dir, 'nowhere'));
    expect(nothing.status).toBe(2);
    const preset = await tintype('train', '--preset', 'kode');
    expect(preset.status).toBe(2);
    expect(preset.stderr).toContain('sudoku');
  });

  it('prints a configuration that it accepts again', async () => {
    const { stdout } = await tintype('train', '--preset', 'sudoku', '--print-config');
    const file = join(dir, 'printed.json');
    writeFileSync(file, stdout);
    const again = await tintype('train', '--config', file, '--print-config');
    expect(again).toMatchObject({ status: 0, stdout });
  });
});
