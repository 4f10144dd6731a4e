/**
 * What does not knowing a gap's length cost? Fills held-out gaps twice: with room for as many tokens as usual, so that the
 * model ends the text itself, and with exactly as many places as the true text has tokens.
 *
 *     npx tsx scripts/check-length.ts --model models/tintype-code --data data/ts/fim.jsonl.gz --limit 300
 */
import { parseArgs } from 'node:util';
import { completeText } from '../src/decode/complete.ts';
import { readInfillRows } from '../src/eval/documents.ts';
import { isSingleLine, scoreRow } from '../src/eval/fim.ts';
import { mean } from '../src/eval/metrics.ts';
import { loadDenoiser } from '../src/model/load.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/tintype-code' },
    data: { type: 'string', default: 'data/ts/fim.jsonl.gz' },
    limit: { type: 'string', default: '300' },
    room: { type: 'string', default: '64' },
    context: { type: 'string', default: '512' },
    threads: { type: 'string', default: '1' },
  },
});
const { denoiser, tokenizer } = await loadDenoiser(values.model, { threads: Number(values.threads) });
if (!tokenizer) throw new Error('this model has no tokenizer');
const rows = (await readInfillRows(values.data)).slice(0, Number(values.limit));
const never = Object.fromEntries(denoiser.config.tokens.eos.map((id) => [id, -100]));
const exact = { unknown: [] as number[], told: [] as number[] };
const similarity = { unknown: [] as number[], told: [] as number[] };
for (const [i, row] of rows.entries()) {
  const gap = { prefix: row.prefix, suffix: row.suffix };
  const length = tokenizer.encode(row.middle).length;
  const common = { contextTokens: Number(values.context) };
  const answers = {
    unknown: await completeText({ denoiser, tokenizer }, gap, {
      ...common,
      maxTokens: Number(values.room),
      stop: isSingleLine(row.middle) ? ['\n'] : [],
    }),
    told: await completeText({ denoiser, tokenizer }, gap, {
      ...common,
      maxTokens: length,
      logitBias: never,
    }),
  };
  for (const way of ['unknown', 'told'] as const) {
    const score = scoreRow(row, answers[way].text);
    exact[way].push(score.isExact ? 1 : 0);
    similarity[way].push(score.similarity);
  }
  if ((i + 1) % 50 === 0) process.stderr.write(`${i + 1} of ${rows.length}\n`);
}
await denoiser.close();
for (const way of ['unknown', 'told'] as const) {
  const { value, standardError } = mean(exact[way]);
  process.stdout.write(
    `${way.padEnd(8)} exact match ${(100 * value).toFixed(1)} ± ${(100 * (standardError ?? 0)).toFixed(1)} %, ` +
      `edit similarity ${(100 * mean(similarity[way]).value).toFixed(1)} %\n`,
  );
}
