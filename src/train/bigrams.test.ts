import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countBigrams } from './bigrams.ts';
import { createShardWriter, openShards } from './shards.ts';

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'tintype-bigrams-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const V = 5;
const documents = fc.array(fc.array(fc.nat(V - 1), { maxLength: 30 }), { minLength: 1, maxLength: 5 });

test('counts are those of a plain look at every place; pairs do not cross documents', () => {
  fc.assert(
    fc.property(documents, fc.integer({ min: 1, max: 4 }), (texts, least) => {
      const writer = createShardWriter(join(dir, 'shards'), {
        tokenizerHash: 'T',
        vocabSize: V,
        split: 'train',
      });
      texts.forEach((ids) => writer.add(ids));
      writer.finish({ sourceHash: 'S', textBytes: 1 });
      const shards = openShards(join(dir, 'shards'));
      // Two rows of the embedding that the tokenizer does not use.
      const { tokens, offsets, next, counts } = countBigrams(shards, { vocabSize: V + 2, least });
      shards.close();
      expect([tokens.length, offsets.length]).toEqual([V + 2, V + 3]);
      for (let a = 0; a < V + 2; a++) {
        expect(tokens[a]).toBe(texts.flat().filter((id) => id === a).length);
        const followers = [...next.subarray(offsets[a], offsets[a + 1])];
        expect(followers).toEqual(followers.toSorted((one, other) => one - other));
        for (let b = 0; b < V + 2; b++) {
          const count = texts.flatMap((ids) => ids.filter((id, i) => id === a && ids[i + 1] === b)).length;
          const at = followers.indexOf(b);
          expect(at === -1 ? 0 : counts[offsets[a] + at]).toBe(count >= least ? count : 0);
        }
      }
    }),
    { numRuns: 40 },
  );
});
