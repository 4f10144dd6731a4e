/** Where converted weights are kept: beside their checkpoint, or in the user's cache folder where that is read-only. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

/** Name of the folder beside a checkpoint. */
export const CACHE_FOLDER = '.tintype-cache';

type Environment = Readonly<Record<string, string | undefined>>;

/** `TINTYPE_CACHE_DIR`, or `tintype` in the place that the system has for caches. */
export function userCacheFolder(env: Environment = process.env, platform = process.platform): string {
  if (env['TINTYPE_CACHE_DIR']) return resolve(env['TINTYPE_CACHE_DIR']);
  if (env['XDG_CACHE_HOME']) return join(env['XDG_CACHE_HOME'], 'tintype');
  if (platform === 'win32' && env['LOCALAPPDATA']) return join(env['LOCALAPPDATA'], 'tintype', 'Cache');
  return join(homedir(), platform === 'darwin' ? 'Library/Caches' : '.cache', 'tintype');
}

/** Folder of converted weights in the user's cache folder, by checkpoint. */
export const CONVERTED = 'converted';

/** Where the converted weights of a checkpoint may be, the first that can be written being where they go. */
export function cacheRoots(checkpoint: string): string[] {
  const path = resolve(checkpoint);
  const id = createHash('sha256').update(path).digest('hex').slice(0, 8);
  return [join(path, CACHE_FOLDER), join(userCacheFolder(), CONVERTED, `${basename(path)}-${id}`)];
}

/** A new folder in the first of these that can be made and has room, else in the system's temporary folder; null: nowhere. */
export async function makeFolder(
  roots: readonly string[],
  name: string,
  wantedBytes: number,
): Promise<{ path: string; root: string | null } | null> {
  for (const root of roots) {
    const path = join(root, name);
    try {
      await mkdir(root, { recursive: true });
      if ((await freeBytes(root)) < wantedBytes) continue;
      await mkdir(path);
      return { path, root };
    } catch {
      // Read-only, or not ours: the next.
    }
  }
  try {
    if ((await freeBytes(tmpdir())) < wantedBytes) return null;
    return { path: await mkdtemp(join(tmpdir(), 'tintype-')), root: null };
  } catch {
    return null;
  }
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** What died while it wrote; the number of the process stands in the name. */
export const unfinishedName = (entry: string): string => `.${entry}.${process.pid}.tmp`;

export async function removeUnfinished(root: string): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) {
    const pid = Number(/^\..+\.(\d+)\.tmp$/.exec(name)?.[1]);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    await rm(join(root, name), { recursive: true, force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
