/**
 * Rows of packed documents for the trainer.
 *
 * Documents come in a shuffled order, a new one each epoch. Several lanes read at once, each its own
 * document from start to end, and rows take turns among the lanes: so neighbouring rows come from different
 * documents, while a long document still fills whole rows with contiguous text. A row is filled piece by
 * piece; a piece is as much of the document as fits. With probability `fimRate` a piece goes through the
 * fill-in-the-middle transform; otherwise it is plain, and eos follows where the document ends.
 */
import { z } from 'zod';
import { TintypeError } from '../errors.ts';
import { createRng, restoreRng, shuffle } from '../rng.ts';
import type { Rng } from '../rng.ts';
import { fimIds, isContinuation } from '../text/fim.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { BatchSource, TokenBatch } from './batch.ts';
import { FIM_EXTRA_TOKENS, fimTransform } from './fim.ts';
import type { TokenShards } from './shards.ts';

export interface TextSourceOptions {
  tokenizer: Tokenizer;
  seed: number;
  /** Probability that a piece is made into a fill-in-the-middle task. */
  fimRate?: number;
  /** Share of those in the suffix–prefix–middle format. */
  spmRate?: number;
  /** Documents read side by side. */
  lanes?: number;
}

/** Pieces below this many tokens stay plain, and a row's last few places stay padding rather than a crumb. */
const SMALLEST_FIM_TOKENS = 24;
const SMALLEST_PIECE_TOKENS = 4;

const stateSchema = z.strictObject({
  sourceHash: z.string(),
  seed: z.number(),
  epoch: z.int(),
  /** Next document in the epoch's order. */
  position: z.int(),
  /** Document and token where each lane goes on; null before its first document. */
  lanes: z.array(z.tuple([z.int(), z.int()]).nullable()),
  nextLane: z.int(),
  rng: z.tuple([z.int(), z.int(), z.int(), z.int()]),
  tokensRead: z.int(),
});

/**
 * An endless stream of packed rows.
 * @throws bad_data if the shards hold no tokens or a saved state belongs to other data; bad_tokenizer if the
 *   tokenizer lacks eos, pad or the sentinels
 */
export function createTextSource(shards: TokenShards, options: TextSourceOptions): BatchSource {
  const { tokenizer, seed, fimRate = 0.5, spmRate = 0.5, lanes: laneCount = 32 } = options;
  if (shards.meta.tokens === 0) throw new TintypeError('bad_data', { what: 'These shards hold no tokens' });
  const sentinels = fimIds(tokenizer);
  const pad = tokenizer.special('<|pad|>') ?? sentinels.eos;
  const cutsCharacter = Uint8Array.from({ length: tokenizer.vocabSize }, (_, id) =>
    Number(isContinuation(tokenizer, id)),
  );

  let epoch = 0;
  let position = 0;
  let order = epochOrder(shards.documents, seed, epoch);
  let lanes: ([document: number, offset: number] | null)[] = Array.from({ length: laneCount }, () => null);
  let nextLane = 0;
  let rng: Rng = createRng(seed, 'packing');
  let tokensRead = 0;

  const nextDocument = (): number => {
    for (;;) {
      if (position === order.length) {
        position = 0;
        order = epochOrder(shards.documents, seed, ++epoch);
      }
      const document = order[position++];
      if (shards.length(document) > 0) return document;
    }
  };

  /** The next piece of a lane, at most `room` tokens. */
  const takePiece = (lane: number, room: number): ArrayLike<number> => {
    const place = (lanes[lane] ??= [nextDocument(), 0]);
    const document = shards.document(place[0]);
    const rest = document.subarray(place[1]);
    const advance = (count: number): void => {
      tokensRead += count;
      if (count === rest.length) lanes[lane] = null;
      else place[1] += count;
    };
    if (rng.next() < fimRate && Math.min(rest.length, room) >= SMALLEST_FIM_TOKENS) {
      const count = cutAtCharacter(rest, Math.min(rest.length, room - FIM_EXTRA_TOKENS), cutsCharacter);
      const format = rng.next() < spmRate ? 'spm' : 'psm';
      const text = tokenizer.decode(rest.subarray(0, count));
      const ids = fimTransform(text, tokenizer, sentinels, { rng, format, room });
      if (ids !== null) {
        advance(count);
        return ids;
      }
    }
    const count = cutAtCharacter(rest, Math.min(rest.length, room), cutsCharacter);
    advance(count);
    const piece = rest.subarray(0, count);
    return count === rest.length && count < room ? [...piece, sentinels.eos] : piece;
  };

  return {
    next(rows, length): TokenBatch {
      const ids = new Int32Array(rows * length).fill(pad);
      const segments = new Int32Array(rows * length).fill(-1);
      for (let row = 0; row < rows; row++) {
        const end = (row + 1) * length;
        let at = row * length;
        for (let segment = 0; end - at >= Math.min(SMALLEST_PIECE_TOKENS, length); segment++) {
          const piece = takePiece(nextLane, end - at);
          ids.set(piece, at);
          segments.fill(segment, at, at + piece.length);
          at += piece.length;
        }
        nextLane = (nextLane + 1) % laneCount;
      }
      return { rows, length, ids, segments, answer: null };
    },
    state: () => ({
      sourceHash: shards.meta.sourceHash,
      seed,
      epoch,
      position,
      lanes: structuredClone(lanes),
      nextLane,
      rng: rng.state(),
      tokensRead,
    }),
    restore(saved) {
      const state = stateSchema.safeParse(saved);
      if (!state.success || state.data.sourceHash !== shards.meta.sourceHash || state.data.seed !== seed) {
        throw new TintypeError('bad_data', {
          what: 'The saved position belongs to other data or another seed',
          got: state.success
            ? `source ${state.data.sourceHash}, seed ${state.data.seed}`
            : z.prettifyError(state.error),
          wanted: `source ${shards.meta.sourceHash}, seed ${seed}`,
          next: 'resume with the data and seed that the run began with',
        });
      }
      ({ epoch, position, nextLane, tokensRead } = state.data);
      lanes = structuredClone(state.data.lanes);
      order = epochOrder(shards.documents, seed, epoch);
      rng = restoreRng(state.data.rng);
    },
    get epochs() {
      return tokensRead / shards.meta.tokens;
    },
    description:
      `${shards.meta.documents} documents, ${shards.meta.tokens} tokens, ` +
      `${Math.round(100 * fimRate)} % of pieces fill-in-the-middle`,
  };
}

/** A permutation of the documents. */
function epochOrder(documents: number, seed: number, epoch: number): Uint32Array {
  const order = Uint32Array.from({ length: documents }, (_, i) => i);
  return shuffle(order, createRng(seed, 'epoch', epoch));
}

/** The longest cut of at most `count` tokens, and at least one, that does not split a UTF-8 character. */
function cutAtCharacter(ids: Uint16Array | Uint32Array, count: number, cutsCharacter: Uint8Array): number {
  let cut = count;
  while (cut > 1 && cut < ids.length && cutsCharacter[ids[cut]] === 1) cut--;
  return cut;
}
