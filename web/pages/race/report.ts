/** Figures of a race: medians over its rounds, and all that is needed to run it again. */
import { formatGrid } from '../../../src/train/sudoku.ts';
import { isGood } from './quality.ts';
import type { RaceState, Result } from './race.ts';
import type { Prompt, Racer, RacerId } from './racers.ts';

export interface Summary {
  racer: Racer;
  rounds: number;
  wallMs: number;
  tokensPerSecond: number;
  firstTextMs: number | null;
  nfe: number;
  tpf: number;
  usefulTokens: number;
  promptTokens: number;
  cachedTokens: number;
  /** Rounds whose text parses, or whose puzzle is solved. */
  good: number;
  /** Rounds whose text is the twin's; null where the prompts differed, for the twin itself, and without one. */
  same: number | null;
  /** Its own figure over the twin's, both medians; null without a twin. */
  wallRatio: number | null;
  speedRatio: number | null;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return Number.isInteger(middle) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[Math.floor(middle)];
}

/** Of everybody who finished at least one run, in the order of the lanes. */
export function summarise({ plan, results }: RaceState): Summary[] {
  if (plan === null) return [];
  const of = (id: RacerId): Result[] => results.filter(({ racer }) => racer === id);
  const twin = of('twin');
  const ratio = (own: Result[], figure: 'wallMs' | 'tokensPerSecond'): number | null =>
    twin.length === 0 ? null : median(own.map((run) => run[figure])) / median(twin.map((run) => run[figure]));
  const isComparable = plan.cache === 'warm' || plan.prompt.kind === 'puzzle';
  return plan.racers.flatMap((racer): Summary[] => {
    const own = of(racer.id);
    if (own.length === 0) return [];
    const middle = (figure: (run: Result) => number): number => median(own.map(figure));
    const firsts = own.flatMap(({ firstTextMs }) => (firstTextMs === null ? [] : [firstTextMs]));
    const twinText = (round: number): string | undefined => twin.find((run) => run.round === round)?.text;
    return [
      {
        racer,
        rounds: own.length,
        wallMs: middle(({ wallMs }) => wallMs),
        tokensPerSecond: middle(({ tokensPerSecond }) => tokensPerSecond),
        firstTextMs: firsts.length === 0 ? null : median(firsts),
        nfe: middle(({ nfe }) => nfe),
        tpf: middle(({ tpf }) => tpf),
        usefulTokens: middle(({ usefulTokens }) => usefulTokens),
        promptTokens: middle(({ promptTokens }) => promptTokens),
        cachedTokens: middle(({ cachedTokens }) => cachedTokens),
        good: own.filter(({ quality }) => isGood(quality)).length,
        same:
          racer.id === 'twin' || twin.length === 0 || !isComparable
            ? null
            : own.filter(({ round, text }) => text === twinText(round)).length,
        wallRatio: ratio(own, 'wallMs'),
        speedRatio: ratio(own, 'tokensPerSecond'),
      },
    ];
  });
}

export const milliseconds = (ms: number): string => (ms < 10 ? ms.toFixed(1) : String(Math.round(ms)));
export const times = (ratio: number): string => `${ratio.toFixed(2)} × twin`;

export interface Row {
  name: string;
  about: string;
  cell: (summary: Summary) => { value: string; note?: string };
}

const counted = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));

/** The result table, a figure a row. */
export function tableOf(prompt: Prompt): Row[] {
  return [
    {
      name: 'Time',
      about: 'Milliseconds from asking to the last line, by this page’s clock',
      cell: ({ wallMs, wallRatio }) => ({
        value: `${milliseconds(wallMs)} ms`,
        ...(wallRatio !== null && { note: times(wallRatio) }),
      }),
    },
    {
      name: 'Useful tokens/s',
      about: 'Tokens that are part of the answer, over the whole request',
      cell: ({ tokensPerSecond, speedRatio }) => ({
        value: tokensPerSecond.toFixed(1),
        ...(speedRatio !== null && { note: times(speedRatio) }),
      }),
    },
    {
      name: 'First text',
      about: 'Until the first text that is never taken back',
      cell: ({ firstTextMs }) => ({ value: firstTextMs === null ? '–' : `${milliseconds(firstTextMs)} ms` }),
    },
    {
      name: 'Forwards',
      about: 'Of the model, for the whole answer',
      cell: ({ nfe }) => ({ value: counted(nfe) }),
    },
    {
      name: 'Useful tokens',
      about: 'Of the answer',
      cell: ({ usefulTokens }) => ({ value: counted(usefulTokens) }),
    },
    { name: 'Tokens per forward', about: 'Useful ones', cell: ({ tpf }) => ({ value: tpf.toFixed(2) }) },
    {
      name: 'Prompt from cache',
      about: 'Prompt tokens whose keys and values were there already',
      cell: ({ cachedTokens, promptTokens }) => ({
        value: promptTokens === 0 ? '–' : `${counted(cachedTokens)} of ${counted(promptTokens)}`,
      }),
    },
    {
      name: prompt.kind === 'code' ? 'Parses' : 'Solved',
      about:
        prompt.kind === 'code'
          ? 'Rounds in which prefix, answer and suffix together are TypeScript without a syntax error'
          : 'Rounds in which the grid is valid and keeps the givens',
      cell: ({ good, rounds }) => ({ value: share(good, rounds) }),
    },
    {
      name: 'Same text as the twin',
      about: 'Rounds',
      cell: ({ same, rounds }) => ({ value: same === null ? '–' : share(same, rounds) }),
    },
  ];
}

const share = (some: number, all: number): string =>
  all === 1 ? (some === 1 ? 'yes' : 'no') : `${some} of ${all}`;

/** Where and how it was run. */
export function conditionsOf({ plan, orders, startedAt, computedBy }: RaceState): Record<string, unknown> {
  return {
    startedAt,
    computedBy,
    browser: navigator.userAgent,
    cores: navigator.hardwareConcurrency,
    rounds: plan?.rounds,
    order: orders.map((order) => order.join(', ')),
    cache: plan?.cache,
    maxTokens: plan?.prompt.kind === 'code' ? plan.maxTokens : undefined,
    temperature: 0,
    seed: plan?.seed,
    racers: plan?.racers.map(({ id, model, layout, options }) => ({ id, model, layout, options })),
    prompt: plan && plainPrompt(plan.prompt),
  };
}

const plainPrompt = (prompt: Prompt): object =>
  prompt.kind === 'code'
    ? { prefix: prompt.prefix, suffix: prompt.suffix }
    : { puzzle: formatGrid(prompt.sudoku.givens), seed: prompt.seed };

export function asJson(state: RaceState): string {
  const summary = summarise(state).map(({ racer, ...figures }) => ({ racer: racer.id, ...figures }));
  const runs = state.results.map(({ prompt, ...run }) => ({ ...run, prompt: plainPrompt(prompt) }));
  return JSON.stringify({ conditions: conditionsOf(state), medians: summary, runs }, null, 2);
}

export function asMarkdown(state: RaceState): string {
  const { plan } = state;
  if (plan === null) return '';
  const summaries = summarise(state);
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`;
  const rows = tableOf(plan.prompt).map(({ name, cell }) =>
    line([
      name,
      ...summaries.map((summary) => {
        const { value, note } = cell(summary);
        return note === undefined ? value : `${value} (${note})`;
      }),
    ]),
  );
  const { racers, prompt, ...conditions } = conditionsOf(state);
  const told = Object.entries(conditions)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `- ${name}: ${Array.isArray(value) ? value.join('; ') : String(value)}`);
  return [
    line(['', ...summaries.map(({ racer }) => `${racer.label} (${racer.model})`)]),
    line(['---', ...summaries.map(() => '--:')]),
    ...rows,
    '',
    `Medians of ${plan.rounds} rounds, run one after another on one machine.`,
    '',
    ...told,
    `- racers: ${JSON.stringify(racers)}`,
    `- prompt: ${JSON.stringify(prompt)}`,
    '',
  ].join('\n');
}
