/**
 * Tokenizers of folders without tokenizer.json: a byte-level BPE from vocab.json and merges.txt, as GPT-2 introduced them.
 * How text is cut before merging stands in no file; the class named in tokenizer_config.json says it.
 */
import { TintypeError } from '../errors.ts';
import { byteLevelBpe, GPT2_PATTERN } from './bpe-json.ts';

/** Files of a folder, by name; those that are not there are left out. */
export type TokenizerTexts = Readonly<Record<string, string>>;

/**
 * The published patterns, but that `(?i:'s|…)` is spelled out, which not every engine knows (ſ is an s in small letters).
 */
const SHORT_FORMS = "'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";
const QWEN2 = {
  pattern: `${SHORT_FORMS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  normalizer: 'NFC',
} as const;
const GPT2 = {
  pattern: GPT2_PATTERN,
  normalizer: null,
} as const;

const CLASSES: Readonly<Record<string, typeof QWEN2 | typeof GPT2>> = {
  Qwen2Tokenizer: QWEN2,
  Qwen2TokenizerFast: QWEN2,
  DreamTokenizer: QWEN2,
  GPT2Tokenizer: GPT2,
  GPT2TokenizerFast: GPT2,
};

interface AddedToken {
  content: string;
  special?: boolean;
}

const parse = (texts: TokenizerTexts, name: string): unknown => {
  try {
    return JSON.parse(texts[name] ?? '{}');
  } catch (cause) {
    throw new TintypeError('bad_tokenizer', {
      what: `${name} is not JSON`,
      got: (cause as Error).message,
      cause,
    });
  }
};

/**
 * What tokenizer.json would hold; null without vocab.json and merges.txt. Errors: `bad_tokenizer` for broken files,
 * `unsupported` where the class is not known.
 */
export function fromVocabAndMerges(texts: TokenizerTexts): Record<string, unknown> | null {
  if (texts['vocab.json'] === undefined || texts['merges.txt'] === undefined) return null;
  const config = parse(texts, 'tokenizer_config.json') as {
    tokenizer_class?: string;
    added_tokens_decoder?: Record<string, AddedToken>;
  };
  const { tokenizer_class: name = '' } = config;
  const kind = CLASSES[name];
  if (!kind) {
    throw new TintypeError('unsupported', {
      what: 'vocab.json and merges.txt do not say how text is cut, and the tokenizer class is not known here',
      got: name === '' ? 'no tokenizer_class in tokenizer_config.json' : name,
      wanted: Object.keys(CLASSES).join(', '),
      next: 'add a tokenizer.json (save_pretrained of a fast tokenizer writes one)',
    });
  }
  return byteLevelBpe({
    added: addedTokens(texts, config.added_tokens_decoder ?? {}),
    normalizer: kind.normalizer,
    pattern: kind.pattern,
    vocab: parse(texts, 'vocab.json') as Record<string, number>,
    merges: texts['merges.txt'].split('\n').filter((line) => line !== '' && !line.startsWith('#version')),
  });
}

/** By id: added_tokens.json gives ids alone, tokenizer_config.json also says which are special. */
function addedTokens(texts: TokenizerTexts, decoder: Record<string, AddedToken>): object[] {
  const added = new Map<number, AddedToken>();
  const plain = parse(texts, 'added_tokens.json') as Record<string, number>;
  for (const [content, id] of Object.entries(plain)) added.set(id, { content, special: true });
  for (const [id, token] of Object.entries(decoder)) added.set(Number(id), token);
  return [...added]
    .toSorted(([a], [b]) => a - b)
    .map(([id, { content, special = false }]) => ({ id, content, special }));
}
