/** Canvases of the official samplers, forward by forward (fixtures/README.md). */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { appendCanvas, MASKED } from '../src/decode/canvas.ts';
import { decode } from '../src/decode/decode.ts';
import { collect } from '../src/decode/events.ts';
import type { DecodeEvent } from '../src/decode/events.ts';
import type { DecodeOptions } from '../src/decode/options.ts';
import { loadDenoiser } from '../src/model/load.ts';

interface OfficialRun {
  mode: string;
  greedy: string;
  args: {
    block_length: number;
    denoising_steps: number;
    confidence_threshold?: number;
    mask_id: number;
    eos_token_id: number[];
  };
  prompt: number[];
  /** The whole canvas after every denoising forward. */
  canvases: number[][];
  final: number[];
}

const folder = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));
const officialRuns = (name: string): OfficialRun[] =>
  (JSON.parse(readFileSync(`${folder(name)}/golden.json`, 'utf8')) as { transcripts: OfficialRun[] })
    .transcripts;

/** The same of our run, up to where it ends. */
function canvasesOf(events: DecodeEvent[], initial: Int32Array, maskTokenId: number): number[][] {
  const canvas = Array.from(initial, (id) => (id === MASKED ? maskTokenId : id));
  return events.flatMap((event) => {
    if (event.type !== 'commit') return [];
    for (const { position, id } of event.tokens) canvas[position] = id;
    return [[...canvas]];
  });
}

describe('sdar', () => {
  const runs = officialRuns('sdar')
    // `top_k=1` calls every token certain, and a minimum count besides a threshold is a policy of its own.
    .filter(({ greedy }) => greedy === 'argmax')
    .filter(
      ({ mode, args }) => mode === 'low_confidence_static' || args.denoising_steps === args.block_length,
    );

  it('has the canvases of the official sampler', async () => {
    const { denoiser } = await loadDenoiser(folder('sdar'), { threads: 1 });
    expect(runs.length).toBeGreaterThan(12);
    for (const { mode, args, prompt, canvases, final } of runs) {
      const options: DecodeOptions =
        mode === 'low_confidence_static'
          ? { policy: 'fixedSteps', steps: args.denoising_steps }
          : { policy: 'confidenceThreshold', threshold: args.confidence_threshold };
      const canvas = appendCanvas(prompt, final.length - prompt.length);
      const { events, done } = await collect(
        decode(denoiser, canvas, { ...options, blockLength: args.block_length }),
      );
      const ours = canvasesOf(events, canvas.ids, args.mask_id);
      // After an end of text the official code still fills the rest of its block.
      expect(ours).toEqual(canvases.slice(0, done.reason === 'eos' ? ours.length : undefined));
      expect(done.ids).toEqual(final.slice(prompt.length, prompt.length + done.ids.length));
      expect(done.ids.length > 0 || done.reason === 'eos').toBe(true);
    }
    await denoiser.close();
  });
});

describe('ar-qwen3', () => {
  it('has the tokens of the official generation', async () => {
    const { denoiser } = await loadDenoiser(folder('ar-qwen3'), { threads: 1 });
    const { config } = denoiser;
    for (const { prompt, final, args } of officialRuns('ar-qwen3')) {
      const eos = args.eos_token_id;
      const model = { ...denoiser, config: { ...config, tokens: { ...config.tokens, eos } } };
      const expected = final.slice(prompt.length);
      const { done } = await collect(decode(model, appendCanvas(prompt, expected.length)));
      expect([...done.ids, ...(done.reason === 'eos' ? eos : [])]).toEqual(expected);
      expect(done.nfe).toBe(expected.length);
    }
    await denoiser.close();
  });
});
