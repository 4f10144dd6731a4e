/** Streams: their shapes, that they end, what an error does, and what happens when the client leaves. */
import { describe, expect, it } from 'vitest';
import { createFakeEngine } from '../../tests/fake-engine.ts';
import type { FakeEngine } from '../../tests/fake-engine.ts';
import { jsonLines, serverRig, sseEvents } from '../../tests/server-rig.ts';
import { TintypeError } from '../errors.ts';
import type { RequestRecord } from './deps.ts';
import { HttpError } from './errors.ts';
import { lateEngine } from './late-engine.ts';

const FIM = '/v1/fim/completions';
const CHAT = '/v1/chat/completions';
const chat = { model: 'tintype-chat', messages: [{ role: 'user', content: 'hi' }] };

/** An engine that tells a piece and then waits until it is given up. */
function stuckEngine(): FakeEngine & { givenUp: () => boolean } {
  const fake = createFakeEngine();
  let left = false;
  return {
    ...fake,
    givenUp: () => left,
    async *stream({ signal }) {
      yield { type: 'delta', text: 'first', tokens: [] };
      await new Promise<void>((resolve) => {
        if (signal!.aborted) resolve();
        signal!.addEventListener('abort', () => resolve());
      });
      left = true;
      throw new TintypeError('aborted', { what: 'given up' });
    },
  };
}

describe('server-sent events', () => {
  it('are OpenAI’s chunks on chat: a role, settled text, a reason, the end', async () => {
    const response = await serverRig().post(CHAT, { ...chat, stream: true });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const events = await sseEvents(response);
    expect(events.at(-1)).toBe('[DONE]');
    const chunks = events.slice(0, -1);
    expect(chunks[0].choices[0].delta).toEqual({ role: 'assistant', content: '' });
    expect(chunks.map(({ choices }) => choices[0].delta.content ?? '').join('')).toBe('a + b;');
    expect(chunks.map(({ choices }) => choices[0].finish_reason)).toEqual([null, null, null, 'stop']);
    for (const chunk of chunks) {
      expect(chunk).toMatchObject({ object: 'chat.completion.chunk', model: 'tintype-chat' });
      expect(chunk).not.toHaveProperty('usage');
    }
  });

  it('carry text and delta on FIM, and only text on completions, with an index everywhere', async () => {
    for (const [path, hasDelta] of [
      [FIM, true],
      ['/v1/completions', false],
    ] as const) {
      const events = await sseEvents(await serverRig().post(path, { prompt: ['a', 'b'], stream: true }));
      const texts = ['', ''];
      for (const { choices } of events.slice(0, -1)) {
        const [choice] = choices;
        expect(typeof choice.text).toBe('string');
        expect(choice.delta?.content).toBe(hasDelta ? choice.text : undefined);
        texts[choice.index] += choice.text;
      }
      expect(texts).toEqual(['a + b;', 'a + b;']);
    }
  });

  it('end with the usage when it is asked for', async () => {
    const stream_options = { include_usage: true };
    const events = await sseEvents(
      await serverRig().post(FIM, { prompt: 'a', stream: true, stream_options, n: 2 }),
    );
    const last = events.at(-2);
    expect(last.choices).toEqual([]);
    expect(last.usage).toMatchObject({ prompt_tokens: 12, completion_tokens: 8, total_tokens: 20 });
    for (const chunk of events.slice(0, -2)) expect(chunk.usage).toBeNull();
  });

  it('are whole canvases with diffusing: true, the last of them the text', async () => {
    const events = await sseEvents(await serverRig().post(CHAT, { ...chat, stream: true, diffusing: true }));
    const canvases = events.filter((event) => event.diffusion_meta);
    expect(canvases.map((event) => event.choices[0].delta.content)).toEqual(['a +▒', 'a +▒', 'a + b;']);
    expect(canvases.at(-1).diffusion_meta).toEqual({ diffusion_content: true, diffusion_progress: 1 });
    const [finish, done] = events.slice(-2);
    expect(finish.choices[0]).toMatchObject({ delta: {}, finish_reason: 'stop' });
    expect(done).toBe('[DONE]');
    expect(events.filter((event) => event !== '[DONE]' && !event.diffusion_meta)).toHaveLength(2);
  });

  it('have canvases beside the settled text with diffusing: "frames"', async () => {
    const events = await sseEvents(
      await serverRig().post(FIM, { prompt: 'a', stream: true, diffusing: 'frames' }),
    );
    const frames = events.filter((event) => event.type === 'diffusion_frame');
    expect(frames).toHaveLength(3);
    expect(frames[0]).toMatchObject({ block: 0, step: 1, total: 8, choices: [{ index: 0, text: '' }] });
    expect(frames[0].canvas[0]).toEqual({ text: 'a +', state: 'fresh', confidence: 0.5 });
    const settled = events.slice(0, -1).map(({ choices }) => choices[0].text);
    expect(settled.join('')).toBe('a + b;');
  });

  it('tell log-probabilities of the tokens', async () => {
    const events = await sseEvents(await serverRig().post(CHAT, { ...chat, stream: true, logprobs: true }));
    const told = events.slice(0, -1).flatMap(({ choices }) => choices[0].logprobs?.content ?? []);
    expect(told.map(({ token }: { token: string }) => token).join('')).toBe('a + b;');
    expect(told[0].logprob).toBeCloseTo(Math.log(0.5), 3);
  });

  it('are an ordinary error before they begin, and an event after', async () => {
    const early = serverRig(
      createFakeEngine(() => {
        throw new TintypeError('overloaded', { what: 'too many requests' });
      }),
    );
    const refused = await early.post(FIM, { prompt: 'a', stream: true });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');

    const fake = createFakeEngine();
    const late = serverRig({
      ...fake,
      async *stream() {
        yield { type: 'delta', text: 'a', tokens: [] };
        throw new Error('broken /secret');
      },
    });
    const events = await sseEvents(await late.post(FIM, { prompt: 'a', stream: true }));
    expect(events).toHaveLength(2);
    expect(events[1].error).toMatchObject({ type: 'server_error', code: 'internal_error' });
    expect(JSON.stringify(events)).not.toContain('secret');
    expect(late.log()).toContain('broken');
  });

  it('give the work up when the client leaves, and log it as 499', async () => {
    const engine = stuckEngine();
    const { post, log } = serverRig(engine);
    const response = await post(FIM, { prompt: 'a', stream: true });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
    await expect.poll(() => engine.givenUp()).toBe(true);
    await expect.poll(log).toContain('"status":499');
  });

  it('drop the piece that was on its way when the client left', async () => {
    let isOver = false;
    const engine: FakeEngine = {
      ...createFakeEngine(),
      async *stream({ signal }) {
        try {
          yield { type: 'delta', text: 'first', tokens: [] };
          await new Promise<void>((resolve) => signal!.addEventListener('abort', () => resolve()));
          yield { type: 'delta', text: 'late', tokens: [] };
        } finally {
          setTimeout(() => (isOver = true));
        }
      },
    };
    const { post, log } = serverRig(engine);
    const response = await post(FIM, { prompt: 'a', stream: true });
    const reader = response.body!.getReader();
    await reader.read();
    const waiting = reader.read();
    await reader.cancel();
    expect((await waiting).done).toBe(true);
    await expect.poll(() => isOver).toBe(true);
    expect(log()).toContain('"status":499');
    expect(log()).not.toContain('failed');
  });

  it('keep a silent connection open with a comment in a write of its own', async () => {
    const { post } = serverRig(stuckEngine(), { keepAliveMs: 20 });
    const response = await post(FIM, { prompt: 'a', stream: true });
    const reader = response.body!.getReader();
    const text = async () => new TextDecoder().decode((await reader.read()).value);
    expect(await text()).toContain('first');
    expect(await text()).toBe(': keep-alive\n\n');
    await reader.cancel();
  });
});

describe('lines of JSON', () => {
  it('are Ollama’s stream, the default there', async () => {
    const { post } = serverRig();
    const response = await post('/api/generate', { model: 'tintype-code:latest', prompt: 'a' });
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    const lines = await jsonLines(response);
    expect(lines.map((each) => each.response).join('')).toBe('a + b;');
    expect(lines.map(({ done }) => done)).toEqual([false, false, true]);
    expect(lines.at(-1)).toMatchObject({ done_reason: 'stop', prompt_eval_count: 12, eval_count: 4 });
  });
});

describe('llama.cpp’s stream', () => {
  it('has pieces and a last event with timings, and no end mark', async () => {
    const events = await sseEvents(await serverRig().post('/infill', { input_prefix: 'a', stream: true }));
    expect(events.map(({ content }) => content)).toEqual(['a +', ' b;', '']);
    expect(events.map(({ stop }) => stop)).toEqual([false, false, true]);
    expect(events.at(-1).timings).toMatchObject({ prompt_n: 7, predicted_n: 4, denoising_steps: 2 });
  });
});

describe('a server whose models are loading', () => {
  it('says so with 503 and when to ask again, then answers', async () => {
    let loaded: (engine: FakeEngine) => void = () => {};
    const loading = new Promise<FakeEngine>((resolve) => (loaded = resolve));
    const { app, post } = serverRig({ ...lateEngine(loading), asked: [] });
    for (const response of [await app.request('/health'), await post(FIM, { prompt: 'a' })]) {
      expect(response.status).toBe(503);
      expect(response.headers.get('retry-after')).toBe('1');
    }
    loaded(createFakeEngine());
    await loading;
    expect((await app.request('/v1/health')).status).toBe(200);
    expect((await post('/fim/completions', { prompt: 'a' })).status).toBe(200);
  });
});

describe('seams', () => {
  it('let others refuse before a route and count after it', async () => {
    const records: RequestRecord[] = [];
    const { post } = serverRig(createFakeEngine(), {
      guards: [
        async (c, next) => {
          if (c.req.header('authorization') === 'Bearer good') return next();
          throw new HttpError(429, 'too many', { code: 'rate_limit_reached' }, 7);
        },
      ],
      onFinished: (record) => void records.push(record),
    });
    const refused = await post(FIM, { prompt: 'a' });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '7']);
    const headers = { authorization: 'Bearer good' };
    await (await post(FIM, { prompt: 'a', stream: true }, { headers })).text();
    await expect.poll(() => records.length).toBe(2);
    expect(records[1]).toMatchObject({ status: 200, model: 'tintype-code', completionTokens: 4, nfe: 2 });
  });
});
