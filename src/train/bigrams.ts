/** Counts which token follows which in a corpus, for the model that writes it (`model/bigrams.ts`). */
import { join } from 'node:path';
import { BIGRAMS, bigramChunks, type BigramCounts } from '../model/bigrams.ts';
import { commitFiles } from '../model/files.ts';
import { describeCheckpoint } from '../model/hf.ts';
import { wantTokenizer } from '../model/folder-texts.ts';
import { tokenizerHash } from '../text/load.ts';
import { openShards } from './shards.ts';
import type { TokenShards } from './shards.ts';

type Progress = (doneTokens: number, totalTokens: number) => void;

/** @param options `least`: pairs that occur less often are left out */
export function countBigrams(
  shards: TokenShards,
  { vocabSize: V, least }: { vocabSize: number; least: number },
  onProgress: Progress = () => {},
): BigramCounts {
  const { documents, meta } = shards;
  const tokens = new Uint32Array(V);
  const pairs = new Map<number, number>();
  let done = 0;
  for (let n = 0; n < documents; n++) {
    const ids = shards.document(n);
    for (let at = 0; at < ids.length; at++) {
      tokens[ids[at]]++;
      if (at === 0) continue;
      const pair = ids[at - 1] * V + ids[at];
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    onProgress((done += ids.length), meta.tokens);
  }
  const kept = [...pairs].filter(([, count]) => count >= least).toSorted(([a], [b]) => a - b);
  const offsets = new Uint32Array(V + 1);
  for (const [pair] of kept) offsets[Math.floor(pair / V) + 1]++;
  for (let id = 0; id < V; id++) offsets[id + 1] += offsets[id];
  return {
    tokens,
    offsets,
    next: Uint32Array.from(kept, ([pair]) => pair % V),
    counts: Uint32Array.from(kept, ([, count]) => count),
  };
}

export interface BigramSummary {
  path: string;
  tokens: number;
  pairs: number;
  sizeBytes: number;
}

/** Writes them into a model folder. Errors: those of `describeCheckpoint` and `openShards`, `bad_tokenizer`, `io`. */
export async function writeBigrams(
  { shards: dir, model, least }: { shards: string; model: string; least: number },
  onProgress?: Progress,
): Promise<BigramSummary> {
  const description = await describeCheckpoint(model);
  const { vocabSize } = description.config;
  const shards = openShards(dir, { tokenizerHash: tokenizerHash(wantTokenizer(description)) });
  try {
    const counts = countBigrams(shards, { vocabSize, least }, onProgress);
    const chunks = [...bigramChunks(counts)];
    await commitFiles(model, [[BIGRAMS, chunks]]);
    return {
      path: join(model, BIGRAMS),
      tokens: shards.meta.tokens,
      pairs: counts.next.length,
      sizeBytes: chunks.reduce((sum, { length }) => sum + length, 0),
    };
  } finally {
    shards.close();
  }
}
