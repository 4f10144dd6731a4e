/**
 * One compiled forward and backward pass. Gradients accumulate in place over micro-batches: the graph reads and
 * writes the same buffers.
 */
import { createSession, type Runtime, type SessionOptions, type Tensor } from '../graph/session.ts';
import type { ModelConfig } from '../model/config.ts';
import { createParameters, type Parameters } from '../model/parameters.ts';
import { buildScoringGraph, type ScoringShape } from '../model/scoring.ts';
import type { ScoringInputs } from './rows.ts';

export interface MicroBatchLoss {
  /** Over all rows: what was differentiated. */
  loss: number;
  /** Its diffusion part. */
  diffusionNats: number;
  /** Its autoregressive part, with its weight. */
  autoregressiveNats: number;
  /** What is left: the certainty term. 0 where there is none. */
  certaintyNats: number;
}

export interface GradientPass {
  /** Sums of gradients since the last `clear`. */
  readonly gradients: Parameters;
  accumulate(inputs: ScoringInputs): Promise<MicroBatchLoss>;
  clear(): void;
  close(): Promise<void>;
}

/** Asks the model without learning from it. */
export interface ForwardPass {
  /**
   * Of each row under the weights as they are now: nats of its target, the probability of the best guess where the pass
   * was compiled with certainty, and that guess where it was compiled with guesses. [M] each
   */
  score(
    inputs: ScoringInputs,
  ): Promise<{ nll: Float32Array; best: Float32Array | null; guess: Int32Array | null }>;
  close(): Promise<void>;
}

/** The weights as tensors that share their memory, and the places of the tokens. */
function fixedFeedsOf(
  { Tensor }: Runtime,
  parameters: Parameters,
  { rows: B, length: T, streams }: ScoringShape,
): Record<string, Tensor> {
  const S = streams * T;
  const positions = BigInt64Array.from({ length: B * S }, (_, i) => BigInt(i % T));
  const feeds: Record<string, Tensor> = { positions: new Tensor('int64', positions, [B, S]) };
  for (const { name, shape, data } of parameters.list) feeds[name] = new Tensor('float32', data, shape);
  return feeds;
}

/** What changes from one micro-batch to the next. */
function feedsOf(
  { Tensor }: Runtime,
  inputs: ScoringInputs,
  { rows: B, length: T, streams }: ScoringShape,
): Record<string, Tensor> {
  const M = inputs.lossRows.length;
  const feeds: Record<string, Tensor> = {
    ids: new Tensor('int32', inputs.ids, [B, streams * T]),
    bias: new Tensor('float32', inputs.bias, [B, 1, 1, T, T]),
    lossRows: new Tensor('int32', inputs.lossRows, [M]),
    targets: new Tensor('int32', inputs.targets, [M, 1]),
    weights: new Tensor('float32', inputs.weights, [M, 1]),
  };
  if (inputs.noisyBias) feeds.noisyBias = new Tensor('float32', inputs.noisyBias, [B, 1, 1, T, 2 * T]);
  if (inputs.certaintyWeights) {
    feeds.certaintyWeights = new Tensor('float32', inputs.certaintyWeights, [M, 1]);
  }
  return feeds;
}

/** Compiles a forward pass of the same shape; `parameters` are read in place. */
export async function createForwardPass(
  runtime: Runtime,
  config: ModelConfig,
  parameters: Parameters,
  shape: ScoringShape,
  options: SessionOptions = {},
): Promise<ForwardPass> {
  const session = await createSession(runtime, buildScoringGraph(config, shape).graph, options);
  const fixedFeeds = fixedFeedsOf(runtime, parameters, shape);
  return {
    score: async (inputs) => {
      const { nll, best, guess } = await session.run({ ...fixedFeeds, ...feedsOf(runtime, inputs, shape) });
      return {
        nll: nll.data as Float32Array,
        best: (best?.data as Float32Array | undefined) ?? null,
        guess: guess ? Int32Array.from(guess.data as BigInt64Array, Number) : null,
      };
    },
    close: () => session.close(),
  };
}

/** Compiles the pass for B rows of T tokens in one or two streams; `parameters` are read in place. */
export async function createGradientPass(
  runtime: Runtime,
  config: ModelConfig,
  parameters: Parameters,
  shape: ScoringShape,
  options: SessionOptions = {},
): Promise<GradientPass> {
  const { graph, parameters: values, loss } = buildScoringGraph(config, shape);
  const accumulators = new Map(
    [...values].map(([name, value]) => [value, graph.input(`into.${name}`, 'float32', value.shape)]),
  );
  const grads = graph.backward(loss, accumulators);
  for (const [name, value] of values) graph.output(`grad.${name}`, grads.get(value)!);
  const session = await createSession(runtime, graph, options);

  const gradients = createParameters(config);
  const fixedFeeds = fixedFeedsOf(runtime, parameters, shape);
  const fetches: Record<string, Tensor> = {};
  for (const { name, shape, data } of gradients.list) {
    const grad = new runtime.Tensor('float32', data, shape);
    fixedFeeds[`into.${name}`] = grad;
    fetches[`grad.${name}`] = grad;
  }

  return {
    gradients,
    accumulate: async (inputs) => {
      const result = await session.run({ ...fixedFeeds, ...feedsOf(runtime, inputs, shape) }, fetches);
      const nll = result.nll.data as Float32Array;
      const loss = (result.loss.data as Float32Array)[0];
      let diffusionNats = 0;
      let autoregressiveNats = 0;
      for (let i = 0; i < nll.length; i++) {
        if (i < inputs.diffusionRows) diffusionNats += inputs.weights[i] * nll[i];
        else autoregressiveNats += inputs.weights[i] * nll[i];
      }
      const certaintyNats = inputs.certaintyWeights ? loss - diffusionNats - autoregressiveNats : 0;
      return { loss, diffusionNats, autoregressiveNats, certaintyNats };
    },
    clear: () => void gradients.flat.fill(0),
    close: () => session.close(),
  };
}
