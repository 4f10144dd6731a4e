/**
 * The side of an engine that computes, in whatever thread it stands: loads models when they are asked for and answers
 * requests. Those for one model that are under way together share their forwards (`batch.ts`); the others wait for
 * their turn (`schedule.ts`).
 */
import type { Denoiser } from '../model/denoiser.ts';
import type { ChatFormat } from '../text/chat.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { createBatch } from './batch.ts';
import { streamPrompt } from './complete.ts';
import type { CompileThread } from './constraints/compile-thread.ts';
import type { CompleteOptions } from './complete.ts';
import { answer, NOTHING_DROPPED } from './engine-answer.ts';
import type { EngineModel } from './engine-answer.ts';
import type { FromHost, ToWorker } from './engine-messages.ts';
import { collect } from './events.ts';
import { createModelPool } from './model-pool.ts';
import { createPrefixCache } from './prefix-cache.ts';
import { createSchedule } from './schedule.ts';
import { sentError } from './sent-error.ts';

/** Requests of one model that share their forwards: more rows cost more than they save on few cores. */
const MOST_TOGETHER = 8;
/** Keys and values of earlier prompts, for each model. */
const PREFIX_CACHE_BYTES = 256 * 2 ** 20;
/** Keys and values of running requests, over all models. */
const RUNNING_CACHE_BYTES = 1024 * 2 ** 20;

/** A model as it was read. */
export interface HostModel {
  denoiser: Denoiser;
  tokenizer: Tokenizer;
  /** Null where it cannot be talked to. */
  chat: ChatFormat | null;
  /** Options where a request says nothing. */
  defaults?: CompleteOptions | undefined;
}

export interface HostOptions {
  /** By id: an estimate of the bytes of the weights, before they are known. */
  sizes: Readonly<Record<string, number>>;
  load: (id: string) => Promise<HostModel>;
  /** Of the weights of all loaded models. */
  memoryBytes: number;
  prefixCacheBytes?: number;
  /** By id: requests of a model that share their forwards, at most; 8 where nothing is said. */
  together?: Readonly<Record<string, number>>;
  /** Compiles constraints elsewhere; without it they are compiled between the steps of others. */
  compiler?: CompileThread;
  send: (message: FromHost) => void;
}

export interface EngineHost {
  receive(message: Exclude<ToWorker, { type: 'close' }>): void;
  /** Loads a model before somebody waits for it. Errors: those of `load`. */
  warm(id: string): Promise<void>;
  /** Gives up what is under way and frees the models. */
  close(): Promise<void>;
}

export function createEngineHost(options: HostOptions): EngineHost {
  const { sizes, memoryBytes, prefixCacheBytes = PREFIX_CACHE_BYTES, compiler = null, send } = options;
  const { together = {} } = options;
  /** Those whose prefix caches count. */
  const models = new Map<string, EngineModel>();

  async function load(id: string): Promise<EngineModel> {
    const { denoiser, tokenizer, chat, defaults = {} } = await options.load(id);
    // The first forward builds the session, which the first request should not wait for.
    const { noise, tokens } = denoiser.config;
    const { bos, eos } = tokens;
    const prompt = { ids: [bos ?? eos[0] ?? 0], dropped: NOTHING_DROPPED };
    // A canvas of noise is whole however little is asked for, so it gets one step.
    const shortest = { ...defaults, maxTokens: 2, ...(noise === 'uniform' ? { steps: 1 } : {}) };
    await collect(streamPrompt({ denoiser, tokenizer }, prompt, shortest).events);
    const model: EngineModel = {
      id,
      denoiser,
      tokenizer,
      defaults,
      batch: createBatch(denoiser),
      prefixCache: createPrefixCache({ maxBytes: prefixCacheBytes }),
      chat,
      weightBytes: denoiser.memory?.weightBytes ?? 0,
      close: () => {
        models.delete(id);
        return denoiser.close();
      },
    };
    models.set(id, model);
    return model;
  }

  const pool = createModelPool<EngineModel>({ sizes, maxBytes: memoryBytes, load });
  const schedule = createSchedule({
    mostTogether: (id) => together[id] ?? MOST_TOGETHER,
    maxBytes: RUNNING_CACHE_BYTES,
    onStart: () => tellStatistics(),
  });
  /** Requests that wait or run. */
  const controllers = new Map<number, AbortController>();
  const underWay = new Set<Promise<void>>();

  const tellStatistics = (): void => {
    const cacheBytes = [...models.values()].reduce((sum, { prefixCache }) => sum + prefixCache.sizeBytes, 0);
    const cacheMaxBytes = models.size * prefixCacheBytes;
    send({ type: 'statistics', running: schedule.running, cacheBytes, cacheMaxBytes });
  };

  return {
    receive(message) {
      const { id } = message;
      if (message.type === 'abort') return controllers.get(id)?.abort();
      const controller = new AbortController();
      controllers.set(id, controller);
      const { signal } = controller;
      const answered = answer(message.request, { pool, schedule, compiler, signal }, (event) => {
        send({ type: 'event', id, event });
      })
        .catch((error: unknown) => send({ type: 'failed', id, error: sentError(error) }))
        .finally(() => {
          controllers.delete(id);
          underWay.delete(answered);
          tellStatistics();
        });
      underWay.add(answered);
      tellStatistics();
    },
    async warm(id) {
      await pool.acquire(id, new AbortController().signal);
      pool.release(id);
    },
    async close() {
      for (const controller of controllers.values()) controller.abort();
      await Promise.all(underWay);
      await Promise.all([pool.close(), compiler?.close()]);
    },
  };
}
