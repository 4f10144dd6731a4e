/**
 * A canvas of noise after a causal context, as DiffusionGemma denoises it: what is masked is shown as any token of the
 * vocabulary, another one in each forward, and each forward hears what the one before expected (self-conditioning).
 * Finished text is encoded by a forward of its own, which is the only one that writes keys and values.
 */
import type { Denoiser } from '../../model/denoiser.ts';
import { positionsFrom } from '../../model/denoiser.ts';
import { createRng } from '../../rng.ts';
import { MASKED } from '../canvas.ts';
import type { Context, KeepRequest, Kept, Look, Looked } from '../context.ts';

export interface Noising {
  seed: number;
  /** What logits are divided by in a step of a block, counted from 0. */
  temperature: (step: number) => number;
}

export function createUniformContext(denoiser: Denoiser, { seed, temperature }: Noising): Context {
  const { vocabSize } = denoiser.config;
  const cache = denoiser.createCache();
  let calls = 0;
  let [blockStart, step] = [-1, 0];
  let expected: Float32Array | undefined;

  const noise = (position: number): number => createRng(seed, 'noise', position, step).int(vocabSize);

  return {
    get length() {
      return cache.length;
    },
    async keep({ ids, end, ended }: KeepRequest, want): Promise<Kept | null> {
      const start = cache.length;
      if (ended !== null || end === start) return null;
      const run = { ids: ids.slice(start, end), positions: positionsFrom(start, end - start), cache };
      const query = new Int32Array(0);
      await denoiser.forward([{ ...run, attention: { kind: 'causal' }, write: end - start, query }], want);
      return { kind: calls++ === 0 ? 'prefill' : 'store', positions: end - start };
    },
    async look({ ids, window: { start, end }, query }: Look, want): Promise<Looked> {
      if (start !== blockStart) [blockStart, step, expected] = [start, 0, undefined];
      calls++;
      const shown = ids.slice(start, end).map((id, i) => (id === MASKED ? noise(start + i) : id));
      const [statistics] = await denoiser.forward(
        [
          {
            ids: shown,
            positions: positionsFrom(start, end - start),
            attention: { kind: 'anchored', clean: 0 },
            cache,
            write: 0,
            query: Int32Array.from(query, (position) => position - start),
            expected,
          },
        ],
        { ...want, logitTemperature: temperature(step++), expected: true },
      );
      expected = statistics.expected;
      return { statistics, positions: end - start, forwards: 1 };
    },
    truncate() {},
    release: () => null,
  };
}
