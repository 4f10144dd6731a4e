import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../tests/run-command.ts';
import { saveTextModel } from '../../tests/text-model.ts';
import type { BenchRun } from '../eval/bench.ts';
import { register } from './bench.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-bench-'));
  await saveTextModel(join(dir, 'model'), 'causalContext');
  await saveTextModel(join(dir, 'twin'), 'causal');
  const row = { prefix: 'const a = ', suffix: '\n', middle: '1;' };
  const rows = Array.from({ length: 4 }, (_, i) => ({ id: `pkg/a.ts:${i}:11`, ...row }));
  await writeFile(join(dir, 'fim.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
});
afterAll(() => rm(dir, { recursive: true }));

const run = (...args: string[]) => runCommand([register], ['bench', ...args]);

const gaps = () => [
  '--model',
  join(dir, 'model'),
  '--data',
  join(dir, 'fim.jsonl'),
  '--max-tokens',
  '8',
  '--threads',
  '1',
];

describe('a diffusion model and its twin', () => {
  it('are measured in one run, as JSON and as a picture', async () => {
    const plot = join(dir, 'bench.svg');
    const modes = ['--modes', 'diffusion,twin', '--thresholds', '0.9,1.1', '--repeat', '2', '--limit', '2'];
    const { out } = await run(...gaps(), '--twin', join(dir, 'twin'), ...modes, '--plot', plot, '--json');
    const result = JSON.parse(out);
    expect(result).toMatchObject({
      model: 'model',
      twin: 'twin',
      prompts: 2,
      repeat: 2,
      isInterrupted: false,
    });
    expect(Object.keys(result.machine)).toEqual([
      'cpu',
      'cores',
      'memoryBytes',
      'platform',
      'node',
      'onnxruntime',
      'loadAtStart',
    ]);
    expect(result.machine.onnxruntime).toMatch(/^\d+\.\d+/);
    expect(out).not.toContain(dir);
    const runs = result.runs as BenchRun[];
    expect(runs.map(({ name }) => name)).toEqual(['diffusion@0.9', 'diffusion@1.1', 'twin']);
    for (const run of runs) {
      expect(run.intervalLow).toBeLessThanOrEqual(run.usefulTokensPerSecond);
      expect(run.firstP50Ms).toBeLessThanOrEqual(run.p50Ms);
      expect(run.memoryBytes).toBeGreaterThan(0);
      expect(run.nonMatmulShare).toBeGreaterThan(0);
      expect(run.nonMatmulShare).toBeLessThan(1);
    }
    expect(Object.keys(result.ratios)).toEqual(['diffusion@0.9/twin', 'diffusion@1.1/twin']);
    expect(Object.keys(result.aup)).toEqual(['diffusion', 'twin']);
    const svg = await readFile(plot, 'utf8');
    expect(svg).toMatch(/^<svg xmlns/);
    expect(svg).toContain('>twin<');
    expect(svg).not.toMatch(/NaN|var\(--/);
  });

  it('are shown as a table', async () => {
    const { out, err } = await run(
      ...gaps(),
      '--thresholds',
      '0.9',
      '--repeat',
      '1',
      '--limit',
      '1',
      '--no-profile',
    );
    expect(out).toContain('diffusion@0.9');
    expect(out).toContain('accuracy under parallelism');
    expect(err).toContain('not measured: twin: there is no --twin');
  });
});

it.each([
  [['--modes', 'magic'], 'bad_option'],
  [['--modes', 'llama-q4'], 'bad_option'],
  [['--modes', 'diffusion@3'], 'bad_option'],
  [['--modes', 'twin'], 'unsupported'],
  [['--thresholds', '7'], 'bad_option'],
  [['--plot', 'a.pdf'], 'bad_option'],
])('%j ends with %s', async (flags, code) => {
  await expect(run(...gaps(), '--llama-server', 'nowhere', ...flags)).rejects.toMatchObject({ code });
});

it('without a model it says what it needs', async () => {
  await expect(run('--limit', '1')).rejects.toMatchObject({
    code: 'bad_option',
    parts: { what: 'bench needs --model' },
  });
  await expect(run('--sizes', '8b')).rejects.toMatchObject({ code: 'bad_option' });
});
