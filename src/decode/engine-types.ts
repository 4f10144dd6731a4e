/**
 * What the HTTP server asks of decoding, and nothing more: a text with a gap or a conversation in, the text for it
 * out, as it settles. The real engine lives in `engine.ts` behind a worker thread; tests hand the server a fake one.
 */
import { TintypeError } from '../errors.ts';
import type { ChatMessage } from '../text/chat.ts';
import type { CanvasFrame } from './canvas-frames.ts';
import type { CompleteOptions } from './complete.ts';
import type { TraceLine } from './trace.ts';

export interface ChatPrompt {
  messages: readonly ChatMessage[];
  /** Tools that the template may describe, in OpenAI's shape. */
  tools?: readonly unknown[] | undefined;
}

/** Text around a gap, a conversation that the model's template makes a prompt of, or a canvas of tokens. */
export type RequestSource =
  | {
      /** Text before the gap. */
      prompt: string;
      /** Text after the gap; null asks for a plain continuation of the prompt. */
      suffix: string | null;
      chat?: undefined;
      canvas?: undefined;
    }
  | { chat: ChatPrompt; prompt?: undefined; suffix?: undefined; canvas?: undefined }
  /** Its masks are to be filled, whatever `maxTokens` says. */
  | {
      canvas: { ids: readonly number[]; answerStart: number };
      prompt?: undefined;
      suffix?: undefined;
      chat?: undefined;
    };

export interface RequestSettings {
  /** Id as `models()` lists it. */
  model: string;
  /** Most tokens to write, at least 1. */
  maxTokens: number;
  /** Write fewer where the context has no room for as many, instead of refusing. */
  shrink?: boolean | undefined;
  /** What to do with a prompt that is too long: refuse it (default), or keep what is nearest to the gap. */
  overflow?: 'throw' | 'keepNearest' | undefined;
  /** 0 is greedy. */
  temperature: number;
  /** In (0, 1]; 1 keeps every token. */
  topP: number;
  /** Same seed, same request, same text. */
  seed: number;
  /** The reply ends before the first of these. */
  stop: string[];
  /** `CompleteOptions.predictMs`; the reply then ends with `length`. */
  predictMs?: number | undefined;
  /** Added to the logits of tokens, by id. */
  logitBias?: Record<string, number> | undefined;
  /** The decoder's own options: mode, policy, cache, constraint. */
  options?: CompleteOptions | undefined;
  /** Tell every state of the canvas. */
  frames?: boolean | undefined;
  /** Tell everything that happens, and that many candidates of every position (0: none). */
  trace?: { candidates: number } | undefined;
  /** Tell each token with its probability. */
  logprobs?: boolean | undefined;
  /** Only the whole is wanted: deltas after the first come as one. */
  together?: boolean | undefined;
  /** Part of a request of which another part was answered: never refused as `overloaded`. */
  goesOn?: boolean | undefined;
  /** Who asks: where requests wait, owners take turns. */
  owner?: string | undefined;
  /** Asks the decoder to stop between two denoising steps; the request then rejects with code `aborted`. */
  signal?: AbortSignal | undefined;
}

export type CompletionRequest = RequestSettings & RequestSource;

export interface SettledToken {
  text: string;
  bytes: number[];
  /** Log of the model's own probability at the step that committed it. Nats. */
  logprob: number;
}

/** Settled text: what came before never changes, and all deltas joined are the text of the reply. */
export interface DeltaEvent {
  type: 'delta';
  text: string;
  /** Those that settled with it, when asked for; bytes of one character may be in several. */
  tokens: SettledToken[];
  /** Tokens of the request until here, this delta included; the reply has the final numbers. */
  soFar?: TokenCounts | undefined;
}

export interface TokenCounts {
  promptTokens: number;
  /** Those of them that an earlier request had computed. */
  cachedTokens: number;
  completionTokens: number;
}

export type EngineEvent =
  | DeltaEvent
  | ({ type: 'frame' } & CanvasFrame)
  | { type: 'trace'; line: TraceLine }
  /** The last one. */
  | { type: 'reply'; reply: CompletionReply };

export interface CompletionReply {
  text: string;
  /** `length`: the token budget ran out. */
  finishReason: 'stop' | 'length';
  promptTokens: number;
  /** Those of them that an earlier request had computed. */
  cachedTokens: number;
  /** Useful tokens: those before the end of the text. */
  completionTokens: number;
  /** Denoiser forwards. */
  nfe: number;
  /** Of decoding, without the wait for a turn. */
  elapsedMs: number;
  /** Part of it until the first forward was done. */
  prefillMs: number;
  /** Wait for a turn, and for the model to be loaded. */
  queuedMs: number;
}

export interface ServedModel {
  id: string;
  /** Attention layout, a `Layout` of `model/config.ts`. */
  layout: string;
  contextLength: number;
  /** Whether it can be talked to: its folder has a chat template. */
  chat: boolean;
  /** Whether it fills gaps. */
  infill: boolean;
}

/** What a model can do, in the words of `/v1/models`. */
export const featuresOf = ({ chat, infill }: Pick<ServedModel, 'chat' | 'infill'>): string[] => [
  ...(chat ? ['chat', 'tools'] : []),
  ...(infill ? ['fim', 'edit'] : []),
  'completions',
  'json_mode',
  'structured_outputs',
  'diffusing',
];

export interface EngineStatistics {
  running: number;
  waiting: number;
  /** Bytes of keys and values of earlier prompts, and how many there may be. */
  cacheBytes: number;
  cacheMaxBytes: number;
}

export interface CompletionEngine {
  /** At least one; empty while they are loading. */
  models(): ServedModel[];
  statistics(): EngineStatistics;
  /**
   * Deltas and frames as they come, the reply last; leaving early gives the request up. Rejects with `prompt_too_long`
   * when prompt, suffix and answer exceed the context, with `overloaded` when too many wait.
   */
  stream(request: CompletionRequest): AsyncIterable<EngineEvent>;
  /** The reply alone. */
  complete(request: CompletionRequest): Promise<CompletionReply>;
  /** Frees the models; running requests reject with code `aborted`. */
  close(): Promise<void>;
}

/** Reads a request to its end. */
export async function replyOf(events: AsyncIterable<EngineEvent>): Promise<CompletionReply> {
  for await (const event of events) if (event.type === 'reply') return event.reply;
  throw new TintypeError('aborted', { what: 'the request ended without a reply' });
}
