/**
 * Checkpoint folders against what the official code computed from them: logits, and transcripts token for token. The same
 * code runs in tests and in `npm run golden`.
 */
import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TintypeError } from '../errors.ts';
import { loadDenoiser } from '../model/load.ts';
import { readGolden } from './golden-format.ts';
import type { Golden } from './golden-format.ts';
import { LOGITS_TOLERANCE, worstLogit } from './golden-logits.ts';
import { firstDivergence } from './golden-transcripts.ts';

export interface Divergence {
  /** Number of the transcript, from 0. */
  transcript: number;
  sampler: string;
  mode: string;
  /** Which step and position, got, wanted; or why it cannot be replayed. */
  what: string;
}

export interface GoldenReport {
  folder: string;
  passed: boolean;
  family: string | null;
  forwards: number;
  /** The largest difference of a logit; null where the folder could not be loaded. */
  worstLogit: number | null;
  transcripts: number;
  reproduced: number;
  divergences: Divergence[];
  /** Why nothing could be checked. */
  error: string | null;
}

/** Folders below (or the folder itself) that hold a golden.json, by name. Errors: `not_found`. */
export async function goldenFolders(dir: string): Promise<string[]> {
  const holds = (path: string): Promise<boolean> =>
    stat(join(path, 'golden.json')).then(
      () => true,
      () => false,
    );
  if (await holds(dir)) return [dir];
  const names = await readdir(dir, { withFileTypes: true }).catch((cause: unknown) => {
    throw new TintypeError('not_found', { what: `there is no folder ${dir}`, cause });
  });
  const folders: string[] = [];
  for (const entry of names.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(dir, entry.name);
    if (await holds(path)) folders.push(path);
  }
  if (folders.length > 0) return folders;
  throw new TintypeError('not_found', {
    what: `there are no golden folders in ${dir}`,
    wanted: 'folders with config.json, model.safetensors, golden.json and golden.safetensors',
  });
}

/** Checks one folder; what is wrong with it is in the report. */
export async function checkGolden(dir: string): Promise<GoldenReport> {
  const report: GoldenReport = {
    folder: basename(dir),
    passed: false,
    family: null,
    forwards: 0,
    worstLogit: null,
    transcripts: 0,
    reproduced: 0,
    divergences: [],
    error: null,
  };
  try {
    const golden = await readGolden(dir);
    report.family = golden.family;
    report.forwards = golden.forward.length;
    report.transcripts = golden.transcripts.length;
    const { denoiser } = await loadDenoiser(dir, { threads: 1, overrides: await overridesOf(dir, golden) });
    try {
      report.worstLogit = await worstLogit(denoiser, dir, golden.forward);
      for (const [i, transcript] of golden.transcripts.entries()) {
        const { sampler, mode = '' } = transcript;
        const what = await firstDivergence(denoiser, transcript, golden.tokens).catch((error: unknown) =>
          (error as Error).message.replaceAll('\n', '; '),
        );
        if (what === null) report.reproduced++;
        else report.divergences.push({ transcript: i, sampler, mode, what });
      }
    } finally {
      await denoiser.close();
    }
    report.passed =
      report.reproduced === report.transcripts &&
      report.worstLogit < LOGITS_TOLERANCE &&
      golden.forward.length + golden.transcripts.length > 0;
  } catch (error) {
    report.error = (error as Error).message.replaceAll('\n', '; ');
  }
  return report;
}

/** Where no file of the folder says which token masks, the golden file does. */
export async function overridesOf(dir: string, { tokens }: Golden): Promise<{ maskTokenId?: number }> {
  const raw = JSON.parse(await readFile(join(dir, 'config.json'), 'utf8')) as Record<string, unknown>;
  return tokens.mask === null || typeof raw['mask_token_id'] === 'number' ? {} : { maskTokenId: tokens.mask };
}

/** One line, and one more for each transcript that was not reproduced. */
export function goldenLines(report: GoldenReport): string[] {
  const { folder, passed, worstLogit: worst, transcripts, reproduced, divergences, error } = report;
  const verdict = passed ? 'pass' : 'FAIL';
  if (error !== null) return [`${verdict} ${folder}: ${error}`];
  return [
    `${verdict} ${folder}: worst logit ${worst!.toExponential(1)}, transcripts ${reproduced}/${transcripts}`,
    ...divergences.map(
      ({ transcript, sampler, mode, what }) =>
        `     ${folder} transcript ${transcript} (${sampler}${mode ? `, ${mode}` : ''}): ${what}`,
    ),
  ];
}
