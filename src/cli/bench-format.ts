/** Results of the bench for people. */
import type { BenchResult, BenchRun } from '../eval/bench.ts';
import type { SizeResult } from '../eval/bench-sizes.ts';
import type { SudokuBench } from '../eval/bench-sudoku.ts';
import type { Machine } from '../eval/machine.ts';
import { formatTable } from './output.ts';

const percent = (share: number | null): string | null => (share === null ? null : (100 * share).toFixed(1));
const digits = (value: number): number => Number(value.toPrecision(3));

/** `AMD EPYC, 2 cores, load 0.1 · Node v20.19.0, ONNX Runtime 1.30.0`. */
export function formatMachine({ cpu, cores, loadAtStart, node, onnxruntime }: Machine): string {
  return `${cpu}, ${cores} cores, load ${loadAtStart[0]} at the start · Node ${node}, ONNX Runtime ${onnxruntime}`;
}

const row = (run: BenchRun): (string | number | null)[] => [
  run.name,
  `${digits(run.usefulTokensPerSecond)} [${digits(run.intervalLow)}, ${digits(run.intervalHigh)}]`,
  run.usefulTokensPerCpuSecond === null ? null : digits(run.usefulTokensPerCpuSecond),
  percent(run.exactMatch),
  percent(run.editSimilarity),
  percent(run.parseRate),
  run.tpf.toFixed(2),
  digits(run.p50Ms),
  digits(run.p95Ms),
  digits(run.firstP50Ms),
  digits(run.memoryBytes / 1e6),
  percent(run.nonMatmulShare),
];

export function formatBench(result: BenchResult): string {
  const { prompts, repeat, runs, ratios, ratioIntervals, cpuRatios, roofline, aup, isInterrupted } = result;
  const header = ['configuration', 'tokens/s [95 %]', 'per CPU s', 'exact %', 'similar %', 'parses %'];
  header.push('tokens/forward', 'ms p50', 'ms p95', 'first ms', 'MB', 'outside products %');
  const parts = [
    `${prompts} gaps, ${repeat} times each${isInterrupted ? ', interrupted: what was measured until then' : ''}`,
    formatTable(header, runs.map(row)),
  ];
  // A row for each configuration, a column for each reference.
  const references = [...new Set(Object.keys(ratios).map((name) => name.split('/')[1]))];
  const ratio = (name: string): string | null => {
    if (ratios[name] === undefined) return null;
    const [low, high] = ratioIntervals[name];
    const cpu = cpuRatios[name] === undefined ? '' : ` cpu ${cpuRatios[name].toFixed(2)}`;
    return `${ratios[name].toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}]${cpu}`;
  };
  if (references.length > 0) {
    const compared = runs.map(({ name }) => [name, ...references.map((each) => ratio(`${name}/${each}`))]);
    parts.push(
      formatTable(
        ['useful tokens/s over', ...references],
        compared.filter((row) => row.slice(1).some((cell) => cell !== null)),
      ),
    );
  }
  if (roofline) {
    const { reference, promptShare, most, over } = roofline;
    const rows = Object.entries(over).map(([name, { rowsFree, forwardsEqual }]) => [
      name,
      rowsFree.toFixed(2),
      forwardsEqual.toFixed(2),
    ]);
    parts.push(
      `Computed from these transcripts: ${percent(promptShare)} % of the ${reference}'s time is the prompt, so nothing can be more than ${most.toFixed(2)} times as fast here.`,
      formatTable([`over ${reference}, if`, 'rows were free', 'a prompt too was one forward'], rows),
    );
  }
  const areas = Object.entries(aup).map(([mode, area]) => [mode, area === null ? null : area.toFixed(2)]);
  parts.push(formatTable(['mode', 'accuracy under parallelism'], areas));
  return parts.join('\n\n');
}

export function formatSudokuBench({ size, puzzles, repeat, runs, ratios }: SudokuBench): string {
  const table = formatTable(
    ['model', 'forwards', 'valid % ', 'ms a puzzle [95 %]', 'puzzles/s over the twin'],
    runs.map((run) => [
      run.name,
      digits(run.forwards),
      `${percent(run.validRate)} ± ${percent(run.validRateStandardError ?? 0)}`,
      `${digits(run.msPerPuzzle)} [${digits(run.intervalLow)}, ${digits(run.intervalHigh)}]`,
      ratios[`${run.name}/twin`] === undefined ? null : digits(ratios[`${run.name}/twin`]),
    ]),
  );
  return `${puzzles} puzzles of ${size}x${size}, ${repeat} times each\n\n${table}`;
}

export function formatSizes({ models, cached, measuredLayers }: SizeResult): string {
  const rows = models.flatMap(({ name, layers, precision, steps }) =>
    steps.map(({ rows, ms, msPerRow }) => [
      `${name}, ${layers} layers, ${precision}`,
      rows,
      digits(ms),
      digits(msPerRow),
    ]),
  );
  const how = `${cached} cached tokens, random weights; from ${measuredLayers + 1} layers and a part of the head, scaled to the whole`;
  return `${how}\n\n${formatTable(['model', 'rows', 'ms a step', 'ms a row'], rows)}`;
}
