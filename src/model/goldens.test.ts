/** Every family against the official code's logits (fixtures/README.md). */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { nodeRuntime } from '../graph/node.ts';
import { type AttentionPattern, type ForwardRun, positionsFrom, type Statistics } from './denoiser.ts';
import { describeCheckpoint, loadCheckpoint } from './hf.ts';
import { createLikelihood } from './likelihood.ts';
import { loadDenoiser } from './load.ts';
import { floatsFromBytes, parseSafetensors } from './safetensors.ts';

const root = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url));
const folders = readdirSync(root).filter((name) => !name.includes('.'));

interface Regular {
  type: 'full' | 'blockCausal';
  block: number;
  origin: number;
  /** Tokens with this id neither see nor are seen. */
  padId?: number;
  /** 0 for rows that neither see nor are seen. */
  valid?: number[];
}

interface GoldenForward {
  input_ids: number[];
  attention: 'causal' | Regular;
  position_ids?: number[];
  compareRows?: number[];
  /** Key of golden.safetensors. */
  logits: string;
}

interface Golden {
  tokens: { mask: number | null; eos: number[] };
  logitShift: 'none' | 'sequence' | 'block';
  blockSize?: number;
  forward: GoldenForward[];
}

const goldenOf = (name: string): Golden =>
  JSON.parse(readFileSync(`${root}${name}/golden.json`, 'utf8')) as Golden;

/** Ids of these masks stand in no file of the folder. */
const overridesOf = (name: string): { maskTokenId?: number } => {
  const raw = JSON.parse(readFileSync(`${root}${name}/config.json`, 'utf8')) as Record<string, unknown>;
  const { mask } = goldenOf(name).tokens;
  return mask === null || 'mask_token_id' in raw ? {} : { maskTokenId: mask };
};

const everyRow = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);

/** All V logits of every row, in id order: top-k with k = V. [M, V] */
function logitsOf({ ids, logits }: Statistics, V: number): Float32Array {
  const out = new Float32Array(ids.length);
  ids.forEach((id, i) => (out[Math.floor(i / V) * V + id] = logits[i]));
  return out;
}

function patternOf({ input_ids: ids, attention }: GoldenForward): AttentionPattern {
  if (attention === 'causal') return { kind: 'causal' };
  const { type, block, origin, padId, valid } = attention;
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

function runOf(forward: GoldenForward): ForwardRun {
  const { input_ids: ids, position_ids: places, compareRows } = forward;
  return {
    ids: Int32Array.from(ids),
    positions: places ? Int32Array.from(places) : positionsFrom(0, ids.length),
    attention: patternOf(forward),
    cache: null,
    write: 0,
    query: compareRows ? Int32Array.from(compareRows) : everyRow(ids.length),
  };
}

describe.each(folders)('fixture %s', (name) => {
  it('has the logits of the official code', async () => {
    const { denoiser } = await loadDenoiser(root + name, { threads: 1, overrides: overridesOf(name) });
    const V = denoiser.config.vocabSize;
    const { forward } = goldenOf(name);
    const { tensors } = parseSafetensors(readFileSync(`${root}${name}/golden.safetensors`));
    expect(forward.length).toBeGreaterThan(3);
    for (const each of forward) {
      const run = runOf(each);
      const [statistics] = await denoiser.forward([run], { topK: V, entropy: false });
      const ours = logitsOf(statistics, V);
      const theirs = floatsFromBytes('F32', tensors.get(each.logits)!.bytes);
      let worst = 0;
      run.query.forEach((row, i) => {
        for (let id = 0; id < V; id++) {
          worst = Math.max(worst, Math.abs(ours[i * V + id] - theirs[row * V + id]));
        }
      });
      expect(worst).toBeLessThan(1e-4);
      expect(ours).toHaveLength(run.query.length * V);
    }
    await denoiser.close();
  });

  it('says how its logits are shifted and in which blocks it is denoised', async () => {
    const { config } = await describeCheckpoint(root + name, { overrides: overridesOf(name) });
    const { logitShift, blockSize, tokens } = goldenOf(name);
    expect(config.logitShift ?? 'none').toBe(logitShift);
    expect(config.tokens.mask).toBe(tokens.mask);
    expect(config.tokens.eos).toEqual(expect.arrayContaining(tokens.eos));
    if (blockSize !== undefined)
      expect([config.layout, config.blockLength]).toEqual(['blockCausal', blockSize]);
  });
});

const oneStream = folders.filter((name) => !/bd3lm|sdar|fast-dllm|diffcoder|llada2/.test(name));

describe.each(oneStream)('likelihoods of %s', (name) => {
  it('are those of the official logits', async () => {
    const { config, tensors } = await loadCheckpoint(root + name, { overrides: overridesOf(name) });
    const golden = parseSafetensors(readFileSync(`${root}${name}/golden.safetensors`)).tensors;
    const forward = goldenOf(name).forward.find((each) => each.input_ids.length > 14)!;
    const ids = Int32Array.from(forward.input_ids);
    const [T, V] = [ids.length, config.vocabSize];
    const isCausal = config.layout === 'causal';
    const likelihood = await createLikelihood(await nodeRuntime(), config, tensors, {
      rows: 1,
      length: T,
      threads: 1,
    });
    const nats = await likelihood.negativeLogLikelihoods({
      ids,
      segments: new Int32Array(T),
      noisy: isCausal ? null : ids,
      blocks: null,
      scored: Array.from(ids, (_, position) => ({
        stream: isCausal ? 'clean' : 'noisy',
        position,
        target: (7 * position) % V,
      })),
    });
    const logits = floatsFromBytes('F32', golden.get(forward.logits)!.bytes);
    nats.forEach((each, position) => {
      // The row before predicts a position where logits are shifted.
      const row = config.logitShift === 'sequence' ? Math.max(0, position - 1) : position;
      const z = [...logits.subarray(row * V, (row + 1) * V)];
      const logSumExp = Math.log(z.reduce((sum, x) => sum + Math.exp(x), 0));
      expect(Math.abs(each - (logSumExp - z[(7 * position) % V]))).toBeLessThan(1e-4);
    });
    await likelihood.close();
  });
});

describe('padding', () => {
  it('may be left out of a run: the other rows keep their positions and their blocks', async () => {
    const name = 'a2d-qwen3-bd3lm';
    const { denoiser } = await loadDenoiser(root + name, { threads: 1, overrides: overridesOf(name) });
    const want = { topK: denoiser.config.vocabSize, entropy: false };
    const padded = goldenOf(name).forward.filter(({ input_ids: ids, attention }) => {
      return attention !== 'causal' && ids[0] === attention.padId;
    });
    expect(padded).toHaveLength(2);
    for (const forward of padded) {
      const run = runOf(forward);
      const pads = run.query[0];
      const { block } = forward.attention as Regular;
      const [whole] = await denoiser.forward([run], want);
      const [rest] = await denoiser.forward(
        [
          {
            ...run,
            ids: run.ids.subarray(pads),
            positions: run.positions.subarray(pads),
            // Blocks are counted from the padding, which has no positions.
            attention: { kind: 'blockCausal', blockLength: block, origin: -pads },
            query: everyRow(run.ids.length - pads),
          },
        ],
        want,
      );
      expect(rest.ids).toEqual(whole.ids);
      rest.logits.forEach((logit, i) => expect(Math.abs(logit - whole.logits[i])).toBeLessThan(1e-5));
    }
    await denoiser.close();
  });
});
