/** The work of one HTTP request: some prompts, some answers to each, run together, told as they come. */
import { setMaxListeners } from 'node:events';
import type {
  CompletionReply,
  EngineEvent,
  RequestSettings,
  RequestSource,
  ServedModel,
  TokenCounts,
} from '../decode/engine-types.ts';
import { createInbox } from '../decode/inbox.ts';
import type { Ctx, Deps, Totals } from './deps.ts';
import { totalsOf } from './deps.ts';
import { HttpError } from './errors.ts';

export interface Job {
  model: ServedModel;
  /** One for each prompt. */
  sources: readonly RequestSource[];
  /** Answers to each. */
  n: number;
  /** Null: drawn. Answers to one prompt get seeds one after the other. */
  seed: number | null;
  settings: Omit<RequestSettings, 'model' | 'seed' | 'signal' | 'owner' | 'together' | 'goesOn'>;
}

export interface JobEvent {
  /** prompt * n + answer */
  choice: number;
  event: EngineEvent;
}

const SEEDS = Number.MAX_SAFE_INTEGER;

/** Any whole number as a seed that the decoder takes: exact for all that are not negative. */
const seedOf = (seed: number): number => (seed < 0 ? SEEDS + Math.max(seed, -SEEDS) : seed % SEEDS);

/** Events of all answers as they come. The first error ends them all. */
export async function* runJob(
  c: Ctx,
  job: Job,
  { engine, metrics }: Deps,
  { together = false, goesOn = false }: Pick<RequestSettings, 'together' | 'goesOn'> = {},
): AsyncGenerator<JobEvent, void, void> {
  const { model, sources, n } = job;
  const settings = { ...job.settings, maxTokens: checkedLength(job) };
  c.set('log', { ...c.var.log, model: model.id });
  const seed = seedOf(job.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const inbox = createInbox<JobEvent>();
  const startedMs = performance.now();
  const own = new AbortController();
  const signal = AbortSignal.any([c.var.signal, own.signal]);
  // Each answer listens.
  setMaxListeners(sources.length * n + 1, signal);

  async function runOne(choice: number): Promise<void> {
    const source = sources[Math.floor(choice / n)];
    let firstMs: number | null = null;
    for await (const event of engine.stream({
      ...source,
      ...settings,
      model: model.id,
      together,
      goesOn,
      seed: (seed + (choice % n)) % SEEDS,
      owner: c.env?.internal ? 'batches' : (c.var.key?.id ?? c.var.requestId),
      signal,
    })) {
      if (event.type === 'delta') firstMs ??= performance.now() - startedMs;
      if (event.type === 'reply') metrics.reply(model.id, event.reply, firstMs);
      inbox.put({ choice, event });
    }
  }

  const choices = Array.from({ length: sources.length * n }, (_, choice) => choice);
  const all = Promise.all(choices.map(runOne));
  c.get('onAsked')();
  all.then(
    () => inbox.end(),
    (error: unknown) => {
      inbox.fail(error);
      own.abort();
    },
  );
  const taken = new Map<number, TokenCounts>();
  try {
    for await (const each of inbox.read()) {
      yield each;
      // Asked for the next: what was made of this one is with the reader.
      countDelivered(c, job, each, taken);
    }
  } finally {
    own.abort();
  }
}

const NOTHING: TokenCounts = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };

/** Adds what this event brought to what is delivered. Several answers to one prompt count the prompt once. */
function countDelivered(
  c: Ctx,
  { n }: Job,
  { choice, event }: JobEvent,
  taken: Map<number, TokenCounts>,
): void {
  const now = event.type === 'delta' ? event.soFar : event.type === 'reply' ? event.reply : undefined;
  if (now === undefined) return;
  const before = taken.get(choice) ?? NOTHING;
  const delivered = c.get('delivered');
  if (choice % n === 0) {
    delivered.promptTokens += now.promptTokens - before.promptTokens;
    delivered.cachedTokens += now.cachedTokens - before.cachedTokens;
  }
  delivered.completionTokens += now.completionTokens - before.completionTokens;
  taken.set(choice, now);
  c.get('onDelivered')();
}

/** Tokens that all answers of one request may have together, where the context of the model is not longer. */
const MOST_ANSWER_TOKENS = 2048;

/** Most tokens of one answer. What can be refused before anything runs is: 400. */
function checkedLength({ model, sources, n, settings }: Job): number {
  const { maxTokens, shrink } = settings;
  if (!shrink && maxTokens >= model.contextLength) {
    throw new HttpError(
      400,
      `max_tokens: ${maxTokens} leaves no room for a prompt in the context of ${model.contextLength} tokens`,
      { param: 'max_tokens', code: 'context_length_exceeded' },
    );
  }
  const each = checkTotal(model, sources.length * n, shrink ? 1 : maxTokens);
  return Math.min(maxTokens, each);
}

/** How many tokens each of so many answers may have. Refuses more: one request must not hold up everybody for long. */
export function checkTotal({ contextLength }: ServedModel, answers: number, maxTokens: number): number {
  const most = Math.max(MOST_ANSWER_TOKENS, contextLength);
  if (answers * maxTokens <= most) return Math.floor(most / answers);
  throw new HttpError(
    400,
    `max_tokens: ${answers} answers of ${maxTokens} tokens; all answers of one request may have ${most} together: ` +
      'ask for fewer, for shorter ones, or in several requests',
    { param: 'max_tokens', code: 'too_many_tokens' },
  );
}

export interface JobResult {
  replies: CompletionReply[];
  /** Of each reply, in order of its text; empty unless asked for. */
  tokens: SettledTokens[];
  totals: Totals;
}
type SettledTokens = Extract<EngineEvent, { type: 'delta' }>['tokens'];

/** The same, read to the end. Notes the totals in the log and in the header. */
export async function completeJob(c: Ctx, job: Job, deps: Deps): Promise<JobResult> {
  const size = job.sources.length * job.n;
  const replies = Array.from<CompletionReply>({ length: size });
  const tokens = Array.from({ length: size }, (): SettledTokens => []);
  for await (const { choice, event } of runJob(c, job, deps, { together: true })) {
    if (event.type === 'delta') tokens[choice].push(...event.tokens);
    if (event.type === 'reply') replies[choice] = event.reply;
  }
  const totals = note(c, job, replies);
  const { decodeMs, nfe, queuedMs, prefillMs } = totals;
  c.header(
    'server-timing',
    [
      `queue;dur=${queuedMs.toFixed(1)}`,
      `prefill;dur=${prefillMs.toFixed(1)}`,
      `decode;dur=${decodeMs.toFixed(1)};desc="${nfe} forwards"`,
    ].join(', '),
  );
  return { replies, tokens, totals };
}

/** Counts into the log line of the request. */
export function note(c: Ctx, { model, n }: Job, replies: readonly CompletionReply[]): Totals {
  const totals = totalsOf(replies, n);
  const { promptTokens, cachedTokens, completionTokens, nfe } = totals;
  c.set('log', { model: model.id, promptTokens, cachedTokens, completionTokens, nfe });
  return totals;
}

/** The wanted model, or the first loaded one when the client names none. */
export function findModel({ engine }: Deps, wanted: string | null | undefined): ServedModel {
  const loaded = engine.models();
  if (loaded.length === 0) throw new HttpError(503, 'the models are loading', { code: 'loading' }, 1);
  if (wanted === null || wanted === undefined || wanted === '') return loaded[0];
  const name = wanted.replace(/:latest$/, '');
  const found = loaded.find(({ id }) => id === wanted || id === name);
  if (found) return found;
  const names = loaded.map(({ id }) => id).join(', ');
  throw new HttpError(404, `model "${wanted.slice(0, 80)}" is not loaded; loaded: ${names}`, {
    param: 'model',
    code: 'model_not_found',
  });
}
