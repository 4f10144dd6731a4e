/** The `config.json` that a GGUF file's metadata stands for, in the dialect of its family. */
import { TintypeError } from '../errors.ts';
import { type Dimension, type Family, FAMILY_KEY, familyById, firstKey, type Json } from './family.ts';
import type { GgufHeader } from './gguf-read.ts';

interface Architecture {
  /** Row of `families.ts` that is meant unless the caller says otherwise. */
  family: string;
  /** The converter turned the halves of each head of q and k into neighbours, which is how llama.cpp rotates them. */
  isPermuted: boolean;
}

/** By `general.architecture`. Which are permuted is told by llama.cpp's converter (`undo_permute`). */
const ARCHITECTURES: Readonly<Record<string, Architecture>> = {
  qwen2: { family: 'qwen2', isPermuted: false },
  qwen3: { family: 'qwen3', isPermuted: false },
  llama: { family: 'llama', isPermuted: true },
  dream: { family: 'dream', isPermuted: false },
  llada: { family: 'llada', isPermuted: true },
  'llada-moe': { family: 'llada-moe', isPermuted: false },
  rnd1: { family: 'rnd1', isPermuted: false },
};

/** Where dimensions stand, behind the architecture's name. */
const KEYS: Readonly<Record<Exclude<Dimension, 'headDim' | 'vocabSize'>, string>> = {
  width: 'embedding_length',
  layers: 'block_count',
  heads: 'attention.head_count',
  kvHeads: 'attention.head_count_kv',
  ffnWidth: 'feed_forward_length',
  contextLength: 'context_length',
};

export interface GgufConfig {
  architecture: Architecture;
  config: Json;
  generation: Json;
}

/** @param familyId asked for by the caller. Errors: `unsupported`, `bad_option`. */
export function configFromGguf(
  { metadata, entries }: GgufHeader,
  path: string,
  familyId?: string,
): GgufConfig {
  const name = String(metadata.get('general.architecture'));
  const architecture = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (!architecture) {
    throw new TintypeError('unsupported', {
      what: `${path} is of an architecture that is not read`,
      got: name,
      wanted: Object.keys(ARCHITECTURES).join(', '),
      next: 'use the original checkpoint if its family is known here',
    });
  }
  const get = (key: string): unknown => metadata.get(`${name}.${key}`);
  refuseScaling(get('rope.scaling.type'), path);
  const shapes = new Map(entries.map((entry) => [entry.name, entry.shape]));
  const stated = metadata.get('tintype.family') as string | undefined;
  const family = familyById(familyId ?? stated ?? architecture.family);
  const token = (key: string): number | undefined =>
    metadata.get(`tokenizer.ggml.${key}_token_id`) as number | undefined;
  const dimensions = Object.entries(KEYS).map(([fact, key]) => [
    firstKey(family.keys[fact as Dimension]),
    get(key),
  ]);
  const config: Json = {
    architectures: family.classes.slice(0, 1),
    model_type: family.modelType,
    [FAMILY_KEY]: family.id,
    ...Object.fromEntries(dimensions),
    [firstKey(family.keys.headDim)]: get('attention.key_length'),
    [firstKey(family.keys.vocabSize)]: shapes.get('token_embd.weight')?.[0],
    [family.tiedKey]: !shapes.has('output.weight'),
    rms_norm_eps: tidy(get('attention.layer_norm_rms_epsilon')),
    rope_theta: tidy(get('rope.freq_base') ?? 10_000),
    attention_layout: metadata.get('tintype.attention_layout'),
    [family.blockKey.key]: metadata.get('tintype.block_length'),
    mask_token_id: token('mask'),
    ...mixtureOf(family, get, shapes),
  };
  // An absent key is not one without a value.
  for (const key of Object.keys(config)) if (config[key] === undefined) delete config[key];
  const eos = ['eos', 'eot', 'eom'].map(token).filter((id) => id !== undefined);
  const generation = { eos_token_id: eos, pad_token_id: token('padding'), bos_token_id: token('bos') };
  return { architecture, config, generation };
}

/** An f32 of the file as the shortest decimal that stands for it: 9.999999974752427e-7 is 1e-6. */
const tidy = (value: unknown): unknown => (typeof value === 'number' ? Number(value.toPrecision(7)) : value);

function mixtureOf(
  { mixture }: Family,
  get: (key: string) => unknown,
  shapes: ReadonlyMap<string, readonly number[]>,
): Json {
  if (!mixture) return {};
  return {
    [mixture.experts]: get('expert_count'),
    [mixture.perToken]: get('expert_used_count'),
    // [E, I, D]
    [mixture.width]: get('expert_feed_forward_length') ?? shapes.get('blk.0.ffn_gate_exps.weight')?.[1],
  };
}

function refuseScaling(type: unknown, path: string): void {
  if (type === undefined || type === 'none') return;
  throw new TintypeError('unsupported', {
    what: `${path} stretches its rotary positions, which is not read from GGUF files`,
    got: `rope scaling ${JSON.stringify(type)}`,
    next: 'use the original checkpoint',
  });
}
