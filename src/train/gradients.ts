/**
 * One compiled forward and backward pass. Gradients accumulate in place over micro-batches: the graph reads and
 * writes the same buffers.
 */
import { createSession, type Runtime, type SessionOptions, type Tensor } from '../graph/session.ts';
import type { ModelConfig } from '../model/config.ts';
import { createParameters, type Parameters } from '../model/parameters.ts';
import { buildScoringGraph } from '../model/scoring.ts';
import type { ScoringInputs } from './rows.ts';

export interface MicroBatchLoss {
  /** Σ weight · nll over all rows: what was differentiated. */
  loss: number;
  /** Its diffusion part. */
  diffusionNats: number;
  /** Its autoregressive part, with its weight. */
  autoregressiveNats: number;
}

export interface GradientPass {
  /** Sums of gradients since the last `clear`. */
  readonly gradients: Parameters;
  accumulate(inputs: ScoringInputs): Promise<MicroBatchLoss>;
  clear(): void;
  close(): Promise<void>;
}

/** Compiles the pass for B rows of T tokens in one or two streams; `parameters` are read in place. */
export async function createGradientPass(
  runtime: Runtime,
  config: ModelConfig,
  parameters: Parameters,
  { rows: B, length: T, streams }: { rows: number; length: number; streams: 1 | 2 },
  options: SessionOptions = {},
): Promise<GradientPass> {
  const { graph, parameters: values, loss } = buildScoringGraph(config, { rows: B, length: T, streams });
  const accumulators = new Map(
    [...values].map(([name, value]) => [value, graph.input(`into.${name}`, 'float32', value.shape)]),
  );
  const grads = graph.backward(loss, accumulators);
  for (const [name, value] of values) graph.output(`grad.${name}`, grads.get(value)!);
  const session = await createSession(runtime, graph, options);

  const { Tensor } = runtime;
  const gradients = createParameters(config);
  const fixedFeeds: Record<string, Tensor> = {};
  const fetches: Record<string, Tensor> = {};
  for (const { name, shape, data } of parameters.list) {
    fixedFeeds[name] = new Tensor('float32', data, shape);
    const grad = new Tensor('float32', gradients.get(name).data, shape);
    fixedFeeds[`into.${name}`] = grad;
    fetches[`grad.${name}`] = grad;
  }
  const S = streams * T;
  const positions = BigInt64Array.from({ length: B * S }, (_, i) => BigInt(i % T));
  fixedFeeds.positions = new Tensor('int64', positions, [B, S]);

  return {
    gradients,
    accumulate: async (inputs) => {
      const M = inputs.lossRows.length;
      const feeds: Record<string, Tensor> = {
        ...fixedFeeds,
        ids: new Tensor('int32', inputs.ids, [B, S]),
        bias: new Tensor('float32', inputs.bias, [B, 1, 1, T, T]),
        lossRows: new Tensor('int32', inputs.lossRows, [M]),
        targets: new Tensor('int32', inputs.targets, [M, 1]),
        weights: new Tensor('float32', inputs.weights, [M, 1]),
      };
      if (inputs.noisyBias) feeds.noisyBias = new Tensor('float32', inputs.noisyBias, [B, 1, 1, T, 2 * T]);
      const result = await session.run(feeds, fetches);
      const nll = result.nll.data as Float32Array;
      let diffusionNats = 0;
      let autoregressiveNats = 0;
      for (let i = 0; i < M; i++) {
        if (i < inputs.diffusionRows) diffusionNats += inputs.weights[i] * nll[i];
        else autoregressiveNats += inputs.weights[i] * nll[i];
      }
      return { loss: (result.loss.data as Float32Array)[0], diffusionNats, autoregressiveNats };
    },
    clear: () => void gradients.flat.fill(0),
    close: () => session.close(),
  };
}
