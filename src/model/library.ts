/** The models that are here: pulled ones, and what was converted of any. */
import { existsSync } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { TintypeError } from '../errors.ts';
import { CACHE_FOLDER, cacheRoots, CONVERTED, userCacheFolder } from './cache-folder.ts';
import { familyName, parameterCount } from './config.ts';
import { entriesOf } from './converted.ts';
import { describeCheckpoint } from './hf.ts';
import { REPOSITORY } from './hub-files.ts';
import { folderOf, pulledFolder } from './pull.ts';

export interface LibraryModel {
  /** What --model takes. */
  name: string;
  path: string;
  origin: 'bundled' | 'pulled';
  parameters: number;
  family: string;
  layout: string;
  /** How it is stored: `f32`, `bf16`, `q8_0`, `int8`, … */
  stored: string;
  sizeBytes: number;
  /** Precisions that have been converted, so that loading is quick, and the room they take. */
  converted: { precision: string; sizeBytes: number }[];
  /** Why it cannot be loaded, in place of the facts. */
  fault: string | null;
}

const foldersIn = async (dir: string): Promise<string[]> =>
  (await readdir(dir, { withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .toSorted();

/** @param bundled folders of the models that come with the package */
export async function listModels(bundled: readonly string[]): Promise<LibraryModel[]> {
  const models: LibraryModel[] = [];
  for (const dir of bundled) models.push(...(await modelsIn(dir, 'bundled', dir.split(/[\\/]/).at(-1)!)));
  for (const owner of await foldersIn(pulledFolder())) {
    for (const name of await foldersIn(join(pulledFolder(), owner))) {
      const dir = folderOf(`${owner}/${name}`);
      models.push(...(await modelsIn(dir, 'pulled', `${owner}/${name}`)));
    }
  }
  return models;
}

/** The folder as a model, or its GGUF files as several. */
async function modelsIn(dir: string, origin: LibraryModel['origin'], name: string): Promise<LibraryModel[]> {
  const files = await readdir(dir).catch((): string[] => []);
  const ggufs = files.filter((file) => file.toLowerCase().endsWith('.gguf')).toSorted();
  if (files.includes('config.json') || ggufs.length === 0) return [await describe(dir, dir, origin, name)];
  return Promise.all(ggufs.map((file) => describe(join(dir, file), dir, origin, join(dir, file))));
}

async function describe(
  path: string,
  dir: string,
  origin: LibraryModel['origin'],
  name: string,
): Promise<LibraryModel> {
  const known = { name, path, origin };
  try {
    const { config, precision, dtype, ggufType, weightFiles } = await describeCheckpoint(path, {
      verify: false,
    });
    let sizeBytes = 0;
    for (const file of weightFiles) sizeBytes += (await stat(join(dir, file))).size;
    const entries = await entriesOf(cacheRoots(dir));
    return {
      ...known,
      parameters: parameterCount(config),
      family: familyName(config),
      layout: config.layout,
      stored: (precision === 'f32' ? (ggufType ?? dtype) : precision).toLowerCase(),
      sizeBytes,
      converted: entries
        .filter(({ manifest }) => manifest.source.some((file) => weightFiles.includes(file.name)))
        .map(({ manifest }) => ({ precision: manifest.precision, sizeBytes: manifest.data.sizeBytes })),
      fault: null,
    };
  } catch (error) {
    if (!(error instanceof TintypeError)) throw error;
    const nothing = { parameters: 0, family: '', layout: '', stored: '', sizeBytes: 0, converted: [] };
    return { ...known, ...nothing, fault: error.parts.what };
  }
}

/**
 * Removes converted weights: of one checkpoint, or of all pulled ones and everything in the user's cache folder. They are made
 * again when they are needed. @returns bytes that were freed
 */
export async function clearConverted(checkpoint?: string): Promise<number> {
  const roots: string[] = [];
  if (checkpoint !== undefined) roots.push(...cacheRoots(resolve(checkpoint)));
  else {
    const user = join(userCacheFolder(), CONVERTED);
    roots.push(...(await foldersIn(user)).map((name) => join(user, name)));
    for (const owner of await foldersIn(pulledFolder())) {
      for (const name of await foldersIn(join(pulledFolder(), owner)))
        roots.push(join(pulledFolder(), owner, name, CACHE_FOLDER));
    }
  }
  let freedBytes = 0;
  for (const { manifest } of await entriesOf(roots)) freedBytes += manifest.data.sizeBytes;
  for (const root of roots) await rm(root, { recursive: true, force: true });
  return freedBytes;
}

/** A path as it is, or the folder of a pulled model that is named OWNER/NAME. */
export function modelPath(named: string): string {
  if (existsSync(named) || !REPOSITORY.test(named)) return named;
  const pulled = folderOf(named);
  return existsSync(pulled) ? pulled : named;
}
