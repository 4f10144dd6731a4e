import { describe, expect, it } from 'vitest';
import { codeTokenizer } from '../../tests/text-model.ts';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import { appendCanvas } from './canvas.ts';
import { decode } from './decode.ts';
import type { DecodeEvent } from './events.ts';
import { createTrace, traceVocabulary } from './trace.ts';
import type { TraceLine } from './trace.ts';

const tokenizer = codeTokenizer();
const { vocabSize } = tokenizer;

async function traced(inspect?: number): Promise<{ lines: TraceLine[]; events: DecodeEvent[] }> {
  const canvas = appendCanvas(tokenizer.encode('const a'), 12);
  const denoiser = createToyDenoiser({ layout: 'causalContext', vocabSize, seed: 5 });
  const trace = createTrace(canvas, tokenizer, ({ ids }) => tokenizer.decode(ids));
  const lines = trace.start();
  const events: DecodeEvent[] = [];
  for await (const event of decode(denoiser, canvas, { inspect, threshold: 0.2 })) {
    events.push(event);
    lines.push(...trace.push(event));
  }
  return { lines, events };
}

describe('a trace', () => {
  it('begins with the canvas, ends with the text, and tells every event between', async () => {
    const { lines, events } = await traced(3);
    expect(lines[0]).toEqual({
      type: 'canvas',
      ids: [...tokenizer.encode('const a'), ...Array.from({ length: 12 }, () => -1)],
      answerStart: tokenizer.encode('const a').length,
    });
    const done = events.at(-1);
    expect(done?.type === 'done' && lines.at(-1)).toEqual({
      type: 'text',
      text: tokenizer.decode(done?.type === 'done' ? done.ids : []),
    });
    const told = lines.filter(({ type }) => !['canvas', 'vocabulary', 'text'].includes(type));
    expect(told.map(({ type }) => type)).toEqual(events.map(({ type }) => type));
  });

  it('is plain JSON with six digits', async () => {
    const { lines, events } = await traced(3);
    expect(JSON.parse(JSON.stringify(lines))).toEqual(lines);
    const exact = events.flatMap((event) => (event.type === 'look' ? event.candidates : []));
    const told = lines.flatMap((line) => (line.type === 'look' ? line.candidates : []));
    expect(told).toHaveLength(exact.length);
    for (const [i, candidate] of told.entries()) {
      for (const [j, { id, probability }] of candidate.top.entries()) {
        expect(id).toBe(exact[i].top[j].id);
        expect(probability).toBeCloseTo(exact[i].top[j].probability, 6);
        expect(String(probability).replace(/^0\.0*|e.*$/g, '').length).toBeLessThanOrEqual(7);
      }
      expect(candidate.entropy).toBeCloseTo(exact[i].entropy, 4);
    }
  });

  it('introduces every token before it is used, once', async () => {
    const { lines } = await traced(3);
    const vocabulary = traceVocabulary();
    const known = new Set<string>();
    for (const line of lines) {
      vocabulary.read(line);
      if (line.type === 'vocabulary') {
        for (const id of [...Object.keys(line.tokens), ...Object.keys(line.special)]) {
          expect(known.has(id)).toBe(false);
          known.add(id);
        }
      }
      const ids =
        line.type === 'look'
          ? line.candidates.flatMap(({ top }) => top.map(({ id }) => id))
          : line.type === 'commit'
            ? line.tokens.map(({ id }) => id)
            : [];
      for (const id of ids) {
        expect(known.has(String(id))).toBe(true);
        expect(vocabulary.bytes(id)).toEqual(tokenizer.bytes(id));
      }
    }
  });

  it('has no looks where nobody asked for them', async () => {
    const { lines } = await traced();
    expect(lines.some(({ type }) => type === 'look')).toBe(false);
  });
});
