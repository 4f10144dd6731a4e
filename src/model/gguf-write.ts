/**
 * A causal model as a GGUF file that llama.cpp loads: architecture `qwen3`, whose block is ours (per-head q/k norm
 * before half-rotation RoPE, grouped queries, SwiGLU), so that every tensor is copied as it stands. A `causalContext`
 * model is an ordinary Qwen3 model too (ARCHITECTURE.md 4): the file holds its autoregressive half.
 *
 * Vectors stay f32, as llama.cpp's own converter leaves them. A matrix whose rows are no multiple of 32 cannot be Q8_0
 * and becomes f16, which is llama.cpp's fallback as well.
 *
 * The pre-tokenizer is the one thing that has no exact counterpart: llama.cpp knows a list of named patterns and takes
 * no other. The nearest is named (`preTokenizerName`); whoever feeds ids, as `eval/llama.ts` does, is not touched by it. For
 * tintype's own pattern that is `gpt-4o`: of 2,684 pieces of held-out TypeScript 63 % get the same ids, and all together
 * 13 % more of them (qwen2 62 %, gpt-2 4 %), since indentation is not joined to its line break.
 */
import { open, rename, rm } from 'node:fs/promises';
import { TintypeError } from '../errors.ts';
import { elementCount, parameterShapes, type ModelConfig } from './config.ts';
import {
  type GgmlType,
  ggufChunks,
  type GgufTensor,
  type GgufValue,
  Q8_BLOCK,
  storedBytes,
} from './gguf-format.ts';
import { ggufPlace } from './gguf-names.ts';
import type { Json } from './family.ts';
import type { Tensor } from './hf.ts';

export const GGUF_TYPES = ['f32', 'f16', 'q8_0'] as const;
export type GgufType = (typeof GGUF_TYPES)[number];

/** `general.file_type`, numbers of `enum llama_ftype`. */
const FILE_TYPES: Record<GgufType, number> = { f32: 0, f16: 1, q8_0: 7 };

export interface GgufRequest {
  config: ModelConfig;
  /** One for each of `parameterShapes(config)`. */
  tensors: ReadonlyMap<string, Tensor>;
  tokenizerJson: Json | null;
  /** `general.name`. */
  name: string;
  type: GgufType;
}

/** Errors: `unsupported` for a parameter that architecture `qwen3` lacks. */
export function ggufName(name: string): string {
  const place = ggufPlace(name);
  if (place && place.expert === null && !name.endsWith('.bias')) return place.name;
  throw new TintypeError('unsupported', {
    what: 'llama.cpp has no place for a parameter of this model',
    got: name,
    wanted: 'a Qwen3 block: q/k norms, no biases, SwiGLU',
  });
}

/** How a parameter is stored in a file of this type. */
export function tensorType(type: GgufType, shape: readonly number[]): GgmlType {
  if (shape.length === 1) return 'f32';
  return type === 'q8_0' && shape.at(-1)! % Q8_BLOCK !== 0 ? 'f16' : type;
}

interface TokenizerParts {
  vocab: Readonly<Record<string, number>>;
  merges: readonly (string | readonly [string, string])[];
  added: readonly { id: number; content: string; special: boolean }[];
  pattern: string | null;
  /** Text is brought into composed form (NFC) first. */
  isComposed: boolean;
}

/** Errors: `unsupported` for a tokenizer that is no byte-level BPE. */
function tokenizerParts(json: Json | null): TokenizerParts {
  const file = json as {
    model?: { type?: string; vocab?: Record<string, number>; merges?: (string | [string, string])[] };
    decoder?: { type?: string };
    added_tokens?: TokenizerParts['added'];
    normalizer?: { type?: string } | null;
    pre_tokenizer?: { pretokenizers?: { pattern?: { Regex?: string } }[] };
  } | null;
  const { model, decoder } = file ?? {};
  if (model?.type === 'BPE' && model.vocab && decoder?.type === 'ByteLevel') {
    const pattern = file!.pre_tokenizer?.pretokenizers?.find(({ pattern }) => pattern?.Regex)?.pattern?.Regex;
    const merges = model.merges ?? [];
    return {
      vocab: model.vocab,
      merges,
      added: file!.added_tokens ?? [],
      pattern: pattern ?? null,
      isComposed: file!.normalizer?.type === 'NFC',
    };
  }
  throw new TintypeError('unsupported', {
    what: 'the tokenizer of this model has no form in a GGUF file here',
    got: json === null ? 'no tokenizer.json' : `model ${model?.type}, decoder ${decoder?.type}`,
    wanted: 'a byte-level BPE',
  });
}

/** Qwen2's pattern begins with English contractions and takes digits one by one. */
const QWEN2_PATTERN = /^\(\?i:'s\|'t\|.*\\p\{N\}\|/;

/**
 * The name that llama.cpp knows for a pattern, or for the one nearest to it. `gpt-4o` (o200k) splits words at camel
 * humps and digits by three, as the pattern of tintype's models does; it differs in line breaks and indentation.
 */
export function preTokenizerName(pattern: string | null): string {
  if (pattern === null) return 'gpt-2';
  return QWEN2_PATTERN.test(pattern) ? 'qwen2' : 'gpt-4o';
}

/** `enum llama_token_type`. */
const TOKEN_TYPE = { normal: 1, control: 3, userDefined: 4, unused: 5 };

function tokenizerMetadata(json: Json | null, { vocabSize, tokens }: ModelConfig): [string, GgufValue][] {
  const { vocab, merges, added, pattern, isComposed } = tokenizerParts(json);
  // Rows beyond the tokenizer's last id are padding; the names are those of llama.cpp's converter.
  const names = Array.from({ length: vocabSize }, (_, id) => `[PAD${id}]`);
  const types = Array.from({ length: vocabSize }, () => TOKEN_TYPE.unused);
  for (const [token, id] of Object.entries(vocab)) {
    names[id] = token;
    types[id] = TOKEN_TYPE.normal;
  }
  for (const { id, content, special } of added) {
    names[id] = content;
    types[id] = special ? TOKEN_TYPE.control : TOKEN_TYPE.userDefined;
  }
  const idOf = (content: string): number | null =>
    added.find((token) => token.content === content)?.id ?? null;
  const ids: [string, number | null][] = [
    ['bos', tokens.bos],
    ['eos', tokens.eos[0] ?? null],
    ['padding', tokens.pad],
    ['mask', tokens.mask],
    ['fim_pre', idOf('<|fim_prefix|>')],
    ['fim_suf', idOf('<|fim_suffix|>')],
    ['fim_mid', idOf('<|fim_middle|>')],
  ];
  return [
    ['tokenizer.ggml.model', { string: 'gpt2' }],
    ['tokenizer.ggml.pre', { string: preTokenizerName(pattern) }],
    ...ownTokenizer(pattern, isComposed),
    ['tokenizer.ggml.tokens', { strings: names }],
    ['tokenizer.ggml.token_type', { i32s: types }],
    ['tokenizer.ggml.merges', { strings: merges.map((m) => (typeof m === 'string' ? m : m.join(' '))) }],
    ...ids.flatMap(([name, id]): [string, GgufValue][] =>
      id === null ? [] : [[`tokenizer.ggml.${name}_token_id`, { u32: id }]],
    ),
    ['tokenizer.ggml.add_bos_token', { bool: false }],
  ];
}

/** What has no counterpart in llama.cpp, which passes over keys that it does not know. */
const ownTokenizer = (pattern: string | null, isComposed: boolean): [string, GgufValue][] =>
  pattern === null
    ? []
    : [
        ['tintype.pre_tokenizer', { string: pattern }],
        ['tintype.composed', { bool: isComposed }],
      ];

const ownLayout = ({ modelType, layout, blockLength }: ModelConfig): [string, GgufValue][] =>
  layout === 'causal'
    ? []
    : [
        ['tintype.family', { string: modelType === 'tintype' ? 'qwen3' : modelType }],
        ['tintype.attention_layout', { string: layout }],
        ['tintype.block_length', { u32: blockLength }],
      ];

function checkModel({ modelType, layout }: ModelConfig): void {
  if (layout !== 'causal' && layout !== 'causalContext') throw wrongLayout(layout);
  if (modelType === 'qwen3' || modelType === 'tintype') return;
  throw new TintypeError('unsupported', {
    what: 'this is not a Qwen3 model, and others are not exported',
    got: `a ${modelType} model`,
    wanted: 'a qwen3 or tintype model',
    next: "convert the original with llama.cpp's own script",
  });
}

function wrongLayout(layout: string): TintypeError {
  return new TintypeError('unsupported', {
    what: 'llama.cpp would run this model as an autoregressive one, which it is not',
    got: `layout ${layout}`,
    wanted: 'layout causal or causalContext',
    next: 'export its autoregressive twin',
  });
}

/** The keys of the header, in the order in which llama.cpp's converter writes them. */
export function ggufMetadata({ config, tokenizerJson, name, type }: GgufRequest): [string, GgufValue][] {
  const numbers: [string, GgufValue][] = [
    ['context_length', { u32: config.contextLength }],
    ['embedding_length', { u32: config.width }],
    ['block_count', { u32: config.layers }],
    ['feed_forward_length', { u32: config.ffnWidth }],
    ['attention.head_count', { u32: config.heads }],
    ['attention.head_count_kv', { u32: config.kvHeads }],
    ['attention.key_length', { u32: config.headDim }],
    ['attention.value_length', { u32: config.headDim }],
    ['attention.layer_norm_rms_epsilon', { f32: config.normEps }],
    ['rope.freq_base', { f32: config.ropeTheta }],
    ['vocab_size', { u32: config.vocabSize }],
  ];
  return [
    ['general.architecture', { string: 'qwen3' }],
    ['general.type', { string: 'model' }],
    ['general.name', { string: name }],
    ['general.file_type', { u32: FILE_TYPES[type] }],
    ['general.quantization_version', { u32: 2 }],
    ...numbers.map(([key, value]): [string, GgufValue] => [`qwen3.${key}`, value]),
    ...ownLayout(config),
    ...tokenizerMetadata(tokenizerJson, config),
  ];
}

/** The tensors of the file; a tied head is the embedding and is not stored twice. */
export function ggufTensors({ config, tensors, type }: GgufRequest): GgufTensor[] {
  return parameterShapes(config).map(({ name, shape }) => ({
    name: ggufName(name),
    shape,
    type: tensorType(type, shape),
    data: () => tensors.get(name)!.data,
  }));
}

/** Bytes of the weights in a file of this type. */
export const ggufWeightBytes = (config: ModelConfig, type: GgufType): number =>
  parameterShapes(config).reduce(
    (sum, { shape }) => sum + storedBytes(tensorType(type, shape), elementCount(shape)),
    0,
  );

/**
 * Writes the file beside its place and moves it there when it is whole; an error or an abort leaves what was there.
 * Errors: `unsupported`, `io`, `aborted`.
 */
export async function writeGguf(
  path: string,
  request: GgufRequest,
  {
    signal,
    onProgress,
  }: { signal?: AbortSignal | undefined; onProgress?: (writtenBytes: number) => void } = {},
): Promise<{ sizeBytes: number }> {
  checkModel(request.config);
  const chunks = ggufChunks(ggufMetadata(request), ggufTensors(request));
  const part = `${path}.part`;
  let sizeBytes = 0;
  try {
    const file = await open(part, 'w');
    try {
      for (const chunk of chunks) {
        signal?.throwIfAborted();
        await file.writeFile(chunk);
        sizeBytes += chunk.length;
        onProgress?.(sizeBytes);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (cause) {
    await rm(part, { force: true }).catch(() => {});
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof TintypeError || code === undefined || signal?.aborted) throw cause;
    throw new TintypeError('io', {
      what: `could not write ${path}`,
      got: message,
      next: 'check the folder and the room on its disk',
      cause,
    });
  }
  return { sizeBytes };
}
