/**
 * The transformer of CHECKPOINTS-style configs once more, in plain loops and double precision, to hold the graphs to: no
 * fused products, no reordered heads, no caches, every expert by itself.
 */
import type { Mixture, ModelConfig } from '../src/model/config.ts';

export type NaiveTensors = ReadonlyMap<string, { shape: readonly number[]; data: Float32Array }>;
type Vector = number[];

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};
const plus = (a: Vector, b: Vector): Vector => a.map((x, i) => x + b[i]);
const silu = (x: number): number => x / (1 + Math.exp(-x));
const total = (x: Vector): number => x.reduce((a, b) => a + b, 0);

function softmax(x: Vector): Vector {
  const most = Math.max(...x);
  const powers = x.map((each) => Math.exp(each - most));
  return powers.map((each) => each / total(powers));
}

/** Indices of the k largest, falling. */
const largest = (x: Vector, k: number): number[] =>
  x
    .map((_, i) => i)
    .toSorted((a, b) => x[b] - x[a])
    .slice(0, k);

/** Logits of every position, [T][V]. */
export function naiveLogits(
  config: ModelConfig,
  tensors: NaiveTensors,
  ids: readonly number[],
  sees: (query: number, key: number) => boolean,
): Vector[] {
  const { width, heads, kvHeads, headDim, normEps, ropeTheta, rotaryDim = headDim } = config;
  const data = (name: string): Float32Array => tensors.get(name)!.data;
  const times = (x: Vector, name: string): Vector => {
    const weight = data(`${name}.weight`);
    const rows = weight.length / x.length;
    return Array.from({ length: rows }, (_, row) =>
      dot(x, weight.subarray(row * x.length, (row + 1) * x.length)),
    );
  };
  const norm = (x: Vector, name: string): Vector => {
    const scale = 1 / Math.sqrt(dot(x, x) / x.length + normEps);
    const weight = data(`${name}.weight`);
    return x.map((each, i) => each * scale * weight[i]);
  };
  const { yarn } = config;
  /** The component that turns so often within the original context (YaRN). */
  const component = (turns: number): number =>
    (rotaryDim * Math.log(yarn!.originalLength / (2 * Math.PI * turns))) / (2 * Math.log(ropeTheta));
  const frequency = (i: number): number => {
    const plain = ropeTheta ** ((-2 * i) / rotaryDim);
    if (!yarn) return plain;
    const low = Math.max(Math.floor(component(yarn.betaFast)), 0);
    const high = Math.min(Math.ceil(component(yarn.betaSlow)), rotaryDim - 1);
    const share = Math.min(1, Math.max(0, (i - low) / (low === high ? 0.001 : high - low)));
    return share * (plain / yarn.factor) + (1 - share) * plain;
  };
  const turn = (x: Vector, position: number): Vector => {
    const out = [...x];
    const size = yarn?.attentionFactor ?? 1;
    for (let i = 0; i < rotaryDim / 2; i++) {
      const angle = position * frequency(i);
      const [a, b] = [x[i], x[i + rotaryDim / 2]];
      out[i] = size * (a * Math.cos(angle) - b * Math.sin(angle));
      out[i + rotaryDim / 2] = size * (b * Math.cos(angle) + a * Math.sin(angle));
    }
    return out;
  };
  const gated = (x: Vector, at: string): Vector => {
    const [gate, up] = [times(x, `${at}.gate_proj`), times(x, `${at}.up_proj`)];
    return times(
      gate.map((g, i) => silu(g) * up[i]),
      `${at}.down_proj`,
    );
  };
  /** Experts of a token and their weights. */
  const route = (x: Vector, at: string, m: Mixture): [expert: number, weight: number][] => {
    const logits = times(x, `${at}.gate`);
    if (m.router !== 'sigmoidGroups') {
      const p = softmax(logits);
      const taken = largest(p, m.perToken);
      const share = m.router === 'softmax' ? 1 : total(taken.map((e) => p[e]));
      return taken.map((e) => [e, (m.scale * p[e]) / share]);
    }
    const scores = logits.map((each) => 1 / (1 + Math.exp(-each)));
    const ranked = plus(scores, [...data(`${at}.gate.expert_bias`)]);
    const size = m.experts / m.groups;
    const worth = Array.from({ length: m.groups }, (_, g) => {
      const group = ranked.slice(g * size, (g + 1) * size);
      return total(largest(group, 2).map((i) => group[i]));
    });
    const groups = largest(worth, m.groupsPerToken);
    const open = ranked.map((r, e) => (groups.includes(Math.floor(e / size)) ? r : -Infinity));
    const taken = largest(open, m.perToken);
    const share = total(taken.map((e) => scores[e]));
    return taken.map((e) => [e, (m.scale * scores[e]) / share]);
  };
  const feedForward = (x: Vector, layer: number): Vector => {
    const at = `model.layers.${layer}.mlp`;
    const { mixture } = config;
    if (!mixture || layer < mixture.denseLayers) return gated(x, at);
    let out = mixture.sharedWidth > 0 ? gated(x, `${at}.shared_experts`) : x.map(() => 0);
    for (const [expert, weight] of route(x, at, mixture)) {
      out = plus(
        out,
        gated(x, `${at}.experts.${expert}`).map((each) => weight * each),
      );
    }
    return out;
  };
  const embedding = data('model.embed_tokens.weight');
  let stream = ids.map((id) => [...embedding.subarray(id * width, (id + 1) * width)]);
  for (let layer = 0; layer < config.layers; layer++) {
    const at = `model.layers.${layer}`;
    /** One head of each position, placed. */
    const headsOf = (name: 'q' | 'k' | 'v', x: Vector): Vector[] => {
      const plain = times(x, `${at}.self_attn.${name}_proj`);
      const all = config.qkvBias ? plus(plain, [...data(`${at}.self_attn.${name}_proj.bias`)]) : plain;
      return Array.from({ length: all.length / headDim }, (_, h) =>
        all.slice(h * headDim, (h + 1) * headDim),
      );
    };
    const placed = (name: 'q' | 'k', x: Vector, position: number): Vector[] =>
      headsOf(name, x).map((head) =>
        turn(config.qkNorm === false ? head : norm(head, `${at}.self_attn.${name}_norm`), position),
      );
    const inputs = stream.map((x) => norm(x, `${at}.input_layernorm`));
    const [q, k] = (['q', 'k'] as const).map((name) => inputs.map((x, t) => placed(name, x, t))) as [
      Vector[][],
      Vector[][],
    ];
    const v = inputs.map((x) => headsOf('v', x));
    stream = stream.map((x, t) => {
      const sharp = yarn ? 1 + yarn.queryBeta * Math.log(1 + Math.floor(t / yarn.originalLength)) : 1;
      const keys = ids.map((_, s) => s).filter((s) => sees(t, s));
      const joined = Array.from({ length: heads }, (_, h) => {
        const from = Math.floor(h / (heads / kvHeads));
        const weights = softmax(keys.map((s) => (sharp * dot(q[t][h], k[s][from])) / Math.sqrt(headDim)));
        return Array.from({ length: headDim }, (_, i) =>
          total(keys.map((s, n) => weights[n] * v[s][from][i])),
        );
      }).flat();
      return plus(x, times(joined, `${at}.self_attn.o_proj`));
    });
    stream = stream.map((x) => plus(x, feedForward(norm(x, `${at}.post_attention_layernorm`), layer)));
  }
  return stream.map((x) => times(norm(x, 'model.norm'), config.tiedHead ? 'model.embed_tokens' : 'lm_head'));
}
