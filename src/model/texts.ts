/** What stands in a model folder besides weights: its config and its tokenizer, checked against each other. */
import { TintypeError } from '../errors.ts';
import { type Overrides, type Resolution, resolveConfig } from './config-json.ts';
import type { ModelConfig } from './config.ts';
import type { Json } from './family.ts';

export const CONFIG = 'config.json';

/** What a folder holds besides weights. */
export interface Texts {
  rawConfig: Json;
  generationConfig: Json | null;
  tokenizerFiles: Record<string, string>;
  tokenizerJson: Json | null;
  tokenizerConfig: Json | null;
  /** Why the tokenizer could not be read, as sentences for a person. */
  doubts: string[];
}

/** Model and tokenizer, checked against each other. */
export function resolveTexts(
  { rawConfig, generationConfig, tokenizerJson, tokenizerConfig }: Texts,
  { where, name, overrides }: { where: string; name: string; overrides: Overrides | undefined },
): Resolution {
  const tokens = new Map(addedTokens(tokenizerJson ?? {}).map(({ id, content }) => [content, id]));
  const special = (key: string): number | null => {
    const stated = tokenizerConfig?.[key];
    const text = typeof stated === 'string' ? stated : (stated as AddedToken | null | undefined)?.content;
    return (text === undefined ? undefined : tokens.get(text)) ?? null;
  };
  const resolution = resolveConfig(rawConfig, {
    generation: generationConfig,
    tokenizerMask: special('mask_token') ?? spelledMask(tokens),
    tokenizerPad: special('pad_token'),
    tokenizerEos: special('eos_token'),
    addedTokens: tokens,
    where,
    name,
    overrides,
  });
  if (tokenizerJson) checkTokenizer(tokenizerJson, resolution.config, where);
  return resolution;
}

interface AddedToken {
  id: number;
  content: string;
}

const addedTokens = (tokenizer: Json): AddedToken[] =>
  (tokenizer['added_tokens'] as AddedToken[] | undefined) ?? [];

/** How families spell the mask, case aside. */
const MASK_SPELLINGS = ['<|mask|>', '<|mdm_mask|>', '|<mask>|', '<[mask_token]>', '<[mask]>', '[mask]'];

/** A token that is spelled like a mask. */
function spelledMask(tokens: ReadonlyMap<string, number>): number | null {
  const byText = new Map([...tokens].map(([text, id]) => [text.toLowerCase(), id]));
  return MASK_SPELLINGS.map((text) => byText.get(text)).find((id) => id !== undefined) ?? null;
}

/** Rows beyond the tokenizer's last id are padding; ids beyond the rows have no embedding. */
function checkTokenizer(tokenizer: Json, { vocabSize }: ModelConfig, dir: string): void {
  const vocabulary = (tokenizer['model'] as Json | undefined)?.['vocab'] ?? {};
  let size = 0;
  for (const id of Object.values(vocabulary)) size = Math.max(size, Number(id) + 1);
  for (const { id } of addedTokens(tokenizer)) size = Math.max(size, id + 1);
  if (size <= vocabSize) return;
  throw new TintypeError('bad_tokenizer', {
    what: `the tokenizer in ${dir} is too large for its model`,
    got: `ids up to ${size - 1}`,
    wanted: `ids below ${vocabSize}, the vocab_size of ${CONFIG}`,
    next: 'use the tokenizer that the model was trained with',
  });
}
