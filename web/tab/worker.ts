/** The thread of the tab that computes: the host of an engine, over ONNX Runtime's builds for browsers. */
import { TintypeError } from '../../src/errors.ts';
import { chatFormatOf } from '../../src/decode/conversation.ts';
import { createEngineHost } from '../../src/decode/engine-host.ts';
import type { EngineHost, HostModel } from '../../src/decode/engine-host.ts';
import { sentError } from '../../src/decode/sent-error.ts';
import type { ServedModel } from '../../src/decode/engine-types.ts';
import { BIGRAMS, readBigrams } from '../../src/model/bigrams.ts';
import type { Denoiser } from '../../src/model/denoiser.ts';
import { readTexts, weightsOfBytes } from '../../src/model/memory-folder.ts';
import type { FolderTexts } from '../../src/model/memory-folder.ts';
import { createDenoiser } from '../../src/model/native.ts';
import { PAGE_WEIGHTS } from '../../src/model/page-files.ts';
import type { PageFile, PageFolder } from '../../src/model/page-files.ts';
import { createTokenizer } from '../../src/text/json.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { forgetOthers, listFolders, readFile } from './files.ts';
import type { FromTab, ToTab, WantedDevice } from './messages.ts';
import { openRuntime } from './runtime.ts';
import type { Opened } from './runtime.ts';

/** A tab has less to spare than a server. Keys and values of earlier prompts, for each model. */
const PREFIX_CACHE_BYTES = 64 * 2 ** 20;

const send = (message: FromTab): void => postMessage(message);

/** Lets messages in. A forward of WebAssembly holds the thread, and its end alone would only be a microtask. */
const breath = (): Promise<void> =>
  new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    const done = (): void => {
      port1.close();
      resolve();
    };
    port1.addEventListener('message', done, { once: true });
    port1.start();
    port2.postMessage(null);
  });

const breathing = (denoiser: Denoiser): Denoiser => ({
  ...denoiser,
  forward: async (runs, want) => {
    await breath();
    return denoiser.forward(runs, want);
  },
});

interface Folder {
  page: PageFolder;
  weights: PageFile;
  bigrams: PageFile | undefined;
  texts: FolderTexts;
  tokenizer: Tokenizer;
  served: ServedModel;
}

/** All but the weights. */
async function readFolder(base: string, page: PageFolder): Promise<Folder> {
  const files: Record<string, string> = {};
  for (const file of page.files) {
    if (file.name.endsWith('.json'))
      files[file.name] = new TextDecoder().decode(await readFile(base, page.id, file));
  }
  const weights = page.files.find(({ name }) => name === PAGE_WEIGHTS);
  if (!weights) {
    throw new TintypeError('bad_checkpoint', { what: `${page.id} is listed without ${PAGE_WEIGHTS}` });
  }
  const bigrams = page.files.find(({ name }) => name === BIGRAMS);
  const texts = readTexts(page.id, files);
  const tokenizer = createTokenizer(texts.tokenizerJson);
  const { layout, contextLength } = texts.config;
  const chat = chatFormatOf(files, texts.tokenizerJson, tokenizer) !== null;
  const infill = tokenizer.special('<|fim_middle|>') !== null;
  return {
    page,
    weights,
    bigrams,
    texts,
    tokenizer,
    served: { id: page.id, layout, contextLength, chat, infill },
  };
}

async function openHost(base: string, device: WantedDevice): Promise<EngineHost> {
  const pages = await listFolders(base);
  const folders = new Map<string, Folder>();
  for (const page of pages) folders.set(page.id, await readFolder(base, page));
  await forgetOthers(pages);
  let opened = await openRuntime(device);

  async function load(id: string): Promise<HostModel> {
    const { weights, bigrams, texts, tokenizer } = folders.get(id)!;
    const { sizeBytes: totalBytes } = weights;
    const progress = (doneBytes: number): void => send({ type: 'progress', what: id, doneBytes, totalBytes });
    const bytes = await readFile(base, id, weights, progress);
    progress(totalBytes);
    const tensors = weightsOfBytes(id, bytes, texts.config);
    const table =
      bigrams && readBigrams(await readFile(base, id, bigrams), texts.config.vocabSize, `${id}/${BIGRAMS}`);
    const make = ({ runtime, compute }: Opened): Denoiser =>
      // Memory of JavaScript is not the runtime's, so caches cannot be written in place.
      breathing(
        createDenoiser(runtime, texts.config, tensors, {
          device: compute.device === 'webgpu' ? 'webgpu' : 'cpu',
          inPlace: false,
          bigrams: table,
        }),
      );
    let denoiser = make(opened);
    if (opened.compute.device === 'webgpu') {
      try {
        await tryOut(denoiser);
      } catch (error) {
        // A session that was not built cannot be closed.
        await denoiser.close().catch(() => {});
        opened = await openRuntime('wasm', `WebGPU failed: ${(error as Error).message}`);
        send({ type: 'compute', compute: opened.compute });
        denoiser = make(opened);
      }
    }
    return {
      denoiser,
      tokenizer,
      chat: chatFormatOf(texts.files, texts.tokenizerJson, tokenizer),
    };
  }

  const host = createEngineHost({
    sizes: Object.fromEntries([...folders.values()].map(({ page, weights }) => [page.id, weights.sizeBytes])),
    memoryBytes: Infinity,
    prefixCacheBytes: PREFIX_CACHE_BYTES,
    load,
    send,
  });
  send({
    type: 'opened',
    models: [...folders.values()].map(({ served }) => served),
    compute: opened.compute,
  });
  return host;
}

/** One token through the model: whether the device computes it. */
async function tryOut(denoiser: Denoiser): Promise<void> {
  const run = {
    ids: Int32Array.of(0),
    positions: Int32Array.of(0),
    cache: null,
    attention: { kind: 'full' as const },
    query: Int32Array.of(0),
    write: 0,
  };
  await denoiser.forward([run], { topK: 1, entropy: false });
}

let host: EngineHost | null = null;

addEventListener('message', ({ data }: MessageEvent<ToTab>) => {
  if (data.type === 'open') {
    openHost(data.base, data.device).then(
      (opened) => (host = opened),
      (error: unknown) => send({ type: 'unopenable', error: sentError(error) }),
    );
  } else if (data.type !== 'close') host?.receive(data);
});
