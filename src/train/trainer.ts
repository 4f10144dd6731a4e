/**
 * The training loop: batches to gradients to updates to checkpoints, as a stream of events. The run log, the live
 * line of the terminal and the page are folds over it. A run is a function of its configuration and seed, and a
 * resumed run goes on bit for bit where the last checkpoint left it.
 */
import { TintypeError } from '../errors.ts';
import type { Runtime, SessionOptions } from '../graph/session.ts';
import type { ModelConfig } from '../model/config.ts';
import { createParameters, initialise, type Parameters } from '../model/parameters.ts';
import { createRng, restoreRng, type Rng } from '../rng.ts';
import type { BatchSource } from './batch.ts';
import { batchShape, learningRateShare, type TrainConfig } from './config.ts';
import { createForwardPass, createGradientPass, type ForwardPass, type GradientPass } from './gradients.ts';
import { createObjective, type Ask } from './objective.ts';
import { createOptimizer } from './optimizer.ts';
import { loadState, saveState, type RunState } from './state.ts';

export type TrainEvent =
  | { type: 'start'; parameters: number; resumedAtStep: number; source: string }
  | StepEvent
  | { type: 'checkpoint'; step: number; tokens: number; elapsedMs: number }
  | { type: 'end'; reason: 'finished' | 'stopped' | 'minutes'; step: number; tokens: number };

export interface StepEvent {
  type: 'step';
  step: number;
  /** Tokens of the data so far. */
  tokens: number;
  flops: number;
  epochs: number;
  /** What was minimised: mean over the tokens, nats. */
  lossNats: number;
  /** Its parts, each a mean over its own tokens; null where the objective lacks it. */
  diffusionNats: number | null;
  autoregressiveNats: number | null;
  /** The certainty term with its weight; null where the objective lacks it. */
  certaintyNats: number | null;
  /** Share of the peak. */
  learningRate: number;
  gradNorm: number;
  tokensPerSecond: number;
  /** Training time over all sessions. */
  elapsedMs: number;
}

export interface TrainOptions {
  runtime: Runtime;
  config: TrainConfig;
  model: ModelConfig;
  source: BatchSource;
  /** Run folder: holds the state. */
  dir: string;
  /** Weights to start from; null: random. */
  start: ((parameters: Parameters) => Promise<void>) | null;
  resume: boolean;
  /** Polled between micro-batches; true ends the run after a checkpoint. */
  stopped: () => boolean;
  /** Wall-clock limit of this session. */
  minutes?: number | undefined;
  /** Saves what others may load: weights, averaged when the run keeps an average. */
  publish: (parameters: Parameters) => Promise<void>;
  now?: () => number;
}

/** A loss this many nats above its smoothed value has diverged; noise of a batch stays far below. */
const DIVERGED_NATS = 3;
const SMOOTHING = 0.98;

/**
 * Matrix-product FLOPs of one step, forward and backward (backward costs twice the forward).
 * @param asks forwards that nothing is learned from, for each micro-batch
 */
export function flopsOfStep(
  model: ModelConfig,
  { rows, length, microBatches }: { rows: number; length: number; microBatches: number },
  streams: number,
  scoredRows: number,
  asks = 0,
): number {
  const { width: D, heads: H, kvHeads: K, headDim, ffnWidth: F, layers: L, vocabSize: V } = model;
  const positions = rows * length * streams;
  const linear = 2 * positions * L * D * (2 * H * headDim + 2 * K * headDim + 3 * F);
  // Two products over the keys that each stream sees: T for the clean one, 2T for the noisy one.
  const attention = 4 * rows * length * L * H * headDim * (streams === 1 ? length : 3 * length);
  const head = 2 * scoredRows * D * V;
  return (3 + asks) * (microBatches * (linear + attention) + head);
}

export async function* train(options: TrainOptions): AsyncGenerator<TrainEvent> {
  const { runtime, config, model, source, dir, stopped, now = () => performance.now() } = options;
  const session: SessionOptions = config.threads === null ? {} : { threads: config.threads };
  const objective = createObjective(config.objective, model);
  const parameters = createParameters(model);
  const optimizer = await createOptimizer(runtime, model, config.optimizer, session);
  const average = config.ema === null ? null : createParameters(model);
  const buffers: Record<string, Float32Array> = {
    parameters: parameters.flat,
    first: optimizer.moments[0].flat,
    second: optimizer.moments[1].flat,
    ...(average ? { average: average.flat } : {}),
  };

  let state: RunState | null = options.resume ? await loadState(dir, buffers) : null;
  let rng: Rng;
  if (state) {
    rng = restoreRng(state.rng);
    source.restore(state.source);
    optimizer.step = state.step;
  } else {
    rng = createRng(config.seed, 'train');
    initialise(parameters, model, createRng(config.seed, 'init'));
    if (options.start) await options.start(parameters);
    average?.flat.set(parameters.flat);
    state = {
      step: 0,
      tokens: 0,
      flops: 0,
      trainedMs: 0,
      rng: rng.state(),
      source: source.state(),
      smoothedNats: null,
    };
  }
  const { microBatches } = config.batch;
  let shape = batchShape(config.batch, state.tokens);
  const compile = async (): Promise<{ learn: GradientPass; blind: ForwardPass | null }> => {
    const { streams, certainty, asks } = objective;
    const form = { ...shape, streams };
    return {
      learn: await createGradientPass(runtime, model, parameters, { ...form, certainty }, session),
      blind:
        asks > 0
          ? await createForwardPass(runtime, model, parameters, { ...form, guesses: true }, session)
          : null,
    };
  };
  const release = async (): Promise<void> => {
    await passes.learn.close();
    await passes.blind?.close();
  };
  let passes = await compile();
  const ask: Ask = async (inputs) => {
    const { nll, guess } = await passes.blind!.score(inputs);
    return { nll, guess: guess! };
  };
  yield {
    type: 'start',
    parameters: parameters.flat.length,
    resumedAtStep: state.step,
    source: source.description,
  };

  const startedMs = now();
  const trainedBefore = state.trainedMs;
  let savedMs = startedMs;
  const save = async (): Promise<TrainEvent> => {
    const began = now();
    await saveState(dir, { ...state, rng: rng.state(), source: source.state() }, buffers);
    await options.publish(average ?? parameters);
    savedMs = now();
    return { type: 'checkpoint', step: state.step, tokens: state.tokens, elapsedMs: savedMs - began };
  };

  const { schedule } = config;
  let reason: 'finished' | 'stopped' | 'minutes' = 'finished';
  while (state.tokens < schedule.totalTokens) {
    // A step cut short leaves nothing behind: streams go back to where it began.
    const before = { rng: rng.state(), source: source.state() };
    const stepStartedMs = now();
    const wanted = batchShape(config.batch, state.tokens);
    if (wanted.length !== shape.length || wanted.rows !== shape.rows) {
      shape = wanted;
      await release();
      passes = await compile();
    }
    objective.beginStep(rng, state.tokens / schedule.totalTokens);
    passes.learn.clear();
    let tokens = 0;
    let scoredRows = 0;
    const nats = { all: 0, diffusion: 0, autoregressive: 0, certainty: 0 };
    for (let i = 0; i < microBatches && !stopped(); i++) {
      const batch = source.next(shape.rows, shape.length);
      const inputs = await objective.prepare(batch, rng, ask);
      const loss = await passes.learn.accumulate(inputs);
      nats.all += loss.loss / microBatches;
      nats.diffusion += loss.diffusionNats / microBatches;
      nats.autoregressive += loss.autoregressiveNats / microBatches;
      nats.certainty += loss.certaintyNats / microBatches;
      scoredRows += inputs.lossRows.length;
      tokens += batch.segments.reduce((n, segment) => n + Number(segment !== -1), 0);
    }
    if (stopped()) {
      rng = restoreRng(before.rng);
      source.restore(before.source);
      reason = 'stopped';
      break;
    }
    const rate = learningRateShare(schedule, state.tokens);
    const gradNorm = await optimizer.update(parameters, passes.learn.gradients, 1 / microBatches, rate);
    checkHealthy(nats.all, gradNorm, state, dir);
    if (average) follow(average.flat, parameters.flat, config.ema!);

    state.step++;
    state.tokens += tokens;
    const { streams, asks } = objective;
    state.flops += flopsOfStep(model, { ...shape, microBatches }, streams, scoredRows, asks);
    state.trainedMs = trainedBefore + (now() - startedMs);
    state.smoothedNats =
      state.smoothedNats === null ? nats.all : SMOOTHING * state.smoothedNats + (1 - SMOOTHING) * nats.all;
    const arWeight = config.objective.kind === 'blockDiffusion' ? config.objective.arWeight : 1;
    const hasAr =
      config.objective.kind === 'autoregressive' || (model.layout === 'causalContext' && arWeight > 0);
    yield {
      type: 'step',
      step: state.step,
      tokens: state.tokens,
      flops: state.flops,
      epochs: source.epochs,
      lossNats: nats.all,
      diffusionNats: config.objective.kind === 'autoregressive' ? null : nats.diffusion,
      autoregressiveNats: hasAr ? nats.autoregressive / arWeight : null,
      certaintyNats: objective.certainty === null ? null : nats.certainty,
      learningRate: rate,
      gradNorm,
      tokensPerSecond: (tokens / (now() - stepStartedMs)) * 1000,
      elapsedMs: state.trainedMs,
    };
    if (options.minutes !== undefined && now() - startedMs > options.minutes * 60_000) {
      reason = 'minutes';
      break;
    }
    if (now() - savedMs > config.checkpointMinutes * 60_000) yield await save();
  }
  yield await save();
  yield { type: 'end', reason, step: state.step, tokens: state.tokens };
  await release();
  await optimizer.close();
}

/** @throws TintypeError `diverged`; the state on disk is from before. */
function checkHealthy(loss: number, gradNorm: number, state: RunState, dir: string): void {
  const limit = state.smoothedNats === null ? Infinity : state.smoothedNats + DIVERGED_NATS;
  if (Number.isFinite(loss) && Number.isFinite(gradNorm) && loss <= limit) return;
  throw new TintypeError('diverged', {
    what: `training diverged at step ${state.step + 1}`,
    got: `loss ${loss} nats, gradient norm ${gradNorm}`,
    wanted:
      state.smoothedNats === null ? 'finite numbers' : `a loss near ${state.smoothedNats.toFixed(2)} nats`,
    next: `lower optimizer.learningRate and muonLearningRate, then --resume: the last good checkpoint is in ${dir}`,
  });
}

/** average ← decay · average + (1 − decay) · weights. */
function follow(average: Float32Array, weights: Float32Array, decay: number): void {
  for (let i = 0; i < average.length; i++) average[i] = decay * average[i] + (1 - decay) * weights[i];
}
