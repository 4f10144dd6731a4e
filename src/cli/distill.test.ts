import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../model/config.ts';
import { distillConfig } from './distill.ts';

const model = (part: Partial<ModelConfig>): ModelConfig => ({
  modelType: 'tintype',
  layout: 'causalContext',
  width: 32,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 8,
  ffnWidth: 48,
  vocabSize: 512,
  tiedHead: true,
  normEps: 1e-6,
  ropeTheta: 500,
  contextLength: 256,
  blockLength: 16,
  tokens: { mask: 2, eos: [0], pad: 1, bos: null },
  ...part,
});

describe('the recipe of tintype distill', () => {
  it('has the architecture, weights, tokenizer and block length of the model it is given', () => {
    const config = distillConfig(model({}), 'some/dir', { tokens: 50_000 });
    expect(config.model).toMatchObject({
      layout: 'causalContext',
      width: 32,
      ropeTheta: 500,
      blockLength: 16,
    });
    expect(config.objective).toMatchObject({ kind: 'blockDiffusion', blockLengths: [8, 16] });
    expect(config.data).toMatchObject({ kind: 'text', tokenizer: 'some/dir' });
    expect(config.init).toBe('some/dir');
    // The rate falls from the start of the run to its end, whatever its length.
    expect(config.schedule).toEqual({ warmupTokens: 5000, totalTokens: 50_000, decayTokens: 50_000 });
  });

  it('takes both halves of a method apart', () => {
    const { objective } = distillConfig(model({}), 'dir', { method: 'certainty', masking: 'suffix' });
    expect(objective).toMatchObject({ masking: 'suffix', certainty: { temperature: 0.5 } });
    expect(distillConfig(model({}), 'dir', { method: 'none' }).objective).toMatchObject({ certainty: null });
  });

  it('knows a sudoku model by its layout and vocabulary, and its size by its context', () => {
    const config = distillConfig(
      model({ layout: 'full', vocabSize: 16, contextLength: 17, blockLength: 17 }),
      'dir',
      {},
    );
    expect(config.data).toEqual({ kind: 'sudoku', size: 4 });
    expect(config.objective).toMatchObject({ kind: 'maskedDiffusion', masking: 'trajectory' });
  });

  it('refuses what it has no recipe for, and says what to do', () => {
    expect(() => distillConfig(model({ layout: 'causal' }), 'dir', {})).toThrow(/train --config/);
    expect(() => distillConfig(model({ layout: 'blockCausal', modelType: 'sdar' }), 'dir', {})).toThrow(
      /sdar/,
    );
  });

  it('refuses masks that the layout does not know', () => {
    const sudoku = model({ layout: 'full', vocabSize: 16, contextLength: 17, blockLength: 17 });
    expect(() => distillConfig(sudoku, 'dir', { masking: 'suffix' })).toThrow(/masking/);
  });
});
