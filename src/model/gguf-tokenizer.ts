/** The `tokenizer.json` that a GGUF file's metadata stands for: byte-level BPE, which all families here have. */
import { TintypeError } from '../errors.ts';
import { byteLevelBpe, GPT2_PATTERN } from '../text/bpe-json.ts';
import type { Json } from './family.ts';
import type { GgufMetadata } from './gguf-read.ts';

const WORDS = String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`;
const ENDINGS = String.raw`'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])`;
const REST = String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const UPPER = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const START = String.raw`[^\r\n\p{L}\p{N}]?`;

/** How text is cut before merging, by llama.cpp's name for it; the patterns are those of the models' own tokenizer.json. */
const PATTERNS: Readonly<Record<string, string>> = {
  'gpt-2': GPT2_PATTERN,
  qwen2: String.raw`${ENDINGS}|${WORDS}|\p{N}|${REST}`,
  'llama-bpe': String.raw`${ENDINGS}|${WORDS}|\p{N}{1,3}|${REST}`,
  'gpt-4o': [
    `${START}${UPPER}*${LOWER}+(?:${ENDINGS})?`,
    `${START}${UPPER}+${LOWER}*(?:${ENDINGS})?`,
    String.raw`\p{N}{1,3}`,
    String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*`,
    String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`,
  ].join('|'),
  bailingmoe: String.raw`${ENDINGS}|${WORDS}|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
};
const SAME: Readonly<Record<string, string>> = {
  dream: 'qwen2',
  'deepseek-r1-qwen': 'qwen2',
  llama3: 'llama-bpe',
  'llama-v3': 'llama-bpe',
  'llada-moe': 'bailingmoe',
  bailingmoe2: 'bailingmoe',
};
/** Their tokenizer.json brings text into composed form first. */
const COMPOSED = new Set(['qwen2']);

/** `enum llama_token_type`. */
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/** null where the file has no vocabulary. Errors: `unsupported` for other kinds, with the way around. */
export function tokenizerFromGguf(metadata: GgufMetadata, path: string): Json | null {
  const get = (key: string): unknown => metadata.get(`tokenizer.ggml.${key}`);
  const texts = (key: string): string[] | undefined => get(key) as string[] | undefined;
  const model = get('model') as string | undefined;
  const tokens = texts('tokens');
  if (model === undefined || model === 'none' || !tokens) return null;
  const named = (get('pre') as string | undefined) ?? 'gpt-2';
  const kind = SAME[named] ?? named;
  // Our own files say what llama.cpp has no name for.
  const own = metadata.get('tintype.pre_tokenizer') as string | undefined;
  const pattern = own ?? PATTERNS[kind];
  const isComposed = own === undefined ? COMPOSED.has(kind) : metadata.get('tintype.composed') === true;
  if (model !== 'gpt2' || pattern === undefined) {
    throw new TintypeError('unsupported', {
      what: `the tokenizer in ${path} is of a kind that is not read`,
      got: model === 'gpt2' ? `pre-tokenizer ${named}` : `tokenizer ${model}`,
      wanted: `a byte-level BPE with pre-tokenizer ${[...Object.keys(PATTERNS), ...Object.keys(SAME)].join(', ')}`,
      next: 'put the tokenizer.json of the original model beside the file',
    });
  }
  const types = (get('token_type') as number[] | undefined) ?? [];
  const isAdded = (id: number): boolean => types[id] === CONTROL || types[id] === USER_DEFINED;
  const vocab: Record<string, number> = {};
  const added: object[] = [];
  for (const [id, content] of tokens.entries()) {
    if (isAdded(id)) {
      const facts = { single_word: false, lstrip: false, rstrip: false, normalized: false };
      added.push({ id, content, ...facts, special: types[id] === CONTROL });
    } else if (types[id] !== UNUSED) vocab[content] = id;
  }
  return byteLevelBpe({
    added,
    normalizer: isComposed ? 'NFC' : null,
    pattern,
    vocab,
    merges: (texts('merges') ?? []).map((merge) => {
      // A space inside a token is written otherwise, so the one space is the gap.
      const gap = merge.indexOf(' ', 1);
      return [merge.slice(0, gap), merge.slice(gap + 1)];
    }),
  });
}

/** The `tokenizer_config.json`: the template, and which tokens are special. */
export function tokenizerConfigFromGguf(metadata: GgufMetadata): Json {
  const tokens = metadata.get('tokenizer.ggml.tokens') as string[] | undefined;
  const text = (key: string): string | undefined =>
    tokens?.[metadata.get(`tokenizer.ggml.${key}_token_id`) as number];
  return {
    bos_token: text('bos'),
    eos_token: text('eos'),
    pad_token: text('padding'),
    mask_token: text('mask'),
    add_bos_token: metadata.get('tokenizer.ggml.add_bos_token') ?? false,
    chat_template: metadata.get('tokenizer.chat_template'),
  };
}
