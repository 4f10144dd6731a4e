/**
 * Parameters as one flat buffer with a named view for each. The optimizer walks the buffer, the graph sees the
 * views, a checkpoint stores them under their published names.
 */
import { TintypeError } from '../errors.ts';
import type { Rng } from '../rng.ts';
import { elementCount, parameterShapes, type ModelConfig } from './config.ts';

export interface Parameter {
  name: string;
  shape: readonly number[];
  /** Offset in the flat buffer, in elements. */
  offset: number;
  data: Float32Array;
}

export interface Parameters {
  flat: Float32Array;
  list: readonly Parameter[];
  get(name: string): Parameter;
}

/** All zeros. Gradients and optimizer moments have the same form. */
export function createParameters(config: ModelConfig): Parameters {
  const shapes = parameterShapes(config);
  const flat = new Float32Array(shapes.reduce((sum, { shape }) => sum + elementCount(shape), 0));
  let offset = 0;
  const list = shapes.map(({ name, shape }): Parameter => {
    const size = elementCount(shape);
    const data = flat.subarray(offset, offset + size);
    offset += size;
    return { name, shape, offset: offset - size, data };
  });
  const byName = new Map(list.map((p) => [p.name, p]));
  return {
    flat,
    list,
    get(name) {
      const parameter = byName.get(name);
      if (!parameter) throw new TintypeError('bad_checkpoint', { what: `no parameter named ${name}` });
      return parameter;
    },
  };
}

/**
 * Random start: matrices normal with standard deviation 0.5/√fan-in, those that write to the residual stream divided by
 * √(2L) (GPT-2's rule, so that the stream's variance does not grow with depth), embedding 0.02, norms 1, biases 0.
 */
export function initialise(parameters: Parameters, config: ModelConfig, rng: Rng): void {
  for (const { name, shape, data } of parameters.list) {
    if (shape.length === 1) {
      data.fill(name.endsWith('bias') ? 0 : 1);
      continue;
    }
    const writesResidual = name.endsWith('o_proj.weight') || name.endsWith('down_proj.weight');
    const isEmbedding = name === 'model.embed_tokens.weight';
    let deviation = isEmbedding ? 0.02 : 0.5 / Math.sqrt(shape[1]);
    if (writesResidual) deviation /= Math.sqrt(2 * config.layers);
    for (let i = 0; i < data.length; i++) data[i] = deviation * rng.normal();
  }
}

/** Copies tensors of a checkpoint in; they must be the parameters, no more and no less, each with its shape. */
export function copyTensors(
  parameters: Parameters,
  tensors: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>,
): void {
  for (const { name, shape, data } of parameters.list) {
    const tensor = tensors.get(name);
    if (!tensor || elementCount(tensor.shape) !== data.length) {
      throw new TintypeError('bad_checkpoint', {
        what: `tensor ${name} does not fit the model`,
        got: tensor ? `[${tensor.shape}]` : 'nothing',
        wanted: `[${shape}]`,
      });
    }
    data.set(tensor.data);
  }
  const known = new Set(parameters.list.map(({ name }) => name));
  const extra = [...tensors.keys()].filter((name) => !known.has(name));
  if (extra.length === 0) return;
  throw new TintypeError('bad_checkpoint', {
    what: 'the checkpoint has tensors that the model has no place for',
    got: extra.length > 3 ? `${extra.slice(0, 3).join(', ')} and ${extra.length - 3} more` : extra.join(', '),
    next: 'start from a model of the same family',
  });
}

/** The views under their names, as `saveCheckpoint` takes them. */
export function toTensors(
  parameters: Parameters,
): Map<string, { shape: readonly number[]; data: Float32Array }> {
  return new Map(parameters.list.map(({ name, shape, data }) => [name, { shape, data }]));
}
