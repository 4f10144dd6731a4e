import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { nodeRuntime } from '../graph/node.ts';
import { tinyConfig } from '../../tests/tiny.ts';
import { createParameters, initialise } from '../model/parameters.ts';
import { floatsFromBytes, parseSafetensors } from '../model/safetensors.ts';
import { createRng } from '../rng.ts';
import { adamw, createOptimizer, globalNorm, type OptimizerConfig } from './optimizer.ts';

const CONFIG = tinyConfig('causal');

const OPTIMIZER: OptimizerConfig = {
  kind: 'muon',
  learningRate: 0.01,
  muonLearningRate: 0.02,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0,
  muonMomentum: 0.95,
  clipNorm: 1,
};

describe('AdamW', () => {
  it('equals torch.optim.AdamW after clip_grad_norm_', () => {
    const folder = new URL('../../fixtures/reference/', import.meta.url);
    const { args, expected } = JSON.parse(readFileSync(new URL('adamw.json', folder), 'utf8'));
    const { tensors } = parseSafetensors(readFileSync(new URL('adamw.safetensors', folder)));
    const floats = (key: string) => Float32Array.from(floatsFromBytes('F32', tensors.get(key)!.bytes));
    const names = [...tensors.keys()].flatMap((key) => (key.startsWith('before.') ? [key.slice(7)] : []));
    const state = names.map((name) => {
      const p = floats(`before.${name}`);
      const matrix = tensors.get(`before.${name}`)!.shape.length === 2;
      return { name, matrix, p, m: new Float32Array(p.length), v: new Float32Array(p.length) };
    });
    args.learningRates.forEach((learningRate: number, i: number) => {
      const grads = new Map(names.map((name) => [name, floats(`grad.${i}.${name}`)]));
      const norm = globalNorm(Float32Array.from([...grads.values()].flatMap((g) => [...g])));
      expect(norm).toBeCloseTo(expected.gradNorms[i], 5);
      for (const { name, matrix, p, m, v } of state) {
        adamw(p, grads.get(name)!, m, v, {
          learningRate,
          weightDecay: matrix ? args.weightDecay : 0,
          beta1: args.beta1,
          beta2: args.beta2,
          epsilon: args.eps,
          step: i + 1,
          scale: Math.min(1, args.clipNorm / (norm + 1e-6)),
        });
        const after = floats(`after.${i}.${name}`);
        p.forEach((x, j) => expect(Math.abs(x - after[j])).toBeLessThan(1e-6));
      }
    });
  });
});

describe('Muon', () => {
  it('moves every matrix by a nearly orthogonal update of known size', async () => {
    const optimizer = await createOptimizer(await nodeRuntime(), CONFIG, OPTIMIZER, { threads: 1 });
    const parameters = createParameters(CONFIG);
    const gradients = createParameters(CONFIG);
    initialise(parameters, CONFIG, createRng(1));
    const rng = createRng(2);
    for (let i = 0; i < gradients.flat.length; i++) gradients.flat[i] = rng.normal();
    const before = parameters.flat.slice();
    await optimizer.update(parameters, gradients, 1, 1);
    for (const { name, shape, offset, data } of parameters.list) {
      if (shape.length !== 2 || !name.startsWith('model.layers.')) continue;
      const [rows, columns] = shape as [number, number];
      const [r, c] = [Math.min(rows, columns), Math.max(rows, columns)];
      const unit = Float64Array.from(data, (x, i) => (before[offset + i] - x) / (0.02 * 0.2 * Math.sqrt(c)));
      // Rows of the wide form have length near 1 and are nearly at right angles.
      const at = (i: number, j: number): number =>
        rows > columns ? unit[j * columns + i] : unit[i * columns + j];
      for (let i = 0; i < r; i++) {
        for (let k = 0; k < r; k++) {
          let dot = 0;
          for (let j = 0; j < c; j++) dot += at(i, j) * at(k, j);
          expect(Math.abs(dot - Number(i === k)), `${name} rows ${i}, ${k}`).toBeLessThan(0.5);
        }
      }
    }
    await optimizer.close();
  });

  it('leaves embedding and norms to AdamW: their first step is the learning rate', async () => {
    const optimizer = await createOptimizer(await nodeRuntime(), CONFIG, OPTIMIZER, { threads: 1 });
    const parameters = createParameters(CONFIG);
    const gradients = createParameters(CONFIG);
    gradients.flat.fill(0.01);
    await optimizer.update(parameters, gradients, 1, 1);
    for (const x of parameters.get('model.embed_tokens.weight').data) expect(x).toBeCloseTo(-0.01, 4);
    for (const x of parameters.get('model.norm.weight').data) expect(x).toBeCloseTo(-0.01, 4);
    await optimizer.close();
  });
});
