/** What a page needs to load a model by itself: which files, how large, and their hashes, by which browsers keep them. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { TintypeError } from '../errors.ts';
import { OPTIONAL_PAGE_FILES, PAGE_FILES } from './page-files.ts';
import type { PageFile, PageFolder } from './page-files.ts';

/** By path; good for as long as the file is the same. */
const known = new Map<string, { stamp: string; file: PageFile }>();

/** Errors: `not_found`. */
async function describe(path: string): Promise<PageFile> {
  try {
    const { mtimeMs, size } = await stat(path);
    const stamp = `${mtimeMs} ${size}`;
    const before = known.get(path);
    if (before?.stamp === stamp) return before.file;
    const sha256 = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    const file = { name: basename(path), sizeBytes: size, sha256 };
    known.set(path, { stamp, file });
    return file;
  } catch (cause) {
    throw new TintypeError('not_found', { what: 'a file of the model is missing', got: path, cause });
  }
}

/** The folder of a bundled model, for a page. Errors: `not_found`. */
export async function pageFolder(dir: string): Promise<PageFolder> {
  const id = basename(resolve(dir));
  const some = OPTIONAL_PAGE_FILES.filter((name) => existsSync(join(dir, name)));
  return { id, files: await Promise.all([...PAGE_FILES, ...some].map((name) => describe(join(dir, name)))) };
}
