import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../../tests/e2e/tiny-model.ts';
import { loadDenoiser } from '../model/load.ts';
import { completeText } from './complete.ts';
import type { CompletionEngine, CompletionRequest } from './engine-types.ts';
import { createEngine } from './engine.ts';

const REQUEST: CompletionRequest = {
  model: 'diffusion',
  prompt: 'const a = ',
  suffix: ';\n',
  maxTokens: 12,
  temperature: 0,
  topP: 1,
  seed: 1,
  stop: [],
};

describe('engine', () => {
  let dir: string;
  let engine: CompletionEngine;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tintype-engine-'));
    await writeTinyModel(join(dir, 'diffusion'), 'causalContext');
    await writeTinyModel(join(dir, 'twin'), 'causal');
    engine = await createEngine({ modelDirs: [join(dir, 'diffusion'), join(dir, 'twin')], threads: 1 });
  });
  afterAll(async () => {
    await engine.close();
    await rm(dir, { recursive: true });
  });

  it('tells how far the weights of a large model are converted, once', async () => {
    const modelDirs = [join(dir, 'twin')];
    const open = async (): Promise<number[]> => {
      const told: number[] = [];
      const onConvert = (model: string, percent: number): unknown =>
        told.push(model === 'twin' ? percent : NaN);
      await (await createEngine({ modelDirs, threads: 1, largeBytes: 0, onConvert })).close();
      return told;
    };
    const told = await open();
    expect(told.at(-1)).toBe(100);
    expect(told).toEqual([...new Set(told)].toSorted((a, b) => a - b));
    expect(await open()).toEqual([]);
  });

  it('lists its models', () => {
    expect(engine.models()).toEqual([
      { id: 'diffusion', layout: 'causalContext', contextLength: 256, chat: false, infill: true },
      { id: 'twin', layout: 'causal', contextLength: 256, chat: false, infill: true },
    ]);
  });

  it('answers as decoding in this thread does, also when asked for much at once', async () => {
    const { denoiser, tokenizer } = await loadDenoiser(join(dir, 'diffusion'), { threads: 1 });
    const gap = { prefix: REQUEST.prompt, suffix: REQUEST.suffix };
    const here = await completeText({ denoiser, tokenizer: tokenizer! }, gap, { maxTokens: 12 });
    const [a, twin, b, sampled] = await Promise.all([
      engine.complete(REQUEST),
      engine.complete({ ...REQUEST, model: 'twin' }),
      engine.complete(REQUEST),
      engine.complete({ ...REQUEST, temperature: 1 }),
    ]);
    expect(a).toMatchObject({ text: here.text, nfe: here.done.nfe, promptTokens: here.promptTokens });
    expect(b.text).toBe(a.text);
    expect(twin.nfe).toBe(twin.completionTokens + Number(twin.finishReason === 'stop'));
    expect(sampled.text).not.toBe(a.text);
    await denoiser.close();
  });

  it('gives up a request that is running, and one that waits, and goes on', async () => {
    const running = new AbortController();
    const queued = new AbortController();
    const long = { ...REQUEST, maxTokens: 200 };
    const first = engine.complete({ ...long, signal: running.signal });
    const second = engine.complete({ ...long, signal: queued.signal });
    queued.abort();
    running.abort();
    // Either may be the first to fail, so both are waited for from the start.
    await Promise.all([
      expect(first).rejects.toMatchObject({ code: 'aborted' }),
      expect(second).rejects.toMatchObject({ code: 'aborted' }),
    ]);
    await expect(engine.complete({ ...REQUEST, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    });
    expect((await engine.complete(REQUEST)).completionTokens).toBeGreaterThan(0);
  });

  it('keeps the kind of an error', async () => {
    const tooLong = engine.complete({ ...REQUEST, prompt: 'x '.repeat(400) });
    await expect(tooLong).rejects.toMatchObject({
      code: 'prompt_too_long',
      parts: { wanted: 'at most 256 together' },
    });
    // By its characters, before it is encoded.
    await expect(engine.complete({ ...REQUEST, prompt: 'x '.repeat(10_000) })).rejects.toMatchObject({
      parts: { got: expect.stringMatching(/^a prompt of 20\d{3} characters/) as string },
    });
    await expect(engine.complete({ ...REQUEST, maxTokens: 256 })).rejects.toMatchObject({
      code: 'prompt_too_long',
    });
    await expect(createEngine({ modelDirs: [join(dir, 'nothing')] })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('answers others between the steps of an answer whose constraint takes long', async () => {
    let isOver = false;
    const slow = engine
      .complete({ ...REQUEST, maxTokens: 100, options: { regex: '([^]*a[^]{60}b)+' } })
      .finally(() => (isOver = true));
    expect((await engine.complete({ ...REQUEST, maxTokens: 4 })).completionTokens).toBeGreaterThan(0);
    expect(isOver).toBe(false);
    expect((await slow).text).toMatch(/^([^]*a[^]{60}b)+$/);
  });

  it('answers others while a constraint is compiled that takes long', async () => {
    const slow = Array.from({ length: 3000 }, (_, i) => [
      `p${i}`,
      { allOf: [{ pattern: `^(a{97}|b${i})*$` }, { pattern: '^(a{101}|b)*$' }] },
    ]);
    const schema = { type: 'object', properties: Object.fromEntries(slow) as object };
    const leaving = new AbortController();
    let isOver = false;
    const constrained = engine
      .complete({ ...REQUEST, options: { schema }, signal: leaving.signal })
      .finally(() => (isOver = true));
    const outcome = constrained.catch((error: unknown) => error);
    expect((await engine.complete(REQUEST)).completionTokens).toBeGreaterThan(0);
    expect(isOver).toBe(false);
    leaving.abort();
    expect(await outcome).toMatchObject({ code: 'aborted' });
    const { text } = await engine.complete({ ...REQUEST, options: { schema: { enum: ['yes', 'no'] } } });
    expect(['"yes"', '"no"']).toContain(text);
  });

  it('gives up what is running when it is closed', async () => {
    const other = await createEngine({ modelDirs: [join(dir, 'diffusion')], threads: 1 });
    const running = other.complete({ ...REQUEST, maxTokens: 200 });
    const closed = other.close();
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
    await closed;
    await expect(other.complete(REQUEST)).rejects.toMatchObject({ code: 'aborted' });
  });
});
