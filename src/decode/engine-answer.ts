/** One request inside the worker: its model, its turn, its prompt, its run, told as events. */
import { TintypeError } from '../errors.ts';
import type { ChatFormat } from '../text/chat.ts';
import type { FimPrompt } from '../text/fim.ts';
import type { Batch } from './batch.ts';
import { createCanvasFrames } from './canvas-frames.ts';
import { chatPromptIds } from './conversation.ts';
import type { CompileThread } from './constraints/compile-thread.ts';
import {
  constraintOf,
  gapPrompt,
  isConstraint,
  planLengths,
  streamCanvas,
  streamPrompt,
} from './complete.ts';
import type { CompleteOptions, CompletionStream, TextModel } from './complete.ts';
import { withDefaults } from './defaults.ts';
import type { CompletionRequest, EngineEvent } from './engine-types.ts';
import type { DoneEvent } from './events.ts';
import type { ModelPool, PoolModel } from './model-pool.ts';
import { PAUSE_MS, pacedDeltas } from './paced-deltas.ts';
import type { PrefixCache } from './prefix-cache.ts';
import type { Schedule } from './schedule.ts';
import { createTextStream } from './text-stream.ts';
import { createTrace } from './trace.ts';

export interface EngineModel extends TextModel, PoolModel {
  id: string;
  defaults: CompleteOptions;
  batch: Batch;
  prefixCache: PrefixCache;
  /** Null where it cannot be talked to. */
  chat: ChatFormat | null;
}

export interface Surroundings {
  pool: ModelPool<EngineModel>;
  schedule: Schedule;
  /** Null: constraints are compiled here. */
  compiler: CompileThread | null;
  signal: AbortSignal;
}

export type SentRequest = Omit<CompletionRequest, 'signal'> &
  Pick<CompletionRequest, 'prompt' | 'suffix' | 'chat' | 'canvas'>;

/** Errors: those of `streamPrompt`; `prompt_too_long`; `unsupported` for a conversation with a model that cannot. */
export async function answer(
  request: SentRequest,
  { pool, schedule, compiler, signal }: Surroundings,
  tell: (event: EngineEvent) => void,
): Promise<void> {
  const askedMs = performance.now();
  const model = await pool.acquire(request.model, signal);
  try {
    const { prompt, maxTokens } = promptOf(model, request);
    const options = await withConstraint(model, request.options ?? {}, compiler, signal);
    const turn = {
      lane: model.id,
      owner: request.owner ?? '',
      costBytes: (prompt.ids.length + maxTokens) * (model.denoiser.memory?.placeBytes ?? 0),
    };
    const leave = await schedule.enter(turn, signal);
    const queuedMs = performance.now() - askedMs;
    const denoiser = model.batch.join();
    try {
      await run({ ...model, denoiser }, prompt, { ...request, options, maxTokens }, signal, queuedMs, tell);
    } finally {
      model.batch.leave(denoiser);
      leave();
    }
  } finally {
    pool.release(model.id);
  }
}

/** A constraint is compiled before the request takes a place, and not in this thread. */
async function withConstraint(
  { tokenizer, denoiser, defaults }: EngineModel,
  options: CompleteOptions,
  compiler: CompileThread | null,
  signal: AbortSignal,
): Promise<CompleteOptions> {
  const { schema, regex } = withDefaults(options, defaults);
  if (!isConstraint({ schema, regex })) return options;
  const grammar = await compiler?.compile({ schema, regex }, signal);
  const constraint = constraintOf(tokenizer, denoiser.config, { schema, regex }, grammar);
  return { ...options, schema: undefined, regex: undefined, constraint };
}

async function run(
  model: EngineModel,
  prompt: FimPrompt,
  request: SentRequest,
  signal: AbortSignal,
  queuedMs: number,
  tell: (event: EngineEvent) => void,
): Promise<void> {
  const { maxTokens, temperature, topP, seed, stop, predictMs, logitBias, options = {} } = request;
  const said = { maxTokens, temperature, topP, seed, stop, predictMs, logitBias, ...options };
  const soFar = { promptTokens: prompt.ids.length, cachedTokens: 0, completionTokens: 0 };
  const prefixCache: PrefixCache = {
    ...model.prefixCache,
    take: (...asked) => {
      const known = model.prefixCache.take(...asked);
      soFar.cachedTokens = known?.length ?? 0;
      return known;
    },
  };
  const candidates = request.trace?.candidates ?? 0;
  const settings = {
    ...withDefaults(said, model.defaults),
    prefixCache,
    signal,
    ...(candidates > 0 ? { inspect: candidates } : {}),
  };
  const { canvas, events, text, isLate } = request.canvas
    ? fillCanvas(model, request.canvas, settings)
    : streamPrompt(model, prompt, { ...settings, maxTokens });
  const deltas = createTextStream(model.tokenizer, stop, { logprobs: request.logprobs });
  const frames = request.frames ? createCanvasFrames(canvas, model.tokenizer, text) : () => null;
  const trace = request.trace ? createTrace(canvas, model.tokenizer, text) : null;
  for (const line of trace?.start() ?? []) tell({ type: 'trace', line });
  // Who sees every state sees every token.
  const isPaced = request.together === true || (!request.frames && !request.trace);
  let [stepMs, steppedMs] = [0, 0];
  const told = isPaced
    ? pacedDeltas(tell, {
        pauseMs: request.together ? Infinity : PAUSE_MS,
        stepMs: () => stepMs,
        nowMs: () => performance.now(),
      })
    : tell;
  let done: DoneEvent | null = null;
  for await (const event of events) {
    for (const line of trace?.push(event) ?? []) tell({ type: 'trace', line });
    const frame = frames(event);
    if (frame) told({ type: 'frame', ...frame });
    if (event.type === 'step') [stepMs, steppedMs] = [event.elapsedMs - steppedMs, event.elapsedMs];
    if (event.type === 'block') soFar.completionTokens += event.ids.length;
    const delta = deltas.push(event);
    if (delta) told({ type: 'delta', ...delta, soFar: { ...soFar } });
    if (event.type === 'done') done = event;
  }
  if (done === null || done.reason === 'aborted') {
    throw new TintypeError('aborted', { what: 'the request was given up' });
  }
  const whole = text(done);
  const rest = deltas.end(whole);
  if (rest) told({ type: 'delta', ...rest });
  told({
    type: 'reply',
    reply: {
      text: whole,
      finishReason: done.reason === 'length' || isLate() ? 'length' : 'stop',
      promptTokens: prompt.ids.length,
      cachedTokens: done.cachedTokens,
      completionTokens: done.usefulTokens,
      nfe: done.nfe,
      elapsedMs: done.elapsedMs,
      prefillMs: done.prefillMs,
      queuedMs,
    },
  });
}

function fillCanvas(
  model: EngineModel,
  { ids, answerStart }: NonNullable<SentRequest['canvas']>,
  options: CompleteOptions,
): Omit<CompletionStream, 'prompt'> {
  // A canvas has its length already.
  const { maxTokens: _, contextTokens: __, ...settings } = options;
  const canvas = { ids: Int32Array.from(ids), answerStart };
  return { canvas, ...streamCanvas(model, canvas, settings) };
}

/**
 * No tokenizer writes more characters a token than this over a whole context, and tokenizers that know their longest
 * token say less: encoding megabytes only to refuse them would hold everybody up.
 */
const MOST_CHARACTERS_A_TOKEN = 128;

/** What stands before the answer, and how long the answer may be. */
function promptOf(model: EngineModel, request: SentRequest): { prompt: FimPrompt; maxTokens: number } {
  const { config } = model.denoiser;
  const { contextLength } = config;
  if (request.canvas) {
    const { ids, answerStart } = request.canvas;
    const prompt = { ids: ids.slice(0, answerStart), dropped: NOTHING_DROPPED };
    return { prompt, maxTokens: Math.max(1, ids.length - answerStart) };
  }
  const keepsNearest = request.overflow === 'keepNearest';
  const refused = (prompt: string): TintypeError =>
    new TintypeError('prompt_too_long', {
      what: 'the prompt and its answer do not fit into the context of the model',
      got: `${prompt} and ${request.maxTokens} to write`,
      wanted: `at most ${contextLength} together`,
      next: 'shorten the prompt or ask for fewer tokens',
    });
  // Of a conversation more is counted than will be encoded.
  const longest = request.chat ? undefined : model.tokenizer.longestToken;
  const mostCharacters = contextLength * Math.min(longest ?? Infinity, MOST_CHARACTERS_A_TOKEN);
  const characters = charactersOf(request);
  if (characters > mostCharacters && !keepsNearest) throw refused(`a prompt of ${characters} characters`);

  // Of a context that is too small half goes to the answer.
  const share = keepsNearest ? contextLength >> 1 : contextLength - 1;
  const most = request.shrink ? Math.min(request.maxTokens, share) : request.maxTokens;
  const { contextTokens } = request.options ?? {};
  const budget = keepsNearest ? planLengths(config, { maxTokens: most, contextTokens }).room : Infinity;
  const prompt = request.chat
    ? { ids: chatPromptIds(model.chat, model.id, request.chat), dropped: NOTHING_DROPPED }
    : gapPrompt(
        model,
        {
          prefix: request.prompt!.slice(-mostCharacters),
          suffix: request.suffix?.slice(0, mostCharacters) ?? null,
        },
        budget,
      );
  const left = contextLength - prompt.ids.length;
  const maxTokens = request.shrink ? Math.min(most, left) : most;
  if (maxTokens < 1 || maxTokens > left) throw refused(`a prompt of ${prompt.ids.length} tokens`);
  return { prompt, maxTokens };
}

const charactersOf = ({ chat, prompt, suffix }: SentRequest): number =>
  chat ? JSON.stringify(chat).length : (prompt?.length ?? 0) + (suffix?.length ?? 0);

export const NOTHING_DROPPED: FimPrompt['dropped'] = {
  prefixTokens: 0,
  prefixCharacters: 0,
  suffixTokens: 0,
  suffixCharacters: 0,
};
