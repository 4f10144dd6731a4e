/** The names and arguments of official functions, in the words of `decode/official`. */
import type { OfficialOptions } from '../decode/official/plan.ts';
import type { SamplerName } from '../decode/official/samplers.ts';
import type { GoldenTranscript } from './golden-format.ts';

export type Translated =
  | {
      kind: 'official';
      name: SamplerName;
      options: OfficialOptions;
      /** For samplers whose draws the golden file takes from `rng.ts`. */
      draws?: { seed: number; temperature: number };
    }
  /** Ordinary autoregressive decoding. */
  | { kind: 'autoregressive'; maxTokens: number; eos: number[] }
  /** Why it cannot be replayed. */
  | { kind: 'unknown'; reason: string };

/** Arguments as they stand in a golden file: absent ones and nulls are undefined. */
const readArguments = (values: Record<string, unknown>) => ({
  number: (name: string): number | undefined => (typeof values[name] === 'number' ? values[name] : undefined),
  text: (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined),
  flag: (name: string): boolean => values[name] === true,
  /** A token, several or (null) none; undefined where nothing is said. */
  tokens: (name: string): number[] | undefined => {
    const value = values[name];
    if (value === undefined) return undefined;
    return value === null ? [] : [value].flat().map(Number);
  },
});
type Arguments = ReturnType<typeof readArguments>;

/** No threshold: fixed counts decide. */
const NO_THRESHOLD = 2;

const DREAM_ORDERS: Record<string, OfficialOptions['order']> = {
  entropy: 'entropy',
  maskgit_plus: 'confidence',
  topk_margin: 'margin',
};

type Translate = (args: Arguments, transcript: GoldenTranscript) => Translated;

const official =
  (
    name: SamplerName,
    options: (args: Arguments, transcript: GoldenTranscript) => OfficialOptions,
  ): Translate =>
  (args, transcript) => ({ kind: 'official', name, options: options(args, transcript) });

const dllm = (args: Arguments): OfficialOptions => ({
  maxTokens: args.number('max_new_tokens'),
  steps: args.number('steps'),
  blockLength: args.number('block_size'),
  guidance: args.number('cfg_scale'),
});

const llada = (args: Arguments): OfficialOptions => ({
  maxTokens: args.number('gen_length'),
  steps: args.number('steps'),
  blockLength: args.number('block_length'),
  guidance: args.number('cfg_scale'),
});

const fastDllmV1 = (cache: OfficialOptions['cache']): Translate =>
  official('fast-dllm-v1', (args) => ({
    ...llada(args),
    threshold: args.number('threshold') ?? NO_THRESHOLD,
    cache,
  }));

const llada2 = (args: Arguments): OfficialOptions => ({
  ...llada(args),
  threshold: args.number('threshold'),
  earlyStop: args.flag('eos_early_stop'),
  eos: args.tokens('eos_id'),
});

const TRANSLATIONS: Readonly<Record<string, Translate>> = {
  'transformers.generate': (args) => ({
    kind: 'autoregressive',
    maxTokens: args.number('max_new_tokens') ?? 20,
    eos: args.tokens('eos_token_id') ?? [],
  }),
  'llada.generate': official('llada', llada),
  'dllm.MDLMSampler': official('dllm-mdlm', dllm),
  'dllm.BD3LMSampler': official('dllm-bd3lm', dllm),
  'a2d.card.bd3lm': official('a2d-card-bd3lm', dllm),
  'sdar.block_diffusion_generate': (args, transcript) => {
    const { mode, greedy } = transcript;
    const threshold = args.number('confidence_threshold') ?? 0.85;
    const name = mode === 'sequential' ? 'sdar-sequential' : 'sdar';
    const options: OfficialOptions = {
      maxTokens: args.number('gen_length'),
      steps: args.number('denoising_steps'),
      blockLength: args.number('block_length'),
      threshold: mode === 'low_confidence_dynamic' ? threshold : NO_THRESHOLD,
      // With multinomial replaced by argmax the confidence is not filtered.
      confidenceTopK: greedy === 'argmax' ? 0 : args.number('top_k'),
      eos: args.tokens('stopping_criteria_idx'),
    };
    return { kind: 'official', name, options };
  },
  'fast_dllm_v2.generate': official('fast-dllm-v2', (args) => ({
    maxTokens: args.number('max_new_tokens'),
    blockLength: args.number('block_size'),
    subBlockLength: args.number('small_block_size'),
    threshold: args.number('threshold') ?? 1,
    cache: args.flag('use_block_cache') ? 'dual' : 'block',
    eos: args.tokens('stop_token'),
  })),
  'dream.diffusion_generate': official('dream', (args) => ({
    maxTokens: args.number('max_new_tokens'),
    steps: args.number('steps'),
    order: DREAM_ORDERS[args.text('alg') ?? ''],
    eps: args.number('eps'),
  })),
  'fastdllm_v1.generate': fastDllmV1('none'),
  'fastdllm_v1.generate_with_prefix_cache': fastDllmV1('prefix'),
  'fastdllm_v1.generate_with_dual_cache': fastDllmV1('dual'),
  'fastdllm_v1.dream': official('fast-dllm-v1-dream', (args) => {
    const isThreshold = args.text('alg') === 'confidence_threshold';
    return {
      maxTokens: args.number('max_new_tokens'),
      steps: args.number('steps'),
      blockLength: args.number('block_length'),
      threshold: isThreshold ? (args.number('threshold') ?? 0.9) : NO_THRESHOLD,
      // Whatever else `alg` says, this code orders by entropy.
      order: 'entropy',
      eps: args.number('eps'),
      cache: args.flag('dual_cache') ? 'dual' : 'prefix',
    };
  }),
  'llada2.0.generate': official('llada2.0', (args) => ({
    ...llada2(args),
    minCommit: args.number('minimal_topk'),
  })),
  'llada2.1.generate': official('llada2.1', (args) => ({
    ...llada2(args),
    editThreshold: args.number('editing_threshold'),
    rounds: args.number('max_post_steps'),
    minCommit: args.number('num_to_transfer'),
  })),
  'diffusion_gemma.generate': (args, { mode }) => ({
    kind: 'official',
    name: 'diffusion-gemma',
    options: {
      maxTokens: args.number('max_new_tokens'),
      steps: args.number('max_denoising_steps'),
      gamma: args.number('entropy_bound'),
      stableSteps: args.number('stability_threshold'),
      meanEntropy: args.number('confidence_threshold'),
      highTemperature: args.number('t_max'),
      lowTemperature: args.number('t_min'),
      eos: args.tokens('eos_token_id'),
    },
    draws: { seed: args.number('seed') ?? 0, temperature: mode === 'argmax' ? 0 : 1 },
  }),
  'stable_diffcoder.generate_block': official('stable-diffcoder', (args) => ({
    ...llada(args),
    threshold: args.number('threshold') ?? NO_THRESHOLD,
    eos: args.tokens('eos_id') ?? [],
  })),
};

/** What an official call means here. */
export function translate(transcript: GoldenTranscript): Translated {
  const { sampler, args: values, greedy } = transcript;
  const make = TRANSLATIONS[sampler];
  if (make === undefined) {
    return {
      kind: 'unknown',
      reason: `there is no sampler for "${sampler}"; known are ${Object.keys(TRANSLATIONS).join(', ')}`,
    };
  }
  const args = readArguments(values);
  // SDAR divides by its temperature and draws; golden files say in `greedy` how draws were kept out.
  if ((args.number('temperature') ?? 0) > 0 && greedy === undefined) {
    return { kind: 'unknown', reason: 'draws of torch at a temperature above 0 cannot be replayed' };
  }
  if (args.text('remasking') === 'random' || args.text('alg') === 'origin') {
    return { kind: 'unknown', reason: 'a random order cannot be replayed' };
  }
  if (args.flag('right_shift_logits')) {
    return {
      kind: 'unknown',
      reason: 'right_shift_logits is not there: a model says itself how its logits are shifted',
    };
  }
  const translated = make(args, transcript);
  const isPrefixed = ['dllm-bd3lm', 'a2d-card-bd3lm'].includes(
    translated.kind === 'official' ? translated.name : '',
  );
  if (isPrefixed && (args.number('cfg_scale') ?? 0) > 0) {
    return { kind: 'unknown', reason: `${sampler} with cfg_scale is not there` };
  }
  return translated;
}
