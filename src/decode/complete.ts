/** Text in, text out: the prompt around a gap, one run of `decode`, the text that belongs there. */
import { TintypeError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { fimPrompt, HOLE, isContinuation } from '../text/fim.ts';
import type { FimPrompt } from '../text/fim.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { appendCanvas } from './canvas.ts';
import type { Canvas } from './canvas.ts';
import { createAutomaton } from './constraints/automaton.ts';
import { grammarOf } from './constraints/grammar.ts';
import type { Constraint } from './constraints/grammar.ts';
import type { Node } from './constraints/nodes.ts';
import { createTokenAutomaton } from './constraints/tokens.ts';
import type { TokenAutomaton } from './constraints/tokens.ts';
import { decode } from './decode.ts';
import { collect } from './events.ts';
import type { DecodeEvent, DoneEvent, Transcript } from './events.ts';
import { ownDefaults, samplerOf } from './official/choose.ts';
import { defaultLength, planOfficial } from './official/plan.ts';
import { completionOptionsSchema, parseOptions, samplerOptions } from './options.ts';
import type { DecodeOptions } from './options.ts';

export interface TextModel {
  denoiser: Denoiser;
  tokenizer: Tokenizer;
  /** Checks what the denoiser drafts (`DecodeOptions.verifier`). */
  verifier?: Denoiser;
}

export interface Gap {
  prefix: string;
  /** Text after the gap; null asks for a plain continuation of the prefix. */
  suffix: string | null;
}

export interface CompleteOptions extends Omit<DecodeOptions, 'stop'> {
  /** Most tokens to write, 64 by default. */
  maxTokens?: number | undefined;
  /** Most prompt tokens; by default what the context of the model leaves beside `maxTokens`. */
  contextTokens?: number | undefined;
  /** What to do with a text that is longer: keep what is nearest to the gap (default), or throw `prompt_too_long`. */
  overflow?: 'keepNearest' | 'throw' | undefined;
  /** The text ends before the first of these. */
  stop?: readonly string[] | undefined;
  /**
   * The text ends between two steps once so many milliseconds have passed since its first token, if it has a whole line
   * by then: what an editor still waits for (llama.cpp's `t_max_predict_ms`).
   */
  predictMs?: number | undefined;
  /** The text is JSON that is valid by this JSON Schema (draft 2020-12). */
  schema?: unknown;
  /** The text as a whole matches this regular expression. */
  regex?: string | undefined;
}

export interface Completion extends Transcript {
  text: string;
  promptTokens: number;
  /** Text that had no room in the prompt. */
  dropped: FimPrompt['dropped'];
}

/** A completion that is under way: what was asked, and the events as they come. */
export interface CompletionStream {
  prompt: FimPrompt;
  canvas: Canvas;
  events: AsyncGenerator<DecodeEvent, void, void>;
  /** The text of a finished run. */
  text: (done: DoneEvent) => string;
  /** Whether `predictMs` ended it. */
  isLate: () => boolean;
}

/** Starts a completion; nothing is computed until the events are read. Throws `bad_option`, `bad_tokenizer`. */
export function streamCompletion(
  model: TextModel,
  gap: Gap,
  { overflow = 'keepNearest', ...options }: CompleteOptions = {},
): CompletionStream {
  const { room } = planLengths(model.denoiser.config, options);
  return streamPrompt(model, gapPrompt(model, gap, overflow === 'throw' ? Infinity : room), options);
}

/** The tokens in front of a gap, as many as the budget allows. Throws `bad_option`, `bad_tokenizer`. */
export function gapPrompt({ denoiser, tokenizer }: TextModel, gap: Gap, budget: number): FimPrompt {
  // Suffix first: the text goes on right where the prefix ends, which small models learn long before they learn to
  // jump back over a suffix, and a cache of the prompt stays good while someone types at the gap.
  return gap.suffix === null
    ? prefixPrompt(tokenizer, denoiser.config, gap.prefix, budget)
    : fimPrompt(tokenizer, { prefix: gap.prefix, suffix: gap.suffix, format: 'spm', budget });
}

/** How many tokens are written, and how many the prompt may have. Throws `bad_option`. */
export function planLengths(
  config: ModelConfig,
  { maxTokens, contextTokens, sampler }: CompleteOptions,
): { maxTokens: number; room: number } {
  const official = samplerOf(sampler, config);
  const limits = parseOptions(completionOptionsSchema, {
    maxTokens: maxTokens ?? (official ? defaultLength(official, config) : undefined),
    contextTokens,
  });
  const room = config.contextLength - limits.maxTokens;
  if (room < 1) {
    throw new TintypeError('bad_option', {
      what: 'maxTokens leaves no room for a prompt',
      got: `${limits.maxTokens} tokens`,
      wanted: `less than the context of the model, ${config.contextLength} tokens`,
    });
  }
  return { maxTokens: limits.maxTokens, room: Math.min(limits.contextTokens ?? room, room) };
}

/** The same for a prompt of tokens. */
export function streamPrompt(
  { denoiser, tokenizer, verifier }: TextModel,
  prompt: FimPrompt,
  { maxTokens: asked, contextTokens, ...options }: Omit<CompleteOptions, 'overflow'>,
): CompletionStream {
  const { config } = denoiser;
  const sampler = samplerOf(options.sampler, config);
  const { maxTokens } = planLengths(config, { ...options, maxTokens: asked, contextTokens });

  const run =
    sampler === null
      ? null
      : planOfficial(sampler, config, prompt.ids, { ...samplerOptions(options), maxTokens });
  const canvas = run?.canvas ?? appendCanvas(prompt.ids, maxTokens);
  const model = { denoiser, tokenizer, ...(verifier && { verifier }) };
  return { prompt, canvas, ...streamCanvas(model, canvas, { ...options, recipe: run?.recipe }) };
}

/** The same for a canvas that the caller has laid out, such as a puzzle. Throws what `decode` throws. */
export function streamCanvas(
  { denoiser, tokenizer, verifier }: TextModel,
  canvas: Canvas,
  {
    stop = [],
    predictMs,
    schema,
    regex,
    ...options
  }: Omit<CompleteOptions, 'overflow' | 'maxTokens' | 'contextTokens'>,
): Omit<CompletionStream, 'prompt' | 'canvas'> {
  const { config } = denoiser;
  const textBeforeStop = (ids: ArrayLike<number>): { text: string; stopped: boolean } => {
    const text = tokenizer.decode(ids);
    const ends = stop.map((word) => text.indexOf(word)).filter((at) => at >= 0);
    return ends.length === 0
      ? { text, stopped: false }
      : { text: text.slice(0, Math.min(...ends)), stopped: true };
  };
  const now = options.now ?? (() => performance.now());
  let firstMs: number | null = null;
  let late = false;
  const isLate = (settled: ArrayLike<number>): boolean => {
    if (predictMs === undefined || settled.length === 0) return false;
    firstMs ??= now();
    late = now() - firstMs > predictMs && tokenizer.decode(settled).includes('\n');
    return late;
  };
  const events = decode(denoiser, canvas, {
    verifier,
    ...(options.mode === 'ar' ? {} : ownDefaults(config)),
    ...definedOf(options),
    constraint: options.constraint ?? constraintOf(tokenizer, config, { schema, regex }),
    stop:
      stop.length === 0 && predictMs === undefined
        ? undefined
        : (settled) => textBeforeStop(settled).stopped || isLate(settled),
  });
  return { events, text: (done) => textBeforeStop(done.ids).text, isLate: () => late };
}

const definedOf = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;

/** Automata by tokenizer and language, as many as are likely to be in use; compiling one takes milliseconds. */
const automata = new WeakMap<Tokenizer, Map<string, TokenAutomaton>>();
const MOST_AUTOMATA = 32;

/**
 * A language over the tokens of a model. Errors: `bad_option` or `unsupported`, for what cannot be compiled.
 * @param grammar of this constraint, where it is known already
 */
export function constraintOf(
  tokenizer: Tokenizer,
  { tokens }: ModelConfig,
  constraint: Constraint,
  grammar?: Node,
): TokenAutomaton | undefined {
  if (!isConstraint(constraint)) return undefined;
  const { schema, regex } = constraint;
  const key = JSON.stringify([schema, regex, tokens.eos]);
  let known = automata.get(tokenizer);
  if (!known) automata.set(tokenizer, (known = new Map()));
  let automaton = known.get(key);
  if (!automaton || automaton.language.isWorn) {
    const language = createAutomaton(grammar ?? grammarOf(constraint))!;
    automaton = createTokenAutomaton(language, tokenizer, { ends: tokens.eos });
    if (known.size >= MOST_AUTOMATA && !known.has(key)) known.delete(known.keys().next().value!);
    known.set(key, automaton);
  }
  return automaton;
}

export const isConstraint = ({ schema, regex }: Constraint): boolean =>
  schema !== undefined || regex !== undefined;

/** The same, read to the end. */
export async function completeText(
  model: TextModel,
  gap: Gap,
  options: CompleteOptions = {},
): Promise<Completion> {
  const { prompt, events, text } = streamCompletion(model, gap, options);
  const transcript = await collect(events);
  return {
    ...transcript,
    text: text(transcript.done),
    promptTokens: prompt.ids.length,
    dropped: prompt.dropped,
  };
}

export { HOLE };

export interface FilledHole {
  /** Of the hole, from 0. */
  index: number;
  completion: Completion;
}

/**
 * Fills the holes of a text one after the other; each sees the text around it, earlier holes filled, later ones
 * empty. `fillHoles` puts the text together.
 */
export async function* infillText(
  model: TextModel,
  text: string,
  options: CompleteOptions = {},
): AsyncGenerator<FilledHole, void, void> {
  const [first, ...rest] = text.split(HOLE);
  let prefix = first;
  for (const [index, next] of rest.entries()) {
    const completion = await completeText(model, { prefix, suffix: rest.slice(index).join('') }, options);
    prefix += completion.text + next;
    yield { index, completion };
    if (completion.done.reason === 'aborted') return;
  }
}

/** The text with its first holes replaced by these texts. */
export function fillHoles(text: string, fillings: readonly string[]): string {
  return text.split(HOLE).reduce((filled, next, i) => filled + (fillings[i - 1] ?? HOLE) + next);
}

/** The end of a text as a prompt. An empty text starts as documents do, after an end of text. */
function prefixPrompt(
  tokenizer: Tokenizer,
  { tokens }: ModelConfig,
  prefix: string,
  budget: number,
): FimPrompt {
  const ids = tokenizer.encode(prefix);
  let from = Math.max(0, ids.length - budget);
  while (from > 0 && from < ids.length && isContinuation(tokenizer, ids[from])) from++;
  const start = tokens.bos ?? tokens.eos[0];
  return {
    ids: ids.length > 0 ? ids.slice(from) : start === undefined ? [] : [start],
    dropped: {
      prefixTokens: from,
      prefixCharacters: tokenizer.decode(ids.slice(0, from)).length,
      suffixTokens: 0,
      suffixCharacters: 0,
    },
  };
}
