/**
 * Model folders with quantised weights: those of `hf.ts`, but that config.json says `tintype_precision` and that a
 * quantised matrix is stored as bytes [N, blocks, bytes of a block] beside its scales [N, blocks]. What such a folder
 * loads is bit for bit what quantising the original at load gives.
 */
import { resolve } from 'node:path';
import { TintypeError } from '../errors.ts';
import { BIGRAMS } from './bigrams.ts';
import { parameterShapes } from './config.ts';
import type { Overrides } from './config-json.ts';
import { configToJson } from './config-write.ts';
import { commitFiles } from './files.ts';
import { CONFIG, type Description, GENERATION, type LoadOptions, wantFloats, withFolder } from './hf.ts';
import {
  type Precision,
  quantize,
  quantizedFormats,
  type QuantizedTensor,
  scalesOf,
  storedShapeOf,
  type Weights,
} from './quantize.ts';
import { createHeader, type Dtype, safetensorsChunks } from './safetensors.ts';
import { deferredWeights, readWeights } from './stored-weights.ts';
import { WEIGHTS } from './weights.ts';

export interface LoadedWeights {
  description: Description;
  weights: Weights;
}

export type WeightOptions = LoadOptions & {
  /** Default: as stored. */
  precision?: Precision | undefined;
};

/**
 * Opens a folder and gives its weights as a denoiser takes them, each read when it is asked for and quantised unless it
 * is stored so; closes it after `use`.
 * Errors: those of `loadCheckpoint`, without its refusal; `bad_option` for another precision than the stored one.
 */
export async function withWeights<T>(
  dir: string,
  { precision, ...options }: WeightOptions,
  use: (loaded: LoadedWeights, precision: Precision) => Promise<T>,
): Promise<T> {
  return withFolder(dir, options, async (description, stored) => {
    const { config, precision: storedAs } = description;
    if (precision !== undefined && storedAs !== 'f32' && precision !== storedAs) {
      throw new TintypeError('bad_option', {
        what: `the weights in ${dir} are quantised already`,
        got: `precision ${precision}`,
        wanted: storedAs,
        next: 'leave the precision out, or use the model that it was made from',
      });
    }
    const precisions = { storedAs, precision: precision ?? storedAs };
    return use({ description, weights: deferredWeights(config, stored, precisions) }, precisions.precision);
  });
}

/** The same weights, all in memory. Same errors. */
export async function loadWeights(dir: string, options: WeightOptions = {}): Promise<LoadedWeights> {
  return withWeights(dir, options, async ({ description, weights }) => ({
    description,
    weights: readWeights(weights),
  }));
}

/**
 * Writes a folder with quantised weights; tensors that stay in floating point are copied as they are stored.
 * Errors: those of `loadCheckpoint`; `bad_option` where both folders are one; `io`.
 */
export async function quantizeFolder(
  from: string,
  to: string,
  precision: Exclude<Precision, 'f32'>,
  {
    overrides,
    onTensor = () => {},
  }: { overrides?: Overrides | undefined; onTensor?: (done: number, total: number) => void } = {},
): Promise<void> {
  if (resolve(from) === resolve(to)) {
    throw new TintypeError('bad_option', {
      what: 'a quantised model cannot replace the model it is made from',
      got: to,
      wanted: 'another folder',
    });
  }
  await withFolder(from, { overrides }, async (description, stored) => {
    wantFloats(description);
    const { config, dtype, rawConfig, generationConfig, tokenizerFiles, bigrams } = description;
    // What the name of the folder or an option said has to stand in the files of the new one.
    const files = configToJson(config, dtype, rawConfig, generationConfig);
    const tensors = new Map<string, { dtype: Dtype; shape: readonly number[]; bytes: Uint8Array }>();
    const formats = quantizedFormats(config, precision);
    const total = formats.size;
    for (const [name, format] of formats) {
      const { file, entry } = stored.get(format.source)!;
      const quantized: QuantizedTensor = quantize(await file.readFloats(entry), format.shape, format);
      const shape = storedShapeOf(format);
      tensors.set(name, { dtype: 'U8', shape, bytes: quantized.packed });
      const { buffer, byteLength } = quantized.scales;
      tensors.set(scalesOf(name), {
        dtype: 'F32',
        shape: shape.slice(0, 2),
        bytes: new Uint8Array(buffer, 0, byteLength),
      });
      onTensor(tensors.size / 2, total);
    }
    for (const { name, shape } of parameterShapes(config)) {
      if (tensors.has(name)) continue;
      const { file, entry } = stored.get(name)!;
      tensors.set(name, { dtype: entry.dtype, shape, bytes: await file.read(entry) });
    }
    const header = createHeader([...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })));
    const json = (value: object): Uint8Array[] => [
      new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`),
    ];
    await commitFiles(to, [
      [CONFIG, json({ ...files.config, tintype_precision: precision })],
      ...(generationConfig ? [[GENERATION, json(files.generation)] as const] : []),
      ...Object.entries(tokenizerFiles).map(
        ([name, content]) => [name, [new TextEncoder().encode(content)]] as const,
      ),
      ...(bigrams ? [[BIGRAMS, [bigrams]] as const] : []),
      [WEIGHTS, safetensorsChunks(header, ({ name }) => tensors.get(name)!.bytes)],
    ]);
  });
}
