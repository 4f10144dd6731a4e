import { describe, expect, it } from 'vitest';
import { codeTokenizer } from '../../tests/text-model.ts';
import { createToyDenoiser } from '../../tests/toy-denoiser.ts';
import type { Layout } from '../model/config.ts';
import type { ForwardRun } from '../model/denoiser.ts';
import { completeText, constraintOf, fillHoles, HOLE, infillText, streamCompletion } from './complete.ts';
import type { FilledHole, TextModel } from './complete.ts';
import { collect, settledText } from './events.ts';

const tokenizer = codeTokenizer();

/** A toy that speaks the tokenizer's ids, and the prompts that it was given. */
function textModel(layout: Layout, contextLength = 256): TextModel & { prompts: string[] } {
  const prompts: string[] = [];
  const toy = createToyDenoiser({
    layout,
    contextLength,
    vocabSize: tokenizer.vocabSize,
    endless: true,
    onForward: (runs: readonly ForwardRun[]) => {
      if (runs[0].positions[0] === 0) prompts.push([...runs[0].ids].map((id) => tokenizer.show(id)).join(''));
    },
  });
  return { denoiser: toy, tokenizer, prompts };
}

describe('completeText', () => {
  it('puts the text around the gap into the prompt', async () => {
    const model = textModel('causalContext');
    const { text, done, promptTokens } = await completeText(
      model,
      { prefix: 'let a', suffix: ';' },
      { maxTokens: 9 },
    );
    expect(model.prompts[0]).toContain('<|fim_prefix|>');
    expect(promptTokens).toBe(3 + tokenizer.encode('let a').length + tokenizer.encode(';').length);
    expect(text).toBe(tokenizer.decode(done.ids));
    expect(done.ids).toHaveLength(9);
  });

  it('streams the text that it returns', async () => {
    const gap = { prefix: 'let a', suffix: null };
    const pieces: string[] = [];
    const { events } = streamCompletion(textModel('blockCausal'), gap);
    for await (const piece of settledText(events, tokenizer)) pieces.push(piece);
    expect(pieces.length).toBeGreaterThan(4);
    expect(pieces.join('')).toBe((await completeText(textModel('blockCausal'), gap)).text);
  });

  it('begins with a new automaton where answers before it have worn the old one out', () => {
    const { config } = textModel('causalContext').denoiser;
    const automaton = () => constraintOf(tokenizer, config, { regex: '[^]*a[^]{100}' })!;
    const worn = automaton();
    expect(automaton()).toBe(worn);
    const states = [worn.start];
    for (let i = 0; !worn.language.isWorn; i++)
      states.push(worn.language.next(states[i >> 1], i % 2 ? 0x61 : 0x62));
    const next = automaton();
    expect(next.language.isWorn).toBe(false);
    expect(automaton()).toBe(next);
  });

  it('ends between two steps when its time is over and a line is whole, not before', async () => {
    const gap = { prefix: 'let a', suffix: null };
    const options = { maxTokens: 60, regex: '[a-z]{12}\\n[a-z]{24}', blockLength: 4 };
    const whole = (await completeText(textModel('causalContext'), gap, options)).text;
    expect(whole).toHaveLength(37);
    let nowMs = 0;
    const ended = async (predictMs: number) => {
      const stream = streamCompletion(textModel('causalContext'), gap, {
        ...options,
        predictMs,
        now: () => (nowMs += 10),
      });
      const { done } = await collect(stream.events);
      return { text: stream.text(done), isLate: stream.isLate() };
    };
    const { text, isLate } = await ended(5);
    expect(isLate).toBe(true);
    expect(whole.startsWith(text)).toBe(true);
    expect(text).toContain('\n');
    expect(text.length).toBeLessThan(whole.length);
    expect(await ended(1e9)).toEqual({ text: whole, isLate: false });
  });

  it('keeps the text nearest to the gap, and says what it left out', async () => {
    const model = textModel('causalContext', 40);
    const prefix = Array.from({ length: 50 }, (_, i) => `a${i}`).join(' ');
    const suffix = Array.from({ length: 50 }, (_, i) => `z${i}`).join(' ');
    const { promptTokens, dropped } = await completeText(model, { prefix, suffix }, { maxTokens: 10 });
    expect(promptTokens).toBeLessThanOrEqual(30);
    expect(promptTokens).toBeGreaterThan(26);
    expect(dropped.prefixTokens).toBeGreaterThan(50);
    expect(dropped.suffixTokens).toBeGreaterThan(50);
    expect(prefix.slice(dropped.prefixCharacters)).toMatch(/ ?a49$/);

    const plain = await completeText(model, { prefix, suffix: null }, { maxTokens: 10, contextTokens: 12 });
    expect(plain.promptTokens).toBe(12);
    expect(plain.dropped.prefixTokens).toBe(tokenizer.encode(prefix).length - 12);
  });

  it('says how long a prompt is and may be, if told not to cut it', async () => {
    const model = textModel('causalContext', 40);
    const gap = { prefix: 'word '.repeat(60), suffix: '' };
    const refused = completeText(model, gap, { maxTokens: 10, overflow: 'throw' });
    await expect(refused).rejects.toMatchObject({
      code: 'prompt_too_long',
      parts: { wanted: 'at most 40 together' },
    });
    await expect(completeText(model, gap, { maxTokens: 40 })).rejects.toMatchObject({ code: 'bad_option' });
    await expect(completeText(model, gap, { maxTokens: 0 })).rejects.toThrow(
      'a whole number from 1 to 65536',
    );
  });

  it('starts an empty text as documents start', async () => {
    const model = textModel('causal');
    const { promptTokens } = await completeText(model, { prefix: '', suffix: null }, { maxTokens: 2 });
    expect(promptTokens).toBe(1);
    expect(model.prompts[0]).toContain('<|endoftext|>');
  });

  it('ends before a stop sequence, and decodes no further than the block that has it', async () => {
    const gap = { prefix: 'let a', suffix: null };
    const whole = await completeText(textModel('causalContext'), gap, { maxTokens: 40 });
    const stop = whole.text.slice(12, 15);
    const { text, done } = await completeText(textModel('causalContext'), gap, {
      maxTokens: 40,
      stop: ['no such text', stop],
    });
    expect(text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
    expect(done.reason).toBe('stop');
    expect(done.nfe).toBeLessThan(whole.done.nfe);
  });
});

describe('infillText', () => {
  const text = `a${HOLE}b${HOLE}c`;

  it('fills hole after hole, each seeing the earlier ones', async () => {
    const model = textModel('causalContext');
    const filled: FilledHole[] = [];
    for await (const hole of infillText(model, text, { maxTokens: 4 })) filled.push(hole);
    expect(filled.map(({ index }) => index)).toEqual([0, 1]);
    const [first, second] = filled.map(({ completion }) => completion.text);
    expect(fillHoles(text, [first, second])).toBe(`a${first}b${second}c`);
    const direct = await completeText(model, { prefix: `a${first}b`, suffix: 'c' }, { maxTokens: 4 });
    expect(second).toBe(direct.text);
  });

  it('leaves a text without holes alone', async () => {
    for await (const hole of infillText(textModel('causal'), 'abc')) expect.fail(`hole ${hole.index}`);
    expect(fillHoles('abc', [])).toBe('abc');
    expect(fillHoles(text, ['1'])).toBe(`a1b${HOLE}c`);
  });
});
