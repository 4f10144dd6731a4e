/** Our own provider under `ai` 6, over HTTP and in this process. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APICallError, generateText, jsonSchema, Output, streamText, tool } from 'ai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngine } from '../../src/decode/engine.ts';
import type { CompletionEngine } from '../../src/decode/engine-types.ts';
import { createTintype } from '../../src/providers/ai-sdk.ts';
import type { TintypeProvider } from '../../src/providers/ai-sdk.ts';
import { saveChatModel } from '../chat-model.ts';
import { writeTinyModel } from '../e2e/tiny-model.ts';
import { startServer } from './server.ts';
import type { ClientServer } from './server.ts';

let server: ClientServer;
let engine: CompletionEngine;
let dir: string;
const providers: Record<string, TintypeProvider> = {};

beforeAll(async () => {
  server = await startServer();
  dir = await mkdtemp(join(tmpdir(), 'tintype-provider-'));
  await writeTinyModel(join(dir, 'code'), 'causalContext');
  await saveChatModel(join(dir, 'chat'), 'blockCausal');
  engine = await createEngine({ modelDirs: [join(dir, 'code'), join(dir, 'chat')], threads: 1 });
  providers['over HTTP'] = createTintype({ baseURL: `${server.url}/v1` });
  providers['in this process'] = createTintype({ engine });
});
afterAll(async () => {
  await server.close();
  await engine.close();
  await rm(dir, { recursive: true });
});

const schema = jsonSchema<{ ok: boolean }>({
  type: 'object',
  properties: { ok: { type: 'boolean' } },
  required: ['ok'],
});
const common = { maxRetries: 0, prompt: 'hi', seed: 2 };

describe.each(['over HTTP', 'in this process'])('the provider %s', (where) => {
  it('streams chat to the text that it generates, with canvases whose last is the text', async () => {
    const model = providers[where]('chat');
    const options = { model, ...common, maxOutputTokens: 16 };
    const { text, usage } = await generateText(options);
    const result = streamText(options);
    let streamed = '';
    let last: any = null;
    for await (const part of result.fullStream) {
      if (part.type !== 'text-delta') continue;
      streamed += part.text;
      last = part.providerMetadata?.['tintype']?.['frame'] ?? last;
    }
    expect(streamed).toBe(text);
    expect((await result.usage).outputTokens).toBe(usage.outputTokens);
    expect(last).toMatchObject({ progress: 1 });
    expect(last.canvas.map((piece: any) => piece.text).join('')).toBe(text);
  });

  it('fills a gap', async () => {
    const model = providers[where].completion('code');
    const providerOptions = { tintype: { suffix: ';\n', mode: 'ar' } };
    const options = { model, ...common, prompt: 'let a = ', maxOutputTokens: 8, providerOptions };
    const { text } = await generateText(options);
    expect(await streamText(options).text).toBe(text);
  });

  it('gets objects and calls of tools', async () => {
    const model = providers[where].chat('chat');
    const { output } = await generateText({
      model,
      ...common,
      maxOutputTokens: 60,
      output: Output.object({ schema }),
    });
    expect(typeof output.ok).toBe('boolean');
    const tools = { set: tool({ inputSchema: schema }) };
    const options = { model, ...common, maxOutputTokens: 60, tools, toolChoice: 'required' as const };
    const [call] = (await generateText(options)).toolCalls;
    const [streamed] = await streamText(options).toolCalls;
    expect(call).toMatchObject({ toolName: 'set', input: { ok: expect.any(Boolean) } });
    expect(streamed.input).toEqual(call.input);
  });

  it('says errors in the SDK’s own class', async () => {
    const asked = generateText({ model: providers[where].chat('code'), ...common });
    await expect(asked).rejects.toSatisfy(
      (error) =>
        APICallError.isInstance(error) && error.statusCode === 400 && error.message.includes('chat template'),
    );
    expect(() => providers[where].embeddingModel('x')).toThrow('x');
  });
});
