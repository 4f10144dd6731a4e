/** The whole model's loss and gradients against PyTorch (scripts/reference/make_goldens.py), and its threads. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nodeRuntime } from '../graph/node.ts';
import type { ModelConfig } from '../model/config.ts';
import type { ScoringInputs } from '../model/scoring-feeds.ts';
import { copyTensors, createParameters } from '../model/parameters.ts';
import { floatsFromBytes, parseSafetensors } from '../model/safetensors.ts';
import { createGradientPass } from './gradients.ts';
import {
  autoregressiveInputs,
  blockDiffusionInputs,
  maskedDiffusionInputs,
  type NoisyBatch,
} from './rows.ts';

const folder = new URL('../../fixtures/reference/', import.meta.url);

function readGolden(name: string) {
  const json = JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as {
    config: ModelConfig;
    args: { rows: number; length: number; normaliser: number; arWeight: number };
    expected: { loss: number };
  };
  const { tensors } = parseSafetensors(readFileSync(new URL(`${name}.safetensors`, folder)));
  const floats = (key: string) => floatsFromBytes('F32', tensors.get(key)!.bytes);
  const ints = (key: string) => new Int32Array(Uint8Array.from(tensors.get(key)!.bytes).buffer);
  const parameters = createParameters(json.config);
  copyTensors(
    parameters,
    new Map(parameters.list.map(({ name: key, shape }) => [key, { shape, data: floats(key) }])),
  );
  const { rows, length } = json.args;
  const batch = {
    rows,
    length,
    ids: ints('input.ids'),
    segments: ints('input.segments'),
    answer: tensors.has('input.answer') ? Uint8Array.from(ints('input.answer')) : null,
  };
  const noise = (): NoisyBatch => {
    const masked = ints('input.masked').reduce<number[]>((at, on, i) => (on ? [...at, i] : at), []);
    const weights = floats('input.weights');
    return {
      noisy: ints('input.noisy'),
      masked: Int32Array.from(masked),
      weights: Float32Array.from(masked, (i) => weights[i]),
      eligible: json.args.normaliser,
    };
  };
  const inputs = (): ScoringInputs => {
    if (name === 'ar') return autoregressiveInputs(batch);
    if (name === 'mdlm') return maskedDiffusionInputs(batch, noise());
    const layout = name === 'block-causal' ? 'blockCausal' : 'causalContext';
    return blockDiffusionInputs(batch, noise(), ints('input.blocks'), layout, json.args.arWeight);
  };
  const streams: 1 | 2 = name === 'ar' || name === 'mdlm' ? 1 : 2;
  return { ...json, parameters, inputs: inputs(), shape: { rows, length, streams }, floats };
}

const NAMES = ['ar', 'mdlm', 'block-causal', 'causal-context'] as const;

describe.each(NAMES)('%s', (name) => {
  it('has the loss and the gradients of PyTorch', async () => {
    const golden = readGolden(name);
    const pass = await createGradientPass(
      await nodeRuntime(),
      golden.config,
      golden.parameters,
      golden.shape,
      { threads: 1 },
    );
    const { loss } = await pass.accumulate(golden.inputs);
    expect(Math.abs(loss / golden.expected.loss - 1)).toBeLessThan(1e-5);
    let worst = 0;
    for (const { name: key, data } of pass.gradients.list) {
      const expected = golden.floats(`grad.${key}`);
      const scale = Math.max(...expected.map(Math.abs));
      expect(scale).toBeGreaterThan(0);
      for (let i = 0; i < data.length; i++) worst = Math.max(worst, Math.abs(data[i] - expected[i]) / scale);
    }
    expect(worst).toBeLessThan(1e-5);
    await pass.close();
  });

  it('is the same with one thread and with two', async () => {
    const golden = readGolden(name);
    const [one, two] = await Promise.all(
      [1, 2].map(async (threads) => {
        const pass = await createGradientPass(
          await nodeRuntime(),
          golden.config,
          golden.parameters,
          golden.shape,
          { threads },
        );
        await pass.accumulate(golden.inputs);
        await pass.close();
        return pass.gradients.flat;
      }),
    );
    expect(two).toEqual(one);
  });
});
