/** The engine under use: streams, leaving, chat, many at once, models that make room for each other. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveChatModel } from '../../tests/chat-model.ts';
import { writeTinyModel } from '../../tests/e2e/tiny-model.ts';
import type { CompletionEngine, CompletionRequest, EngineEvent } from './engine-types.ts';
import { createEngine } from './engine.ts';

const REQUEST: CompletionRequest = {
  model: 'a',
  prompt: 'const a = ',
  suffix: ';\n',
  maxTokens: 12,
  temperature: 0,
  topP: 1,
  seed: 1,
  stop: [],
};

let dir: string;
const folder = (name: string): string => join(dir, name);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-streams-'));
  await writeTinyModel(folder('a'), 'causalContext');
  await writeTinyModel(folder('b'), 'causalContext');
  await saveChatModel(folder('chat'), 'blockCausal');
});
afterAll(() => rm(dir, { recursive: true }));

describe('an engine', () => {
  let engine: CompletionEngine;
  beforeAll(async () => {
    const modelDirs = [folder('a'), folder('chat')];
    engine = await createEngine({ modelDirs, threads: 1, mostRequests: 12 });
  });
  afterAll(() => engine.close());

  it('streams the text of its reply, and canvases whose last is the text', async () => {
    const events: EngineEvent[] = [];
    const asked = { ...REQUEST, frames: true, logprobs: true };
    for await (const event of engine.stream(asked)) events.push(event);
    const reply = events.at(-1)!;
    const text = reply.type === 'reply' ? reply.reply.text : '';
    const told = events.flatMap((event) => (event.type === 'delta' ? [event] : []));
    expect(told.map((delta) => delta.text).join('')).toBe(text);
    const tokens = told.flatMap((delta) => delta.tokens);
    expect(tokens.length).toBe(reply.type === 'reply' ? reply.reply.completionTokens : -1);
    expect(tokens.every(({ logprob }) => logprob <= 0)).toBe(true);
    const frames = events.filter(({ type }) => type === 'frame');
    expect(frames.at(-1)).toMatchObject({ progress: 1, canvas: [{ text, state: 'settled' }] });
  });

  it('tells the first delta and all the others as one where only the whole is wanted', async () => {
    const eventsOf = async (wish: Partial<CompletionRequest>): Promise<EngineEvent[]> => {
      const events: EngineEvent[] = [];
      for await (const event of engine.stream({ ...REQUEST, logprobs: true, ...wish } as CompletionRequest))
        events.push(event);
      return events;
    };
    const deltas = (events: readonly EngineEvent[]) =>
      events.flatMap((event) => (event.type === 'delta' ? [event] : []));
    const [each, together] = [await eventsOf({ frames: true }), await eventsOf({ together: true })].map(
      deltas,
    );
    expect(each.length).toBeGreaterThan(2);
    expect(together).toHaveLength(2);
    expect(together[0]).toEqual(each[0]);
    expect(together[1].text).toBe(
      each
        .slice(1)
        .map(({ text }) => text)
        .join(''),
    );
    expect(together[1].tokens).toEqual(each.slice(1).flatMap(({ tokens }) => tokens));
  });

  it('counts a request that decodes as running, and not as waiting', async () => {
    for await (const event of engine.stream({ ...REQUEST, frames: true })) {
      if (event.type !== 'frame') continue;
      expect(engine.statistics()).toMatchObject({ running: 1, waiting: 0 });
      return;
    }
    expect.fail('no canvas was told');
  });

  it('gives a request up whose reader leaves, and has room again', async () => {
    for (let i = 0; i < 3; i++) {
      for await (const event of engine.stream({ ...REQUEST, maxTokens: 200 }))
        if (event.type === 'delta') break;
    }
    await engine.complete(REQUEST);
    expect(engine.statistics().running + engine.statistics().waiting).toBe(0);
  });

  it('refuses more than it can hold at once, and none of those that it took', async () => {
    const asked = Array.from({ length: 20 }, () => engine.complete(REQUEST));
    const answers = await Promise.allSettled(asked);
    const refused = answers.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(8);
    for (const each of refused) expect(each).toMatchObject({ reason: { code: 'overloaded' } });
    const texts = answers.flatMap((each) => (each.status === 'fulfilled' ? [each.value.text] : []));
    expect(new Set(texts).size).toBe(1);
  });

  it('answers a conversation by the template of the folder', async () => {
    expect(engine.models()).toMatchObject([{ chat: false }, { id: 'chat', chat: true }]);
    const { prompt: _, suffix: __, ...rest } = REQUEST;
    const messages = [{ role: 'user' as const, content: 'hi' }];
    const reply = await engine.complete({ ...rest, model: 'chat', chat: { messages } });
    expect(reply.promptTokens).toBeGreaterThan(3);
    const refused = { role: 'system' as const, content: 'x' };
    const asked = engine.complete({ ...rest, model: 'chat', chat: { messages: [refused] } });
    await expect(asked).rejects.toMatchObject({ code: 'bad_template' });
    await expect(engine.complete({ ...rest, chat: { messages } })).rejects.toMatchObject({
      code: 'unsupported',
    });
  });

  it('shrinks an answer and keeps what is nearest, where that is asked for', async () => {
    const long = { ...REQUEST, prompt: 'x '.repeat(5000), maxTokens: 1000 };
    const cut = await engine.complete({
      ...long,
      shrink: true,
      overflow: 'keepNearest',
      options: { mode: 'ar' },
    });
    expect(cut.promptTokens + cut.completionTokens).toBeLessThanOrEqual(256);
    expect(cut.promptTokens).toBe(128);
    await expect(engine.complete({ ...long, shrink: true })).rejects.toMatchObject({
      code: 'prompt_too_long',
    });
  });
});

describe('an engine with memory for one model', () => {
  it('loads each when it is asked for, and answers as with memory for both', async () => {
    const options = { modelDirs: [folder('a'), folder('b')], threads: 1 };
    const roomy = await createEngine(options);
    const tight = await createEngine({ ...options, memoryBytes: 150_000 });
    const order = ['a', 'b', 'b', 'a', 'b'];
    const ask = (engine: CompletionEngine) =>
      Promise.all(order.map(async (model) => (await engine.complete({ ...REQUEST, model })).text));
    expect(await ask(tight)).toEqual(await ask(roomy));
    await Promise.all([roomy.close(), tight.close()]);
  });
});
