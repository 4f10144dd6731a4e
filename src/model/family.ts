/** What a row of `families.ts` says, and which row a config.json belongs to. */
import { TintypeError } from '../errors.ts';
import { familyName, type Layout, type LogitShift, type Mixture, type ModelConfig } from './config.ts';
import { FAMILIES } from './families.ts';
import { type NameMap, QWEN_NAMES } from './names.ts';

export type Json = Record<string, unknown>;

/** Facts that stand in config.json as one number each. */
export type Dimension =
  | 'width'
  | 'layers'
  | 'heads'
  | 'kvHeads'
  | 'headDim'
  | 'ffnWidth'
  | 'vocabSize'
  | 'contextLength';

/** A fact of the whole family, or one that stands under a key; `silent` is what files without the key mean. */
export type Fact = boolean | { key: string; silent: boolean };

/** Keys of a mixture. Where an optional one has no key, the fact is 1 group, scale 1, no shared expert, no dense layer. */
export interface MixtureKeys {
  router: Mixture['router'];
  experts: string;
  perToken: string;
  width: string;
  groups?: string;
  groupsPerToken?: string;
  scale?: string;
  /** How many shared experts there are, each as wide as the others. */
  shared?: string;
  denseLayers?: string;
}

export interface Family {
  /** How options and errors name it. */
  id: string;
  modelType: string;
  /**
   * Classes that `architectures[0]` or `auto_map` may name; the first is written. None: files do not tell this family
   * from another one, so it must be asked for.
   */
  classes: readonly string[];
  /** Of several keys the first that is there counts. */
  keys: Record<Dimension, string | readonly string[]>;
  /** Without its key a head is width / heads wide. */
  derivesHeadDim?: boolean;
  tiedKey: string;
  /** What files without that key mean. Default: a head of its own. */
  tiedSilent?: boolean;
  /** What `attention_layout` may say; the first is meant where it is silent, if `layoutKey` is optional. */
  layouts: readonly [Layout, ...Layout[]];
  /** Where the layout stands: nowhere (there is but one), perhaps, or always. */
  layoutKey: 'absent' | 'optional' | 'required';
  /** Files of one config.json come in several layouts or block lengths, so what is assumed has to be said. */
  isAmbiguous?: boolean;
  /** Key of the block length, and the value that files without it mean. */
  blockKey: { key: string; silent: number | null };
  qkvBias: Fact;
  qkNorm: Fact;
  mixture?: MixtureKeys;
  /** Its block is Gemma's (`config-gemma.ts`). */
  isGemma?: boolean;
  /** The object of config.json in which most facts of the language model stand. */
  textKey?: string;
  /** See `ModelConfig`. */
  noise?: ModelConfig['noise'];
  /**
   * Its block is a diffusion transformer: keys of the condition's width, and of whether layers are conditioned; whether
   * runs are told their noise level.
   */
  dit?: { condition: string; isConditioned?: string; isToldNoise?: true };
  /** Numbers that its files do not state: a feed-forward width as a multiple of the width, and others as they are. */
  implied?: { ffnRatio: number; normEps: number; ropeTheta: number };
  /** Its rope_parameters may ask for YaRN. */
  hasYarn?: boolean;
  /** Masks see the known tokens behind them, which stand before them in a run. */
  reordersKnown?: boolean;
  logitShift: LogitShift;
  names: NameMap;
  /** The mask where neither config.json nor the tokenizer knows it. */
  maskTokenId: number | null;
  /** Padding ends a text where nothing else is said to. */
  endsWithPad?: boolean;
  /** Repository of the tokenizer that the family's repositories do not hold. */
  tokenizerFrom?: string;
  /** Tokens that end a turn of the family's chat template: they end a text as well. */
  turnEnds: readonly string[];
  /** Settings that would change the mathematics, and the values a file may hold, alone or in a list (besides null). */
  settings: Readonly<Record<string, readonly unknown[]>>;
  /** Keys that engines for this family want to see in a new file, beyond the facts. */
  extra: Json;
}

/** Our own key of config.json: names the family where nothing else does. */
export const FAMILY_KEY = 'tintype_family';

export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * SEDD's config.json is the configuration of its training, of which the model is a part, and names no family: its facts
 * side by side. Any other file is handed back as it is.
 */
export function unwrapped(raw: Json): Json {
  const { model, graph, noise, tokens } = raw;
  if ('model_type' in raw || !isJson(model) || !isJson(graph) || typeof tokens !== 'number') return raw;
  return {
    ...model,
    model_type: 'sedd',
    graph_type: graph['type'],
    noise_type: isJson(noise) ? noise['type'] : null,
    // The mask comes behind the tokens.
    vocab_size: tokens + 1,
    mask_token_id: tokens,
  };
}

/** Under which of several keys a fact is written. */
export const firstKey = (keys: string | readonly string[]): string =>
  typeof keys === 'string' ? keys : keys[0];

/** The row of a family. Errors: `bad_option`. */
export function familyById(id: string): Family {
  const family = FAMILIES.find((each) => each.id === id);
  if (family) return family;
  throw new TintypeError('bad_option', {
    what: 'there is no such family of models',
    got: id,
    wanted: FAMILIES.map((each) => each.id).join(', '),
  });
}

/** How the family of a model names its tensors; Qwen3's way where it has no row. */
export const namesOf = (config: ModelConfig): NameMap =>
  FAMILIES.find(({ id }) => id === familyName(config))?.names ?? QWEN_NAMES;

/** Class names of `auto_map`: `modeling_x.SomeModel`, alone or in a list. */
const autoClasses = (raw: Json): string[] =>
  Object.values((raw['auto_map'] as Json | null | undefined) ?? {})
    .flat()
    .map((path) => String(path).split('.').at(-1)!);

/**
 * The family of a config.json. `model_type` alone is not enough: `llada` means two families, and others hide their
 * models behind `llama` or `qwen2`. Errors: `bad_config` without a model_type, `unsupported`.
 */
export function detectFamily(raw: Json, where: string): Family {
  const modelType = raw['model_type'];
  if (typeof modelType !== 'string') {
    throw new TintypeError('bad_config', {
      what: `${where} ${modelType === undefined ? 'lacks the key' : 'has a bad value for'} model_type`,
      got: modelType === undefined ? undefined : JSON.stringify(modelType),
      wanted: 'model_type: a string',
    });
  }
  const stated = raw[FAMILY_KEY];
  if (typeof stated === 'string') return familyById(stated);
  const architectures = raw['architectures'];
  const architecture: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const known = FAMILIES.filter((each) => each.modelType === modelType && each.classes.length > 0);
  const named = [...autoClasses(raw), ...(typeof architecture === 'string' ? [architecture] : [])];
  const byClass = named
    .map((name) => known.find(({ classes }) => classes.includes(name)))
    .find((family) => family !== undefined);
  if (byClass) return byClass;
  if (architecture === undefined && known.length === 1) return known[0];
  throw unknownFamily({ modelType, architecture, known, where });
}

function unknownFamily(facts: {
  modelType: string;
  architecture: unknown;
  /** Rows of the same model type. */
  known: readonly Family[];
  where: string;
}): TintypeError {
  const { modelType, architecture, known, where } = facts;
  const words = FAMILIES.flatMap((family) =>
    [family.id, family.modelType, ...family.classes].map((word) => ({ word, id: family.id })),
  );
  const likeness = (word: string): number =>
    Math.min(...[modelType, architecture].map((name) => distance(String(name), word)));
  const nearest = known[0]?.id ?? words.toSorted((a, b) => likeness(a.word) - likeness(b.word))[0].id;
  const named = FAMILIES.map(({ id, classes }) =>
    classes.length > 0 ? `${id} (${classes.join(', ')})` : id,
  );
  return new TintypeError('unsupported', {
    what: `${where} is of a family that is not known here`,
    got: `model_type ${JSON.stringify(modelType)}, architecture ${JSON.stringify(architecture)}`,
    wanted: named.join(', '),
    next: `name the family if it is one of these under another name; the nearest is --family ${nearest}`,
  });
}

/** Edits between two words, case aside (Levenshtein). */
function distance(a: string, b: string): number {
  const [from, to] = [a.toLowerCase(), b.toLowerCase()];
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const swap = row[j - 1] + Number(from[i - 1] !== to[j - 1]);
      next.push(Math.min(swap, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[to.length];
}
