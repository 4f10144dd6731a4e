/** Stored choices of `tintype tune` as defaults of other commands. */
import type { Command } from 'commander';
import pc from 'picocolors';
import type { CompleteOptions } from '../decode/complete.ts';
import { bestTogether } from '../eval/batched-costs.ts';
import type { Precision } from '../model/quantize.ts';
import { readTuned, type Tuned } from '../eval/tuned-store.ts';

export interface TunedFlags {
  /** False after --no-tuned. */
  tuned?: boolean;
}

export interface TunedDefaults {
  options: CompleteOptions;
  precision: Precision | undefined;
  /** Requests that a server should take into one forward. */
  together: number | undefined;
  /** `block 8, threshold 0.55, f32`, or null where nothing is stored. */
  text: string | null;
}

export const addTunedOption = (command: Command): Command =>
  command.option('--no-tuned', 'do not use what tintype tune stored for this model and machine');

/** What is stored for this model, unless it is not wanted. */
export async function tunedDefaults(
  dir: string,
  threads: number | undefined,
  { tuned: isWanted = true }: TunedFlags,
): Promise<TunedDefaults> {
  const warn = (sentence: string): unknown => process.stderr.write(`${pc.yellow('warning:')} ${sentence}\n`);
  const found = isWanted ? await readTuned(dir, { threads, warn }) : null;
  if (found === null) return { options: {}, precision: undefined, together: undefined, text: null };
  const { options, precision, createdAt, curves } = found;
  const costs = curves.find((curve) => curve.precision === precision)?.batched;
  return {
    options,
    precision,
    together: costs && bestTogether(costs),
    text: `${describeChoice(options, precision)} (tintype tune, ${createdAt.slice(0, 10)})`,
  };
}

/** `diffusion, block length 8, confidenceThreshold, threshold 0.55, f32`. */
export function describeChoice(options: Tuned['options'], precision: string): string {
  const { mode, policy, ...numbers } = options;
  const words = Object.entries(numbers).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)} ${value}`],
  );
  return [mode, policy, ...words, precision].filter((word) => word !== undefined).join(', ');
}

/** One line on stderr, so that nobody wonders why answers differ between machines. */
export function noteTuned({ text }: TunedDefaults): void {
  if (text !== null) process.stderr.write(`${pc.dim(`tuned: ${text}`)}\n`);
}
