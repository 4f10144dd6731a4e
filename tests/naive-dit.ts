/**
 * The diffusion transformer of MDLM and BD3-LM in plain loops and double precision, from its own tensors as its files
 * hold them: one matrix for queries, keys and values, a noise level of 0 that goes through its whole network.
 */
import type { ModelConfig } from '../src/model/config.ts';

type Vector = number[];
/** Tensors under the names of the files. */
export type DitTensors = ReadonlyMap<string, Float32Array>;

const sum = (x: Vector): number => x.reduce((a, b) => a + b, 0);
const silu = (x: number): number => x / (1 + Math.exp(-x));
const gelu = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** Logits of every position, [T][V]. */
export function naiveDit(
  config: ModelConfig,
  tensors: DitTensors,
  ids: readonly number[],
  sees: (query: number, key: number) => boolean,
): Vector[] {
  const { width: D, heads: H, headDim: d, layers } = config;
  const at = (name: string): Float32Array => tensors.get(`backbone.${name}`)!;
  const times = (x: Vector, module: string): Vector => {
    const weight = at(`${module}.weight`);
    const bias = tensors.get(`backbone.${module}.bias`);
    return Array.from({ length: weight.length / x.length }, (_, row) =>
      x.reduce((total, each, i) => total + each * weight[row * x.length + i], bias?.[row] ?? 0),
    );
  };
  const normed = (x: Vector, module: string): Vector => {
    const mean = sum(x) / D;
    const variance = sum(x.map((each) => (each - mean) ** 2)) / D;
    return x.map((each, i) => ((each - mean) / Math.sqrt(variance + 1e-5)) * at(`${module}.weight`)[i]);
  };
  const turned = (x: Vector, position: number): Vector => {
    const half = d / 2;
    return x.map((each, i) => {
      const angle = position * 10_000 ** (-(i % half) / half);
      const other = i < half ? -x[i + half] : x[i - half];
      return each * Math.cos(angle) + other * Math.sin(angle);
    });
  };
  const isConditioned = tensors.has('backbone.sigma_map.mlp.0.weight');
  const sigma = 0;
  const frequencies = Array.from({ length: 128 }, (_, i) => Math.exp((-Math.log(10_000) * i) / 128));
  const features = [
    ...frequencies.map((f) => Math.cos(sigma * f)),
    ...frequencies.map((f) => Math.sin(sigma * f)),
  ];
  const condition = isConditioned
    ? times(times(features, 'sigma_map.mlp.0').map(silu), 'sigma_map.mlp.2').map(silu)
    : [];
  /** Vector `i` of what a module asks for, or what changes nothing. */
  const asked = (module: string, i: number, plain: number): Vector =>
    isConditioned
      ? times(condition, `${module}.adaLN_modulation`).slice(i * D, (i + 1) * D)
      : Array.from({ length: D }, () => plain);

  const modulated = (x: Vector, shift: Vector, scale: Vector): Vector =>
    x.map((each, i) => each * (1 + scale[i]) + shift[i]);
  let stream = ids.map((id) => [...at('vocab_embed.embedding').subarray(id * D, (id + 1) * D)]);
  for (let layer = 0; layer < layers; layer++) {
    const block = `blocks.${layer}`;
    const [shiftA, scaleA, gateA, shiftF, scaleF, gateF] = [0, 0, 1, 0, 0, 1].map((plain, i) =>
      asked(block, i, plain),
    ) as [Vector, Vector, Vector, Vector, Vector, Vector];
    const heads = stream.map((x, position) => {
      const qkv = times(modulated(normed(x, `${block}.norm1`), shiftA, scaleA), `${block}.attn_qkv`);
      const head = (part: number, h: number): Vector => qkv.slice(part * D + h * d, part * D + (h + 1) * d);
      return Array.from({ length: H }, (_, h) => ({
        q: turned(head(0, h), position),
        k: turned(head(1, h), position),
        v: head(2, h),
      }));
    });
    stream = stream.map((x, t) => {
      const keys = ids.map((_, s) => s).filter((s) => sees(t, s));
      const joined = heads[t].flatMap(({ q }, h) => {
        const scores = keys.map((s) => sum(q.map((each, i) => each * heads[s][h].k[i])) / Math.sqrt(d));
        const most = Math.max(...scores);
        const powers = scores.map((score) => Math.exp(score - most));
        return Array.from(
          { length: d },
          (_, i) => sum(keys.map((s, n) => powers[n] * heads[s][h].v[i])) / sum(powers),
        );
      });
      const mixed = times(joined, `${block}.attn_out`);
      return x.map((each, i) => each + gateA[i] * mixed[i]);
    });
    stream = stream.map((x) => {
      const inner = times(modulated(normed(x, `${block}.norm2`), shiftF, scaleF), `${block}.mlp.0`);
      const out = times(inner.map(gelu), `${block}.mlp.2`);
      return x.map((each, i) => each + gateF[i] * out[i]);
    });
  }
  return stream.map((x) => {
    const [shift, scale] = [asked('output_layer', 0, 0), asked('output_layer', 1, 0)];
    return times(modulated(normed(x, 'output_layer.norm_final'), shift, scale), 'output_layer.linear');
  });
}
