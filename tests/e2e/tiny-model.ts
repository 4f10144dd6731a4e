/** A model folder that loads in no time: random weights, one token a byte. Its texts are noise. */
import { createParameters, initialise, toTensors } from '../../src/model/parameters.ts';
import { saveCheckpoint } from '../../src/model/hf.ts';
import type { Layout, ModelConfig } from '../../src/model/config.ts';
import { createRng } from '../../src/rng.ts';
import { tokenizerConfig, trainBpe } from '../../src/text/bpe.ts';

const BYTE_TOKENS = 264;

export async function writeTinyModel(dir: string, layout: Layout = 'causalContext'): Promise<void> {
  const config: ModelConfig = {
    modelType: 'tintype',
    layout,
    width: 32,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 8,
    ffnWidth: 48,
    vocabSize: BYTE_TOKENS,
    tiedHead: true,
    normEps: 1e-6,
    ropeTheta: 10_000,
    contextLength: 256,
    blockLength: layout === 'causal' ? 1 : 8,
    tokens: { mask: layout === 'causal' ? null : 2, eos: [0], pad: 1, bos: null },
  };
  const parameters = createParameters(config);
  initialise(parameters, config, createRng(1));
  await saveCheckpoint(dir, {
    config,
    tensors: toTensors(parameters),
    tokenizerFiles: {
      'tokenizer.json': JSON.stringify(trainBpe(new Map(), BYTE_TOKENS)),
      'tokenizer_config.json': JSON.stringify(tokenizerConfig(config.contextLength)),
    },
  });
}
