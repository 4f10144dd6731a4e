/**
 * A provider for the AI SDK (`ai` 6, LanguageModelV3): over HTTP, or in this process over an engine. Both speak to the same
 * app, in this process without a socket. Canvases ride on empty text deltas, in `providerMetadata.tintype.frame`.
 *
 *     const tintype = createTintype({ baseURL: 'http://127.0.0.1:8484' });
 *     const { text } = await generateText({ model: tintype.completion('tintype-code'), prompt: 'const a = ' });
 */
import { NoSuchModelError } from '@ai-sdk/provider';
import type { LanguageModelV3, LanguageModelV3CallOptions } from '@ai-sdk/provider';
import { pino } from 'pino';
import type { CompletionEngine } from '../decode/engine-types.ts';
import { createApp } from '../server/app.ts';
import { bodyOf, warningsOf } from './ai-sdk-request.ts';
import type { Kind } from './ai-sdk-request.ts';
import { contentOf, failed, partsOf } from './ai-sdk-response.ts';

export interface TintypeProviderOptions {
  /** Of a server, with or without `/v1`; http://127.0.0.1:8484 by default. */
  baseURL?: string | undefined;
  /** Instead of a server: an engine in this process (`createEngine`), for the caller to close. */
  engine?: CompletionEngine | undefined;
  /** Sent with every request. */
  headers?: Record<string, string> | undefined;
  fetch?: typeof fetch | undefined;
}

export interface TintypeProvider {
  /** A chat model. */
  (id: string): LanguageModelV3;
  readonly specificationVersion: 'v3';
  languageModel: (id: string) => LanguageModelV3;
  /** For models with a chat template. */
  chat: (id: string) => LanguageModelV3;
  /** Continues a prompt, or with `providerOptions.tintype.suffix` fills the gap. */
  completion: (id: string) => LanguageModelV3;
  embeddingModel: (id: string) => never;
  imageModel: (id: string) => never;
}

const PATHS: Readonly<Record<Kind, string>> = { chat: '/v1/chat/completions', completion: '/v1/completions' };

export function createTintype(options: TintypeProviderOptions = {}): TintypeProvider {
  const post = poster(options);
  const model = (kind: Kind, id: string): LanguageModelV3 => ({
    specificationVersion: 'v3',
    provider: `tintype.${kind}`,
    modelId: id,
    supportedUrls: {},
    async doGenerate(call) {
      const body = bodyOf(kind, id, call, false);
      const response = await post(PATHS[kind], body, call);
      return {
        ...contentOf(kind, (await response.json()) as never),
        warnings: warningsOf(call),
        request: { body },
      };
    },
    async doStream(call) {
      const body = bodyOf(kind, id, call, true);
      const response = await post(PATHS[kind], body, call);
      return { stream: partsOf(kind, response, warningsOf(call)), request: { body } };
    },
  });
  const none = (modelType: 'embeddingModel' | 'imageModel') => (modelId: string) => {
    throw new NoSuchModelError({ modelId, modelType });
  };
  const chat = (id: string): LanguageModelV3 => model('chat', id);
  return Object.assign(chat.bind(null), {
    specificationVersion: 'v3' as const,
    languageModel: chat,
    chat,
    completion: (id: string) => model('completion', id),
    embeddingModel: none('embeddingModel'),
    imageModel: none('imageModel'),
  });
}

type Post = (path: string, body: object, call: LanguageModelV3CallOptions) => Promise<Response>;

/** @throws APICallError */
function poster({
  baseURL = 'http://127.0.0.1:8484',
  engine,
  headers,
  fetch: given,
}: TintypeProviderOptions): Post {
  const base = engine ? 'http://tintype.local' : baseURL.replace(/\/(v1\/?)?$/, '');
  const app = engine ? createApp({ engine, logger: pino({ enabled: false }) }) : null;
  const ask: (url: string, init: RequestInit) => Promise<Response> = app
    ? async (url, init) => app.request(url, init)
    : (given ?? fetch);
  return async (path, body, call) => {
    const url = base + path;
    const said = Object.entries(call.headers ?? {}).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    const response = await ask(url, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers, ...Object.fromEntries(said) },
      ...(call.abortSignal ? { signal: call.abortSignal } : {}),
    });
    if (!response.ok) throw await failed(url, body, response);
    return response;
  };
}
