/** Logits against the official code's. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { positionsFrom } from '../model/denoiser.ts';
import type { AttentionPattern, Denoiser, ForwardRun } from '../model/denoiser.ts';
import { floatsFromBytes, parseSafetensors } from '../model/safetensors.ts';
import { TintypeError } from '../errors.ts';
import type { GoldenForward } from './golden-format.ts';

/** Differences of logits up to here are rounding. */
export const LOGITS_TOLERANCE = 1e-4;

/** The largest difference over all forwards. Errors: `bad_data` where the logits are missing. */
export async function worstLogit(
  denoiser: Denoiser,
  dir: string,
  forwards: readonly GoldenForward[],
): Promise<number> {
  if (forwards.length === 0) return 0;
  const V = denoiser.config.vocabSize;
  const { tensors } = parseSafetensors(await readFile(join(dir, 'golden.safetensors')));
  let worst = 0;
  for (const forward of forwards) {
    const tensor = tensors.get(forward.logits);
    if (tensor === undefined) {
      throw new TintypeError('bad_data', { what: `golden.safetensors in ${dir} lacks ${forward.logits}` });
    }
    const theirs = floatsFromBytes('F32', tensor.bytes);
    const run = await conditionedRun(denoiser, forward, forwards);
    const [{ ids, logits }] = await denoiser.forward([run], { topK: V, entropy: false });
    ids.forEach((id, i) => {
      const row = run.query[Math.floor(i / V)];
      const difference = Math.abs(logits[i] - theirs[row * V + id]);
      // Not `max`, which a NaN would pass by.
      if (!(difference <= worst)) worst = difference;
    });
  }
  return worst;
}

/** The run that a golden forward stands for, with what the forward before it expected. */
export const conditionedRun = async (
  denoiser: Denoiser,
  forward: GoldenForward,
  forwards: readonly GoldenForward[],
): Promise<ForwardRun> => ({
  ...runOf(forward),
  expected: await expectedOf(denoiser, forward, forwards),
});

/** What the forward that this one is conditioned on expects at the rows to compare; the mean embedding of none elsewhere. */
async function expectedOf(
  denoiser: Denoiser,
  { conditionedOn: on, input_ids: ids }: GoldenForward,
  forwards: readonly GoldenForward[],
): Promise<Float32Array | undefined> {
  if (!on) return undefined;
  const before = forwards[on.forward];
  const run = await conditionedRun(denoiser, before, forwards);
  const want = { topK: 1, entropy: false, logitTemperature: on.temperature, expected: true };
  const [{ expected }] = await denoiser.forward([run], want);
  const D = denoiser.config.width;
  const rows = new Float32Array(ids.length * D);
  for (const [i, row] of run.query.entries()) rows.set(expected!.subarray(i * D, (i + 1) * D), row * D);
  return rows;
}

/** The run that a golden forward stands for. */
export function runOf(forward: GoldenForward): ForwardRun {
  const { input_ids: ids, position_ids: places, compareRows, noise } = forward;
  return {
    ids: Int32Array.from(ids),
    positions: places ? Int32Array.from(places) : positionsFrom(0, ids.length),
    attention: patternOf(forward),
    cache: null,
    write: 0,
    query: Int32Array.from(compareRows ?? ids.keys()),
    noise,
  };
}

function patternOf({ input_ids: ids, attention }: GoldenForward): AttentionPattern {
  if (attention === 'causal') return { kind: 'causal' };
  const { type, block = ids.length, origin = 0, padId, valid, clean = 0 } = attention;
  if (type === 'anchored') return { kind: 'anchored', clean };
  if (padId === undefined && valid === undefined) {
    return type === 'full' ? { kind: 'full' } : { kind: 'blockCausal', blockLength: block, origin };
  }
  const isValid = (row: number): boolean => (valid ? valid[row] === 1 : ids[row] !== padId);
  const blockOf = (row: number): number => (type === 'full' ? 0 : Math.floor((row - origin) / block));
  const T = ids.length;
  const visible = Uint8Array.from({ length: T * T }, (_, i) => {
    const [q, k] = [Math.floor(i / T), i % T];
    return Number(isValid(q) && isValid(k) && blockOf(k) <= blockOf(q));
  });
  return { kind: 'explicit', visible };
}
