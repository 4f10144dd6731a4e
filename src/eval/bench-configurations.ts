/** What the bench compares: our decoder under some options, and llama.cpp with the same weights, on the same prompts. */
import { completeText, streamCompletion, type CompleteOptions, type TextModel } from '../decode/complete.ts';
import type { DecodeEvent } from '../decode/events.ts';
import { placeBytes } from '../model/cache.ts';
import { parameterCount, type ModelConfig } from '../model/config.ts';
import { type Precision, quantizedFormats } from '../model/quantize.ts';
import { ggufWeightBytes, type GgufType } from '../model/gguf-write.ts';
import type { BenchConfiguration, BenchMode, BenchReply } from './bench.ts';
import type { InfillRow } from './documents.ts';
import { isSingleLine } from './fim.ts';
import { countTokens } from './infill.ts';
import type { LlamaModel } from './llama.ts';

const F32_BYTES = 4;
const F16_BYTES = 2;

/** Keys and values of one position. */
const cachedNumbers = (config: ModelConfig): number => placeBytes(config) / F32_BYTES;

/** As our decoder holds them: a quantised matrix takes the place of its own, but for a tied embedding, which stays. */
export function weightBytes(config: ModelConfig, precision: Precision): number {
  let bytes = parameterCount(config) * F32_BYTES;
  for (const { source, shape, bits, block } of quantizedFormats(config, precision).values()) {
    const [rows, columns] = shape;
    bytes += rows * Math.ceil(columns / block) * ((block * bits) / 8 + F32_BYTES);
    if (source !== 'model.embed_tokens.weight') bytes -= rows * columns * F32_BYTES;
  }
  return bytes;
}

/** A row whose truth is a single line asks for a single line, as an editor does. */
const stopOf = ({ middle }: InfillRow, isFull: boolean): string[] =>
  !isFull && isSingleLine(middle) ? ['\n'] : [];

/** Options under which an answer never ends by itself. */
export const endless = ({ tokens }: ModelConfig): CompleteOptions => ({
  logitBias: Object.fromEntries(tokens.eos.map((id) => [id, -100])),
});

export interface DecoderPlan {
  name: string;
  mode: BenchMode;
  model: TextModel;
  options: CompleteOptions;
  precision?: Precision | undefined;
  /** Every answer is as long as it may be: nothing ends it before. */
  isFull?: boolean | undefined;
  nonMatmulShare?: number | null | undefined;
  nowMs?: (() => number) | undefined;
}

export function decoderConfiguration(plan: DecoderPlan): BenchConfiguration {
  const { name, mode, model, precision = 'f32', isFull = false } = plan;
  const { config } = model.denoiser;
  const nowMs = plan.nowMs ?? (() => performance.now());
  const options = isFull ? { ...plan.options, ...endless(config) } : plan.options;
  return {
    name,
    mode,
    options: { ...plan.options, precision },
    complete: async (row, signal) => {
      const { prefix, suffix } = row;
      const startMs = nowMs();
      const completion = await completeText(
        model,
        { prefix, suffix },
        { ...options, stop: [...(options.stop ?? []), ...stopOf(row, isFull)], signal, now: nowMs },
      );
      const elapsedMs = nowMs() - startMs;
      const { text, done, events, promptTokens } = completion;
      if (done.reason === 'aborted') signal?.throwIfAborted();
      // What the request took outside decoding came before it: tokens had to be made of the text.
      const beforeMs = elapsedMs - done.elapsedMs;
      return {
        text,
        tokens: countTokens(model.tokenizer, done.ids, text),
        nfe: done.nfe,
        firstMs: beforeMs + settledMs(events, done.elapsedMs),
        elapsedMs,
        positions: promptTokens + (options.maxTokens ?? done.ids.length),
      };
    },
    memoryBytes: (positions) =>
      weightBytes(config, precision) + cachedNumbers(config) * F32_BYTES * positions,
    nonMatmulShare: plan.nonMatmulShare ?? null,
  };
}

/** When the first text was settled: at the last forward before the first block that holds any. */
export function settledMs(events: readonly DecodeEvent[], endMs: number): number {
  let lastMs = 0;
  for (const event of events) {
    if (event.type === 'step') lastMs = event.elapsedMs;
    if (event.type === 'block' && event.ids.length > 0) return lastMs;
  }
  return endMs;
}

export interface LlamaPlan {
  type: GgufType;
  llama: LlamaModel;
  /** The model in the file: its tokenizer makes the prompts. */
  model: TextModel;
  /** Those of the decoder that say what the prompt is. */
  options: CompleteOptions & { maxTokens: number };
  /** As of a `DecoderPlan`. */
  isFull?: boolean | undefined;
}

export function llamaConfiguration({
  type,
  llama,
  model,
  options,
  isFull = false,
}: LlamaPlan): BenchConfiguration {
  const { tokenizer } = model;
  const { config } = model.denoiser;
  const complete = async (row: InfillRow, signal: AbortSignal | undefined): Promise<BenchReply> => {
    const startMs = performance.now();
    // The prompt alone: nothing is decoded until the events are read.
    const { ids } = streamCompletion(model, { prefix: row.prefix, suffix: row.suffix }, options).prompt;
    const promptMs = performance.now() - startMs;
    const stop = stopOf(row, isFull);
    const cut = (written: readonly number[]): string => {
      const text = tokenizer.decode(written);
      const ends = stop.map((word) => text.indexOf(word)).filter((at) => at >= 0);
      return ends.length === 0 ? text : text.slice(0, Math.min(...ends));
    };
    const isOver = (written: readonly number[]): boolean =>
      stop.some((word) => tokenizer.decode(written.slice(-1)).includes(word));
    const { maxTokens } = options;
    const reply = await llama.generate({ ids, maxTokens, isOver, isEndless: isFull, signal });
    const elapsedMs = performance.now() - startMs;
    const text = cut(reply.ids);
    // The forward that gave the end of text gave no token.
    const isEnded = reply.ids.length < maxTokens && !isOver(reply.ids);
    return {
      text,
      tokens: countTokens(tokenizer, reply.ids, text),
      nfe: reply.ids.length + (isEnded ? 1 : 0),
      firstMs: promptMs + reply.firstMs,
      elapsedMs,
      positions: ids.length + maxTokens,
    };
  };
  return {
    name: `llama-${type}`,
    mode: 'llama',
    options: { engine: llama.engine, type, maxTokens: options.maxTokens },
    complete,
    memoryBytes: (positions) => ggufWeightBytes(config, type) + cachedNumbers(config) * F16_BYTES * positions,
    nonMatmulShare: null,
    isRemote: llama.isRemote,
  };
}
