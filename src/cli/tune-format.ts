/** Results of `tintype tune` for people. */
import pc from 'picocolors';
import { bestTogether, gains, type BatchedCosts } from '../eval/batched-costs.ts';
import { breakEvenTokens, type CostCurve } from '../eval/cost-curve.ts';
import type { TuneCheck } from '../eval/tune-check.ts';
import { paretoFront, type Loss, type Standing } from '../eval/tune-race.ts';
import { speedRatio } from '../eval/tune-timing.ts';
import type { Finalist, TuneResult } from '../eval/tune.ts';
import { formatTable } from './output.ts';

const digits = (value: number): number => Number(value.toPrecision(3));
const percent = (share: number): string => (100 * share).toFixed(1);
/** `1.2 ± 0.8`. */
const signed = ({ points, standardError }: Loss): string =>
  `${points.toFixed(1)}${standardError === null ? '' : ` ± ${standardError.toFixed(1)}`}`;

/** Rows down, prefixes across; beside each time, what a forward must give to be worth it. */
export function formatCurve(curve: CostCurve): string {
  const { precision, rows, prefixes, stepMs, prefill, promptMs, loopMs } = curve;
  const even = breakEvenTokens(curve);
  const table = formatTable(
    ['rows', ...prefixes.map((prefix) => `over ${prefix}`), 'tokens to beat 1 row'],
    rows.map((count, i) => {
      const [low, high] = [Math.min(...even[i]), Math.max(...even[i])].map((value) => value.toFixed(1));
      return [count, ...stepMs[i].map(digits), low === high ? low : `${low} to ${high}`];
    }),
  );
  const prompts = prefill.map((each) => `${each.rows}: ${digits(each.ms)}`).join(', ');
  return [
    pc.bold(`Cost of a forward, ms, ${precision}`),
    table,
    `prompt of so many tokens, ms: ${prompts}; outside forwards ${digits(promptMs)} a request and ${digits(loopMs)} a forward`,
    ...(curve.batched ? [formatBatched(curve.batched)] : []),
  ].join('\n');
}

/** Sequences down, rows of each across; beside each time, how many of one sequence would take as long. */
function formatBatched(costs: BatchedCosts): string {
  const { sequences, rows, prefix, ms } = costs;
  const gain = gains(costs);
  const table = formatTable(
    ['sequences', ...rows.flatMap((count) => [`${count} ${count === 1 ? 'row' : 'rows'} each`, 'gain'])],
    sequences.map((count, s) => [
      count,
      ...rows.flatMap((_, r) => [digits(ms[s][r]), gain[s][r].toFixed(2)]),
    ]),
  );
  return [
    `several sequences in one forward, ms, each over ${prefix}; gain: rows in all per time, over one sequence`,
    table,
    `serve takes ${bestTogether(costs)} together`,
  ].join('\n');
}

const pointRow = (each: Standing): (string | number)[] => [
  each.trial.point.name,
  each.rows,
  digits(each.tokensPerSecond),
  each.tpf.toFixed(2),
  percent(each.exactMatch),
  signed(each.exactLoss),
  signed(each.similarityLoss),
];

const HEADER = [
  'setting',
  'rows',
  'tokens/s',
  'tokens/forward',
  'exact %',
  'loss, exact',
  'loss, similarity',
];

const timedRow = ({ standing, timed }: Finalist, baseline: Finalist): (string | number)[] => {
  const { value, low, high } = speedRatio(timed, baseline.timed);
  return [
    standing.trial.point.name,
    digits(standing.tokensPerSecond),
    digits(timed.tokensPerSecond),
    `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]`,
  ];
};

export function formatTune(result: TuneResult, lossPoints: number): string {
  const { curves, reference, standings, finalists, baseline, chosen, why } = result;
  const all = [reference, ...standings];
  const rows = reference.rows;
  const lossy = standings.filter(({ isLossy }) => isLossy).length;
  const timed = [...new Set([...finalists, baseline])];
  const { trial, exactLoss, similarityLoss } = chosen.standing;
  // A loss needs something to lose.
  const idle =
    reference.exactMatch === 0
      ? `; ${pc.yellow('one token a step matches none of them exactly, so the bound on exact match says nothing')}`
      : '';
  return [
    ...curves.map(formatCurve),
    `${pc.bold('Quality against predicted speed')}: what no other setting beats in both, of ${standings.length} on up to ${rows} gaps
${formatTable(HEADER, [...paretoFront(all), reference].map(pointRow))}
Losses are points against one token a step (the last line), in pairs, ± a standard error. ${lossy} settings lost significantly
more than ${lossPoints} points of exact match or ${2 * lossPoints} of edit similarity and were dropped early; fewer rows mean dropped or passed by faster ones.`,
    `${pc.bold('Against the clock')}, ${chosen.timed.elapsedMs.length} gaps, interleaved
${formatTable(
  ['setting', 'predicted tokens/s', 'measured', 'over one token a step [95 %]'],
  timed.map((each) => timedRow(each, baseline)),
)}`,
    `${pc.bold('Chosen')}: ${pc.bold(trial.point.name)}
${why}; it loses ${signed(exactLoss)} points of exact match (at most ${lossPoints}) and ${signed(similarityLoss)} of edit similarity (at most ${2 * lossPoints}) on ${rows} gaps${idle}`,
  ].join('\n\n');
}

const SHOWN = 8;

export function formatCheck({
  rows,
  points,
  best,
  chosen,
  gapPercent,
  gapInterval,
  predictionErrorPercent,
}: TuneCheck): string {
  const shown = points
    .slice(0, SHOWN)
    .map((each) => [each.name, digits(each.tokensPerSecond), each.keepsBound ? 'yes' : 'no']);
  const [low, high] = gapInterval.map((value) => value.toFixed(1));
  return `${pc.bold('Check')}: all ${points.length} settings against the clock on ${rows} gaps, once each; the fastest of them
${formatTable(['setting', 'tokens/s', 'keeps the bound'], shown)}
those in front once more, with repeats: fastest ${best}
chosen: ${chosen}, ${gapPercent.toFixed(1)} % slower [${low}, ${high}] (wanted: at most 5 %)
predicted speeds are off by ${predictionErrorPercent.toFixed(1)} % (median, but for a common factor)`;
}
