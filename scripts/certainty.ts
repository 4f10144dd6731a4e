/**
 * How many tokens a forward could a decoder commit, and how many of them would be right? Teacher-forced on held-out
 * text, so that it needs no decoder, thousands of tokens take a minute, and models can be compared at equal rightness:
 *
 *   npx tsx scripts/certainty.ts --model models/tintype-code --window 8 --thresholds 0.9,0.7,0.5
 *
 * Rows are cut into windows: an anchor, then masks. Each round takes the leftmost mask (the causal row's token, one a
 * round) and every other one whose best guess reaches the threshold ("ahead"); all are then replaced by the truth, until
 * a window is full. Printed for each threshold:
 *
 *   tokens a forward   tokens / rounds. Windows do not slide here: at their ends there is less to find than a decoder
 *                      that slides would have.
 *   ahead              share of all tokens that were committed ahead of their turn
 *   right              how many of those were the truth
 *   causal             how many of the same tokens the causal row, with everything before them known, has right: what
 *                      an autoregressive decoder gets. "right" at or above it means that going ahead lost nothing.
 *
 * --blind looks at the first round alone: any number of thresholds for one forward a batch.
 */
import { parseArgs } from 'node:util';
import { nodeRuntime } from '../src/graph/node.ts';
import { loadCheckpoint } from '../src/model/hf.ts';
import { copyTensors, createParameters } from '../src/model/parameters.ts';
import { createRng } from '../src/rng.ts';
import { loadTokenizer, readTokenizerJson } from '../src/text/load.ts';
import { createForwardPass } from '../src/train/gradients.ts';
import { assignBlocks } from '../src/train/objective.ts';
import { createTextSource } from '../src/train/packing.ts';
import { blockDiffusionInputs } from '../src/train/rows.ts';
import { openShards } from '../src/train/shards.ts';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    data: { type: 'string', default: 'data/ts/heldout' },
    tokenizer: { type: 'string', default: 'data/ts/tokenizer' },
    window: { type: 'string', default: '8' },
    thresholds: { type: 'string', default: '0.9,0.7,0.5' },
    rows: { type: 'string', default: '32' },
    threads: { type: 'string', default: '1' },
    blind: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const dir = flags.model!;
const window = Number(flags.window);
const thresholds = flags.thresholds.split(',').map(Number);

const shape = { rows: 4, length: 256, streams: 2, certainty: 1 } as const;
const { config, tensors } = await loadCheckpoint(dir);
const parameters = createParameters(config);
copyTensors(parameters, tensors);
const pass = await createForwardPass(await nodeRuntime(), config, parameters, shape, {
  threads: Number(flags.threads),
});
const tokenizer = await loadTokenizer(await readTokenizerJson(flags.tokenizer));
const source = createTextSource(openShards(flags.data), { tokenizer, seed: 1, spmRate: 1 });
const rng = createRng(1, 'certainty');
const mask = config.tokens.mask!;

/** A probability that compares equal with the one it was computed from, up to rounding. */
const isBest = (nll: number, best: number): boolean => Math.exp(-nll) >= best * (1 - 1e-4);

const results = thresholds.map((threshold) => ({
  threshold,
  tokens: 0,
  rounds: 0,
  ahead: 0,
  right: 0,
  causal: 0,
}));
for (let done = 0; done < Number(flags.rows); done += shape.rows) {
  const batch = source.next(shape.rows, shape.length);
  const blocks = assignBlocks(batch, window, rng);
  const isMasked = (at: number): boolean =>
    batch.segments[at] !== -1 && at % shape.length > 0 && blocks[at] === blocks[at - 1];
  const everything = Array.from(batch.ids.keys()).filter(isMasked);

  /** The rows that predict `masked` where these are masks, then those of the next-token loss. */
  const ask = async (masked: readonly number[]) => {
    const noisy = batch.ids.slice();
    for (const at of masked) noisy[at] = mask;
    const weights = new Float32Array(masked.length).fill(1);
    const noise = { noisy, masked: Int32Array.from(masked), weights, eligible: masked.length };
    const inputs = blockDiffusionInputs(batch, noise, blocks, 'causalContext', 1, { certainty: 0 });
    return { inputs, ...(await pass.score(inputs)) };
  };

  const blind = await ask(everything);
  const causalRight = new Map<number, boolean>();
  blind.inputs.lossRows.forEach((row, i) => {
    if (i < blind.inputs.diffusionRows) return;
    const [line, place] = [Math.floor(row / (2 * shape.length)), row % (2 * shape.length)];
    causalRight.set(line * shape.length + place + 1, isBest(blind.nll[i], blind.best![i]));
  });

  for (const result of results) {
    let masked = everything;
    let found = blind;
    result.tokens += masked.length;
    while (masked.length > 0) {
      let last = -1;
      const left: number[] = [];
      masked.forEach((at, i) => {
        const key = Math.floor(at / shape.length) * shape.length + blocks[at];
        const isFirst = key !== last;
        last = key;
        if (isFirst) result.rounds++;
        else if (found.best![i] >= result.threshold) {
          result.ahead++;
          result.right += Number(isBest(found.nll[i], found.best![i]));
          result.causal += Number(causalRight.get(at) ?? false);
        } else left.push(at);
      });
      masked = flags.blind ? [] : left;
      if (masked.length > 0) found = await ask(masked);
    }
  }
}
await pass.close();

const rows = results.map(({ threshold, tokens, rounds, ahead, right, causal }) => ({
  threshold,
  tokensPerForward: flags.blind ? null : tokens / rounds,
  ahead: ahead / tokens,
  right: ahead > 0 ? right / ahead : null,
  causal: ahead > 0 ? causal / ahead : null,
  tokens,
}));
if (flags.json) console.log(JSON.stringify({ model: dir, window, blind: flags.blind, rows }));
else {
  const percent = (share: number | null): string => (share === null ? '-' : `${(100 * share).toFixed(1)} %`);
  console.log('threshold  tokens a forward  ahead   right   causal');
  for (const row of rows) {
    const cells = [row.threshold, row.tokensPerForward?.toFixed(3) ?? '-', percent(row.ahead)];
    console.log([...cells, percent(row.right), percent(row.causal)].join('  '));
  }
}
