/**
 * Files of a model folder: positional reads of safetensors, hashes, and a transaction over several files.
 *
 * The transaction keeps a folder loadable whenever the program may die. New files are written and synced into
 * `.incoming`; renaming that to `.committed` is the one moment at which they become the truth; then each is
 * moved into place. Whoever opens the folder next finishes the moves (`settle`), or, before that moment, finds the old
 * files untouched. Files that are not part of the transaction (a model card, a run log) stay where they are.
 */
import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TintypeError } from '../errors.ts';
import {
  DTYPE_BYTES,
  type FloatDtype,
  floatsFromBytes,
  headerByteLength,
  isFloatDtype,
  LENGTH_BYTES,
  parseHeader,
  type SafetensorsHeader,
  type TensorEntry,
  widenInto,
} from './safetensors.ts';

export interface SafetensorsFile {
  path: string;
  sizeBytes: number;
  header: SafetensorsHeader;
  /** A tensor as stored. */
  read(entry: TensorEntry): Promise<Uint8Array>;
  /** A tensor as numbers; `unsupported` unless it is F32, F16 or BF16. */
  readFloats(entry: TensorEntry): Promise<Float32Array>;
  /** The same, at once. */
  readSync(entry: TensorEntry): Uint8Array;
  readFloatsSync(entry: TensorEntry): Float32Array;
  /** Fills `into` with numbers of a tensor, from that element on. */
  readFloatsInto(into: Float32Array, entry: TensorEntry, from: number): void;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file and checks its header; tensors are read one by one. Whoever saved it may have died, so the
 * folder is settled first. Errors: `bad_checkpoint`, `not_found`, `io`.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  await settle(dirname(path));
  const file = await open(path).catch((cause) => {
    throw unreadable(path, cause);
  });
  try {
    const { size } = await file.stat();
    const first = await readAt(file, 0, Math.min(LENGTH_BYTES, size), path);
    const headerBytes = headerByteLength(first, size, path);
    const dataStart = LENGTH_BYTES + headerBytes;
    const header = parseHeader(await readAt(file, LENGTH_BYTES, headerBytes, path), size - dataStart, path);
    const read = (entry: TensorEntry): Promise<Uint8Array> =>
      readAt(file, dataStart + entry.begin, entry.end - entry.begin, path);
    let scratch = new Uint8Array(0);
    const readFloatsInto = (into: Float32Array, entry: TensorEntry, from: number): void => {
      const dtype = floatDtype(entry, path);
      const width = DTYPE_BYTES[dtype];
      if (scratch.length === 0) scratch = new Uint8Array(4 * PART_ELEMENTS);
      for (let at = 0; at < into.length; at += PART_ELEMENTS) {
        const part = into.subarray(at, at + PART_ELEMENTS);
        const bytes = scratch.subarray(0, part.length * width);
        readAtSync(file.fd, bytes, dataStart + entry.begin + (from + at) * width, path);
        widenInto(part, dtype, bytes);
      }
    };
    return {
      path,
      sizeBytes: size,
      header,
      read,
      readFloats: async (entry) => floatsFromBytes(floatDtype(entry, path), await read(entry)),
      readSync: (entry) => {
        const bytes = new Uint8Array(entry.end - entry.begin);
        readAtSync(file.fd, bytes, dataStart + entry.begin, path);
        return bytes;
      },
      readFloatsSync: (entry) => {
        const floats = new Float32Array((entry.end - entry.begin) / DTYPE_BYTES[entry.dtype]);
        readFloatsInto(floats, entry, 0);
        return floats;
      },
      readFloatsInto,
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function floatDtype({ name, dtype }: TensorEntry, path: string): FloatDtype {
  if (isFloatDtype(dtype)) return dtype;
  throw new TintypeError('unsupported', {
    what: `${path} stores ${name} in a dtype that is not read as weights`,
    got: dtype,
    wanted: 'F32, F16 or BF16',
    next: 'convert the checkpoint',
  });
}

/** Numbers that are converted at a time. */
const PART_ELEMENTS = 1 << 18;

/** One read() returns at most 2 GiB, and a large embedding has more. */
const READ_LIMIT_BYTES = 1 << 30;

async function readAt(file: FileHandle, from: number, length: number, path: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const wanted = Math.min(length - done, READ_LIMIT_BYTES);
    const { bytesRead } = await file.read(bytes, done, wanted, from + done).catch((cause) => {
      throw unreadable(path, cause);
    });
    if (bytesRead === 0) throw new TintypeError('io', { what: `${path} ended while it was being read` });
    done += bytesRead;
  }
  return bytes;
}

function readAtSync(fd: number, into: Uint8Array, from: number, path: string): void {
  for (let done = 0; done < into.length;) {
    const wanted = Math.min(into.length - done, READ_LIMIT_BYTES);
    let bytesRead: number;
    try {
      bytesRead = readSync(fd, into, done, wanted, from + done);
    } catch (cause) {
      throw unreadable(path, cause);
    }
    if (bytesRead === 0) throw new TintypeError('io', { what: `${path} ended while it was being read` });
    done += bytesRead;
  }
}

function unreadable(path: string, cause: unknown): TintypeError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new TintypeError('not_found', { what: `there is no ${path}`, cause });
  return new TintypeError('io', { what: `cannot read ${path}`, got: message, cause });
}

/** A whole file, or null where there is none. Errors: `io`. */
export async function readIfAny(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch (cause) {
    const error = unreadable(path, cause);
    if (error.code === 'not_found') return null;
    throw error;
  }
}

/** A text file, or null where there is none. Errors: `bad_checkpoint` on invalid UTF-8, `io`. */
export async function readTextIfAny(path: string): Promise<string | null> {
  const bytes = await readIfAny(path);
  if (bytes === null) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new TintypeError('bad_checkpoint', { what: `${path} is not UTF-8 text`, cause });
  }
}

/** SHA-256 of a file, in hexadecimal. */
export async function sha256OfFile(path: string): Promise<string> {
  const file = await open(path).catch((cause) => {
    throw unreadable(path, cause);
  });
  const hash = createHash('sha256');
  for await (const chunk of file.createReadStream({ highWaterMark: 1 << 20 }))
    hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

/** Hashes of a folder's files in the format of `sha256sum`, so that `sha256sum -c SHA256SUMS` checks them too. */
export const HASH_FILE = 'SHA256SUMS';

export async function readHashes(dir: string): Promise<Map<string, string>> {
  const text = (await readTextIfAny(join(dir, HASH_FILE))) ?? '';
  const hashes = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') continue;
    const match = /^([0-9a-f]{64}) [ *](.+)$/.exec(line);
    if (!match) {
      throw new TintypeError('bad_checkpoint', {
        what: `${join(dir, HASH_FILE)} has a line that is not a hash`,
        got: line.slice(0, 100),
        wanted: 'lines of 64 hexadecimal digits, two spaces and a file name',
        next: `write it again with: sha256sum * > ${HASH_FILE}`,
      });
    }
    hashes.set(match[2], match[1]);
  }
  return hashes;
}

/** Compares files with the recorded hashes; those without a record pass. Errors: `bad_checkpoint`. */
export async function verifyHashes(dir: string, names: readonly string[]): Promise<Record<string, string>> {
  const recorded = await readHashes(dir);
  const verified: Record<string, string> = {};
  for (const name of names) {
    const wanted = recorded.get(name);
    if (wanted === undefined) continue;
    const got = await sha256OfFile(join(dir, name));
    if (got !== wanted) {
      throw new TintypeError('bad_checkpoint', {
        what: `${join(dir, name)} is not the file that was saved: its hash is wrong`,
        got: `sha256 ${got}`,
        wanted: `sha256 ${wanted}, from ${HASH_FILE}`,
        next: `fetch the file again, or, if it was changed on purpose, renew its line in ${HASH_FILE}`,
      });
    }
    verified[name] = got;
  }
  return verified;
}

/** The steps of a transaction that touch the disk; tests put a full or dying one in its place. */
export interface Disk {
  write(file: FileHandle, bytes: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

export const nodeDisk: Disk = {
  async write(file, bytes) {
    for (let done = 0; done < bytes.length;) {
      done += (await file.write(bytes, done, Math.min(bytes.length - done, READ_LIMIT_BYTES))).bytesWritten;
    }
  },
  rename,
};

const INCOMING = '.incoming';
const COMMITTED = '.committed';

/**
 * Replaces or adds these files of `dir`, all or none, and records their hashes. Contents are produced chunk by
 * chunk. When it fails (`io`) or dies, the previous files are still there.
 */
export async function commitFiles(
  dir: string,
  files: Iterable<readonly [name: string, chunks: Iterable<Uint8Array>]>,
  disk: Disk = nodeDisk,
): Promise<void> {
  const incoming = join(dir, INCOMING);
  try {
    await mkdir(dir, { recursive: true });
    await settle(dir);
    await rm(incoming, { recursive: true, force: true });
    await mkdir(incoming);
    const hashes = await readHashes(dir);
    for (const [name, chunks] of files)
      hashes.set(name, await writeSynced(join(incoming, name), chunks, disk));
    const lines = [...hashes.keys()].toSorted().map((name) => `${hashes.get(name)}  ${name}\n`);
    await writeSynced(join(incoming, HASH_FILE), [Buffer.from(lines.join(''))], disk);
    await syncFolder(incoming);
    await disk.rename(incoming, join(dir, COMMITTED));
  } catch (cause) {
    await rm(incoming, { recursive: true, force: true }).catch(() => {});
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof TintypeError || code === undefined) throw cause;
    const full = code === 'ENOSPC' || code === 'EDQUOT';
    throw new TintypeError('io', {
      what: `could not save to ${dir}; what was there before is untouched`,
      got: full ? `the disk is full (${code})` : message,
      next: full ? 'make room, or save elsewhere' : 'check that the folder can be written',
      cause,
    });
  }
  await syncFolder(dir);
  await settle(dir, disk);
}

/**
 * Finishes the moves of a transaction that died after its commit; nothing to do is the usual case. Two processes
 * may do it at once: what one has moved, the other does not find. Errors: `io`.
 */
export async function settle(dir: string, disk: Disk = nodeDisk): Promise<void> {
  const committed = join(dir, COMMITTED);
  try {
    const names = await readdir(committed);
    for (const name of names) await disk.rename(join(committed, name), join(dir, name));
    await syncFolder(dir);
    await rmdir(committed);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return;
    throw new TintypeError('io', {
      what: `${dir} holds a saved state that could not be moved into place`,
      got: message,
      next: `check that the folder can be written, or move the files of ${committed} one level up`,
      cause,
    });
  }
}

/** Writes a new file through to the disk and returns its SHA-256. */
async function writeSynced(path: string, chunks: Iterable<Uint8Array>, disk: Disk): Promise<string> {
  const hash = createHash('sha256');
  const file = await open(path, 'wx');
  try {
    for (const chunk of chunks) {
      hash.update(chunk);
      await disk.write(file, chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** A rename lasts once its folder is synced; systems that cannot sync a folder (Windows) do it themselves. */
async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir).catch(() => null);
  if (!folder) return;
  try {
    await folder.sync();
  } catch (error) {
    if (!['EPERM', 'EINVAL', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    await folder.close();
  }
}
