/**
 * More TypeScript for the corpus: files of public repositories (corpus-repositories.json: commits, permissive
 * licences), read from clones that you made.
 *
 *   npx tsx scripts/corpus-repositories.ts --clones DIR [--apart data/ts/heldout.jsonl.gz] [--out data/repositories.jsonl]
 *
 * A clone of owner/name (bare or not) is expected in DIR/owner/name. Rows are {pkg, license, path, test, text}, with
 * pkg the repository. Beside what `tintype corpus` leaves out, these stay away: fixtures, translations, migrations and vendored
 * folders; every second test; comments at the top that state a licence; texts of fewer than 200 characters; near
 * duplicates of each other and of the documents of --apart.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { Command } from 'commander';
import { createDeduplicator } from '../src/train/corpus-dedup.ts';
import { filterReason, LARGEST_BYTES } from '../src/train/corpus-filter.ts';
import { isSourcePath, isTestPath, readCorpus } from '../src/train/corpus.ts';

const SHORTEST_CHARACTERS = 200;
const AWAY =
  /(?:^|\/)(?:node_modules|fixtures?|__fixtures__|__snapshots__|i18n|translations?|lang|migrations|vendor|third_party|dist|codemods?)\//;
const LICENCE_COMMENT =
  /^(?:#![^\n]*\n)?\s*(?:\/\*(?:(?!\*\/)[\s\S])*?(?:copyright|licen[sc]e)(?:(?!\*\/)[\s\S])*?\*\/|(?:\/\/[^\n]*\n)*?\/\/[^\n]*(?:copyright|licen[sc]e)[^\n]*\n(?:\/\/[^\n]*\n)*)\s*/i;

interface Repository {
  name: string;
  commit: string;
  license: string;
}

const { clones, apart, out } = new Command()
  .requiredOption('--clones <dir>', 'where the clones are')
  .option('--apart <file>', 'documents whose near duplicates are left out')
  .option('--out <file>', 'where to write', 'data/repositories.jsonl')
  .parse()
  .opts<{ clones: string; apart?: string; out: string }>();

const repositories = JSON.parse(
  readFileSync(new URL('corpus-repositories.json', import.meta.url), 'utf8'),
) as Repository[];
const missing = repositories.filter(({ name }) => !existsSync(join(clones, name)));
if (missing.length > 0)
  throw new Error(`no clone of ${missing.map(({ name }) => name).join(', ')} in ${clones}`);

const dedup = createDeduplicator();
if (apart !== undefined) for await (const { text } of readCorpus([apart])) dedup.add(text);

const file = createWriteStream(out);
for (const repository of repositories) {
  let [files, bytes] = [0, 0];
  for (const { path, blob, text } of await sources(repository)) {
    const kept = text.replace(LICENCE_COMMENT, '');
    const test = isTestPath(path);
    if (filterReason(text, path) !== null || kept.length < SHORTEST_CHARACTERS) continue;
    if ((test && parseInt(blob.slice(0, 2), 16) % 2 === 1) || dedup.add(kept) !== null) continue;
    const { name: pkg, license } = repository;
    file.write(`${JSON.stringify({ pkg, license, path, test, text: kept })}\n`);
    files++;
    bytes += Buffer.byteLength(kept);
  }
  console.log(`${repository.name}: ${files} files, ${(bytes / 1e6).toFixed(1)} MB`);
}
file.end();
await finished(file);

/** The TypeScript files of a commit, in git's order. */
async function sources({
  name,
  commit,
}: Repository): Promise<{ path: string; blob: string; text: string }[]> {
  const git = ['-C', join(clones, name)];
  const options = { maxBuffer: 2 ** 31 - 1 };
  const tree = execFileSync('git', [...git, 'ls-tree', '-r', '-l', '-z', commit], options).toString();
  const entries = tree.split('\0').flatMap((line) => {
    const [, blob, size, path] = /^\d+ blob (\w+)\s+(\d+)\t(.*)$/s.exec(line) ?? [];
    const wanted =
      path !== undefined && isSourcePath(path) && !AWAY.test(path) && Number(size) < LARGEST_BYTES;
    return wanted ? [{ blob, path, size: Number(size) }] : [];
  });
  const batch = await new Promise<Buffer>((resolve, reject) => {
    const child = execFile(
      'git',
      [...git, 'cat-file', '--batch'],
      { ...options, encoding: 'buffer' },
      (error, stdout) => (error ? reject(error) : resolve(stdout)),
    );
    child.stdin?.end(entries.map(({ blob }) => `${blob}\n`).join(''));
  });
  let at = 0;
  return entries.flatMap(({ blob, path, size }) => {
    const start = batch.indexOf(10, at) + 1; // behind "<blob> blob <size>"
    at = start + size + 1;
    const text = batch.toString('utf8', start, start + size);
    if (text.includes('\0') || text.includes('\uFFFD')) return [];
    return [{ path, blob, text: text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n') }];
  });
}
