/**
 * The thread behind `engine.ts`: loads models and answers requests. Those for one model that are under way together
 * share their forwards (`batch.ts`); the others wait for their turn (`schedule.ts`).
 */
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { TintypeError, assert } from '../errors.ts';
import { describeCheckpoint } from '../model/hf.ts';
import { modelPath } from '../model/library.ts';
import { loadDenoiser } from '../model/load.ts';
import { createTokenizer } from '../text/json.ts';
import { createBatch } from './batch.ts';
import { chatFormatOf } from './conversation.ts';
import { streamPrompt } from './complete.ts';
import type { ServedModel } from './engine-types.ts';
import type { EngineOptions, FromWorker, SentError, ToWorker } from './engine.ts';
import { answer, NOTHING_DROPPED } from './engine-answer.ts';
import type { EngineModel } from './engine-answer.ts';
import { collect } from './events.ts';
import { createModelPool } from './model-pool.ts';
import { createPrefixCache } from './prefix-cache.ts';
import { createSchedule } from './schedule.ts';

const {
  modelDirs,
  threads,
  defaults = {},
  precisions = {},
  memoryBytes = Infinity,
  overrides,
  largeBytes,
} = workerData as EngineOptions;
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
/** Keys and values of running requests, over all models. */
const RUNNING_CACHE_BYTES = 1024 * 2 ** 20;

interface Folder {
  /** Or a GGUF file. */
  path: string;
  served: ServedModel;
  /** Of its weight files; the loaded model may be larger or smaller. */
  sizeBytes: number;
}

async function readFolders(): Promise<Map<string, Folder>> {
  const folders = new Map<string, Folder>();
  for (const dir of modelDirs) {
    const id = basename(resolve(dir));
    if (folders.has(id)) {
      throw new TintypeError('bad_option', { what: 'two model folders have the same name', got: id });
    }
    const path = modelPath(dir);
    const description = await describeCheckpoint(path, { overrides, verify: false });
    const { config, tokenizerJson, tokenizerFiles, weightFiles } = description;
    if (tokenizerJson === null) {
      throw new TintypeError('bad_checkpoint', {
        what: 'this model has no tokenizer, so it writes no text',
        got: dir,
      });
    }
    const { layout, contextLength } = config;
    const tokenizer = createTokenizer(tokenizerJson);
    const chat = chatFormatOf(tokenizerFiles, tokenizerJson, tokenizer) !== null;
    const infill = tokenizer.special('<|fim_middle|>') !== null;
    const files = await Promise.all(weightFiles.map((name) => stat(join(description.dir, name))));
    folders.set(id, {
      path,
      served: { id, layout, contextLength, chat, infill },
      sizeBytes: files.reduce((sum, { size }) => sum + size, 0),
    });
  }
  return folders;
}

async function load(id: string, path: string): Promise<EngineModel> {
  let told = -1;
  const onProgress = (done: number, total: number): void => {
    const percent = 10 * Math.floor((10 * done) / total);
    if (percent > told) send({ type: 'converting', model: id, percent: (told = percent) });
  };
  const { denoiser, tokenizer, description } = await loadDenoiser(path, {
    threads,
    precision: precisions[id],
    overrides,
    largeBytes,
    onProgress,
  });
  assert(tokenizer !== null, 'folders without a tokenizer are refused at the start');
  const own = defaults[id] ?? {};
  // The first forward builds the session, which the first request should not wait for.
  const { bos, eos } = denoiser.config.tokens;
  const prompt = { ids: [bos ?? eos[0] ?? 0], dropped: NOTHING_DROPPED };
  await collect(streamPrompt({ denoiser, tokenizer }, prompt, { ...own, maxTokens: 2 }).events);
  return {
    id,
    denoiser,
    tokenizer,
    defaults: own,
    batch: createBatch(denoiser),
    prefixCache: createPrefixCache({ maxBytes: PREFIX_CACHE_BYTES }),
    chat: chatFormatOf(description.tokenizerFiles, description.tokenizerJson!, tokenizer),
    weightBytes: denoiser.memory?.weightBytes ?? 0,
    close: () => denoiser.close(),
  };
}

try {
  const folders = await readFolders();
  /** Those whose prefix caches count. */
  const models = new Map<string, EngineModel>();
  const pool = createModelPool<EngineModel>({
    sizes: Object.fromEntries([...folders].map(([id, { sizeBytes }]) => [id, sizeBytes])),
    maxBytes: memoryBytes,
    async load(id) {
      const model = await load(id, folders.get(id)!.path);
      models.set(id, model);
      return {
        ...model,
        close: () => {
          models.delete(id);
          return model.close();
        },
      };
    },
  });
  const schedule = createSchedule({ mostTogether: MOST_TOGETHER, maxBytes: RUNNING_CACHE_BYTES });

  /** Requests that wait or run. */
  const controllers = new Map<number, AbortController>();
  const underWay = new Set<Promise<void>>();
  const tellStatistics = (): void => {
    const cacheBytes = [...models.values()].reduce((sum, { prefixCache }) => sum + prefixCache.sizeBytes, 0);
    const cacheMaxBytes = models.size * PREFIX_CACHE_BYTES;
    send({ type: 'statistics', running: schedule.running, cacheBytes, cacheMaxBytes });
  };

  // As many as fit are loaded at once; a folder that cannot be loaded is an error of the start.
  let usedBytes = 0;
  for (const [id, { sizeBytes }] of folders) {
    usedBytes += sizeBytes;
    if (models.size > 0 && usedBytes > memoryBytes) break;
    await pool.acquire(id, new AbortController().signal);
    pool.release(id);
  }

  port.on('message', (message: ToWorker) => {
    if (message.type === 'abort') {
      controllers.get(message.id)?.abort();
    } else if (message.type === 'ask') {
      const { id, request } = message;
      const controller = new AbortController();
      controllers.set(id, controller);
      const answered = answer(request, { pool, schedule, signal: controller.signal }, (event) => {
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
    } else {
      for (const controller of controllers.values()) controller.abort();
      void Promise.all(underWay)
        .then(() => pool.close())
        .then(() => port.close());
    }
  });
  send({ type: 'loaded', models: [...folders.values()].map(({ served }) => served) });
} catch (error) {
  send({ type: 'unloadable', error: sentError(error) });
  port.close();
}
