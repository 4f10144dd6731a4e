/**
 * The thread behind `engine.ts`: loads models and answers requests. Those for one model that are under way together
 * share their forwards (`batch.ts`); the others wait in the order in which they came.
 */
import { basename, resolve } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { TintypeError, assert } from '../errors.ts';
import { modelPath } from '../model/library.ts';
import { loadDenoiser } from '../model/load.ts';
import { createBatch } from './batch.ts';
import type { Batch } from './batch.ts';
import { completeText } from './complete.ts';
import type { CompleteOptions, TextModel } from './complete.ts';
import { withDefaults } from './defaults.ts';
import type { CompletionReply, CompletionRequest } from './engine-types.ts';
import type { EngineOptions, FromWorker, SentError, ToWorker } from './engine.ts';
import { createPrefixCache } from './prefix-cache.ts';
import type { PrefixCache } from './prefix-cache.ts';

const { modelDirs, threads, defaults = {}, precisions = {}, overrides } = workerData as EngineOptions;
assert(parentPort !== null, 'this file is the entry of a worker thread');
const port = parentPort;
const send = (message: FromWorker): void => port.postMessage(message);

function sentError(error: unknown): SentError {
  if (!(error instanceof TintypeError)) {
    return { code: null, parts: { what: error instanceof Error ? error.message : String(error) } };
  }
  const { cause: _, ...parts } = error.parts;
  return { code: error.code, parts };
}

/** Requests of one model that share their forwards: more rows cost more than they save on few cores. */
const MOST_TOGETHER = 8;
/** Keys and values of earlier prompts, for each model. */
const PREFIX_CACHE_BYTES = 256 * 2 ** 20;

interface EngineModel extends TextModel {
  defaults: CompleteOptions;
  batch: Batch;
  prefixCache: PrefixCache;
  /** Requests that wait for their turn, in order. */
  queue: (() => void)[];
}

async function loadModels(): Promise<Map<string, EngineModel>> {
  const models = new Map<string, EngineModel>();
  for (const dir of modelDirs) {
    const id = basename(resolve(dir));
    if (models.has(id)) {
      throw new TintypeError('bad_option', { what: 'two model folders have the same name', got: id });
    }
    const session = { threads, precision: precisions[id], overrides };
    const { denoiser, tokenizer } = await loadDenoiser(modelPath(dir), session);
    if (tokenizer === null) {
      throw new TintypeError('bad_checkpoint', {
        what: 'this model has no tokenizer, so it writes no text',
        got: dir,
      });
    }
    const model = { denoiser, tokenizer };
    // The first forward builds the session, which the first request should not wait for.
    const own = defaults[id] ?? {};
    await completeText(model, { prefix: '', suffix: null }, { ...own, maxTokens: 2 });
    models.set(id, {
      ...model,
      defaults: own,
      batch: createBatch(denoiser),
      prefixCache: createPrefixCache({ maxBytes: PREFIX_CACHE_BYTES }),
      queue: [],
    });
  }
  return models;
}

async function complete(
  models: Map<string, EngineModel>,
  { model, prompt, suffix, options: own = {}, ...options }: Omit<CompletionRequest, 'signal'>,
  signal: AbortSignal,
): Promise<CompletionReply> {
  const textModel = models.get(model);
  if (!textModel) throw new TintypeError('not_found', { what: 'this model is not loaded', got: model });
  const gap = { prefix: prompt, suffix };
  const { batch, prefixCache, queue, tokenizer } = textModel;
  if (batch.size >= MOST_TOGETHER) await new Promise<void>((resolve) => queue.push(resolve));
  const denoiser = batch.join();
  const { text, promptTokens, done } = await completeText({ denoiser, tokenizer }, gap, {
    ...withDefaults({ ...options, ...own }, textModel.defaults),
    overflow: 'throw',
    prefixCache,
    signal,
  }).finally(() => {
    batch.leave(denoiser);
    queue.shift()?.();
  });
  if (done.reason === 'aborted') throw new TintypeError('aborted', { what: 'the request was given up' });
  return {
    text,
    finishReason: done.reason === 'length' ? 'length' : 'stop',
    promptTokens,
    cachedTokens: done.cachedTokens,
    completionTokens: done.usefulTokens,
    nfe: done.nfe,
    elapsedMs: done.elapsedMs,
  };
}

async function close(models: Map<string, EngineModel>): Promise<void> {
  for (const { denoiser } of models.values()) await denoiser.close();
  port.close();
}

try {
  const models = await loadModels();
  /** Requests that wait or run. */
  const controllers = new Map<number, AbortController>();
  const underWay = new Set<Promise<void>>();

  port.on('message', (message: ToWorker) => {
    if (message.type === 'abort') {
      controllers.get(message.id)?.abort();
    } else if (message.type === 'complete') {
      const { id, request } = message;
      const controller = new AbortController();
      controllers.set(id, controller);
      const answered = complete(models, request, controller.signal)
        .then((reply) => send({ type: 'reply', id, reply }))
        .catch((error: unknown) => send({ type: 'failed', id, error: sentError(error) }))
        .finally(() => {
          controllers.delete(id);
          underWay.delete(answered);
        });
      underWay.add(answered);
    } else {
      for (const controller of controllers.values()) controller.abort();
      void Promise.all(underWay).then(() => close(models));
    }
  });
  send({
    type: 'loaded',
    models: [...models].map(([id, { denoiser }]) => {
      const { layout, contextLength } = denoiser.config;
      return { id, layout, contextLength };
    }),
  });
} catch (error) {
  send({ type: 'unloadable', error: sentError(error) });
  port.close();
}
