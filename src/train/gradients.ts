/**
 * One compiled forward and backward pass. Gradients accumulate in place over micro-batches: the graph reads and
 * writes the same buffers.
 */
import { createSession, type Runtime, type SessionOptions, type Tensor } from '../graph/session.ts';
import type { ModelConfig } from '../model/config.ts';
import { createParameters, type Parameters } from '../model/parameters.ts';
import { batchFeeds, weightFeeds, type ScoringInputs } from '../model/scoring-feeds.ts';
import { buildScoringGraph, type ScoringShape } from '../model/scoring.ts';

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

/** Compiles a forward pass of the same shape; `parameters` are read in place. */
export async function createForwardPass(
  runtime: Runtime,
  config: ModelConfig,
  parameters: Parameters,
  shape: ScoringShape,
  options: SessionOptions = {},
): Promise<ForwardPass> {
  const session = await createSession(runtime, buildScoringGraph(config, shape).graph, options);
  const fixedFeeds = weightFeeds(runtime, parameters.list, shape);
  return {
    score: async (inputs) => {
      const { nll, best, guess } = await session.run({
        ...fixedFeeds,
        ...batchFeeds(runtime, inputs, shape),
      });
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
  const fixedFeeds = weightFeeds(runtime, parameters.list, shape);
  const fetches: Record<string, Tensor> = {};
  for (const { name, shape, data } of gradients.list) {
    const grad = new runtime.Tensor('float32', data, shape);
    fixedFeeds[`into.${name}`] = grad;
    fetches[`grad.${name}`] = grad;
  }

  return {
    gradients,
    accumulate: async (inputs) => {
      const result = await session.run({ ...fixedFeeds, ...batchFeeds(runtime, inputs, shape) }, fetches);
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
