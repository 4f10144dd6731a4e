/**
 * Runs in this very tab: the same engine as the server's, in a worker of the page. Loaded when it is first chosen, so
 * that the page without it stays small.
 */
import { TintypeError } from '../../src/errors.ts';
import { createEngineClient } from '../../src/decode/engine-client.ts';
import type { EngineClient } from '../../src/decode/engine-client.ts';
import { receivedError } from '../../src/decode/sent-error.ts';
import { featuresOf } from '../../src/decode/engine-types.ts';
import type { CompletionRequest, ServedModel } from '../../src/decode/engine-types.ts';
import type { ModelInfo, RunLine, RunRequest, RunSource } from '../runs/run.ts';
import { RunError } from '../runs/run.ts';
import { isStatic } from '../state.ts';
import type { FromTab, ToTab } from './messages.ts';
import { keepPage } from './offline.ts';
import { device, download, tabState } from './state.ts';

/** What the server does where a request does not say. */
const DEFAULT_MAX_TOKENS = 64;

interface Engine {
  worker: Worker;
  client: EngineClient;
  models: ServedModel[];
}

let engine: Promise<Engine> | null = null;

/** The folder that the page stands in. */
const base = (): string => new URL('.', document.baseURI).href;

function start(): Promise<Engine> {
  engine ??= open().catch((error: Error) => {
    engine = null;
    tabState.value = { phase: 'failed', message: error.message };
    throw runError(error);
  });
  return engine;
}

async function open(): Promise<Engine> {
  tabState.value = { phase: 'opening' };
  // What the worker loads is then kept too.
  if (isStatic) await keepPage();
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  const send = (message: ToTab): void => worker.postMessage(message);
  const client = createEngineClient(send);
  return new Promise<Engine>((resolve, reject) => {
    const end = (error: Error): void => {
      worker.terminate();
      client.end(error);
      download.value = null;
      reject(error);
    };
    worker.addEventListener('message', ({ data }: MessageEvent<FromTab>) => {
      switch (data.type) {
        case 'opened':
          tabState.value = { phase: 'ready', compute: data.compute };
          return resolve({ worker, client, models: data.models });
        case 'unopenable':
          return end(receivedError(data.error));
        case 'compute':
          tabState.value = { phase: 'ready', compute: data.compute };
          return;
        case 'progress':
          download.value = data.doneBytes < data.totalBytes ? data : null;
          return;
        default:
          // Weights that could not be fetched are no longer on their way.
          if (data.type === 'failed') download.value = null;
          return client.receive(data);
      }
    });
    worker.addEventListener('error', (event) => {
      const message = event.message || 'its script could not be fetched';
      end(new Error(`the worker of this tab broke off: ${message}`));
      engine = null;
      tabState.value = { phase: 'failed', message };
    });
    send({ type: 'open', base: base(), device: device.value });
  });
}

/** Ends what runs, and starts anew when something is asked: another device, or after a failure. */
export async function restart(): Promise<void> {
  const running = await engine?.catch(() => null);
  running?.worker.terminate();
  running?.client.end(new TintypeError('aborted', { what: 'the model in this tab was started anew' }));
  engine = null;
  await start();
}

function runError(error: unknown): RunError {
  if (error instanceof RunError) return error;
  const { message } = error as Error;
  return new RunError(error instanceof TintypeError ? error.code : 'failed', message);
}

/** The same request as the server makes of the body of `POST /v1/trace`. */
const engineRequest = (request: RunRequest, signal: AbortSignal): CompletionRequest => ({
  ...request.source,
  model: request.model,
  maxTokens: request.maxTokens ?? DEFAULT_MAX_TOKENS,
  shrink: true,
  overflow: 'keepNearest',
  temperature: request.temperature ?? 0,
  topP: 1,
  seed: request.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
  stop: request.stop ?? [],
  options: request.options,
  trace: { candidates: request.candidates ?? 0 },
  signal,
});

async function* run(request: RunRequest, signal: AbortSignal): AsyncGenerator<RunLine, void, void> {
  try {
    const { client } = await start();
    yield { type: 'start', id: `tab-${crypto.getRandomValues(new Uint32Array(1))[0]}`, model: request.model };
    for await (const event of client.stream(engineRequest(request, signal))) {
      if (event.type === 'trace') yield event.line;
      if (event.type === 'reply') {
        const { text: _, ...reply } = event.reply;
        yield { type: 'reply', ...reply };
      }
    }
  } catch (error) {
    if (signal.aborted) throw new RunError('aborted', 'given up');
    throw runError(error);
  }
}

export const tabSource: RunSource = {
  kind: 'tab',
  async models(): Promise<ModelInfo[]> {
    const { models } = await start();
    return models.map((model) => ({
      id: model.id,
      layout: model.layout,
      contextLength: model.contextLength,
      features: featuresOf(model),
    }));
  },
  run,
};
