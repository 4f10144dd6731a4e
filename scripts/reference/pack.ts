/**
 * Writes packed rows for train.py, fill-in-the-middle included, with the packer that the TypeScript trainer uses:
 *
 *   npx tsx scripts/reference/pack.ts --shards data/ts/train --tokenizer data/ts/tokenizer --out data/ts/packed
 *
 *   meta.json     rows, length, vocabulary, special tokens
 *   tokens.bin    [rows, length] uint16, little-endian; 65535 is padding
 *   starts.bin    one bit a token, lowest first: 1 where a piece starts
 *   tokenizer*    copied, to go into the trained model's folder
 */
import { appendFileSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readTokenizerJson, loadTokenizer, tokenizerHash } from '../../src/text/load.ts';
import { createTextSource } from '../../src/train/packing.ts';
import { openShards } from '../../src/train/shards.ts';

const PADDING = 65535;
const ROWS_AT_ONCE = 4096;

const { values } = parseArgs({
  options: {
    shards: { type: 'string' },
    tokenizer: { type: 'string' },
    out: { type: 'string' },
    /** 25 million tokens are 50 MB. */
    tokens: { type: 'string', default: '25e6' },
    length: { type: 'string', default: '512' },
    fimRate: { type: 'string', default: '0.5' },
    /** Share of those with the suffix first. */
    spmRate: { type: 'string', default: '0.8' },
    seed: { type: 'string', default: '1' },
  },
});
const { shards: shardFolder, tokenizer: tokenizerFolder, out } = values;
if (!shardFolder || !tokenizerFolder || !out)
  throw new Error('needed: --shards DIR --tokenizer DIR --out DIR');
const length = Number(values.length);
const rows = Math.floor(Number(values.tokens) / length);

const json = await readTokenizerJson(tokenizerFolder);
const tokenizer = await loadTokenizer(json);
const shards = openShards(shardFolder, { tokenizerHash: tokenizerHash(json) });
const source = createTextSource(shards, {
  tokenizer,
  seed: Number(values.seed),
  fimRate: Number(values.fimRate),
  spmRate: Number(values.spmRate),
});

mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'tokens.bin'), '');
const starts = new Uint8Array(Math.ceil((rows * length) / 8));
for (let row = 0; row < rows; row += ROWS_AT_ONCE) {
  const { ids, segments } = source.next(Math.min(ROWS_AT_ONCE, rows - row), length);
  const tokens = new Uint16Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    tokens[i] = segments[i] === -1 ? PADDING : ids[i];
    const isStart = segments[i] !== -1 && (i % length === 0 || segments[i - 1] !== segments[i]);
    const at = row * length + i;
    if (isStart) starts[at >> 3] |= 1 << (at & 7);
  }
  appendFileSync(join(out, 'tokens.bin'), new Uint8Array(tokens.buffer));
}
shards.close();

const meta = {
  format: 'tintype-packed-1',
  rows,
  length,
  epochs: source.epochs,
  description: source.description,
  vocabSize: tokenizer.vocabSize,
  tokens: {
    mask: tokenizer.special('<|mask|>'),
    eos: [tokenizer.special('<|endoftext|>')],
    pad: tokenizer.special('<|pad|>'),
    bos: null,
  },
};
writeFileSync(join(out, 'starts.bin'), starts);
writeFileSync(join(out, 'meta.json'), `${JSON.stringify(meta, null, 2)}\n`);
for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
  if (existsSync(join(tokenizerFolder, name))) copyFileSync(join(tokenizerFolder, name), join(out, name));
}
console.log(`${rows} rows of ${length}: ${source.description}, ${source.epochs.toFixed(2)} epochs`);
