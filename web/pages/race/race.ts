/**
 * The race itself: rounds of runs, one after another, each with the machine for itself. What is on the screen comes from
 * here, and what is here comes from the runs.
 */
import { signal } from '@preact/signals';
import { createRng } from '../../../src/rng.ts';
import type { Frame, Recording } from '../../runs/recording.ts';
import { RunError } from '../../runs/run.ts';
import type { TimedRun } from '../../runs/timed.ts';
import { timedRun } from '../../runs/timed.ts';
import { notice, source } from '../../state.ts';
import type { Prompt, Racer, RacerId } from './racers.ts';
import { drawOrders, drawPuzzle, marked, requestFor } from './racers.ts';
import { qualityOf } from './quality.ts';
import type { Quality } from './quality.ts';

export interface RacePlan {
  racers: Racer[];
  prompt: Prompt;
  rounds: number;
  /** `warm`: everybody has seen the prompt; `cold`: nobody has, in any round. */
  cache: 'warm' | 'cold';
  maxTokens: number;
  /** Draws the order, the marks and the puzzles. */
  seed: number;
}

/** One timed run. */
export interface Result {
  racer: RacerId;
  /** From 1. */
  round: number;
  /** 1: was the first of its round. */
  turn: number;
  prompt: Prompt;
  /** From asking to the last line, by this page's clock. */
  wallMs: number;
  /** Part of it that the decoder says it took. */
  decodeMs: number;
  firstTextMs: number | null;
  queuedMs: number;
  nfe: number;
  tpf: number;
  usefulTokens: number;
  /** `usefulTokens` over `wallMs`. */
  tokensPerSecond: number;
  promptTokens: number;
  cachedTokens: number;
  text: string;
  quality: Quality;
}

export interface Lane {
  status: 'ready' | 'warming' | 'running' | 'waiting' | 'done' | 'failed' | 'stopped';
  prompt: Prompt | null;
  recording: Recording | null;
  frame: Frame | null;
  clockMs: number;
  error: RunError | null;
}

export interface RaceState {
  status: 'idle' | 'warming' | 'running' | 'finished' | 'stopped';
  plan: RacePlan | null;
  /** One order for each round. */
  orders: RacerId[][];
  /** From 1; 0 before the first. */
  round: number;
  results: Result[];
  lanes: Partial<Record<RacerId, Lane>>;
  /** ISO 8601. */
  startedAt: string;
  /** In words. */
  computedBy: string;
}

const READY: Lane = { status: 'ready', prompt: null, recording: null, frame: null, clockMs: 0, error: null };
const IDLE: RaceState = {
  status: 'idle',
  plan: null,
  orders: [],
  round: 0,
  results: [],
  lanes: {},
  startedAt: '',
  computedBy: '',
};
export const race = signal<RaceState>(IDLE);

let controller: AbortController | null = null;

export const stopRace = (): void => controller?.abort();

/** Forgets what was run. */
export function clearRace(): void {
  stopRace();
  controller = null;
  race.value = IDLE;
}

const setLane = (id: RacerId, change: Partial<Lane>): void => {
  const { lanes } = race.value;
  race.value = { ...race.value, lanes: { ...lanes, [id]: { ...(lanes[id] ?? READY), ...change } } };
};

export async function startRace(plan: RacePlan): Promise<void> {
  stopRace();
  const own = new AbortController();
  controller = own;
  const ids = plan.racers.map(({ id }) => id);
  const orders = drawOrders(ids, plan.rounds, createRng(plan.seed, 'order'));
  const readyLanes = (): RaceState['lanes'] => Object.fromEntries(ids.map((id) => [id, READY]));
  race.value = {
    ...IDLE,
    status: 'warming',
    plan,
    orders,
    lanes: readyLanes(),
    startedAt: new Date().toISOString(),
    computedBy: source.value?.kind === 'tab' ? 'this browser tab' : `the server at ${location.host}`,
  };
  try {
    for (const racer of orders[0].map((id) => plan.racers.find((one) => one.id === id)!)) {
      await warmUp(racer, plan, own.signal);
    }
    for (const [index, order] of orders.entries()) {
      race.value = { ...race.value, status: 'running', round: index + 1, lanes: readyLanes() };
      for (const [turn, id] of order.entries()) {
        const racer = plan.racers.find((one) => one.id === id)!;
        await takeTurn(racer, plan, index + 1, turn + 1, own.signal);
      }
    }
    race.value = { ...race.value, status: 'finished' };
    notice.value = 'The race is finished.';
  } catch (error) {
    if (controller !== own) return;
    race.value = { ...race.value, status: 'stopped' };
    for (const id of ids) {
      const { status } = race.value.lanes[id] ?? READY;
      if (status !== 'done' && status !== 'failed') setLane(id, { status: 'stopped' });
    }
    if (!own.signal.aborted) notice.value = `The race broke off: ${String(error)}`;
  }
}

/** The prompt of one run. What differs between rounds, or between runs, is what keeps the cache out of it. */
function promptFor(plan: RacePlan, round: number, turn: number): Prompt {
  if (plan.cache === 'warm') return plan.prompt;
  if (plan.prompt.kind === 'code') {
    const mark = createRng(plan.seed, 'mark', round, turn).int(0x7fffffff).toString(16).padStart(8, '0');
    return marked(plan.prompt, `race ${mark}`);
  }
  return drawPuzzle(plan.prompt.sudoku.size, createRng(plan.seed, 'puzzle', round).int(1_000_000));
}

/** Not timed: loads the model, compiles what is compiled once, and, where that is wanted, fills the cache. */
async function warmUp(racer: Racer, plan: RacePlan, signal: AbortSignal): Promise<void> {
  setLane(racer.id, { status: 'warming' });
  try {
    const prompt = promptFor(plan, 0, plan.racers.indexOf(racer));
    await timedRun(requestFor(racer, prompt, plan.maxTokens, plan.seed), signal, {
      waiting: (error) => setLane(racer.id, { status: 'waiting', error }),
      started: () => setLane(racer.id, { status: 'warming', error: null }),
    });
    setLane(racer.id, { status: 'ready' });
  } catch (error) {
    if (signal.aborted) throw error;
    // The turn itself says what is wrong.
  }
}

async function takeTurn(
  racer: Racer,
  plan: RacePlan,
  round: number,
  turn: number,
  signal: AbortSignal,
): Promise<void> {
  const prompt = promptFor(plan, round, turn);
  let drawing = 0;
  try {
    const run = await timedRun(requestFor(racer, prompt, plan.maxTokens, plan.seed), signal, {
      started(recording, startedMs) {
        const draw = (): void => {
          const frame = recording.frames.at(-1) ?? null;
          const clockMs = performance.now() - startedMs;
          setLane(racer.id, { status: 'running', prompt, recording, frame, clockMs, error: null });
          drawing = requestAnimationFrame(draw);
        };
        cancelAnimationFrame(drawing);
        draw();
      },
      waiting(error) {
        cancelAnimationFrame(drawing);
        setLane(racer.id, { status: 'waiting', error });
      },
    });
    cancelAnimationFrame(drawing);
    const frame = run.recording.frames.at(-1) ?? null;
    const { recording, wallMs } = run;
    setLane(racer.id, { status: 'done', prompt, recording, frame, clockMs: wallMs, error: null });
    const result = await resultOf(run, prompt);
    race.value = {
      ...race.value,
      results: [...race.value.results, { ...result, racer: racer.id, round, turn }],
    };
  } catch (error) {
    cancelAnimationFrame(drawing);
    if (signal.aborted) throw error;
    const known = error instanceof RunError ? error : new RunError('failed', String(error));
    setLane(racer.id, { status: 'failed', error: known });
  }
}

async function resultOf(
  { recording, wallMs, firstTextMs }: TimedRun,
  prompt: Prompt,
): Promise<Omit<Result, 'racer' | 'round' | 'turn'>> {
  const { done, reply, text } = recording;
  if (!done || !reply) throw new RunError('failed', 'the run ended without its counts');
  return {
    prompt,
    wallMs,
    decodeMs: done.elapsedMs,
    firstTextMs,
    queuedMs: reply.queuedMs,
    nfe: done.nfe,
    tpf: done.tpf,
    usefulTokens: done.usefulTokens,
    tokensPerSecond: (done.usefulTokens * 1000) / wallMs,
    promptTokens: reply.promptTokens,
    cachedTokens: reply.cachedTokens,
    text: text ?? '',
    quality: await qualityOf(prompt, recording),
  };
}

/** What a lane showed so many milliseconds after decoding began. */
export function frameAt({ frames, done }: Recording, ms: number): Frame | null {
  return frames.findLast(({ step }) => (step?.elapsedMs ?? done?.elapsedMs ?? 0) <= ms) ?? null;
}
