/**
 * llama.cpp as a yardstick: the same weights, prompts as token ids, greedy, measured over whole requests. It is reached in
 * one of two ways, and is never a dependency of this package:
 *
 * - the npm package `node-llama-cpp`, where it is installed (its CPU binaries are packages of the registry; its other
 *   optional packages are gigabytes of CUDA, and it wants an install script, so it is left to whoever measures);
 * - a `llama-server` binary by its path (`llama-server.ts`). `llama-cli` takes text only, not ids, and is no choice here.
 *
 * Every request starts from an empty cache. Tokens arrive one by one, so a caller can stop at a line break.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TintypeError } from '../errors.ts';
import { openLlamaServer } from './llama-server.ts';

export interface LlamaRequest {
  ids: readonly number[];
  maxTokens: number;
  /** Asked after each token; true ends the text. */
  isOver?: ((ids: readonly number[]) => boolean) | undefined;
  /** Goes on behind an end of text. */
  isEndless?: boolean | undefined;
  signal?: AbortSignal | undefined;
}

export interface LlamaReply {
  /** Without the end of text. */
  ids: number[];
  /** From the request to the first token. */
  firstMs: number;
  elapsedMs: number;
}

export interface LlamaModel {
  /** `node-llama-cpp, llama.cpp b1234` or `llama-server`. */
  engine: string;
  /** It computes in another process. */
  isRemote: boolean;
  generate(request: LlamaRequest): Promise<LlamaReply>;
  close(): Promise<void>;
}

export interface LlamaOptions {
  /** Positions that prompt and answer may fill. */
  contextLength: number;
  threads?: number | undefined;
  /** Keys and values; f16 is llama.cpp's default, f32 is for comparing results and not speed. */
  cacheType?: 'f16' | 'f32' | undefined;
  /** Path of a `llama-server` binary; the npm package without it. */
  server?: string | undefined;
}

/** Loads a GGUF file. Errors: `unsupported` where llama.cpp is not installed or cannot load the file. */
export async function openLlama(path: string, options: LlamaOptions): Promise<LlamaModel> {
  return options.server === undefined
    ? openPackage(path, options)
    : openLlamaServer(options.server, path, options);
}

/** The part of node-llama-cpp 3 that is used; it is not installed where this is compiled. */
interface LlamaPackage {
  getLlama(options: object): Promise<{
    llamaCppRelease: { release: string };
    loadModel(options: object): Promise<{
      createContext(options: object): Promise<{ getSequence(): LlamaSequence }>;
      dispose(): Promise<void>;
    }>;
    dispose(): Promise<void>;
  }>;
}

interface LlamaSequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number, void>;
}

const PACKAGE = 'node-llama-cpp';
const BINARY =
  process.platform === 'darwin'
    ? 'mac-arm64-metal'
    : process.platform === 'win32'
      ? 'win-x64'
      : `linux-${process.arch}`;
/** Without the optional packages npm fetches no CUDA; the one binary that is used is named instead. */
export const LLAMA_INSTALL = `npm install --no-save --omit=optional ${PACKAGE} @${PACKAGE}/${BINARY}`;

/** Beside this package, or in the folder where the program runs. Errors: `unsupported`. */
async function loadPackage(): Promise<LlamaPackage> {
  try {
    return (await import(PACKAGE)) as LlamaPackage;
  } catch {
    try {
      const found = createRequire(join(process.cwd(), 'package.json')).resolve(PACKAGE);
      return (await import(pathToFileURL(found).href)) as LlamaPackage;
    } catch (cause) {
      throw new TintypeError('unsupported', {
        what: 'llama.cpp is not installed here',
        wanted: `the npm package ${PACKAGE}, or --llama-server PATH`,
        next: LLAMA_INSTALL,
        cause,
      });
    }
  }
}

/** Whether `openLlama` can work without a server's path. */
export async function hasLlama(): Promise<boolean> {
  return loadPackage().then(
    () => true,
    () => false,
  );
}

async function openPackage(
  path: string,
  { contextLength, threads, cacheType = 'f16' }: LlamaOptions,
): Promise<LlamaModel> {
  const module = await loadPackage();
  const llama = await module
    .getLlama({
      gpu: false,
      build: 'never',
      logLevel: 'error',
      progressLogs: false,
      ...(threads === undefined ? {} : { maxThreads: threads }),
    })
    .catch((cause: unknown) => {
      throw new TintypeError('unsupported', {
        what: `${PACKAGE} has no binary for this machine`,
        got: (cause as Error).message,
        next: LLAMA_INSTALL,
        cause,
      });
    });
  try {
    const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
    const kind = cacheType.toUpperCase();
    const context = await model.createContext({
      contextSize: contextLength,
      ...(threads === undefined ? {} : { threads }),
      ...(cacheType === 'f16'
        ? {}
        : { experimentalKvCacheKeyType: kind, experimentalKvCacheValueType: kind }),
    });
    const sequence = context.getSequence();
    return {
      engine: `${PACKAGE}, llama.cpp ${llama.llamaCppRelease.release}`,
      isRemote: false,
      generate: async ({ ids, maxTokens, isOver = () => false, isEndless = false, signal }) => {
        const startMs = performance.now();
        await sequence.clearHistory();
        const written: number[] = [];
        let firstMs: number | null = null;
        // The generator ends by itself at the end of text, unless it is to hand that on too.
        for await (const token of sequence.evaluate(ids, { temperature: 0, yieldEogToken: isEndless })) {
          signal?.throwIfAborted();
          firstMs ??= performance.now() - startMs;
          written.push(token);
          if (written.length >= maxTokens || isOver(written)) break;
        }
        const elapsedMs = performance.now() - startMs;
        return { ids: written, firstMs: firstMs ?? elapsedMs, elapsedMs };
      },
      close: async () => {
        await model.dispose();
        await llama.dispose();
      },
    };
  } catch (cause) {
    await llama.dispose();
    throw new TintypeError('unsupported', {
      what: 'llama.cpp cannot load this file',
      got: `${path}: ${(cause as Error).message}`,
      cause,
    });
  }
}
