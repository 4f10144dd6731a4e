/** Tiny random models of every layout, for property tests. */
import { nodeRuntime } from '../src/graph/node.ts';
import type { Layout, ModelConfig } from '../src/model/config.ts';
import type { Denoiser } from '../src/model/denoiser.ts';
import { createDenoiser } from '../src/model/native.ts';
import { createParameters, initialise, toTensors } from '../src/model/parameters.ts';
import { createRng } from '../src/rng.ts';

export function tinyConfig(layout: Layout): ModelConfig {
  return {
    modelType: 'tintype',
    layout,
    width: 16,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    ffnWidth: 24,
    vocabSize: 33,
    tiedHead: true,
    normEps: 1e-6,
    ropeTheta: 10000,
    contextLength: 256,
    blockLength: layout === 'causal' ? 1 : layout === 'full' ? 256 : 4,
    tokens: { mask: layout === 'causal' ? null : 32, eos: [0], pad: 1, bos: null },
  };
}

/** Weights are large, so that different contexts give clearly different tokens. */
export async function tinyDenoiser(layout: Layout, seed = 3): Promise<Denoiser> {
  const config = tinyConfig(layout);
  const parameters = createParameters(config);
  initialise(parameters, config, createRng(seed));
  for (const { shape, data } of parameters.list)
    if (shape.length === 2) data.forEach((x, i) => (data[i] = 4 * x));
  return createDenoiser(await nodeRuntime(), config, toTensors(parameters), { threads: 1 });
}
