/** Models that write text, by folder; the bundled one when none is named. */
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TextModel } from '../decode/complete.ts';
import { TintypeError } from '../errors.ts';
import type { Precision } from '../model/quantize.ts';
import type { Overrides } from '../model/config-json.ts';
import { noTokenizer } from '../model/folder-texts.ts';
import { modelPath } from '../model/library.ts';
import { loadDenoiser } from '../model/load.ts';
import { createChatFormat } from '../text/chat.ts';
import type { ChatFormat, ChatFormatOptions } from '../text/chat.ts';
import { createProgress, type Progress } from './progress.ts';

export interface OpenTextModel extends TextModel {
  /** Name of its folder. */
  id: string;
  /** Its way to write conversations. Throws `bad_template`. */
  chatFormat: (options?: ChatFormatOptions) => ChatFormat;
  close(): Promise<void>;
}

/** The folder of the model that comes with the package; the same distance from src/cli and dist/cli. */
export function bundledModel(): string {
  const dir = fileURLToPath(new URL('../../models/tintype-code', import.meta.url));
  if (existsSync(dir)) return dir;
  throw new TintypeError('not_found', {
    what: 'the bundled model is missing',
    wanted: dir,
    next: 'name a model folder with --model DIR',
  });
}

/** All that come with the package, the one that completes code first. */
export function bundledModels(): string[] {
  const first = bundledModel();
  const all = readdirSync(dirname(first)).map((name) => join(dirname(first), name));
  return [first, ...all.filter((dir) => dir !== first && existsSync(join(dir, 'config.json')))];
}

/** Where the build has put the page; it is missing where only the program was compiled. */
export function builtPage(): string | undefined {
  const dir = fileURLToPath(new URL('../../dist/web', import.meta.url));
  return existsSync(join(dir, 'index.html')) ? dir : undefined;
}

/** Shows that the weights of a large model are converted, which takes a while the first time. */
export function conversionProgress(): { update: (done: number, total: number) => void; finish: () => void } {
  const shown: { progress?: Progress } = {};
  return {
    update: (done, total) => {
      shown.progress ??= createProgress({ label: 'convert', total: Math.round(total / 1e6), unit: 'MB' });
      shown.progress.update(Math.round(done / 1e6));
    },
    finish: () => shown.progress?.finish(),
  };
}

/** `self`: a model verifies its own drafts. `ar`: its autoregressive twin does, the folder MODEL-ar. */
export type Draft = 'self' | 'ar';

export interface OpenOptions {
  threads?: number | undefined;
  /** Default: the model itself. */
  draft?: Draft | undefined;
  precision?: Precision | undefined;
  overrides?: Overrides | undefined;
  /** See `SessionOptions`. */
  packed?: boolean | undefined;
}

/** Errors: those of `loadDenoiser`; `bad_tokenizer` for a model without one. */
export async function openTextModel(
  dir: string,
  { threads, draft = 'self', ...options }: OpenOptions = {},
): Promise<OpenTextModel> {
  const progress = conversionProgress();
  const session = { threads, ...options, onProgress: progress.update };
  const { denoiser, tokenizer, description } = await loadDenoiser(modelPath(dir), session);
  progress.finish();
  if (!tokenizer) {
    await denoiser.close();
    throw noTokenizer(description);
  }
  const twin = draft === 'ar' ? await loadDenoiser(`${resolve(dir)}-ar`, { threads }) : null;
  return {
    id: basename(resolve(dir)),
    denoiser,
    tokenizer,
    chatFormat: (chat) => {
      const { tokenizerFiles, tokenizerJson } = description;
      return createChatFormat(tokenizerFiles, tokenizerJson!, tokenizer, chat);
    },
    ...(twin ? { verifier: twin.denoiser } : {}),
    close: async () => {
      await denoiser.close();
      await twin?.denoiser.close();
    },
  };
}
