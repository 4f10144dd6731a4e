/** d3LLM's sampler beside its bookkeeping of blocks in plain steps, the oddity behind an end of text included. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createToyDenoiser, TOY_EOS, TOY_MASK } from '../../../tests/toy-denoiser.ts';
import { positionsFrom, type Denoiser } from '../../model/denoiser.ts';
import { MASKED } from '../canvas.ts';
import { decode } from '../decode.ts';
import { collect } from '../events.ts';
import { planOfficial } from './plan.ts';

interface Options {
  maxTokens: number;
  blockLength: number;
  entropyThreshold: number;
  activateAt: number;
  earlyStop: boolean;
}

/** What the official loop writes, and in how many forwards. */
async function reference(
  denoiser: Denoiser,
  prompt: readonly number[],
  isDream: boolean,
  { maxTokens, blockLength, entropyThreshold, activateAt, earlyStop }: Options,
): Promise<{ text: number[]; forwards: number }> {
  const P = prompt.length;
  const x = [...prompt, ...Array.from({ length: maxTokens }, () => TOY_MASK)];
  const all = Array.from({ length: maxTokens / blockLength }, (_, i) => P + i * blockLength);
  const blocks = [{ start: all[0], masks: blockLength }];
  for (let forwards = 0; ; forwards++) {
    const masked = x.map((id) => id === TOY_MASK);
    if (!masked.includes(true) && blocks.length === all.length) return { text: x, forwards };
    const eosAt = earlyStop ? x.findIndex((id, p) => p >= P && id === TOY_EOS) : -1;
    if (eosAt >= 0) {
      x.fill(TOY_EOS, eosAt + 1);
      for (const each of blocks)
        each.masks = x.slice(each.start, each.start + blockLength).filter((id) => id === TOY_MASK).length;
      if (!x.includes(TOY_MASK)) return { text: x, forwards };
    } else if (blocks.length < all.length) {
      const { masks } = blocks.at(-1)!;
      if (1 - masks / blockLength >= activateAt)
        blocks.push({ start: all[blocks.length], masks: blockLength });
    }
    const activeEnd = blocks.at(-1)!.start + blockLength;
    const open = x.flatMap((_, p) => (masked[p] && p < activeEnd ? [p] : []));
    const { best, entropies } = await ask(denoiser, x, open);
    const transfer = new Set(
      open.filter((_, i) => (isDream ? entropies[i] < entropyThreshold : entropies[i] <= entropyThreshold)),
    );
    const surest = (among: number[]): number =>
      among.reduce((a, b) => (entropies[open.indexOf(b)] < entropies[open.indexOf(a)] ? b : a));
    if (!isDream) transfer.add(surest(open));
    const { start } = blocks.find(({ masks }) => masks > 0)!;
    const inside = open.filter((p) => p >= start && p < start + blockLength);
    if (!inside.some((p) => transfer.has(p))) transfer.add(surest(inside));
    for (const p of transfer) x[p] = best[open.indexOf(p)];
    for (const each of blocks)
      each.masks -= [...transfer].filter((p) => p >= each.start && p < each.start + blockLength).length;
  }
}

async function ask(
  denoiser: Denoiser,
  x: readonly number[],
  open: readonly number[],
): Promise<{ best: number[]; entropies: number[] }> {
  const shift = denoiser.config.logitShift === 'sequence' ? 1 : 0;
  const V = denoiser.config.vocabSize;
  const [{ ids, entropy }] = await denoiser.forward(
    [
      {
        ids: Int32Array.from(x),
        positions: positionsFrom(0, x.length),
        attention: { kind: 'full' },
        cache: null,
        write: 0,
        query: Int32Array.from(open, (p) => Math.max(0, p - shift)),
      },
    ],
    { topK: 1, entropy: true, logitBias: biasOf(open.length, V) },
  );
  return { best: [...ids], entropies: [...entropy] };
}

const biasOf = (rows: number, V: number): Float32Array =>
  Float32Array.from({ length: rows * V }, (_, i) => (i % V === TOY_MASK ? -100 : 0));

describe.each([
  ['d3llm', false],
  ['d3llm-dream', true],
] as const)('%s', (name, isDream) => {
  it('writes what the official loop writes, in as many forwards', async () => {
    const [ended, multiple]: boolean[][] = [[], []];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 2, max: 23 }), { minLength: 1, maxLength: 7 }),
        fc.nat(99),
        fc.record({
          maxTokens: fc.constantFrom(12, 20),
          blockLength: fc.constantFrom(2, 4),
          entropyThreshold: fc.constantFrom(0.3, 0.9, 1.6),
          activateAt: fc.constantFrom(0.1, 0.5, 1),
          earlyStop: fc.boolean(),
        }),
        async (prompt, seed, options) => {
          const made = createToyDenoiser({ layout: 'full', seed });
          const denoiser: Denoiser = {
            ...made,
            config: { ...made.config, logitShift: isDream ? 'sequence' : 'none' },
          };
          const wanted = await reference(denoiser, prompt, isDream, options);
          const { canvas, recipe, result } = planOfficial(name, denoiser.config, prompt, options);
          const { events, done } = await collect(
            decode(denoiser, canvas, { recipe, logitBias: { [TOY_MASK]: -100 } }),
          );
          const ids = Array.from(canvas.ids, (id) => (id === MASKED ? TOY_MASK : id));
          for (const event of events)
            if (event.type === 'commit') for (const { position, id } of event.tokens) ids[position] = id;
          // Behind an end of text the official function may leave what it decoded last.
          const textOf = (text: number[]): number[] => {
            const at = options.earlyStop ? text.indexOf(TOY_EOS, prompt.length) : -1;
            return at < 0 ? text : text.slice(0, at + 1);
          };
          expect(textOf(result(ids, ids.length))).toEqual(textOf(wanted.text));
          expect(done.nfe).toBe(wanted.forwards);
          ended.push(options.earlyStop && wanted.text.includes(TOY_EOS));
          multiple.push(wanted.forwards < options.maxTokens);
        },
      ),
      { numRuns: 150 },
    );
    // Both ways were met.
    expect(new Set(ended).size).toBe(2);
    expect(multiple).toContain(true);
  });

  it('wants whole blocks', () => {
    const { config } = createToyDenoiser({ layout: 'full' });
    expect(() => planOfficial(name, config, [3], { maxTokens: 10, blockLength: 4 })).toThrow(/whole shares/);
  });
});
