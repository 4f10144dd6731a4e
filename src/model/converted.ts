/**
 * Weights as the stepping graphs take them (joined, reordered, quantised), in one file that ONNX Runtime maps. Making it
 * takes one tensor of memory at a time; the next load of the same checkpoint finds it (`cache-folder.ts`). An entry is a
 * folder `PRECISION-KEY` of `weights.bin` and `manifest.json`. The key is a hash of the source files' hashes, the config,
 * the precision, the form and its version; entries appear whole, by a rename, and one whose file looks otherwise than when
 * it was written is read through, and made anew if its bytes have changed.
 */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { TintypeError } from '../errors.ts';
import { contentOf, ELEMENT_BYTES, type Graph, isDeferred } from '../graph/graph.ts';
import type { StoredConstants } from '../graph/session.ts';
import { cacheRoots, makeFolder, removeUnfinished, unfinishedName } from './cache-folder.ts';
import { elementCount, type ModelConfig } from './config.ts';
import { nodeDisk, readTextIfAny } from './files.ts';
import type { Precision } from './quantize.ts';
import {
  hashFiles,
  looksSame,
  type SourceFile,
  sourceFileSchema,
  stampOf,
  stampSchema,
} from './source-files.ts';

/** Raise it when a constant of the stepping graph comes to stand for other numbers. */
export const CONVERTED_VERSION = 1;

const DATA = 'weights.bin';
const MANIFEST = 'manifest.json';
/** The runtime maps whole pages. */
const ALIGNMENT_BYTES = 4096;
const CHECKED_BYTES = 1 << 24;

const manifestSchema = z.object({
  version: z.number(),
  precision: z.string(),
  config: z.string(),
  source: z.array(sourceFileSchema),
  constants: z.array(
    z.object({
      name: z.string(),
      dtype: z.string(),
      shape: z.array(z.number()),
      offset: z.number(),
      byteLength: z.number(),
    }),
  ),
  /** `stamp`: how the file looked when its bytes were last found right. */
  data: z.object({ sizeBytes: z.number(), crc32: z.number(), stamp: stampSchema.optional() }),
});

type Manifest = z.infer<typeof manifestSchema>;

export interface ConvertRequest {
  /** The checkpoint: its folder and the files in it that hold weights. */
  dir: string;
  weightFiles: readonly string[];
  config: ModelConfig;
  precision: Precision;
  /** A stepping graph over the weights; what is deferred in it is what is kept. */
  graph: Graph;
  /** Keeps what was made for the next time (default). */
  keep?: boolean;
  /** Called before the first weight is read; hashes of source files that it found right. */
  verify?: () => Promise<Readonly<Record<string, string>>>;
  onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export interface Converted extends StoredConstants {
  /** Whether it was there already. */
  isCached: boolean;
  /** Removes what is not kept. */
  release: () => Promise<void>;
}

/**
 * Finds or makes the converted weights. Errors: those of reading the weights; `io` where no folder can take them.
 */
export async function convertedWeights(request: ConvertRequest): Promise<Converted> {
  const { dir, weightFiles, precision, keep = true } = request;
  const roots = keep ? cacheRoots(dir) : [];
  const layout = layoutOf(request.graph);
  const facts = {
    version: CONVERTED_VERSION,
    precision,
    config: JSON.stringify(arrangement(request.config)),
  };
  for (const { folder, manifest } of await entriesOf(roots, precision)) {
    if (!isSame(manifest, facts, layout) || !(await looksSame(dir, weightFiles, manifest.source))) continue;
    if (await whole(folder, manifest)) return { ...placesIn(folder, manifest), isCached: true, release };
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
  const source = await hashFiles(dir, weightFiles, await request.verify?.());
  const entry = `${precision}-${keyOf(source, facts, layout)}`;
  for (const { folder, name, manifest } of await entriesOf(roots, precision)) {
    if (name !== entry || !isSame(manifest, facts, layout)) continue;
    const known = await whole(folder, manifest);
    if (!known) continue;
    // The same bytes with other times: copied, or fetched again.
    await writeManifest(folder, { ...known, source }).catch(() => {});
    return { ...placesIn(folder, manifest), isCached: true, release };
  }
  return make(request, roots, entry, { ...facts, source });
}

/** What of a config decides over the numbers; that a token or a layout was named otherwise changes no weight. */
const arrangement = ({
  family,
  modelType,
  heads,
  kvHeads,
  headDim,
  tiedHead,
  gemma,
}: ModelConfig): unknown[] => [
  family ?? modelType,
  heads,
  kvHeads,
  headDim,
  tiedHead,
  ...(gemma ? [gemma] : []),
];

const release = async (): Promise<void> => {};

/** Hashes of a checkpoint's files that need not be computed again, by name. */
export async function knownHashes(dir: string): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  for (const { manifest } of await entriesOf(cacheRoots(dir))) {
    for (const file of manifest.source) {
      if (await looksSame(dir, [file.name], [file])) known.set(file.name, file.sha256);
    }
  }
  return known;
}

type Layout = Manifest['constants'];
type Facts = Pick<Manifest, 'version' | 'precision' | 'config'>;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;

/** Where each deferred constant goes. */
function layoutOf(graph: Graph): Layout {
  let offset = 0;
  return graph.constants
    .filter(({ data }) => isDeferred(data))
    .map(({ value: { name, dtype, shape } }) => {
      const byteLength = elementCount(shape as number[]) * ELEMENT_BYTES[dtype];
      const place = { name, dtype, shape: [...shape] as number[], offset, byteLength };
      offset = aligned(offset + byteLength);
      return place;
    });
}

const keyOf = (source: readonly SourceFile[], facts: Facts, layout: Layout): string =>
  createHash('sha256')
    .update(JSON.stringify([facts, layout, source.map(({ sha256 }) => sha256)]))
    .digest('hex')
    .slice(0, 16);

const isSame = (manifest: Manifest, { version, precision, config }: Facts, layout: Layout): boolean =>
  manifest.version === version &&
  manifest.precision === precision &&
  manifest.config === config &&
  JSON.stringify(manifest.constants) === JSON.stringify(layout);

interface Entry {
  folder: string;
  name: string;
  manifest: Manifest;
}

/** Entries of one precision, or all, whose manifest can be read. */
export async function entriesOf(roots: readonly string[], precision?: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const root of roots) {
    for (const name of await readdir(root).catch(() => [])) {
      if (name.startsWith('.') || (precision !== undefined && !name.startsWith(`${precision}-`))) continue;
      const folder = join(root, name);
      const manifest = await readManifest(folder);
      if (manifest) entries.push({ folder, name, manifest });
    }
  }
  return entries;
}

async function readManifest(folder: string): Promise<Manifest | null> {
  try {
    return manifestSchema.parse(JSON.parse((await readTextIfAny(join(folder, MANIFEST))) ?? ''));
  } catch {
    return null;
  }
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const path = join(folder, MANIFEST);
  const part = `${path}.${process.pid}`;
  await writeFile(part, `${JSON.stringify(manifest)}\n`, { flush: true });
  await rename(part, path);
}

/**
 * The manifest, where every byte is there and unchanged; else null. A file that looks as it did when that was last known is not read: reading all
 * of a large one takes longer than what the runtime does with it.
 */
async function whole(folder: string, manifest: Manifest): Promise<Manifest | null> {
  const stamp = await stampOf(folder, DATA).catch(() => null);
  if (!stamp) return null;
  if (JSON.stringify(stamp) === JSON.stringify(manifest.data.stamp)) return manifest;
  if (!(await hasItsBytes(folder, manifest))) return null;
  const renewed = { ...manifest, data: { ...manifest.data, stamp } };
  await writeManifest(folder, renewed).catch(() => {});
  return renewed;
}

async function hasItsBytes(folder: string, { data }: Manifest): Promise<boolean> {
  const file = await open(join(folder, DATA)).catch(() => null);
  if (!file) return false;
  try {
    if ((await file.stat()).size !== data.sizeBytes) return false;
    const buffer = new Uint8Array(CHECKED_BYTES);
    let check = 0;
    for (let at = 0; at < data.sizeBytes;) {
      const { bytesRead } = await file.read(buffer, 0, CHECKED_BYTES, at);
      if (bytesRead === 0) return false;
      check = crc32(buffer.subarray(0, bytesRead), check);
      at += bytesRead;
    }
    return check === data.crc32;
  } catch {
    return false;
  } finally {
    await file.close();
  }
}

const placesIn = (folder: string, { constants }: Manifest): StoredConstants => ({
  folder,
  places: new Map(
    constants.map(({ name, offset, byteLength }) => [name, { file: DATA, offset, byteLength }]),
  ),
});

async function make(
  request: ConvertRequest,
  roots: readonly string[],
  entry: string,
  facts: Facts & Pick<Manifest, 'source'>,
): Promise<Converted> {
  const { graph, precision, onProgress } = request;
  const constants = layoutOf(graph);
  const last = constants.at(-1);
  const sizeBytes = last ? last.offset + last.byteLength : 0;
  for (const root of roots) await removeUnfinished(root);
  const made = await makeFolder(roots, unfinishedName(entry), sizeBytes);
  if (!made) throw noRoom(roots, sizeBytes);
  const { path, root } = made;
  let manifest: Manifest;
  try {
    const file = await open(join(path, DATA), 'wx');
    try {
      const check = await writeConstants(file, graph, constants, (done) => onProgress?.(done, sizeBytes));
      await file.sync();
      manifest = { ...facts, constants, data: { sizeBytes, crc32: check, stamp: await stampOf(path, DATA) } };
    } finally {
      await file.close();
    }
    if (root === null) return temporary(path, manifest);
    await writeManifest(path, manifest);
  } catch (cause) {
    await rm(path, { recursive: true, force: true }).catch(() => {});
    const { code, message } = cause as NodeJS.ErrnoException;
    if (cause instanceof TintypeError || code === undefined) throw cause;
    throw new TintypeError('io', {
      what: `could not write the converted weights to ${path}`,
      got: code === 'ENOSPC' || code === 'EDQUOT' ? `the disk is full (${code})` : message,
      next: 'make room, or set TINTYPE_CACHE_DIR to a folder on another disk',
      cause,
    });
  }
  const folder = join(root, entry);
  // A broken entry of that name may be in the way, or one that another process made meanwhile; ours is as good.
  await rm(folder, { recursive: true, force: true });
  await rename(path, folder).catch(async (cause) => {
    const other = await readManifest(folder);
    if (!other) throw new TintypeError('io', { what: `could not move ${path} to ${folder}`, cause });
    await rm(path, { recursive: true, force: true });
  });
  // The same model in an older state; other files of one folder may be other models.
  const names = ({ source }: Pick<Manifest, 'source'>): string => source.map(({ name }) => name).join('/');
  for (const { name, folder: old, manifest: other } of await entriesOf([root], precision)) {
    if (name !== entry && names(other) === names(facts))
      await rm(old, { recursive: true, force: true }).catch(() => {});
  }
  return { ...placesIn(folder, manifest), isCached: false, release };
}

/** @returns CRC-32 of what was written */
async function writeConstants(
  file: FileHandle,
  graph: Graph,
  layout: Layout,
  onProgress: (doneBytes: number) => void,
): Promise<number> {
  const deferred = graph.constants.filter(({ data }) => isDeferred(data));
  let [check, at] = [0, 0];
  const write = async (bytes: Uint8Array): Promise<void> => {
    check = crc32(bytes, check);
    await nodeDisk.write(file, bytes);
    at += bytes.length;
  };
  for (const [i, { offset }] of layout.entries()) {
    if (at < offset) await write(new Uint8Array(offset - at));
    const { buffer, byteOffset, byteLength } = contentOf(deferred[i]);
    await write(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength));
    onProgress(at);
  }
  return check;
}

/** Gone when the model is closed, or at the latest with the process. */
function temporary(path: string, manifest: Manifest): Converted {
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  process.once('exit', remove);
  return {
    ...placesIn(path, manifest),
    isCached: false,
    release: async () => {
      process.off('exit', remove);
      remove();
    },
  };
}

const noRoom = (roots: readonly string[], sizeBytes: number): TintypeError =>
  new TintypeError('io', {
    what: 'no folder can take the converted weights',
    got: roots.length > 0 ? `${roots.join(', ')} and the temporary folder are full or read-only` : undefined,
    wanted: `${(sizeBytes / 1e9).toFixed(1)} GB of room`,
    next: 'make room, or set TINTYPE_CACHE_DIR to a folder on another disk',
  });
