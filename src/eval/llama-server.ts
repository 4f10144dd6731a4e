/**
 * A `llama-server` binary as a `LlamaModel`: started on a free port of this machine, asked by HTTP for one token after
 * the other (`POST /completion`, prompt as ids, `return_tokens`), stopped at the end. HTTP adds some tenths of a millisecond
 * a request and a little a token, so its figures are an upper bound of what llama.cpp takes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TintypeError } from '../errors.ts';
import type { LlamaModel, LlamaOptions, LlamaReply, LlamaRequest } from './llama.ts';

const START_MS = 120_000;
const POLL_MS = 50;

/** Errors: `not_found` for a binary that does not run, `unsupported` for one that does not come up. */
export async function openLlamaServer(
  binary: string,
  modelPath: string,
  { contextLength, threads, cacheType = 'f16' }: LlamaOptions,
): Promise<LlamaModel> {
  const port = await freePort();
  const args = ['--model', modelPath, '--ctx-size', String(contextLength), '--parallel', '1'];
  args.push('--host', '127.0.0.1', '--port', String(port), '--n-gpu-layers', '0');
  args.push('--cache-type-k', cacheType, '--cache-type-v', cacheType);
  if (threads !== undefined) args.push('--threads', String(threads));
  const child = spawn(binary, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const said: string[] = [];
  child.stderr.on('data', (text: Buffer) => {
    said.push(String(text));
    if (said.length > 50) said.shift();
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await untilReady(child, url, said);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return {
    engine: 'llama-server',
    isRemote: true,
    generate: (request) => generate(url, request),
    close: () => stop(child),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilReady(child: ChildProcess, url: string, said: readonly string[]): Promise<void> {
  let failure: Error | null = null;
  child.once('error', (error) => (failure = error));
  child.once('exit', (status) => (failure ??= new Error(`it ended with status ${status}`)));
  const giveUpMs = performance.now() + START_MS;
  while (performance.now() < giveUpMs) {
    if (failure !== null) {
      const { code, message } = failure as NodeJS.ErrnoException;
      throw new TintypeError(code === 'ENOENT' || code === 'EACCES' ? 'not_found' : 'unsupported', {
        what: 'llama-server did not start',
        got: [message, said.join('').trim().split('\n').at(-1)].filter(Boolean).join(': '),
        wanted: 'the path of a llama-server binary that loads the model',
        cause: failure,
      });
    }
    const isUp = await fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await sleep(POLL_MS);
  }
  throw new TintypeError('unsupported', {
    what: 'llama-server did not come up',
    got: `nothing on /health for ${START_MS / 1000} s`,
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await exited;
}

async function generate(
  url: string,
  { ids, maxTokens, isOver = () => false, isEndless = false, signal }: LlamaRequest,
): Promise<LlamaReply> {
  const startMs = performance.now();
  const leaving = new AbortController();
  const response = await fetch(`${url}/completion`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      prompt: ids,
      n_predict: maxTokens,
      temperature: 0,
      samplers: [],
      cache_prompt: false,
      ignore_eos: isEndless,
      stream: true,
      return_tokens: true,
    }),
    signal: signal ? AbortSignal.any([signal, leaving.signal]) : leaving.signal,
  });
  if (!response.ok || response.body === null) {
    throw new TintypeError('unsupported', {
      what: 'llama-server refused a request',
      got: `${response.status} ${(await response.text()).slice(0, 200)}`,
    });
  }
  const written: number[] = [];
  let firstMs: number | null = null;
  for await (const { tokens = [], stop: isLast } of serverEvents(response.body)) {
    if (tokens.length > 0) firstMs ??= performance.now() - startMs;
    written.push(...tokens);
    // Closing the connection is how a llama-server is told that nobody wants more.
    if (isLast || written.length >= maxTokens || isOver(written)) break;
  }
  const elapsedMs = performance.now() - startMs;
  leaving.abort();
  return { ids: written.slice(0, maxTokens), firstMs: firstMs ?? elapsedMs, elapsedMs };
}

interface ServerEvent {
  tokens?: number[];
  stop?: boolean;
}

/** `data: {…}` lines of an event stream. */
async function* serverEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    pending += decoder.decode(chunk, { stream: true });
    const lines = pending.split('\n');
    pending = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith('data: {')) yield JSON.parse(line.slice('data: '.length)) as ServerEvent;
    }
  }
}
