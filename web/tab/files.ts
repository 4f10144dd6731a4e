/**
 * Files of models, kept by the browser under their hash: what is there is used only if it has that hash, so a damaged
 * or outdated file is fetched again. Works in a worker and in the page. Without a Cache API (it needs https or this very
 * machine) every visit fetches.
 */
import { TintypeError } from '../../src/errors.ts';
import type { PageFile, PageFolder } from '../../src/model/page-files.ts';

const CACHE = 'tintype-models';

const open = async (): Promise<Cache | null> =>
  'caches' in globalThis ? await caches.open(CACHE).catch(() => null) : null;

/** A name for the cache, which wants addresses. */
const keyOf = ({ sha256 }: PageFile): string => new URL(`/by-hash/${sha256}`, location.origin).href;

/** Errors: `io` where nobody answers. */
async function get(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (cause) {
    throw unreachable(url, String(cause));
  }
  if (!response.ok) throw unreachable(url, `status ${response.status}`);
  return response;
}

const unreachable = (url: string, got: string): TintypeError =>
  new TintypeError('io', {
    what: 'a file of the model cannot be fetched',
    got: `${new URL(url).pathname}: ${got}`,
    next: 'look whether the server is there, and try again',
  });

/** What there is to load. Errors: `io`. */
export async function listFolders(base: string): Promise<PageFolder[]> {
  const response = await get(new URL('page/models/index.json', base).href, { cache: 'no-cache' });
  return (await response.json()) as PageFolder[];
}

/** SHA-256 in hexadecimal; null where the browser does not compute it (plain http from another machine). */
async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string | null> {
  if (!('subtle' in crypto)) return null;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const isRight = async (bytes: Uint8Array<ArrayBuffer>, { sizeBytes, sha256 }: PageFile): Promise<boolean> =>
  bytes.length === sizeBytes && [sha256, null].includes(await hashOf(bytes));

/** A file, from the browser's store or the network. Errors: `io`, `bad_checkpoint` where what arrives is another. */
export async function readFile(
  base: string,
  id: string,
  file: PageFile,
  onProgress: (doneBytes: number) => void = () => {},
): Promise<Uint8Array<ArrayBuffer>> {
  const cache = await open();
  const stored = await cache?.match(keyOf(file));
  if (stored) {
    const bytes = new Uint8Array(await stored.arrayBuffer());
    if (await isRight(bytes, file)) return bytes;
    await cache!.delete(keyOf(file));
  }
  const url = new URL(`page/models/${id}/${file.name}?sha256=${file.sha256}`, base).href;
  // The browser's other cache would keep the same bytes once more.
  const bytes = await collect(await get(url, { cache: 'no-store' }), file, onProgress);
  if (!(await isRight(bytes, file))) {
    throw new TintypeError('bad_checkpoint', {
      what: `${id}/${file.name} arrived damaged, or it was changed a moment ago`,
      got: `${bytes.length} bytes with the hash ${await hashOf(bytes)}`,
      wanted: `${file.sizeBytes} bytes with the hash ${file.sha256}`,
      next: 'load the page again',
    });
  }
  // A full store is no reason to stop.
  await cache?.put(keyOf(file), new Response(bytes)).catch(() => {});
  return bytes;
}

async function collect(
  response: Response,
  { sizeBytes }: PageFile,
  onProgress: (doneBytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let done = 0;
  for await (const part of response.body!) {
    parts.push(part);
    done += part.length;
    onProgress(Math.min(done, sizeBytes));
  }
  const bytes = new Uint8Array(done);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** How much of these folders the browser keeps. */
export async function storedBytes(folders: readonly PageFolder[]): Promise<number> {
  const cache = await open();
  const kept = new Set((await cache?.keys())?.map(({ url }) => url));
  const files = new Map(folders.flatMap(({ files }) => files.map((file) => [keyOf(file), file])));
  return [...files].reduce((sum, [key, { sizeBytes }]) => sum + (kept.has(key) ? sizeBytes : 0), 0);
}

/** Throws away what the browser keeps of others than these folders: earlier versions of them. */
export async function forgetOthers(folders: readonly PageFolder[]): Promise<void> {
  const cache = await open();
  const wanted = new Set(folders.flatMap(({ files }) => files.map(keyOf)));
  for (const request of (await cache?.keys()) ?? []) {
    if (!wanted.has(request.url)) await cache!.delete(request);
  }
}

export async function forgetAll(): Promise<void> {
  if ('caches' in globalThis) await caches.delete(CACHE);
}
