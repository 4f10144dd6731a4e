/**
 * `config.json` and `generation_config.json` to a `ModelConfig`, in the dialect of the family (`families.ts`). The way back
 * is `config-write.ts`.
 */
import { TintypeError } from '../errors.ts';
import type { Layout, ModelConfig, SpecialTokens } from './config.ts';
import { ditOf, integerOf, isTrue, mixtureOf, rotaryDimOf, wrongKey, yarnOf } from './config-block.ts';
import { gemmaOf } from './config-gemma.ts';
import { detectFamily, type Family, familyById, firstKey, isJson, type Json, unwrapped } from './family.ts';

/** Said by the caller; goes before everything that files say. */
export interface Overrides {
  /** `id` of a row of `families.ts`. */
  family?: string | undefined;
  layout?: Layout | undefined;
  blockLength?: number | undefined;
  maskTokenId?: number | undefined;
  /** All tokens that end a text. */
  eosTokenIds?: readonly number[] | undefined;
  /** Folder whose tokenizer counts in place of the model's own. */
  tokenizer?: string | undefined;
}

/** What stands beside config.json and bears on it. */
export interface Surroundings {
  /** generation_config.json; null where there is none. */
  generation: Json | null;
  /** Id of the tokenizer's mask token, if it has one. */
  tokenizerMask: number | null;
  /** Its padding and its end of text. */
  tokenizerPad?: number | null | undefined;
  tokenizerEos?: number | null | undefined;
  /** Ids of the tokenizer's added tokens, by text. */
  addedTokens?: ReadonlyMap<string, number> | undefined;
  /** Names the folder in errors. */
  where: string;
  /** Name of the folder: some repositories state their layout and block length there alone. */
  name?: string | undefined;
  overrides?: Overrides | undefined;
}

/** Who said a fact. */
export type Origin = 'option' | 'config' | 'tokenizer' | 'name' | 'family';

/** Facts that may come from elsewhere than config.json. */
export type Resolved = 'family' | 'layout' | 'blockLength' | 'mask' | 'eos';

export interface Resolution {
  config: ModelConfig;
  origins: Record<Resolved, Origin>;
  /** What was assumed and may be wrong, as sentences for a person. */
  warnings: string[];
}

interface Said<T> {
  value: T;
  origin: Origin;
}

/** What no family may have switched on, in the form of its own `settings`. */
const SETTINGS: Family['settings'] = { layer_types: ['full_attention'], quantization_config: [] };

/** Reads config.json. Errors: those of `resolveConfig`. */
export const configFromJson = (raw: Json, around: Surroundings): ModelConfig =>
  resolveConfig(raw, around).config;

/**
 * Reads config.json and says where each fact comes from: an option, config.json, the tokenizer, the folder's name, the
 * family, in this order. Errors: `bad_config` (a key is missing, of the wrong type or contradicts another),
 * `unsupported`, `bad_option`.
 */
export function resolveConfig(file: Json, around: Surroundings): Resolution {
  const { where, overrides = {} } = around;
  const whole = unwrapped(file);
  const family = overrides.family === undefined ? detectFamily(whole, where) : familyById(overrides.family);
  const raw = textOf(family, whole, where);
  checkSettings(family, raw, where);
  const yarn = yarnOf(family, raw, where);
  const integer = (key: string | readonly string[]): number => integerOf(raw, key, where);
  const number = (key: string, value: unknown): number => {
    if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
    throw wrongKey(where, key, value, 'a positive number');
  };
  const { keys, tiedKey, implied } = family;
  const layout = layoutOf(family, raw, around);
  const contextLength = integer(keys.contextLength);
  const blockLength = blockLengthOf(family, raw, around, { layout: layout.value, contextLength });
  const [width, heads] = [integer(keys.width), integer(keys.heads)];
  const isDerived = family.derivesHeadDim && (raw[firstKey(keys.headDim)] ?? null) === null;
  const headDim = isDerived ? width / heads : integer(keys.headDim);
  const tied = raw[tiedKey] ?? family.tiedSilent ?? false;
  if (typeof tied !== 'boolean') throw wrongKey(where, tiedKey, tied, 'true or false');
  const rotaryDim = rotaryDimOf(raw, headDim, number);
  const gemma = family.isGemma ? gemmaOf(raw, where) : null;
  const isAutoregressive = layout.value === 'causal' && !family.reordersKnown;
  const mask =
    isAutoregressive || family.noise === 'uniform'
      ? null
      : maskOf(family, raw, around, integer(keys.vocabSize));
  const { eos, ...ids } = tokenIds(family, raw, around);

  const config: ModelConfig = {
    modelType: family.modelType,
    ...(family.id === family.modelType ? {} : { family: family.id }),
    layout: layout.value,
    width,
    layers: integer(keys.layers),
    heads,
    kvHeads: integer(keys.kvHeads),
    headDim,
    ffnWidth:
      implied && !(firstKey(keys.ffnWidth) in raw) ? implied.ffnRatio * width : integer(keys.ffnWidth),
    ...(family.dit ? { dit: ditOf(family.dit, raw, where) } : {}),
    ...(gemma ? { gemma: gemma.gemma } : {}),
    ...(family.mixture ? { mixture: mixtureOf(family.mixture, raw, where) } : {}),
    vocabSize: integer(keys.vocabSize),
    tiedHead: tied,
    normEps: number('rms_norm_eps', raw['rms_norm_eps'] ?? implied?.normEps),
    // Since transformers 5 theta stands inside rope_parameters.
    ropeTheta: number(
      'rope_theta',
      gemma?.ropeTheta ??
        (raw['rope_parameters'] as Json | undefined)?.['rope_theta'] ??
        raw['rope_theta'] ??
        implied?.ropeTheta,
    ),
    // Facts of the native block stay out, so that its configs have one form.
    ...(rotaryDim === headDim ? {} : { rotaryDim }),
    ...(yarn ? { yarn } : {}),
    ...(isTrue(family.qkvBias, raw) ? { qkvBias: true } : {}),
    ...(isTrue(family.qkNorm, raw) ? {} : { qkNorm: false }),
    ...(family.logitShift === 'none' ? {} : { logitShift: family.logitShift }),
    ...(family.reordersKnown ? { reordersKnown: true } : {}),
    ...(family.noise ? { noise: family.noise } : {}),
    contextLength,
    blockLength: blockLength.value,
    tokens: { mask: mask?.value ?? null, eos: eos.value, ...ids },
  };
  checkConfig(config, where);
  return {
    config,
    origins: {
      family: overrides.family === undefined ? 'config' : 'option',
      layout: layout.origin,
      blockLength: blockLength.origin,
      mask: mask?.origin ?? 'family',
      eos: eos.origin,
    },
    warnings: assumptions(family, where, layout),
  };
}

/** All facts on one level; those of the language model count where both have one. */
function textOf({ textKey }: Family, file: Json, where: string): Json {
  if (textKey === undefined) return file;
  const text = file[textKey];
  if (!isJson(text)) throw wrongKey(where, textKey, text, 'an object with the facts of the language model');
  const { dtype, torch_dtype: torchDtype } = { ...text, ...file };
  return {
    ...file,
    ...text,
    ...(dtype === undefined ? {} : { dtype }),
    ...(torchDtype === undefined ? {} : { torch_dtype: torchDtype }),
  };
}

/** A file that could be of several layouts and says none. */
function assumptions({ isAmbiguous }: Family, where: string, layout: Said<Layout>): string[] {
  if (!isAmbiguous || layout.origin !== 'family') return [];
  return [
    `${where} does not say how the model attends: layout ${layout.value} is assumed, --layout says otherwise`,
  ];
}

function checkSettings(family: Family, raw: Json, where: string): void {
  for (const [key, values] of Object.entries({ ...SETTINGS, ...family.settings })) {
    const value = raw[key] ?? null;
    const given: unknown[] = Array.isArray(value) ? value : [value];
    if (value === null || given.every((each) => values.includes(each))) continue;
    throw new TintypeError('unsupported', {
      what: `${where} uses a feature that is not there yet: ${key}`,
      got: JSON.stringify(value),
      next: 'convert the checkpoint, or use another one',
    });
  }
}

function layoutOf(family: Family, raw: Json, { where, name, overrides }: Surroundings): Said<Layout> {
  const { layouts, layoutKey, id } = family;
  const asked = overrides?.layout;
  if (asked !== undefined) {
    if (layouts.includes(asked)) return { value: asked, origin: 'option' };
    throw new TintypeError('bad_option', {
      what: `models of family ${id} do not attend so`,
      got: `layout ${asked}`,
      wanted: layouts.join(' or '),
    });
  }
  const stated = layoutKey === 'absent' ? undefined : raw['attention_layout'];
  if (stated !== undefined || layoutKey === 'required') {
    const value = layouts.find((known) => known === stated);
    if (value === undefined) throw wrongKey(where, 'attention_layout', stated, layouts.join(' or '));
    return { value, origin: 'config' };
  }
  const hinted = LAYOUT_NAMES.find(({ pattern }) => family.isAmbiguous && pattern.test(name ?? ''))?.layout;
  if (hinted) return { value: hinted, origin: 'name' };
  // Where there is but one, config.json says it by naming the family.
  return { value: layouts[0], origin: layoutKey === 'absent' ? 'config' : 'family' };
}

/** How repositories name layouts (CHECKPOINTS.md 2.7). */
const LAYOUT_NAMES: readonly { pattern: RegExp; layout: Layout }[] = [
  { pattern: /(^|[-_])bd3lm([-_]|$)/i, layout: 'blockCausal' },
  { pattern: /(^|[-_])mdlm([-_]|$)/i, layout: 'full' },
];

/** How repositories name block lengths: SDAR-1.7B-Chat-b16 (CHECKPOINTS.md 2.9). */
const BLOCK_NAME = /-b(\d+)$/i;

function blockLengthOf(
  { blockKey: { key, silent } }: Family,
  raw: Json,
  { where, name, overrides }: Surroundings,
  { layout, contextLength }: { layout: Layout; contextLength: number },
): Said<number> {
  const asked = overrides?.blockLength;
  if (asked !== undefined) {
    const most = layout === 'causal' ? 1 : contextLength;
    if (Number.isSafeInteger(asked) && asked > 0 && asked <= most) return { value: asked, origin: 'option' };
    throw new TintypeError('bad_option', {
      what: `this model, of layout ${layout}, has no blocks of that length`,
      got: `${asked} positions`,
      wanted: `1 to ${most}`,
    });
  }
  if (layout === 'causal') return { value: 1, origin: 'family' };
  if (layout === 'full') return { value: contextLength, origin: 'config' };
  if (key in raw || silent === null) return { value: integerOf(raw, key, where), origin: 'config' };
  const named = BLOCK_NAME.exec(name ?? '');
  return named ? { value: Number(named[1]), origin: 'name' } : { value: silent, origin: 'family' };
}

/** The ids of a key that holds none, one or several. */
function idsOf(json: Json | null, key: string, where: string): number[] {
  const value = json?.[key];
  if (value === undefined || value === null) return [];
  const ids: unknown[] = Array.isArray(value) ? value : [value];
  if (ids.every((id): id is number => Number.isSafeInteger(id) && (id as number) >= 0)) return ids;
  throw wrongKey(where, key, value, 'a token id or a list of them');
}

/** Ends of text are a set: generation_config.json often knows more of them than config.json, and the template one more. */
function tokenIds(
  { turnEnds, endsWithPad }: Family,
  raw: Json,
  { generation, addedTokens, tokenizerPad, tokenizerEos, overrides, where }: Surroundings,
): { eos: Said<number[]> } & Omit<SpecialTokens, 'mask' | 'eos'> {
  const both = (key: string): number[] => [...idsOf(generation, key, where), ...idsOf(raw, key, where)];
  const pad = both('pad_token_id')[0] ?? tokenizerPad ?? null;
  const bos = both('bos_token_id')[0] ?? null;
  const stated = both('eos_token_id');
  const told = [tokenizerEos, ...turnEnds.map((text) => addedTokens?.get(text))].filter(
    (id): id is number => typeof id === 'number',
  );
  const eos = (value: readonly number[], origin: Origin): Said<number[]> => ({
    value: [...new Set(value)],
    origin,
  });
  const said = [...stated, ...told];
  if (overrides?.eosTokenIds) return { eos: eos(overrides.eosTokenIds, 'option'), pad, bos };
  if (said.length > 0) return { eos: eos(said, stated.length > 0 ? 'config' : 'tokenizer'), pad, bos };
  return { eos: eos(endsWithPad && pad !== null ? [pad] : [], 'family'), pad, bos };
}

function maskOf(family: Family, raw: Json, around: Surroundings, vocabSize: number): Said<number> {
  const { tokenizerMask, overrides, where } = around;
  const asked = overrides?.maskTokenId;
  if (asked !== undefined) {
    if (Number.isSafeInteger(asked) && asked >= 0 && asked < vocabSize)
      return { value: asked, origin: 'option' };
    throw new TintypeError('bad_option', {
      what: 'the mask token lies outside the vocabulary',
      got: String(asked),
      wanted: `an id below ${vocabSize}`,
    });
  }
  const stated = idsOf(raw, 'mask_token_id', where)[0];
  if (stated !== undefined) return { value: stated, origin: 'config' };
  if (tokenizerMask !== null) return { value: tokenizerMask, origin: 'tokenizer' };
  const { maskTokenId } = family;
  if (maskTokenId !== null && maskTokenId < vocabSize) return { value: maskTokenId, origin: 'family' };
  throw new TintypeError('bad_config', {
    what: `${where} does not say which token is the mask`,
    got:
      maskTokenId === null
        ? undefined
        : `${maskTokenId}, the mask of family ${family.id}, is outside a vocabulary of ${vocabSize}`,
    wanted: 'mask_token_id in config.json, or a mask token in the tokenizer',
    next: 'say it with --mask-token ID, or add "mask_token_id" to config.json',
  });
}

/** Errors: `bad_config` for facts that contradict each other. */
export function checkConfig(config: ModelConfig, where: string): void {
  const { heads, kvHeads, headDim, rotaryDim = headDim, vocabSize, tokens, gemma } = config;
  const bad = (what: string, got: string): TintypeError =>
    new TintypeError('bad_config', { what: `${where} contradicts itself: ${what}`, got });
  if (heads % kvHeads !== 0) throw bad('heads must be a multiple of kv-heads', `${heads} and ${kvHeads}`);
  if (gemma && heads % gemma.full.kvHeads !== 0)
    throw bad(
      'heads must be a multiple of the kv-heads of full layers',
      `${heads} and ${gemma.full.kvHeads}`,
    );
  if (gemma && gemma.full.headDim % 2 !== 0)
    throw bad('rotary positions need an even head_dim in full layers', `${gemma.full.headDim}`);
  if (headDim % 2 !== 0) throw bad('rotary positions need an even head_dim', `${headDim}`);
  if (rotaryDim % 2 !== 0 || rotaryDim > headDim)
    throw bad('the part of a head that turns must be even and inside it', `${rotaryDim} of ${headDim}`);
  for (const [name, id] of Object.entries({ mask: tokens.mask, pad: tokens.pad, bos: tokens.bos })) {
    if (id !== null && id >= vocabSize)
      throw bad(`the ${name} token lies outside the vocabulary`, `${id} of ${vocabSize}`);
  }
  const outside = tokens.eos.find((id) => id >= vocabSize);
  if (outside !== undefined)
    throw bad('an end-of-text token lies outside the vocabulary', `${outside} of ${vocabSize}`);
}
