/** What clients are shown while a text is written: for every layout, mode and policy, and for bytes cut anywhere. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeTokenizer } from '../../tests/text-model.ts';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { LAYOUTS } from '../model/config.ts';
import type { Layout } from '../model/config.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { canvasText, createCanvasFrames, MASK_GLYPH } from './canvas-frames.ts';
import type { CanvasFrame } from './canvas-frames.ts';
import { streamPrompt } from './complete.ts';
import type { CompleteOptions } from './complete.ts';
import { POLICIES } from './policies/index.ts';
import type { PolicyName } from './policies/index.ts';
import { createTextStream } from './text-stream.ts';

/** Tokens that cut characters (é ▒ 😀) at every byte, and some that can begin or be a stop word. */
const BYTES = [
  [],
  [],
  [0x61],
  [0x62],
  [0x61, 0x62],
  [0x63, 0x0a],
  [0x0a],
  [0xc3],
  [0xa9],
  [0xf0],
  [0x9f, 0x98],
  [0x80],
  [0xf0, 0x9f],
  [0x98, 0x80],
  [0xe2, 0x96, 0x92],
  [0x20],
].map((bytes) => Uint8Array.from(bytes));

const tokenizer: Tokenizer = {
  ...codeTokenizer(),
  vocabSize: BYTES.length,
  bytes: (id) => BYTES[id],
  decode: (ids) =>
    new TextDecoder('utf-8', { ignoreBOM: true }).decode(
      Uint8Array.from(Array.from(ids).flatMap((id) => [...BYTES[id]])),
    ),
};

const OWN: Partial<Record<PolicyName, CompleteOptions>> = { random: { steps: 3 }, fixedSteps: { steps: 3 } };
const policies = Object.keys(POLICIES).map(
  (policy) => ({ policy, ...OWN[policy as PolicyName] }) as CompleteOptions,
);

const waysOf = (layout: Layout): CompleteOptions[] =>
  layout === 'causal'
    ? [{}]
    : [
        ...policies,
        { mode: 'ar' },
        ...(layout === 'causalContext' ? [{ mode: 'verify', threshold: 0.3 } as const] : []),
      ];

describe('a stream', () => {
  for (const layout of LAYOUTS) {
    it(`tells nothing that it takes back, and all of the text (${layout})`, async () => {
      let frames = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.nat(5000),
          fc.constantFrom(...waysOf(layout)),
          fc.constantFrom(0, 0.9),
          fc.subarray(['ab', 'b\n', 'abab', '\n\n', 'é', '😀', 'ba\nb']),
          async (seed, options, temperature, stop) => {
            const denoiser = createToyDenoiser({ layout, seed, vocabSize: BYTES.length });
            const prompt = { ids: [2, 3], dropped: NOTHING };
            const run = () =>
              streamPrompt({ denoiser, tokenizer }, prompt, {
                maxTokens: 18,
                stop,
                temperature,
                seed,
                ...options,
              });
            const { canvas, events, text } = run();
            const deltas = createTextStream(tokenizer, stop, { logprobs: true });
            const film = createCanvasFrames(canvas, tokenizer, text);
            let told = '';
            let whole: string | null = null;
            let last: CanvasFrame | null = null;
            const tokens: number[] = [];
            for await (const event of events) {
              const delta = deltas.push(event);
              if (delta) {
                told += delta.text;
                tokens.push(...delta.tokens.flatMap(({ bytes }) => bytes));
                expect(delta.text).not.toMatch(/\p{Surrogate}/u);
              }
              const frame = film(event);
              if (frame) {
                frames++;
                expect(frame.progress).toBeGreaterThanOrEqual(0);
                for (const piece of frame.canvas) expect(piece.text === '').toBe(piece.state === 'masked');
                last = frame;
              }
              if (event.type === 'done') whole = text(event);
            }
            expect(whole!.startsWith(told)).toBe(true);
            const rest = deltas.end(whole!);
            expect(told + (rest?.text ?? '')).toBe(whole);
            expect(last).toMatchObject({ progress: 1 });
            expect(canvasText(last!)).toBe(whole);
            tokens.push(...(rest?.tokens.flatMap(({ bytes }) => bytes) ?? []));
            if (stop.length === 0) {
              expect(new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(tokens))).toBe(
                whole,
              );
            }
          },
        ),
        { numRuns: 60 },
      );
      expect(frames).toBeGreaterThan(60);
    });
  }

  it('shows what is masked, and whole characters only', () => {
    const film = createCanvasFrames(
      { ids: Int32Array.of(2, -1, -1, -1, -1), answerStart: 1 },
      tokenizer,
      () => 'x',
    );
    const step = {
      type: 'step',
      nfe: 1,
      kind: 'denoise',
      positions: 1,
      block: { start: 1, end: 5 },
      masksLeft: 2,
      elapsedMs: 0,
    } as const;
    film(step);
    const frame = film({
      type: 'commit',
      nfe: 1,
      tokens: [
        { position: 1, id: 7, probability: 0.5 },
        { position: 2, id: 8, probability: 0.25 },
        { position: 4, id: 9, probability: 1 },
      ],
    })!;
    expect(frame.canvas).toEqual([
      { text: 'é', state: 'fresh', confidence: 0.25 },
      { text: '', state: 'masked', confidence: null },
      { text: '', state: 'masked', confidence: null },
    ]);
    expect(canvasText(frame)).toBe(`é${MASK_GLYPH}${MASK_GLYPH}`);
    expect(frame).toMatchObject({ block: 0, step: 1, total: 4, progress: 0.75 });
  });
});

const NOTHING = { prefixTokens: 0, prefixCharacters: 0, suffixTokens: 0, suffixCharacters: 0 };
