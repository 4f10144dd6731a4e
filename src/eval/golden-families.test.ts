/** Every family against the official code's logits (fixtures/README.md). */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { nodeRuntime } from '../graph/node.ts';
import type { Statistics } from '../model/denoiser.ts';
import { describeCheckpoint, loadCheckpoint } from '../model/hf.ts';
import { createLikelihood } from '../model/likelihood.ts';
import { loadDenoiser } from '../model/load.ts';
import { floatsFromBytes, parseSafetensors } from '../model/safetensors.ts';
import { overridesOf } from './golden.ts';
import { readGolden, type Golden } from './golden-format.ts';
import { conditionedRun, runOf } from './golden-logits.ts';

const root = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url));
const folders = readdirSync(root).filter((name) => !name.includes('.'));

const goldenOf = (name: string): Promise<Golden> => readGolden(root + name);
/** What the golden file says of the model beside what is replayed. */
interface Facts {
  tokens: { mask: number | null; eos: number[] };
  logitShift: 'none' | 'sequence' | 'block';
  blockSize?: number;
}
const factsOf = (name: string): Facts =>
  JSON.parse(readFileSync(`${root}${name}/golden.json`, 'utf8')) as Facts;

const masksOf = async (name: string) => overridesOf(root + name, await goldenOf(name));

const everyRow = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);

/** All V logits of every row, in id order: top-k with k = V. [M, V] */
function logitsOf({ ids, logits }: Statistics, V: number): Float32Array {
  const out = new Float32Array(ids.length);
  ids.forEach((id, i) => (out[Math.floor(i / V) * V + id] = logits[i]));
  return out;
}

describe.each(folders)('fixture %s', (name) => {
  it('has the logits of the official code', async () => {
    const { denoiser } = await loadDenoiser(root + name, { threads: 1, overrides: await masksOf(name) });
    const V = denoiser.config.vocabSize;
    const { forward } = await goldenOf(name);
    const { tensors } = parseSafetensors(readFileSync(`${root}${name}/golden.safetensors`));
    expect(forward.length).toBeGreaterThan(3);
    for (const each of forward) {
      const run = await conditionedRun(denoiser, each, forward);
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
    const { config } = await describeCheckpoint(root + name, { overrides: await masksOf(name) });
    const { logitShift, blockSize, tokens } = factsOf(name);
    expect(config.logitShift ?? 'none').toBe(logitShift);
    expect(config.tokens.mask).toBe(tokens.mask);
    expect(config.tokens.eos).toEqual(expect.arrayContaining(tokens.eos));
    if (blockSize !== undefined)
      expect([config.layout, config.blockLength]).toEqual(['blockCausal', blockSize]);
  });
});

const oneStream = folders.filter((name) => !/bd3lm|sdar|fast-dllm|diffcoder|llada2|sedd|gemma/.test(name));

describe.each(oneStream)('likelihoods of %s', (name) => {
  it('are those of the official logits', async () => {
    const { config, tensors } = await loadCheckpoint(root + name, { overrides: await masksOf(name) });
    const golden = parseSafetensors(readFileSync(`${root}${name}/golden.safetensors`)).tensors;
    const { forward: forwards } = await goldenOf(name);
    const forward = forwards.find((each) => each.input_ids.length > 14)!;
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
    const { denoiser } = await loadDenoiser(root + name, { threads: 1, overrides: await masksOf(name) });
    const want = { topK: denoiser.config.vocabSize, entropy: false };
    const { forward: forwards } = await goldenOf(name);
    const padded = forwards.filter(({ input_ids: ids, attention }) => {
      return attention !== 'causal' && ids[0] === attention.padId;
    });
    expect(padded).toHaveLength(2);
    for (const forward of padded) {
      const run = runOf(forward);
      const pads = run.query[0];
      const { block } = forward.attention as { block: number };
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
