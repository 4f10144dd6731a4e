import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ModelConfig } from './config.ts';
import { configFromJson, resolveConfig, type Surroundings } from './config-json.ts';
import { configToJson } from './config-write.ts';
import type { Json } from './family.ts';

const load = (path: string): Json =>
  JSON.parse(readFileSync(new URL(`../../fixtures/checkpoints/${path}`, import.meta.url), 'utf8')) as Json;

const QWEN = load('ar-qwen3/config.json');
const SDAR = load('sdar/config.json');
const around = { generation: null, tokenizerMask: null, where: 'config.json' };
const without = (raw: Json, ...keys: string[]): Json =>
  Object.fromEntries(Object.entries(raw).filter(([key]) => !keys.includes(key)));

const NATIVE: ModelConfig = {
  modelType: 'tintype',
  layout: 'blockCausal',
  width: 48,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  ffnWidth: 96,
  vocabSize: 160,
  tiedHead: true,
  normEps: 1e-6,
  ropeTheta: 10000,
  contextLength: 512,
  blockLength: 8,
  tokens: { mask: 2, eos: [0], pad: 1, bos: null },
};
const SHAPES: Record<ModelConfig['layout'], Partial<ModelConfig>> = {
  causal: { modelType: 'qwen3', layout: 'causal', blockLength: 1, tokens: { ...NATIVE.tokens, mask: null } },
  causalContext: { modelType: 'qwen3', layout: 'causalContext' },
  blockCausal: {},
  full: { layout: 'full', blockLength: 512 },
};
const CONFIGS = Object.values(SHAPES).map((change): ModelConfig => ({ ...NATIVE, ...change }));

describe('reading', () => {
  test('Qwen3 is causal, and generation_config.json adds ends of text', () => {
    const config = configFromJson(QWEN, { ...around, generation: load('ar-qwen3/generation_config.json') });
    expect(config).toEqual({
      ...NATIVE,
      ...SHAPES.causal,
      ropeTheta: 1e6,
      contextLength: 40960,
      tokens: { mask: null, eos: [157, 156], pad: 156, bos: 156 },
    });
  });

  test('SDAR is block-causal', () => {
    const config = configFromJson(SDAR, { ...around, generation: load('sdar/generation_config.json') });
    expect(config).toMatchObject({
      modelType: 'sdar',
      layout: 'blockCausal',
      blockLength: 4,
      tiedHead: false,
    });
    expect(config.tokens).toEqual({ mask: 165, eos: [162, 160], pad: 160, bos: 160 });
  });

  test('an early SDAR has blocks of four and its mask in the tokenizer, or else nobody guesses', () => {
    const early = without(SDAR, 'block_size', 'mask_token_id');
    const config = configFromJson(early, { ...around, tokenizerMask: 166 });
    expect([config.blockLength, config.tokens.mask]).toEqual([4, 166]);
    expect(() => configFromJson(early, around)).toThrow(/does not say which token is the mask/);
  });

  test('the keys of transformers 5', () => {
    const modern = {
      ...without(QWEN, 'rope_theta', 'rope_scaling', 'torch_dtype'),
      dtype: 'float32',
      rope_parameters: { rope_theta: 5e5, rope_type: 'default' },
      layer_types: ['full_attention', 'full_attention'],
    };
    expect(configFromJson(modern, around)).toEqual({ ...configFromJson(QWEN, around), ropeTheta: 5e5 });
  });

  test.each([
    ['hidden_size', undefined, /lacks the key hidden_size\n {2}wanted: hidden_size: a positive integer/],
    ['num_hidden_layers', 2.5, /bad value for num_hidden_layers\n {2}got: {4}2.5/],
    ['num_attention_heads', '4', /bad value for num_attention_heads\n {2}got: {4}"4"/],
    ['vocab_size', 0, /bad value for vocab_size/],
    ['head_dim', undefined, /lacks the key head_dim/],
    ['rms_norm_eps', undefined, /lacks the key rms_norm_eps\n {2}wanted: rms_norm_eps: a positive number/],
    ['rope_theta', undefined, /lacks the key rope_theta/],
    ['tie_word_embeddings', 'yes', /tie_word_embeddings: true or false/],
    ['eos_token_id', [157, 'x'], /eos_token_id: a token id or a list of them/],
    ['eos_token_id', 160, /end-of-text token lies outside the vocabulary\n {2}got: {4}160 of 160/],
    ['pad_token_id', 999, /the pad token lies outside/],
    ['num_key_value_heads', 3, /heads must be a multiple of kv-heads\n {2}got: {4}4 and 3/],
    ['head_dim', 15, /even head_dim/],
    ['model_type', undefined, /lacks the key model_type/],
    [
      'attention_layout',
      'full',
      /bad value for attention_layout\n {2}got: {4}"full"\n {2}wanted: .*causal or causalContext/,
    ],
  ])('%s = %j is a bad config', (key, value, message) => {
    const raw = value === undefined ? without(QWEN, key) : { ...QWEN, [key]: value };
    expect(() => configFromJson(raw, around)).toThrow(message);
    expect(() => configFromJson(raw, around)).toThrow(expect.objectContaining({ code: 'bad_config' }));
  });

  test.each([
    { rope_scaling: { type: 'yarn', factor: 4 } },
    { rope_parameters: { rope_theta: 1e6, rope_type: 'yarn' } },
    { attention_bias: true },
    { hidden_act: 'gelu' },
    { use_sliding_window: true },
    { layer_types: ['full_attention', 'sliding_attention'] },
    { quantization_config: { bits: 4 } },
    { model_type: 'llama' },
    { architectures: ['Qwen3ForSequenceClassification'] },
  ])('%j is said to be unsupported', (change) => {
    expect(() => configFromJson({ ...QWEN, ...change }, around)).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
  });
});

describe('writing', () => {
  test.each(CONFIGS)('$layout: what is written says the same', (config) => {
    const { config: raw, generation } = configToJson(config, 'BF16', null, null);
    const reread = JSON.parse(JSON.stringify(raw)) as Json;
    expect(configFromJson(reread, { ...around, generation })).toEqual(config);
    expect(configFromJson(reread, around)).toEqual(config);
    expect(reread['torch_dtype']).toBe('bfloat16');
  });

  test.each(['causal', 'causalContext'] as const)(
    'a native model of layout %s is a Qwen3 model',
    (layout) => {
      const config = { ...NATIVE, ...SHAPES[layout], modelType: 'tintype' };
      const { config: raw } = configToJson(config, 'F32', null, null);
      expect(raw).toMatchObject({ model_type: 'qwen3', architectures: ['Qwen3ForCausalLM'] });
      expect(raw['attention_layout']).toBe(layout === 'causal' ? undefined : 'causalContext');
    },
  );

  test('files that already say it are handed back as they are', () => {
    for (const [raw, folder] of [
      [QWEN, 'ar-qwen3'],
      [SDAR, 'sdar'],
    ] as const) {
      const generation = load(`${folder}/generation_config.json`);
      const config = configFromJson(raw, { ...around, generation });
      expect(configToJson(config, 'F32', raw, generation)).toEqual({ config: raw, generation });
    }
  });

  test('files that say something else are corrected, in their own dialect', () => {
    const raw = {
      ...without(QWEN, 'rope_theta'),
      rope_parameters: { rope_theta: 1e4, rope_type: 'default' },
      note: 1,
    };
    const generation = load('ar-qwen3/generation_config.json');
    const adapted: ModelConfig = {
      ...configFromJson(raw, { ...around, generation }),
      ...SHAPES.causalContext,
      ropeTheta: 2e4,
      tokens: { mask: 159, eos: [3], pad: null, bos: null },
    };
    const written = configToJson(adapted, 'F16', raw, generation);
    const reread = JSON.parse(JSON.stringify(written)) as typeof written;
    expect(configFromJson(reread.config, { ...around, generation: reread.generation })).toEqual(adapted);
    expect(reread.config).toMatchObject({
      note: 1,
      torch_dtype: 'float16',
      attention_layout: 'causalContext',
    });
    expect(reread.config).not.toHaveProperty('rope_theta');
    expect(reread.generation).toMatchObject({ top_k: 20, eos_token_id: 3 });
  });

  test('a family that cannot state the layout refuses', () => {
    expect(() => configToJson({ ...NATIVE, modelType: 'sdar', layout: 'full' }, 'F32', null, null)).toThrow(
      /a sdar config.json cannot state the layout full\n {2}wanted: blockCausal/,
    );
    expect(() => configToJson({ ...NATIVE, modelType: 'gpt2' }, 'F32', null, null)).toThrow(/gpt2/);
  });
});

describe('families', () => {
  const FOLDERS = [
    'ar-qwen2',
    'ar-llama',
    'a2d-qwen3-mdlm',
    'fast-dllm-v2',
    'dream',
    'llada',
    'llada-moe',
    'llada2',
    'stable-diffcoder',
  ];
  const overrides = { maskTokenId: 150 };

  test.each(FOLDERS)('%s: a file written anew says the same', (folder) => {
    const raw = load(`${folder}/config.json`);
    const config = configFromJson(raw, {
      ...around,
      ...(raw['model_type'] === 'llama' ? {} : { overrides }),
    });
    const { config: written, generation } = configToJson(config, 'F32', null, null);
    const reread = JSON.parse(JSON.stringify(written)) as Json;
    expect(configFromJson(reread, { ...around, generation })).toEqual(config);
  });

  test('models behind the names of others are told by their class', () => {
    const raw = load('stable-diffcoder/config.json');
    expect(configFromJson(raw, around)).toMatchObject({
      family: 'stable-diffcoder',
      modelType: 'llama',
      layout: 'blockCausal',
      blockLength: 4,
      tokens: { mask: 5 },
    });
    const early = {
      ...raw,
      architectures: ['LlamaForCausalLM'],
      auto_map: { AutoModelForCausalLM: 'modeling_seed_diffcoder.SeedDiffcoderForCausalLM' },
    };
    expect(configFromJson(early, around).family).toBe('stable-diffcoder');
    expect(configFromJson({ ...early, auto_map: undefined }, around)).toMatchObject({
      modelType: 'llama',
      layout: 'causal',
    });
  });

  test('one that is not known is told what is, and which is the nearest', () => {
    const raw = { ...load('dream/config.json'), model_type: 'dreem', architectures: ['DreemModel'] };
    expect(() => configFromJson(raw, around)).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        message: expect.stringMatching(
          /model_type "dreem", architecture "DreemModel"\n {2}wanted: qwen3 \(Qwen3ForCausalLM\).*LLaDAModelLM.*\n {2}try: .*--family dream$/,
        ),
      }),
    );
    const read = configFromJson(raw, { ...around, overrides: { family: 'dream' } });
    expect(read).toEqual(configFromJson(load('dream/config.json'), around));
    // What was said is written down, so that it need not be said again.
    const { config: written } = configToJson(read, 'F32', raw, null);
    expect(configFromJson(written, around)).toEqual(read);
    expect(() => configFromJson(raw, { ...around, overrides: { family: 'dreem' } })).toThrow(
      expect.objectContaining({
        code: 'bad_option',
        message: expect.stringContaining('dream, dream-reasoner'),
      }),
    );
  });

  test.each([
    [{ alibi: true }, /alibi/],
    [{ block_type: 'sequential' }, /block_type/],
    [{ scale_logits: true }, /scale_logits/],
    [{ attention_layer_norm: true }, /attention_layer_norm/],
  ])('LLaDA with %j would be another model', (change, message) => {
    expect(() => configFromJson({ ...load('llada/config.json'), ...change }, around)).toThrow(message);
  });

  test("LLaDA's rows are counted by embedding_size", () => {
    const raw = load('llada/config.json');
    expect(configFromJson({ ...raw, embedding_size: 192 }, around).vocabSize).toBe(192);
    expect(configFromJson({ ...raw, embedding_size: null }, around).vocabSize).toBe(168);
  });

  test('a head is as wide as its share of the width unless the file says otherwise', () => {
    const raw = load('ar-qwen2/config.json');
    expect(configFromJson(raw, around).headDim).toBe(16);
    expect(configFromJson({ ...raw, head_dim: 24 }, around).headDim).toBe(24);
    expect(() => configFromJson({ ...raw, hidden_size: 66 }, around)).toThrow(/head_dim\n {2}got: {4}16.5/);
  });
});

describe('facts that files may not say', () => {
  const A2D = load('a2d-qwen3-mdlm/config.json');
  const facts = (raw: Json, more: Partial<Surroundings>): unknown => {
    const { config, origins, warnings } = resolveConfig(raw, { ...around, tokenizerMask: 157, ...more });
    const { layout, blockLength, tokens } = config;
    return { layout, blockLength, mask: tokens.mask, eos: tokens.eos, origins, warned: warnings.length };
  };

  test('come from an option, config.json, the tokenizer, the name of the folder or the family', () => {
    const assumed = { layout: 'full', blockLength: 40960, mask: 157, eos: [155] };
    const origins = {
      family: 'config',
      layout: 'family',
      blockLength: 'config',
      mask: 'tokenizer',
      eos: 'config',
    };
    expect(facts(A2D, {})).toEqual({ ...assumed, origins, warned: 1 });
    expect(facts(A2D, { name: 'Qwen3-0.6B-diffusion-mdlm-v0.1' })).toEqual({
      ...assumed,
      origins: { ...origins, layout: 'name' },
      warned: 0,
    });
    expect(facts(A2D, { name: 'Qwen3-0.6B-diffusion-bd3lm-v0.1' })).toMatchObject({
      layout: 'blockCausal',
      blockLength: 32,
      origins: { layout: 'name', blockLength: 'family' },
      warned: 0,
    });
    const overrides = {
      layout: 'blockCausal',
      blockLength: 8,
      maskTokenId: 3,
      eosTokenIds: [9],
    } as const;
    expect(facts({ ...A2D, mask_token_id: 5 }, { name: 'x-mdlm', overrides })).toMatchObject({
      layout: 'blockCausal',
      blockLength: 8,
      mask: 3,
      eos: [9],
      origins: { layout: 'option', blockLength: 'option', mask: 'option', eos: 'option' },
    });
    expect(facts({ ...A2D, mask_token_id: 5 }, {})).toMatchObject({ mask: 5, origins: { mask: 'config' } });
    expect(facts(without(SDAR, 'block_size'), { name: 'SDAR-1.7B-Chat-b16' })).toMatchObject({
      blockLength: 16,
      origins: { blockLength: 'name' },
    });
    const addedTokens = new Map([['<|im_end|>', 156]]);
    expect(facts(A2D, { addedTokens })).toMatchObject({ eos: [155, 156] });
  });

  test('a mask that nobody knows is asked for, by the name of the option', () => {
    expect(() => configFromJson(load('fast-dllm-v2/config.json'), around)).toThrow(
      expect.objectContaining({
        code: 'bad_config',
        message: expect.stringMatching(
          /151665, the mask of family fast-dllm-v2, is outside.*--mask-token ID/s,
        ),
      }),
    );
  });

  test.each([
    [{ layout: 'causal' as const }, /models of family a2d-qwen3 do not attend so/],
    [{ maskTokenId: 160 }, /mask token lies outside the vocabulary/],
    [{ layout: 'blockCausal' as const, blockLength: 0 }, /no blocks of that length/],
  ])('an option that cannot be is refused: %j', (overrides, message) => {
    const read = (): unknown => configFromJson(A2D, { ...around, overrides });
    expect(read).toThrow(message);
    expect(read).toThrow(expect.objectContaining({ code: 'bad_option' }));
  });
});
