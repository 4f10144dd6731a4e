import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCommand } from '../../tests/run-command.ts';
import { writeTinyModel } from '../../tests/e2e/tiny-model.ts';
import { createEngine } from '../decode/engine.ts';
import { readTuned, tunedKey, writeTuned, type Tuned } from '../eval/tuned-store.ts';
import { register as registerComplete } from './complete.ts';
import { register as registerInfill } from './infill.ts';
import { register as registerTune } from './tune.ts';

let dir: string;
let model: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-tune-'));
  model = join(dir, 'model');
  await writeTinyModel(model);
  const row = { prefix: 'const a = ', suffix: '\n', middle: '1;' };
  const rows = Array.from({ length: 5 }, (_, i) => ({ id: `pkg/a.ts:${i}:11`, ...row }));
  await writeFile(join(dir, 'fim.jsonl'), rows.map((each) => JSON.stringify(each)).join('\n'));
  await writeFile(join(dir, 'draft.ts'), 'const a = <|hole|>;\n');
});
afterAll(() => rm(dir, { recursive: true }));
beforeEach(async () => {
  vi.stubEnv('TINTYPE_CACHE_DIR', await mkdtemp(join(dir, 'cache-')));
});
afterEach(() => vi.unstubAllEnvs());

const run = (...args: string[]) => runCommand([registerComplete, registerInfill, registerTune], args);

const tune = (...flags: string[]) => {
  const data = ['--model', model, '--data', join(dir, 'fim.jsonl')];
  const small = ['--threads', '1', '--max-tokens', '4', '--rounds', '1'];
  return run('tune', ...data, ...small, ...flags);
};
const complete = (...flags: string[]) =>
  run(
    'complete',
    '-',
    '--prefix',
    'let x',
    '--model',
    model,
    '--threads',
    '1',
    '--max-tokens',
    '4',
    ...flags,
  );

/** Stores a choice that nobody measured. */
async function store(options: Tuned['options'], precision: Tuned['precision'] = 'f32'): Promise<string> {
  const key = await tunedKey(model, 1);
  const figures = { tokensPerSecond: 2, baselineTokensPerSecond: 1, exactLossPoints: 0, rows: 1, curves: [] };
  const createdAt = '2026-01-02T03:04:05.000Z';
  return writeTuned({ version: 1, name: 'model', key, createdAt, precision, options, ...figures });
}

describe('tintype tune', () => {
  it('prints curve, front and choice, and stores what it chose', async () => {
    const { out } = await tune('--limit', '2', '--precisions', 'int8');
    expect(out).toContain('Cost of a forward, ms, f32');
    expect(out).toContain('Cost of a forward, ms, int8');
    expect(out).toContain('tokens to beat 1 row');
    expect(out).toMatch(/^Chosen: .+, (f32|int8)$/m);
    const [file] = await readdir(join(process.env.TINTYPE_CACHE_DIR!, 'tuned'));
    expect(out).toContain(file);
    const stored = await readTuned(model, { threads: 1 });
    expect(stored).toMatchObject({ name: 'model', rows: 2 });
    expect(stored!.curves).toHaveLength(2);
  });

  it('prints one JSON document, and how far it is from the best', async () => {
    const { out } = await tune('--limit', '1', '--precisions', 'f32', '--clock', 'cpu', '--check', '--json');
    const result = JSON.parse(out);
    expect(result).toMatchObject({ model: 'model', gaps: 1, lossPoints: 1 });
    expect(result.curves[0].breakEvenTokens[0]).toEqual(result.curves[0].prefixes.map(() => 1));
    const { check, chosen, points } = result;
    expect(check.points.length).toBe(points.length + 1);
    expect(check.chosen).toBe(chosen.name);
    expect(check.gapPercent).toBeGreaterThanOrEqual(0);
  });

  it.each([
    [['--loss', '-1'], 'bad_option'],
    [['--precisions', 'int3'], 'bad_option'],
    [['--max-tokens', '0'], 'bad_option'],
    [['--threads', '2', '--clock', 'cpu'], 'bad_option'],
    [['--data', 'nothing.jsonl'], 'not_found'],
  ])('%j ends with %s', async (flags, code) => {
    await expect(tune(...flags)).rejects.toMatchObject({ code });
  });
});

describe('a stored choice', () => {
  it('is the default of complete, and what is said wins', async () => {
    const path = await store({ mode: 'diffusion', blockLength: 4, policy: 'factor', factor: 2 }, 'int8');
    const tuned = await complete('--json');
    expect(JSON.parse(tuned.out).options).toMatchObject({ blockLength: 4, policy: 'factor', factor: 2 });
    expect(tuned.err).toBe(
      'tuned: diffusion, factor, block length 4, factor 2, int8 (tintype tune, 2026-01-02)\n',
    );
    const { options } = JSON.parse((await complete('--json', '--threshold', '0.7')).out);
    expect(options).toMatchObject({ blockLength: 4, policy: 'confidenceThreshold', threshold: 0.7 });
    expect(options.factor).toBeUndefined();
    const plain = await complete('--json', '--no-tuned');
    expect(JSON.parse(plain.out).options.blockLength).toBeUndefined();
    expect(plain.err).toBe('');
    await writeFile(path, 'nonsense');
    const broken = await complete();
    expect(broken.err).toContain('is ignored');
    expect(await readFile(path, 'utf8')).toBe('nonsense');
  });

  it('is the default of infill', async () => {
    await store({ mode: 'ar' });
    const args = ['infill', join(dir, 'draft.ts'), '--model', model, '--threads', '1', '--max-tokens', '4'];
    const { out, err } = await run(...args, '--json');
    expect(JSON.parse(out).options.mode).toBe('ar');
    expect(err).toContain('tuned: ar, f32');
  });

  it('is the default of an engine, and what a request says wins', async () => {
    const engine = await createEngine({
      modelDirs: [model],
      threads: 1,
      // A request always says its length and temperature.
      defaults: { model: { mode: 'ar', maxTokens: 2, temperature: 1 } },
      precisions: { model: 'int8' },
    });
    try {
      const request = { model: 'model', prompt: 'let x', suffix: null, maxTokens: 8 };
      const rest = { temperature: 0, topP: 1, seed: 1, stop: [] };
      const tuned = await engine.complete({ ...request, ...rest });
      expect(tuned.nfe).toBe(tuned.completionTokens + Number(tuned.finishReason === 'stop'));
      expect(tuned.completionTokens).toBeGreaterThan(2);
      const own = await engine.complete({
        ...request,
        ...rest,
        options: { mode: 'diffusion', threshold: 0 },
      });
      expect(own.nfe).toBeLessThan(tuned.nfe);
    } finally {
      await engine.close();
    }
  });
});
