/** SEDD: what being told a noise level means for the denoiser, on the fixture whose logits `golden.test.ts` compares. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { appendCanvas } from '../decode/canvas.ts';
import { decode } from '../decode/decode.ts';
import { collect } from '../decode/events.ts';
import { planOfficial } from '../decode/official/plan.ts';
import { nodeRuntime } from '../graph/node.ts';
import { type Denoiser, type ForwardRun, positionsFrom } from './denoiser.ts';
import { noiseOf } from './dit.ts';
import { describeCheckpoint, loadCheckpoint, saveCheckpoint } from './hf.ts';
import { createLikelihood } from './likelihood.ts';
import { loadDenoiser } from './load.ts';
import { parseSafetensors } from './safetensors.ts';

const folder = fileURLToPath(new URL('../../fixtures/checkpoints/sedd', import.meta.url));
const MASK = 47;

let dir: string;
let denoiser: Denoiser;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-sedd-'));
  ({ denoiser } = await loadDenoiser(folder, { threads: 1 }));
});
afterEach(async () => {
  await denoiser.close();
  await rm(dir, { recursive: true });
});

const run = (ids: readonly number[], noise?: number): ForwardRun => ({
  ids: Int32Array.from(ids),
  positions: positionsFrom(0, ids.length),
  attention: { kind: 'full' },
  cache: null,
  write: 0,
  query: positionsFrom(0, ids.length).filter((row) => ids[row] === MASK),
  noise,
});
const want = { topK: 48, entropy: false };
const [first, second] = [
  [3, MASK, 9, 9, MASK, MASK, 12, 40],
  [MASK, 5, MASK, MASK, 30],
];

describe('the noise level of a run', () => {
  test('is its own, whatever its neighbours are told', async () => {
    const together = await denoiser.forward([run(first, 0.3), run(second, 4)], want);
    const [[one], [two]] = [
      await denoiser.forward([run(first, 0.3)], want),
      await denoiser.forward([run(second, 4)], want),
    ];
    expect(together).toEqual([one, two]);
  });

  test('changes what the model says', async () => {
    const [[low], [high]] = [
      await denoiser.forward([run(first, 0.3)], want),
      await denoiser.forward([run(first, 4)], want),
    ];
    expect(Math.abs(low.logSumExp[0] - high.logSumExp[0])).toBeGreaterThan(1);
  });

  test('is what its share of masks means where nobody says it', async () => {
    const [silent] = await denoiser.forward([run(first)], want);
    const [said] = await denoiser.forward([run(first, noiseOf(3 / 8))], want);
    expect(silent).toEqual(said);
    expect(1 - Math.exp(-noiseOf(3 / 8))).toBeCloseTo((0.999 * 3) / 8, 12);
  });
});

test('decodes by its sampler and by the policies of this house', async () => {
  const { canvas, recipe } = planOfficial('sedd', denoiser.config, [3, 4], { maxTokens: 8, steps: 16 });
  const official = await collect(decode(denoiser, canvas, { recipe, seed: 1, temperature: 1 }));
  const own = await collect(decode(denoiser, appendCanvas([3, 4], 8), { threshold: 0.3 }));
  for (const { done } of [official, own]) {
    expect(done.ids).toHaveLength(8);
    expect(done.ids).not.toContain(MASK);
  }
});

test('the published form of config.json is kept, and another one is read as well', async () => {
  const checkpoint = await loadCheckpoint(folder);
  await saveCheckpoint(join(dir, 'kept'), checkpoint);
  const kept = JSON.parse(await readFile(join(dir, 'kept', 'config.json'), 'utf8')) as object;
  expect(kept).toMatchObject({ tokens: 47, model: { hidden_size: 32 } });
  await saveCheckpoint(join(dir, 'flat'), { ...checkpoint, header: null, rawConfig: null });
  const flat = JSON.parse(await readFile(join(dir, 'flat', 'config.json'), 'utf8')) as object;
  expect(flat).toMatchObject({ model_type: 'sedd', hidden_size: 32, vocab_size: 48 });
  for (const name of ['kept', 'flat']) {
    const again = await loadCheckpoint(join(dir, name));
    expect(again.config).toEqual(checkpoint.config);
    const [a, b] = [
      parseSafetensors(await readFile(join(folder, 'model.safetensors'))),
      parseSafetensors(await readFile(join(dir, name, 'model.safetensors'))),
    ];
    for (const [tensor, { bytes }] of b.tensors) {
      expect([tensor, Buffer.compare(bytes, a.tensors.get(tensor)!.bytes)]).toEqual([tensor, 0]);
    }
  }
});

test('it is not scored or trained, which would need a level as well', async () => {
  const { config, tensors } = await loadCheckpoint(folder);
  await expect(
    createLikelihood(await nodeRuntime(), config, tensors, { rows: 1, length: 8, threads: 1 }),
  ).rejects.toMatchObject({ code: 'unsupported' });
});

test('uniform states and other schedules are refused', async () => {
  await cp(folder, join(dir, 'uniform'), { recursive: true });
  const raw = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object;
  await writeFile(
    join(dir, 'uniform', 'config.json'),
    JSON.stringify({ ...raw, graph: { type: 'uniform' } }),
  );
  await expect(describeCheckpoint(join(dir, 'uniform'))).rejects.toMatchObject({ code: 'unsupported' });
});
