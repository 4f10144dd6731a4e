/** One file over HTTP, in as many attempts as it takes, continued where the last one broke off, and hashed. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { TintypeError } from '../errors.ts';
import type { HubFile } from './hub-files.ts';

export interface Download {
  url: string;
  headers: Readonly<Record<string, string>>;
  /** Where it goes; what is there already is the beginning. */
  path: string;
  file: HubFile;
  signal?: AbortSignal | undefined;
  /** Bytes of the file that are here. */
  onProgress?: ((bytes: number) => void) | undefined;
  /** Pause before the attempt after `failures` that brought nothing, milliseconds; tests do not wait. */
  pauseMs?: ((failures: number) => number) | undefined;
}

/** Attempts in a row that bring nothing. */
const MOST_FAILURES = 5;

/**
 * Errors: `io` when the connection fails again and again; `bad_checkpoint` when the content is not what was promised, and
 * then nothing of it is left; `aborted`; an `HttpError` for a refusal.
 * @returns SHA-256
 */
export async function download(request: Download): Promise<string> {
  const { path, file, signal, pauseMs = (failures) => 500 * 2 ** failures } = request;
  let failures = 0;
  for (let size = await sizeOf(path); size !== file.sizeBytes;) {
    if (size > file.sizeBytes) {
      await rm(path);
      size = 0;
    }
    signal?.throwIfAborted();
    try {
      await attempt(request, size);
      failures = 0;
    } catch (cause) {
      if (cause instanceof HttpError && !cause.isPassing) throw cause;
      signal?.throwIfAborted();
      const now = await sizeOf(path);
      failures = now > size ? 0 : failures + 1;
      if (failures >= MOST_FAILURES) {
        throw new TintypeError('io', {
          what: `the connection failed ${failures} times at ${file.name}`,
          got: (cause as Error).message,
          next: 'run the same command again: it goes on where it stopped',
          cause,
        });
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs(failures)));
    }
    size = await sizeOf(path);
  }
  return check(path, file);
}

/** A status that is not success. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, url: string) {
    super(`status ${status} from ${new URL(url).origin}`);
    this.status = status;
  }

  /** May be over a moment later. */
  get isPassing(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** Appends what one response brings. */
async function attempt(
  { url, headers, path, file, signal, onProgress }: Download,
  from: number,
): Promise<void> {
  const response = await fetch(url, {
    headers: { ...headers, ...(from > 0 ? { range: `bytes=${from}-` } : {}) },
    ...(signal ? { signal } : {}),
  });
  if (!response.ok || !response.body) {
    await response.body?.cancel();
    throw new HttpError(response.status, url);
  }
  // A server may answer a part with the whole.
  const start = response.status === 206 ? startOf(response.headers.get('content-range'), from) : 0;
  const out = await open(path, start === from && from > 0 ? 'a' : 'w');
  let at = start;
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      await out.writeFile(chunk);
      at += chunk.length;
      if (at > file.sizeBytes) throw new Error(`more than ${file.sizeBytes} bytes`);
      onProgress?.(at);
    }
    await out.sync();
  } finally {
    await out.close();
  }
  if (at < file.sizeBytes) throw new Error(`the connection ended after ${at} of ${file.sizeBytes} bytes`);
}

function startOf(range: string | null, wanted: number): number {
  const start = Number(/^bytes (\d+)-/.exec(range ?? '')?.[1]);
  if (start === wanted) return start;
  throw new Error(`asked for bytes from ${wanted}, got ${range}`);
}

async function check(path: string, { name, sizeBytes, hash }: HubFile): Promise<string> {
  const sha256 = createHash('sha256');
  const hashes: Hash[] = [sha256];
  let wanted = sha256;
  if (hash.kind === 'git') {
    wanted = createHash('sha1').update(`blob ${sizeBytes}\0`);
    hashes.push(wanted);
  }
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
    for (const each of hashes) each.update(chunk as Uint8Array);
  const hex = sha256.digest('hex');
  const got = wanted === sha256 ? hex : wanted.digest('hex');
  if (got === hash.hex) return hex;
  await rm(path);
  throw new TintypeError('bad_checkpoint', {
    what: `${name} is not the file that the hub promised`,
    got: `${hash.kind} hash ${got}`,
    wanted: hash.hex,
    next: 'run the command again; if it happens again, something between here and the hub changes files',
  });
}
