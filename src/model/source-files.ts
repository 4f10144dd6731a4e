/**
 * Which files a model was read from. Hashing gigabytes takes longer than loading what was made of them, so a file whose
 * size and times are those of the last hashing counts as the same (as git does it); else it is hashed again.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256OfFile } from './files.ts';

export const sourceFileSchema = z.object({
  name: z.string(),
  sizeBytes: z.number(),
  /** Of the content and of the entry, which a copied time does not fool; nanoseconds. */
  mtimeNs: z.string(),
  ctimeNs: z.string(),
  sha256: z.string(),
});

export type SourceFile = z.infer<typeof sourceFileSchema>;

/** What a file looks like from outside. */
export type Stamp = Omit<SourceFile, 'sha256'>;

export const stampSchema = sourceFileSchema.omit({ sha256: true });

export async function stampOf(dir: string, name: string): Promise<Stamp> {
  const { size, mtimeNs, ctimeNs } = await stat(join(dir, name), { bigint: true });
  return { name, sizeBytes: Number(size), mtimeNs: String(mtimeNs), ctimeNs: String(ctimeNs) };
}

/** Whether the files are, by their looks, those that were hashed. */
export async function looksSame(
  dir: string,
  names: readonly string[],
  hashed: readonly SourceFile[],
): Promise<boolean> {
  if (String(names) !== String(hashed.map(({ name }) => name))) return false;
  for (const { sha256: _, ...known } of hashed) {
    const stamp = await stampOf(dir, known.name).catch(() => null);
    if (!stamp || JSON.stringify(stamp) !== JSON.stringify(known)) return false;
  }
  return true;
}

/** @param known hashes that were found right just now, by name */
export async function hashFiles(
  dir: string,
  names: readonly string[],
  known: Readonly<Record<string, string>> = {},
): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const name of names) {
    // The stamp comes first: a file that changes while it is hashed does not look the same afterwards.
    const stamp = await stampOf(dir, name);
    files.push({ ...stamp, sha256: known[name] ?? (await sha256OfFile(join(dir, name))) });
  }
  return files;
}
