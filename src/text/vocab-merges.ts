/**
 * A `tokenizer.json` made of what slow tokenizers leave in a folder: `vocab.json` and `merges.txt`, with the added tokens
 * in `tokenizer_config.json` or `added_tokens.json`. Dream and Fast-dLLM v2 are published so (CHECKPOINTS.md 4.6).
 */
import { TintypeError } from '../errors.ts';

type Json = Record<string, unknown>;

/** What slow tokenizers do in code and no file says: how text is cut, and whether it is normalised first. */
interface Cutting {
  classes: RegExp;
  pattern: string;
  normalizer: { type: 'NFC' } | null;
}

const CONTRACTIONS = String.raw`'[sSſ]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]`;

const CUTTINGS: readonly Cutting[] = [
  {
    // Qwen2's, and of those who took its tokenizer over. Its `(?i:…)` is spelled out, since Node 20 does not know it.
    classes: /^(Qwen2|Dream|Fast_?dLLM)/i,
    pattern: [
      `(?:${CONTRACTIONS})`,
      String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`,
      String.raw`\p{N}`,
      String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*`,
      String.raw`\s*[\r\n]+`,
      String.raw`\s+(?!\S)`,
      String.raw`\s+`,
    ].join('|'),
    normalizer: { type: 'NFC' },
  },
  {
    classes: /^GPT2/i,
    pattern: String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
    normalizer: null,
  },
];

interface Added {
  id: number;
  content: string;
  special: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  single_word: boolean;
}

/** Null where the folder has no such files. @throws bad_tokenizer for files that are not of this kind */
export function tokenizerFromFiles(files: Readonly<Record<string, string>>, dir: string): Json | null {
  const { 'vocab.json': vocabText, 'merges.txt': mergesText } = files;
  if (vocabText === undefined || mergesText === undefined) return null;
  const vocab = parse(vocabText, 'vocab.json', dir) as Record<string, number>;
  const config = parse(files['tokenizer_config.json'] ?? '{}', 'tokenizer_config.json', dir);
  const name = typeof config['tokenizer_class'] === 'string' ? config['tokenizer_class'] : 'Qwen2Tokenizer';
  const cutting = CUTTINGS.find(({ classes }) => classes.test(name));
  if (cutting === undefined) {
    throw new TintypeError('bad_tokenizer', {
      what: `how the tokenizer in ${dir} cuts text stands in no file of it`,
      got: `tokenizer_class ${name} with vocab.json and merges.txt`,
      wanted: 'tokenizer.json, or a class like Qwen2Tokenizer or GPT2Tokenizer',
      next: "save it with transformers' fast tokenizer, which writes tokenizer.json",
    });
  }
  const merges = mergesText
    .split(/\r?\n/)
    .filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(config, files, vocab, dir),
    normalizer: cutting.normalizer,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: cutting.pattern }, behavior: 'Isolated', invert: false },
        byteLevel,
      ],
    },
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

function addedTokens(
  config: Json,
  files: Readonly<Record<string, string>>,
  vocab: Record<string, number>,
  dir: string,
): Added[] {
  const tokens = new Map<number, Added>();
  const add = (id: number, { content, special = false, ...flags }: Partial<Added>): void => {
    if (!Number.isSafeInteger(id) || typeof content !== 'string') return;
    const base = { lstrip: false, rstrip: false, normalized: false, single_word: false };
    tokens.set(id, { ...base, ...flags, id, content, special });
  };
  // The older file knows ids only; what stands in the newer one counts.
  const older = parse(files['added_tokens.json'] ?? '{}', 'added_tokens.json', dir);
  for (const [content, id] of Object.entries(older)) add(Number(id), { content, special: true });
  const newer = (config['added_tokens_decoder'] ?? {}) as Record<string, Partial<Added>>;
  for (const [id, token] of Object.entries(newer)) add(Number(id), token);
  // A special token may be an ordinary entry of the vocabulary.
  for (const key of ['bos_token', 'eos_token', 'pad_token', 'unk_token', 'mask_token']) {
    const stated = config[key] as string | { content?: string } | null | undefined;
    const content = typeof stated === 'string' ? stated : stated?.content;
    const id = content === undefined ? undefined : vocab[content];
    if (id !== undefined && !tokens.has(id)) add(id, { content: content!, special: true });
  }
  return [...tokens.values()].sort((a, b) => a.id - b.id);
}

function parse(text: string, name: string, dir: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new TintypeError('bad_tokenizer', {
      what: `${name} in ${dir} is not JSON`,
      got: (cause as Error).message,
      next: 'copy the file again',
      cause,
    });
  }
}
