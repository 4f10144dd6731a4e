import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createShardWriter, openShards } from './shards.ts';

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'tintype-shards-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const write = (name: string, documents: number[][], vocabSize = 100): string => {
  const path = join(dir, name);
  const writer = createShardWriter(path, { tokenizerHash: 'T', vocabSize, split: 'train' });
  documents.forEach((ids) => writer.add(ids));
  writer.finish({ sourceHash: 'S', textBytes: 7 });
  return path;
};

test.each([
  ['uint16', 65536, [1, 2, 65535]],
  ['uint32', 65537, [1, 2, 65536]],
])('documents come back as %s', (_, vocabSize, ids) => {
  const shards = openShards(write('a', [ids, [], [5]], vocabSize), { tokenizerHash: 'T' });
  expect(shards.meta).toMatchObject({
    documents: 3,
    tokens: 4,
    textBytes: 7,
    sourceHash: 'S',
    split: 'train',
  });
  expect([0, 1, 2].map((i) => Array.from(shards.document(i)))).toEqual([ids, [], [5]]);
  expect([0, 1, 2].map((i) => shards.length(i))).toEqual([3, 0, 1]);
  shards.close();
});

test('the folder appears only when it is complete, and replaces an older one', () => {
  const path = write('a', [[1]]);
  const writer = createShardWriter(path, { tokenizerHash: 'T', vocabSize: 100, split: 'train' });
  writer.add([2, 3]);
  expect(Array.from(openShards(path).document(0))).toEqual([1]);
  writer.finish({ sourceHash: 'S', textBytes: 0 });
  expect(Array.from(openShards(path).document(0))).toEqual([2, 3]);
  const aborted = createShardWriter(join(dir, 'b'), { tokenizerHash: 'T', vocabSize: 100, split: 'train' });
  aborted.abort();
  expect(existsSync(join(dir, 'b')) || existsSync(join(dir, 'b.partial'))).toBe(false);
});

test('what does not fit together is refused with a reason', () => {
  const path = write('a', [[1, 2], [3]]);
  expect(() => openShards(path, { tokenizerHash: 'other' })).toThrow(/another tokenizer/);
  expect(() => openShards(join(dir, 'missing'))).toThrow(/No tokenised shards/);
  truncateSync(join(path, 'tokens.bin'), 5);
  expect(() => openShards(path)).toThrow(/5 bytes/);
  const offsets = join(write('b', [[1, 2], [3]]), 'documents.bin');
  const bytes = readFileSync(offsets);
  bytes.writeBigUInt64LE(9n, 8);
  writeFileSync(offsets, bytes);
  expect(() => openShards(join(dir, 'b'))).toThrow(/offsets/);
  const meta = join(write('c', [[1]]), 'meta.json');
  writeFileSync(meta, readFileSync(meta, 'utf8').replace('"split"', '"spilt"'));
  expect(() => openShards(join(dir, 'c'))).toThrow(/spilt/);
});
