/**
 * Is `verify` lossless? Writes the answer to each prompt twice, one token at a time and drafted and verified, greedily
 * and drawn, and counts the answers that differ. Prompts are held-out gaps, cut short so that many fit into an hour.
 *
 *     npx tsx scripts/check-verify.ts --model models/tintype-code --data data/ts/fim.jsonl.gz --prompts 10000
 *         [--threshold 0.5] [--redrafts 0] [--precision f32]
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { createBatch } from '../src/decode/batch.ts';
import { completeText, type Gap } from '../src/decode/complete.ts';
import { readInfillRows } from '../src/eval/documents.ts';
import { loadDenoiser } from '../src/model/load.ts';
import { PRECISIONS } from '../src/model/quantize.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/tintype-code' },
    data: { type: 'string', default: 'data/ts/fim.jsonl.gz' },
    prompts: { type: 'string', default: '1000' },
    tokens: { type: 'string', default: '16' },
    context: { type: 'string', default: '96' },
    threshold: { type: 'string', default: '0.5' },
    redrafts: { type: 'string', default: '0' },
    threads: { type: 'string', default: '1' },
    precision: { type: 'string', default: 'f32' },
  },
});
const prompts = Number(values.prompts);
const precision = z.enum(PRECISIONS).parse(values.precision);
const { denoiser, tokenizer } = await loadDenoiser(values.model, {
  threads: Number(values.threads),
  precision,
});
if (!tokenizer) throw new Error('this model has no tokenizer');
const rows = await readInfillRows(values.data);

/** Each row gives several prompts: its own gap, and places before it. */
const gapOf = (index: number): Gap => {
  const { prefix, suffix } = rows[index % rows.length];
  const back = Math.floor(index / rows.length) * 97;
  return { prefix: prefix.slice(0, Math.max(1, prefix.length - back)), suffix: back > 0 ? null : suffix };
};

const batch = createBatch(denoiser);
const sums = { same: 0, tokens: 0, single: 0, verify: 0, drafted: 0, accepted: 0 };
const differing: number[] = [];
let next = 0;

async function worker(): Promise<void> {
  const member = batch.join();
  const model = { denoiser: member, tokenizer: tokenizer! };
  try {
    for (let index = next++; index < prompts; index = next++) {
      // Every fourth answer is drawn, the others are greedy.
      const temperature = index % 4 === 3 ? 0.8 : 0;
      const options = {
        maxTokens: Number(values.tokens),
        contextTokens: Number(values.context),
        temperature,
        seed: index,
      };
      const single = await completeText(model, gapOf(index), { ...options, mode: 'ar' });
      const threshold = Number(values.threshold);
      const redrafts = Number(values.redrafts);
      const drafting = { ...options, mode: 'verify', threshold, redrafts } as const;
      const verified = await completeText(model, gapOf(index), drafting);
      if (String(single.done.ids) === String(verified.done.ids)) sums.same++;
      else differing.push(index);
      sums.tokens += verified.done.usefulTokens;
      sums.single += single.done.nfe;
      sums.verify += verified.done.nfe;
      sums.drafted += verified.done.drafted;
      sums.accepted += verified.done.accepted;
      if ((index + 1) % 500 === 0)
        process.stderr.write(`${index + 1}/${prompts}, ${differing.length} differ\n`);
    }
  } finally {
    batch.leave(member);
  }
}

await Promise.all(Array.from({ length: 8 }, worker));
await denoiser.close();
const { same, tokens, single, verify, drafted, accepted } = sums;
process.stdout.write(
  `${same} of ${prompts} answers are token for token the same; ${tokens} tokens, ` +
    `${single} forwards one at a time, ${verify} verified (${(tokens / verify).toFixed(2)} tokens a forward); ` +
    `${accepted} of ${drafted} drafted tokens stood\n`,
);
if (differing.length > 0) process.stdout.write(`differing: ${differing.slice(0, 20).join(', ')}\n`);
process.exitCode = same === prompts ? 0 : 1;
