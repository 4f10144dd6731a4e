/**
 * Rebuilds the TypeScript corpus from the npm registry: for every package of corpus-packages.json (pinned
 * versions, permissive licences) it downloads the published tarball and keeps the sources that a person wrote.
 *
 *   npx tsx scripts/corpus.ts [--out data/ts.jsonl.gz] [--only name ...]
 *
 * Rows are {pkg, ver, license, path, test, text}. Each package is written to a file of its own first, so a
 * run that was stopped goes on with the next package; the files are joined when all are there. Packages that
 * fail are named at the end and tried again by the next run. The registry is the one that npm is set to.
 */
import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { Command } from 'commander';
import pacote from 'pacote';
import { filterReason } from '../src/train/corpus-filter.ts';
import { readCorpus } from '../src/train/corpus.ts';

interface PinnedPackage {
  name: string;
  version: string;
  license: string;
}

const { out, only } = new Command()
  .option('--out <file>', 'where to write the corpus', 'data/ts.jsonl.gz')
  .option('--only <name...>', 'these packages of the list only')
  .parse()
  .opts<{ out: string; only?: string[] }>();

const pinned = JSON.parse(
  readFileSync(new URL('corpus-packages.json', import.meta.url), 'utf8'),
) as PinnedPackage[];
const unknown = only?.filter((name) => !pinned.some((entry) => entry.name === name)) ?? [];
if (unknown.length > 0) throw new Error(`not in corpus-packages.json: ${unknown.join(', ')}`);
const wanted = pinned.filter(({ name }) => only === undefined || only.includes(name));

const registry = execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim();
const parts = `${out}.parts`;
mkdirSync(parts, { recursive: true });
const partOf = ({ name, version }: PinnedPackage): string =>
  join(parts, `${name.replace('/', '+')}@${version}.jsonl`);

const failed: string[] = [];
for (const [index, entry] of wanted.entries()) {
  const label = `${index + 1}/${wanted.length} ${entry.name}@${entry.version}`;
  if (existsSync(partOf(entry))) {
    console.log(`${label} is there`);
    continue;
  }
  try {
    const { files, bytes, left } = await fetchPackage(entry);
    console.log(`${label}: ${files} files, ${(bytes / 1e3).toFixed(0)} kB; ${left} left out`);
  } catch (error) {
    failed.push(entry.name);
    console.error(`${label} failed: ${(error as Error).message}`);
  }
}
if (failed.length > 0) {
  console.error(`${failed.length} packages failed (${failed.join(', ')}); run again to go on`);
  process.exitCode = 1;
} else {
  await joinParts();
  console.log(`wrote ${out}`);
}

/** Downloads one package (integrity checked by pacote) and writes its rows. */
async function fetchPackage(entry: PinnedPackage): Promise<{ files: number; bytes: number; left: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'tintype-package-'));
  try {
    await pacote.extract(`${entry.name}@${entry.version}`, folder, { registry });
    const rows: string[] = [];
    let [bytes, left] = [0, 0];
    for await (const { path, test, text } of readCorpus([folder])) {
      if (filterReason(text, path) !== null) {
        left++;
        continue;
      }
      bytes += Buffer.byteLength(text);
      const { name, version, license } = entry;
      rows.push(`${JSON.stringify({ pkg: name, ver: version, license, path, test, text })}\n`);
    }
    writeFileSync(`${partOf(entry)}.partial`, rows.join(''));
    renameSync(`${partOf(entry)}.partial`, partOf(entry));
    return { files: rows.length, bytes, left };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function joinParts(): Promise<void> {
  mkdirSync(dirname(out), { recursive: true });
  async function* all(): AsyncGenerator<Buffer> {
    for (const entry of wanted) yield* createReadStream(partOf(entry)) as AsyncIterable<Buffer>;
  }
  await pipeline(all, createGzip(), createWriteStream(`${out}.partial`));
  renameSync(`${out}.partial`, out);
}
