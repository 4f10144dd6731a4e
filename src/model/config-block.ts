/** What config.json says about the block: numbers under keys, switches, rotation, mixtures. */
import { TintypeError } from '../errors.ts';
import type { Dit, Mixture, Yarn } from './config.ts';
import { type Fact, type Family, isJson, type Json, type MixtureKeys } from './family.ts';

/** The first of several keys that is there. */
export function integerOf(raw: Json, keys: string | readonly string[], where: string): number {
  const key =
    typeof keys === 'string' ? keys : (keys.find((each) => (raw[each] ?? null) !== null) ?? keys[0]);
  const value = raw[key];
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
  throw wrongKey(where, key, value, 'a positive integer');
}

/** A fact of the family, or what its key says. */
export const isTrue = (fact: Fact, raw: Json): boolean =>
  typeof fact === 'boolean' ? fact : ((raw[fact.key] ?? fact.silent) as boolean);

/** Some files give the share of a head that turns, some the components, some both. */
export function rotaryDimOf(
  raw: Json,
  headDim: number,
  number: (key: string, value: unknown) => number,
): number {
  if ((raw['rotary_dim'] ?? null) !== null) return number('rotary_dim', raw['rotary_dim']);
  const share =
    (raw['rope_parameters'] as Json | null | undefined)?.['partial_rotary_factor'] ??
    raw['partial_rotary_factor'] ??
    1;
  return Math.floor(headDim * number('partial_rotary_factor', share));
}

/** Both dialects: `rope_parameters` of transformers 5, `rope_scaling` with `type` of old. */
export function yarnOf({ hasYarn }: Family, raw: Json, where: string): Yarn | null {
  const key = isJson(raw['rope_parameters']) ? 'rope_parameters' : 'rope_scaling';
  const rope = raw[key];
  if (!rope) return null;
  const type = isJson(rope) ? (rope['rope_type'] ?? rope['type'] ?? 'default') : rope;
  if (type === 'default') return null;
  if (type !== 'yarn' || !hasYarn || (rope as Json)['truncate'] === false) {
    throw new TintypeError('unsupported', {
      what: `${where} uses a feature that is not there yet: ${key}`,
      got: JSON.stringify(rope),
      next: 'convert the checkpoint, or use another one',
    });
  }
  const number = (name: string, otherwise?: number): number => {
    const value = (rope as Json)[name] ?? otherwise;
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
    throw wrongKey(where, `${key}.${name}`, value, 'a number');
  };
  const factor = number('factor');
  // How much attention sharpens as the context grows (YaRN, equation 22); each `mscale` weighs it.
  const sharper = (weight: number): number => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  const [scale, every] = [number('mscale', 0), number('mscale_all_dim', 0)];
  const implied = scale > 0 && every > 0 ? sharper(scale) / sharper(every) : sharper(1);
  return {
    factor,
    originalLength: number('original_max_position_embeddings'),
    betaFast: number('beta_fast', 32),
    betaSlow: number('beta_slow', 1),
    attentionFactor: number('attention_factor', implied),
    queryBeta: number('llama_4_scaling_beta', 0),
  };
}

export function mixtureOf(keys: MixtureKeys, raw: Json, where: string): Mixture {
  const whole = (key: string | undefined, otherwise: number): number => {
    const value = key === undefined ? null : (raw[key] ?? null);
    if (value === null) return otherwise;
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
    throw wrongKey(where, key!, value, 'a whole number');
  };
  const scale = keys.scale === undefined ? 1 : (raw[keys.scale] ?? 1);
  if (typeof scale !== 'number') throw wrongKey(where, keys.scale!, scale, 'a number');
  const mixture = {
    experts: integerOf(raw, keys.experts, where),
    perToken: integerOf(raw, keys.perToken, where),
    width: integerOf(raw, keys.width, where),
    router: keys.router,
    groups: whole(keys.groups, 1),
    groupsPerToken: whole(keys.groupsPerToken, 1),
    scale,
    sharedWidth: whole(keys.shared, 0) * integerOf(raw, keys.width, where),
    denseLayers: whole(keys.denseLayers, 0),
  };
  const { experts, perToken, groups, groupsPerToken } = mixture;
  const inGroups = (experts / groups) * groupsPerToken;
  if (experts % groups === 0 && groupsPerToken <= groups && perToken <= inGroups) return mixture;
  throw new TintypeError('bad_config', {
    what: `${where} contradicts itself: a token cannot take so many experts`,
    got: `${perToken} of ${experts} experts, from ${groupsPerToken} of ${groups} equal groups`,
  });
}

/** Layers that are not conditioned have a width of 0. */
export function ditOf(
  { condition, isConditioned, isToldNoise }: NonNullable<Family['dit']>,
  raw: Json,
  where: string,
): Dit {
  const isPlain = isConditioned !== undefined && raw[isConditioned] === false;
  return {
    conditionWidth: isPlain ? 0 : integerOf(raw, condition, where),
    ...(isToldNoise ? { isToldNoise } : {}),
  };
}

export function wrongKey(where: string, key: string, got: unknown, wanted: string): TintypeError {
  return new TintypeError('bad_config', {
    what: got === undefined ? `${where} lacks the key ${key}` : `${where} has a bad value for ${key}`,
    got: got === undefined ? undefined : JSON.stringify(got),
    wanted: `${key}: ${wanted}`,
  });
}
