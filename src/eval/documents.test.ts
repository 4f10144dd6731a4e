import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readInfillRows, sampleDocuments } from './documents.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tintype-eval-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function put(name: string, content: string | Uint8Array): Promise<string> {
  await writeFile(join(dir, name), content);
  return join(dir, name);
}

describe('a sample of documents', () => {
  it('is a shuffle whose start a limit takes', async () => {
    const lines = Array.from({ length: 50 }, (_, i) => JSON.stringify({ text: `text ${i}` }));
    const path = await put('a.jsonl', lines.join('\n'));
    const all = await sampleDocuments(path, { seed: 1 });
    expect(all.available).toBe(50);
    expect(all.texts).not.toEqual(lines.map((line) => JSON.parse(line).text));
    expect(new Set(all.texts).size).toBe(50);
    expect((await sampleDocuments(path, { seed: 1, limit: 7 })).texts).toEqual(all.texts.slice(0, 7));
    expect((await sampleDocuments(path, { seed: 2, limit: 7 })).texts).not.toEqual(all.texts.slice(0, 7));
  });

  it('ends with the document that reaches the bytes', async () => {
    const path = await put(
      'a.jsonl',
      Array.from({ length: 9 }, () => JSON.stringify({ text: 'ä…' })).join('\n'),
    );
    expect((await sampleDocuments(path, { seed: 0, bytes: 11 })).texts).toHaveLength(3);
  });
});

describe('fill-in-the-middle rows', () => {
  const one = { id: 'a', prefix: 'x', suffix: '', middle: 'y', more: 1 };

  it('come from plain and from gzip files', async () => {
    const text = `${JSON.stringify(one)}\n\n${JSON.stringify({ ...one, id: 7 })}\n`;
    const expected = [
      { id: 'a', prefix: 'x', suffix: '', middle: 'y' },
      expect.objectContaining({ id: '7' }),
    ];
    expect(await readInfillRows(await put('a.jsonl', text))).toEqual(expected);
    expect(await readInfillRows(await put('a.jsonl.gz', gzipSync(text)))).toEqual(expected);
  });

  it.each<[string, string | Uint8Array, RegExp]>([
    ['not JSON', `${JSON.stringify(one)}\n{`, /a\.jsonl:2 is not JSON/],
    [
      'no middle',
      '{"id":"a","prefix":"","suffix":""}',
      /a\.jsonl:1 is not a fill-in-the-middle row[^]*middle/,
    ],
    ['an empty middle', '{"id":"a","prefix":"","suffix":"","middle":""}', /middle: a text that is not empty/],
    ['nothing', '\n', /no row/],
    ['Latin-1', Uint8Array.of(0x22, 0xe4, 0x22), /neither UTF-8/],
    ['half of a gzip file', gzipSync('x'.repeat(1000)).subarray(0, 20), /whole gzip/],
  ])('%s is an error that names the place', async (_, content, message) => {
    const reading = readInfillRows(await put('a.jsonl', content));
    await expect(reading).rejects.toMatchObject({
      code: 'bad_data',
      message: expect.stringMatching(message),
    });
  });

  it('a missing file', async () => {
    await expect(readInfillRows(join(dir, 'none.jsonl'))).rejects.toMatchObject({ code: 'not_found' });
  });
});
