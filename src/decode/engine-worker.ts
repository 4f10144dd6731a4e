/** The thread behind `engine.ts`: the models of folders, in a host. */
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { TintypeError, assert } from '../errors.ts';
import { wantTokenizer } from '../model/folder-texts.ts';
import { describeCheckpoint } from '../model/hf.ts';
import { modelPath } from '../model/library.ts';
import { loadDenoiser } from '../model/load.ts';
import { createTokenizer } from '../text/json.ts';
import { createCompileThread } from './constraints/compile-thread.ts';
import { chatFormatOf } from './conversation.ts';
import type { ServedModel } from './engine-types.ts';
import type { EngineOptions } from './engine.ts';
import { createEngineHost } from './engine-host.ts';
import type { HostModel } from './engine-host.ts';
import type { FromWorker, ToWorker } from './engine-messages.ts';
import { sentError } from './sent-error.ts';

const {
  modelDirs,
  threads,
  defaults = {},
  precisions = {},
  together,
  memoryBytes = Infinity,
  overrides,
  packed,
  largeBytes,
} = workerData as EngineOptions;
assert(parentPort !== null, 'this file is the entry of a worker thread');
const port = parentPort;

/** Each message wakes the thread that listens, so what is told in one turn of the event loop goes as one. */
let told: FromWorker[] = [];
const flush = (): void => {
  if (told.length > 0) port.postMessage(told);
  told = [];
};
/** A forward waits for the next turn too, behind what was told before it was asked for. */
const send = (message: FromWorker): void => {
  if (told.push(message) === 1) setImmediate(flush);
};
const end = (): void => {
  flush();
  port.close();
};

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
    const { config, tokenizerFiles, weightFiles } = description;
    const tokenizerJson = wantTokenizer(description);
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

async function load(id: string, path: string): Promise<HostModel> {
  let told = -1;
  const onProgress = (done: number, total: number): void => {
    const percent = 10 * Math.floor((10 * done) / total);
    if (percent > told) send({ type: 'converting', model: id, percent: (told = percent) });
  };
  const { denoiser, tokenizer, description } = await loadDenoiser(path, {
    threads,
    precision: precisions[id],
    overrides,
    packed,
    largeBytes,
    onProgress,
  });
  assert(tokenizer !== null, 'folders without a tokenizer are refused at the start');
  return {
    denoiser,
    tokenizer,
    defaults: defaults[id],
    chat: chatFormatOf(description.tokenizerFiles, description.tokenizerJson!, tokenizer),
  };
}

try {
  const folders = await readFolders();
  const host = createEngineHost({
    sizes: Object.fromEntries([...folders].map(([id, { sizeBytes }]) => [id, sizeBytes])),
    memoryBytes,
    ...(together ? { together } : {}),
    compiler: createCompileThread(),
    load: (id) => load(id, folders.get(id)!.path),
    send,
  });

  // As many as fit are loaded at once; a folder that cannot be loaded is an error of the start.
  let usedBytes = 0;
  for (const [index, [id, { sizeBytes }]] of [...folders].entries()) {
    usedBytes += sizeBytes;
    if (index > 0 && usedBytes > memoryBytes) break;
    await host.warm(id);
  }

  port.on('message', (message: ToWorker) => {
    if (message.type === 'close') void host.close().then(end);
    else host.receive(message);
  });
  send({ type: 'loaded', models: [...folders.values()].map(({ served }) => served) });
} catch (error) {
  send({ type: 'unloadable', error: sentError(error) });
  end();
}
