/**
 * Bits per byte of documents under a model, by one rule for every layout, so that the figures compare.
 *
 * A document's tokens (its text alone, no end-of-text) are cut into consecutive windows of `windowLength`; models see
 * nothing beyond a window. A window's first token is context: it is not scored and its bytes are not counted. All
 * others are scored once:
 *
 * - `causal`: by the position before them. Exact.
 * - `causalContext`: blocks of `blockLength` start at the second token. A block's first token is scored by the causal
 *   copy, which is where decoding takes it from; the rest by the diffusion bound, given that token.
 * - `blockCausal`: blocks count from the window's start, as these models are trained; the bound covers whole blocks.
 * - `full`: the window is one block.
 *
 * The bound (NELBO) of a block with L tokens to write is estimated without bias from `samples` draws: l uniform in
 * 1 … L, l tokens masked, Σ −log p at the masks × L/l (LLaDA, 2502.09992, equation 6). The draws of one block are
 * stratified over l. With at most one token to write there is nothing to draw, and the value is exact.
 */
import { corrupt } from '../diffusion/corrupt.ts';
import { linear } from '../diffusion/schedule.ts';
import { TintypeError } from '../errors.ts';
import type { Layout, ModelConfig } from '../model/config.ts';
import type { Likelihood, LikelihoodBatch } from '../model/likelihood.ts';
import { createRng, type Rng } from '../rng.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { ratio } from './metrics.ts';

export interface BpbOptions {
  /** Positions denoised together; default: the model's. `causal` and `full` leave no choice. */
  blockLength?: number | undefined;
  /** Draws for each block. Default 8. */
  samples?: number | undefined;
  /** Of the draws; a document's draws do not depend on the other documents. Default 0. */
  seed?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Bytes scored so far, after every forward. */
  onProgress?: (bytes: number) => void;
}

export interface BpbResult {
  /** An upper bound where `samples` is above 0. */
  bitsPerByte: number;
  /** Over documents; it includes the noise of the draws. null for one document. */
  standardError: number | null;
  /** UTF-8 bytes of the scored tokens. */
  bytes: number;
  /** Scored tokens. */
  tokens: number;
  /** Documents with at least one scored token. */
  documents: number;
  /** Draws for each block; 0 means that the value is exact. */
  samples: number;
  blockLength: number;
  windowLength: number;
}

/** Positions of a window: who scores which of them. */
interface WindowPlan {
  /** Block of each position; null where the layout has none. */
  blocks: Int32Array | null;
  /** Scored by the clean copy, from the position before. */
  free: number[];
  /** Spans [start, end) under the diffusion bound. */
  spans: { start: number; end: number }[];
}

/** The rule of this file's head, for one window. */
export function planWindow(layout: Layout, length: number, blockLength: number): WindowPlan {
  const plan: WindowPlan = { blocks: null, free: [], spans: [] };
  if (layout === 'causal') {
    for (let p = 1; p < length; p++) plan.free.push(p);
    return plan;
  }
  if (layout === 'full') {
    if (length > 1) plan.spans.push({ start: 1, end: length });
    return plan;
  }
  const anchored = layout === 'causalContext';
  const origin = anchored ? 1 : 0;
  plan.blocks = Int32Array.from({ length }, (_, p) => Math.ceil((p + 1 - origin) / blockLength));
  for (let from = origin; from < length; from += blockLength) {
    if (anchored) plan.free.push(from);
    const start = Math.max(1, anchored ? from + 1 : from);
    const end = Math.min(from + blockLength, length);
    if (start < end) plan.spans.push({ start, end });
  }
  return plan;
}

interface Scored {
  stream: 'clean' | 'noisy';
  /** Position whose output is read. */
  position: number;
  /** Token that it should predict. */
  target: number;
  weight: number;
}

/** One row of a forward: a window and one draw of its noise. */
interface Row {
  document: number;
  ids: Int32Array;
  noisy: Int32Array | null;
  blocks: Int32Array | null;
  scored: Scored[];
  /** Bytes that are done with this row; progress only. */
  bytes: number;
}

/** The rows of a window: one where nothing is drawn, else one a draw. */
function windowRows(
  window: { ids: Int32Array; document: number; bytes: number },
  plan: WindowPlan,
  { samples, maskTokenId, rng }: { samples: number; maskTokenId: number | null; rng: Rng },
): Row[] {
  const { ids } = window;
  const draws = plan.spans.some(({ start, end }) => end - start > 1) ? samples : 1;
  const rows = Array.from({ length: draws }, (): Row => ({
    ...window,
    noisy: plan.spans.length > 0 ? ids.slice() : null,
    blocks: plan.blocks,
    scored: [],
    bytes: window.bytes / draws,
  }));
  // The clean copy is the same in every row.
  for (const p of plan.free) {
    rows[0].scored.push({ stream: 'clean', position: p - 1, target: ids[p], weight: 1 });
  }
  for (const { start, end } of plan.spans) {
    // All draws of a block in one call, one group each, so that their levels are stratified.
    const L = end - start;
    const copies = Int32Array.from({ length: draws * L }, (_, i) => ids[start + (i % L)]);
    const { masked, weights } = corrupt(copies, {
      eligible: new Uint8Array(draws * L).fill(1),
      groups: copies.map((_, i) => Math.floor(i / L)),
      masking: 'exactCount',
      schedule: linear,
      maskTokenId: maskTokenId!,
      rng,
    });
    masked.forEach((at, i) => {
      const row = rows[Math.floor(at / L)];
      const position = start + (at % L);
      row.noisy![position] = maskTokenId!;
      row.scored.push({ stream: 'noisy', position, target: ids[position], weight: weights[i] / draws });
    });
  }
  return rows;
}

/** Rows side by side, the last ones padded. */
function toBatch(batch: readonly Row[], { rows, length: T }: Likelihood): LikelihoodBatch {
  const ids = new Int32Array(rows * T);
  const segments = new Int32Array(rows * T).fill(-1);
  const noisy = batch.some((row) => row.noisy) ? new Int32Array(rows * T) : null;
  const blocks = batch.some((row) => row.blocks) ? new Int32Array(rows * T) : null;
  batch.forEach((row, r) => {
    ids.set(row.ids, r * T);
    segments.fill(0, r * T, r * T + row.ids.length);
    noisy?.set(row.noisy ?? row.ids, r * T);
    if (row.blocks) blocks?.set(row.blocks, r * T);
  });
  const scored = batch.flatMap((row, r) =>
    row.scored.map(({ stream, position, target }) => ({ stream, position: r * T + position, target })),
  );
  return { ids, segments, noisy, blocks, scored };
}

function chooseBlockLength(
  { layout, blockLength }: ModelConfig,
  wanted: number | undefined,
  windowLength: number,
): number {
  if (layout === 'blockCausal' || layout === 'causalContext') return wanted ?? blockLength;
  const only = layout === 'causal' ? 1 : windowLength;
  if (wanted === undefined || wanted === only) return only;
  throw new TintypeError('bad_option', {
    what: `a model of layout ${layout} has no choice of block length here`,
    got: String(wanted),
    wanted: layout === 'causal' ? '1, or none' : 'none: the window is one block',
  });
}

/**
 * Bits per byte, over windows as long as the likelihood's rows.
 * Errors: `bad_config` for a diffusion model without mask token; `bad_data` where no token can be scored; `bad_option`;
 * `aborted`, or whatever the signal carries.
 */
export async function bitsPerByte(
  likelihood: Likelihood,
  tokenizer: Tokenizer,
  documents: readonly string[],
  options: BpbOptions = {},
): Promise<BpbResult> {
  const { samples = 8, seed = 0, signal, onProgress } = options;
  const { config, length: windowLength } = likelihood;
  const maskTokenId = config.tokens.mask;
  if (config.layout !== 'causal' && maskTokenId === null) {
    throw new TintypeError('bad_config', { what: 'a diffusion model needs a mask token', got: 'none' });
  }
  const blockLength = chooseBlockLength(config, options.blockLength, windowLength);
  const units = documents.map(() => ({ numerator: 0, denominator: 0 }));
  let tokens = 0;

  function* allRows(): Generator<Row> {
    for (const [document, text] of documents.entries()) {
      const ids = tokenizer.encode(text);
      const rng = createRng(seed, 'bpb', document);
      for (let from = 0; from + 1 < ids.length; from += windowLength) {
        const window = Int32Array.from(ids.slice(from, from + windowLength));
        if (window.length < 2) break;
        const bytes = window.subarray(1).reduce((sum, id) => sum + tokenizer.bytes(id).length, 0);
        units[document].denominator += bytes;
        tokens += window.length - 1;
        const plan = planWindow(config.layout, window.length, blockLength);
        yield* windowRows({ ids: window, document, bytes }, plan, { samples, maskTokenId, rng });
      }
    }
  }

  let bytesDone = 0;
  const score = async (batch: readonly Row[]): Promise<void> => {
    signal?.throwIfAborted();
    const nats = await likelihood.negativeLogLikelihoods(toBatch(batch, likelihood));
    let at = 0;
    for (const { document, scored, bytes } of batch) {
      for (const { weight } of scored) units[document].numerator += (weight * nats[at++]) / Math.LN2;
      bytesDone += bytes;
    }
    onProgress?.(bytesDone);
  };
  let batch: Row[] = [];
  for (const row of allRows()) {
    batch.push(row);
    if (batch.length < likelihood.rows) continue;
    await score(batch);
    batch = [];
  }
  if (batch.length > 0) await score(batch);

  const counted = units.filter(({ denominator }) => denominator > 0);
  if (counted.length === 0) {
    throw new TintypeError('bad_data', {
      what: 'there is nothing to score',
      got: `${documents.length} documents with fewer than 2 tokens each`,
      wanted: 'text of at least 2 tokens',
    });
  }
  const { value, standardError } = ratio(counted);
  const widest = planWindow(config.layout, windowLength, blockLength).spans.some(
    ({ start, end }) => end - start > 1,
  );
  return {
    bitsPerByte: value,
    standardError,
    bytes: counted.reduce((sum, { denominator }) => sum + denominator, 0),
    tokens,
    documents: counted.length,
    samples: widest ? samples : 0,
    blockLength,
    windowLength,
  };
}
