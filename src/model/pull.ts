/**
 * A model from the hub into a folder. Files are collected in `.pull` beside their place, each checked against its hash; when
 * all are there they are moved at once (`settle`), with their hashes in SHA256SUMS. A pull that was stopped goes on where it
 * was, if the revision still stands for the same commit.
 */
import { mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TintypeError } from '../errors.ts';
import { userCacheFolder } from './cache-folder.ts';
import { download, HttpError } from './download.ts';
import { detectFamily, type Json, unwrapped } from './family.ts';
import { HASH_FILE, readHashes, readTextIfAny, settle, sha256OfFile } from './files.ts';
import {
  findModel,
  holdTokenizer,
  type Hub,
  hubError,
  type HubFile,
  type HubModel,
  hubOf,
} from './hub-files.ts';

const PULL = '.pull';
const COMMITTED = '.committed';
/** In `.pull`: which commit its files are of. */
const COMMIT = '.commit';

/** Where pulled models are kept unless a folder is named. */
export const pulledFolder = (): string => join(userCacheFolder(), 'models');

export const folderOf = (repository: string): string => join(pulledFolder(), ...repository.split('/'));

export interface PullOptions {
  revision?: string | undefined;
  /** One GGUF file instead of safetensors. */
  file?: string | undefined;
  /** The tokenizer and nothing else. */
  tokenizerOnly?: boolean | undefined;
  dir?: string | undefined;
  hub?: Hub | undefined;
  signal?: AbortSignal | undefined;
  /** Bytes that are here, of all. */
  onProgress?: ((doneBytes: number, totalBytes: number, name: string) => void) | undefined;
  pauseMs?: ((failures: number) => number) | undefined;
}

export interface Pulled {
  dir: string;
  commit: string;
  files: { name: string; sizeBytes: number; sha256: string; isNew: boolean }[];
}

/**
 * Where a family's repositories hold no tokenizer, that of the repository which the family names comes too.
 * Errors: those of `findModel` and `download`; `io` where there is no room.
 */
export async function pullModel(repository: string, options: PullOptions = {}): Promise<Pulled> {
  const { revision = 'main', file, tokenizerOnly, hub = hubOf(), signal, onProgress, pauseMs } = options;
  const dir = options.dir ?? folderOf(repository);
  const model = await findModel(repository, { revision, file, tokenizerOnly, hub });
  const incoming = join(dir, PULL);
  try {
    await mkdir(dir, { recursive: true });
    await settle(dir);
    if ((await readTextIfAny(join(incoming, COMMIT))) !== model.commit)
      await rm(incoming, { recursive: true, force: true });
    await mkdir(incoming, { recursive: true });
    await writeFile(join(incoming, COMMIT), model.commit);
    const fetched = (each: HubFile, onBytes?: (bytes: number) => void): Promise<string> =>
      download({
        url: each.url,
        headers: hub.token ? { authorization: `Bearer ${hub.token}` } : {},
        path: join(incoming, each.name),
        file: each,
        signal,
        onProgress: onBytes,
        pauseMs,
      });
    const config = model.files.find(({ name }) => name === 'config.json');
    if (config && !holdTokenizer(model.files.map(({ name }) => name))) {
      await fetched(config);
      const from = tokenizerFrom(await readFile(join(incoming, config.name), 'utf8'));
      if (from !== null) model.files.push(...(await findModel(from, { tokenizerOnly: true, hub })).files);
    }
    await wantRoom(dir, model);
    const total = model.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const recorded = await readHashes(dir);
    const files: Pulled['files'] = [];
    let before = 0;
    for (const each of model.files) {
      const { name, sizeBytes } = each;
      const here = await isHere(dir, each, recorded);
      const sha256 = here ?? (await fetched(each, (bytes) => onProgress?.(before + bytes, total, name)));
      before += sizeBytes;
      onProgress?.(before, total, name);
      files.push({ name, sizeBytes, sha256, isNew: here === null });
    }
    await finish(dir, recorded, files);
    return { dir, commit: model.commit, files };
  } catch (cause) {
    throw explained(cause, { repository, revision, hub, dir });
  }
}

/** The repository that the family of a config.json names for its tokenizer; null also where the family is unknown. */
function tokenizerFrom(config: string): string | null {
  try {
    return detectFamily(unwrapped(JSON.parse(config) as Json), 'config.json').tokenizerFrom ?? null;
  } catch (error) {
    if (error instanceof TintypeError || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** The hash of a file that is there already and is the promised one; null: fetch it. */
async function isHere(
  dir: string,
  { name, sizeBytes, hash }: HubFile,
  recorded: ReadonlyMap<string, string>,
): Promise<string | null> {
  const known = recorded.get(name);
  if (hash.kind !== 'sha256' || known !== hash.hex) return null;
  const found = await stat(join(dir, name)).catch(() => null);
  if (found?.size !== sizeBytes) return null;
  return (await sha256OfFile(join(dir, name))) === known ? known : null;
}

/** Moves what is new into place, all of it or nothing. */
async function finish(
  dir: string,
  recorded: ReadonlyMap<string, string>,
  files: Pulled['files'],
): Promise<void> {
  const incoming = join(dir, PULL);
  const hashes = new Map(recorded);
  for (const { name, sha256 } of files) hashes.set(name, sha256);
  const wanted = new Set(files.filter(({ isNew }) => isNew).map(({ name }) => name));
  for (const name of await readdir(incoming)) if (!wanted.has(name)) await rm(join(incoming, name));
  const lines = [...hashes.keys()].toSorted().map((name) => `${hashes.get(name)}  ${name}\n`);
  await writeFile(join(incoming, HASH_FILE), lines.join(''), { flush: true });
  await rename(incoming, join(dir, COMMITTED));
  await settle(dir);
}

async function wantRoom(dir: string, { files }: HubModel): Promise<void> {
  let missing = 0;
  for (const { name, sizeBytes } of files) {
    const part = await stat(join(dir, PULL, name)).catch(() => null);
    missing += sizeBytes - (part?.size ?? 0);
  }
  const { bavail, bsize } = await statfs(dir);
  if (missing <= bavail * bsize) return;
  throw new TintypeError('io', {
    what: `the disk of ${dir} has no room for the model`,
    got: `${((bavail * bsize) / 1e9).toFixed(1)} GB free`,
    wanted: `${(missing / 1e9).toFixed(1)} GB`,
    next: 'make room, or name a folder on another disk with --dir',
  });
}

function explained(
  cause: unknown,
  { repository, revision, hub, dir }: { repository: string; revision: string; hub: Hub; dir: string },
): unknown {
  if (cause instanceof HttpError) {
    const { status } = cause;
    const refused = status === 401 || status === 403 || status === 404;
    if (!refused) return hubError(cause, { repository, revision, hub });
    return new TintypeError(status === 404 ? 'not_found' : 'not_allowed', {
      what: `${hub.url} lists a file of ${repository} and does not give it`,
      got: `status ${status}`,
      next: `accept the terms at ${hub.url}/${repository} and set HF_TOKEN to a token that may read it`,
      cause,
    });
  }
  const { code, message, name } = cause as NodeJS.ErrnoException;
  if (name === 'AbortError') return new TintypeError('aborted', { what: 'stopped', cause });
  if (cause instanceof TintypeError || typeof code !== 'string' || !/^E[A-Z]+$/.test(code)) return cause;
  return new TintypeError('io', {
    what: `could not write to ${dir}`,
    got: code === 'ENOSPC' ? 'the disk is full' : message,
    next: `check that ${dirname(dir)} can be written, or name another folder with --dir`,
    cause,
  });
}
