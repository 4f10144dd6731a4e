/**
 * Writes a model folder of a published shape with random weights, in bfloat16 shards with an index, to measure loading
 * without a download. The tokenizer is the bundled model's, so it writes (nonsense) text.
 *
 *     npx tsx scripts/synthetic-checkpoint.ts --size 1.7b --out /tmp/synthetic-1.7b [--head] [--layers 8]
 */
import { cp, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SHAPES, SIZES, type SizeName } from '../src/eval/bench-sizes.ts';
import { elementCount, type ModelConfig, parameterShapes } from '../src/model/config.ts';
import { configToJson } from '../src/model/config-write.ts';
import { bf16FromFloats } from '../src/model/float16.ts';
import { createHeader, safetensorsChunks } from '../src/model/safetensors.ts';
import { createRng } from '../src/rng.ts';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1.7b' },
    out: { type: 'string' },
    /** A head of its own, as SDAR stores it. */
    head: { type: 'boolean', default: false },
    layers: { type: 'string' },
    shard: { type: 'string', default: '1000' },
  },
});
const { out, size } = values;
if (out === undefined || !SIZES.includes(size as SizeName)) {
  throw new Error(`usage: --out DIR --size ${SIZES.join('|')} [--head] [--layers N] [--shard MEGABYTES]`);
}

const { shape } = SHAPES[size as SizeName];
const config: ModelConfig = {
  ...shape,
  layers: Number(values.layers ?? shape.layers),
  modelType: 'sdar',
  layout: 'blockCausal',
  tiedHead: !values.head,
  normEps: 1e-6,
  ropeTheta: 1e6,
  contextLength: 4096,
  blockLength: 4,
  tokens: { mask: 1, eos: [0], pad: 0, bos: null },
};

// The same few numbers over and over, since making all of them takes long; each tensor begins with another of them, for
// ONNX Runtime keeps equal weights once.
const rng = createRng(0, 'synthetic');
const some = bf16FromFloats(Float32Array.from({ length: 1 << 16 }, () => 0.02 * rng.normal()));
const one = bf16FromFloats(Float32Array.of(1))[0];
let first = 0;
function bytesOf(dims: readonly number[]): Uint8Array {
  const halves = new Uint16Array(elementCount(dims));
  if (dims.length === 1) halves.fill(one);
  else
    for (let at = 0; at < halves.length; at += some.length - first) {
      halves.set(some.subarray(first, first + halves.length - at), at);
    }
  first += 64;
  return new Uint8Array(halves.buffer);
}

const shards: { name: string; shape: readonly number[] }[][] = [[]];
let filled = 0;
for (const parameter of parameterShapes(config)) {
  if (filled > Number(values.shard) * 1e6) {
    shards.push([]);
    filled = 0;
  }
  shards.at(-1)!.push(parameter);
  filled += 2 * elementCount(parameter.shape);
}
await mkdir(out, { recursive: true });
const weightMap: Record<string, string> = {};
let totalBytes = 0;
for (const [i, tensors] of shards.entries()) {
  const number = (n: number): string => String(n).padStart(5, '0');
  const name = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`;
  const header = createHeader(tensors.map((tensor) => ({ ...tensor, dtype: 'BF16' as const })));
  const file = await open(join(out, name), 'w');
  for (const chunk of safetensorsChunks(header, ({ shape: dims }) => bytesOf(dims)))
    await file.writeFile(chunk);
  await file.close();
  for (const tensor of tensors) {
    weightMap[tensor.name] = name;
    totalBytes += 2 * elementCount(tensor.shape);
  }
}
const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`;
const index = { metadata: { total_size: totalBytes }, weight_map: weightMap };
await writeFile(join(out, 'model.safetensors.index.json'), json(index));
const texts = configToJson(config, 'BF16', null, null);
await writeFile(join(out, 'config.json'), json(texts.config));
await writeFile(join(out, 'generation_config.json'), json(texts.generation));
for (const name of ['tokenizer.json', 'tokenizer_config.json']) {
  await cp(join(import.meta.dirname, '../models/tintype-code', name), join(out, name));
}
process.stdout.write(`${out}: ${shards.length} shards, ${(totalBytes / 1e9).toFixed(2)} GB\n`);
