/**
 * What fewer bits do to the numbers: int8 and int4 against float32 on prompts of fill-in-the-middle rows.
 *
 *     npx tsx scripts/precision-table.ts --data fim.jsonl.gz [--model models/tintype-code] [--prompts 50]
 *
 * For each prompt the last 48 tokens autoregressively (error of logits, agreement of the first choice, nats a token of
 * the text itself), then a block of eight masks behind them (agreement, and mean absolute change of the confidence).
 */
import { parseArgs } from 'node:util';
import { readInfillRows } from '../src/eval/documents.ts';
import { nodeRuntime } from '../src/graph/node.ts';
import { positionsFrom, type Denoiser, type Statistics } from '../src/model/denoiser.ts';
import { loadCheckpoint } from '../src/model/hf.ts';
import { createDenoiser } from '../src/model/native.ts';
import { PRECISIONS } from '../src/model/quantize.ts';
import { loadTokenizer } from '../src/text/load.ts';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    model: { type: 'string', default: 'models/tintype-code' },
    prompts: { type: 'string', default: '50' },
  },
});
const [CONTEXT, TAIL, BLOCK] = [256, 48, 8];

const { config, tensors } = await loadCheckpoint(flags.model);
const tokenizer = await loadTokenizer(flags.model);
const prompts: Int32Array[] = [];
for (const { prefix } of await readInfillRows(flags.data!)) {
  const ids = tokenizer.encode(prefix).slice(-CONTEXT);
  if (ids.length === CONTEXT) prompts.push(Int32Array.from(ids));
  if (prompts.length === Number(flags.prompts)) break;
}
const V = config.vocabSize;

/** All logits by id. [M, V] */
function byId({ ids, logits }: Statistics): Float32Array {
  const out = new Float32Array(ids.length);
  ids.forEach((id, i) => (out[Math.floor(i / V) * V + id] = logits[i]));
  return out;
}

interface Answer {
  logits: Float32Array;
  top: number[];
  nats: number[];
  masked: { top: number[]; confidence: number[] };
}

async function answer(denoiser: Denoiser, ids: Int32Array): Promise<Answer> {
  const cache = denoiser.createCache();
  const all = { topK: V, entropy: false };
  const [causal] = await denoiser.forward(
    [
      {
        ids,
        positions: positionsFrom(0, CONTEXT),
        attention: { kind: 'causal' },
        cache,
        write: CONTEXT,
        query: positionsFrom(CONTEXT - TAIL, TAIL),
      },
    ],
    all,
  );
  const logits = byId(causal);
  const top = Array.from({ length: TAIL }, (_, i) => causal.ids[i * V]);
  const nats = Array.from({ length: TAIL - 1 }, (_, i) => {
    return causal.logSumExp[i] - logits[i * V + ids[CONTEXT - TAIL + i + 1]];
  });
  const block = new Int32Array(BLOCK).fill(config.tokens.mask ?? 0);
  const [noisy] = await denoiser.forward(
    [
      {
        ids: block,
        positions: positionsFrom(CONTEXT, BLOCK),
        attention: { kind: 'full' },
        cache,
        write: 0,
        query: positionsFrom(0, BLOCK),
      },
    ],
    { topK: 1, entropy: false },
  );
  const confidence = Array.from(noisy.logits, (z, i) => Math.exp(z - noisy.logSumExp[i]));
  return { logits, top, nats, masked: { top: [...noisy.ids], confidence } };
}

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const agreement = (a: number[], b: number[]): number => mean(a.map((id, i) => Number(id === b[i])));

let reference: Answer[] | null = null;
for (const precision of PRECISIONS) {
  const denoiser = createDenoiser(await nodeRuntime(), config, tensors, { threads: 1, precision });
  const answers: Answer[] = [];
  for (const ids of prompts) answers.push(await answer(denoiser, ids));
  await denoiser.close();
  const wanted = (reference ??= answers);
  let worst = 0;
  let squares = 0;
  answers.forEach(({ logits }, i) =>
    logits.forEach((z, j) => {
      const error = Math.abs(z - wanted[i].logits[j]);
      worst = Math.max(worst, error);
      squares += error * error;
    }),
  );
  const over = <T>(pick: (a: Answer, b: Answer) => T): T[] => answers.map((a, i) => pick(a, wanted[i]));
  console.log({
    precision,
    maxLogitError: Number(worst.toFixed(3)),
    rmsLogitError: Number(Math.sqrt(squares / (answers.length * TAIL * V)).toFixed(4)),
    topAgreement: Number(mean(over((a, b) => agreement(a.top, b.top))).toFixed(4)),
    natsPerToken: Number(mean(answers.flatMap(({ nats }) => nats)).toFixed(4)),
    maskedTopAgreement: Number(mean(over((a, b) => agreement(a.masked.top, b.masked.top))).toFixed(4)),
    confidenceShift: Number(
      mean(
        over((a, b) => mean(a.masked.confidence.map((p, i) => Math.abs(p - b.masked.confidence[i])))),
      ).toFixed(4),
    ),
  });
}
