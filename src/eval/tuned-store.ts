/**
 * What `tune` found out, kept between runs: one small JSON file for each model and machine, in the user's cache folder. A
 * choice is worth nothing elsewhere, so the file's name is a hash of everything that it depends on: the weights, the
 * processor, the cores and threads, and the version of ONNX Runtime. Losing the folder costs only time.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, homedir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { decodeOptionsSchema, parseOptions } from '../decode/options.ts';
import { TintypeError } from '../errors.ts';
import { knownHashes } from '../model/converted.ts';
import { readHashes, sha256OfFile } from '../model/files.ts';
import { isGgufPath } from '../model/gguf-folder.ts';
import { modelPath } from '../model/library.ts';
import { describeMachine } from './machine.ts';
import { PRECISIONS } from '../model/quantize.ts';

/** What a choice depends on. */
const keySchema = z.object({
  /** Hash of config.json and of the weights. */
  model: z.string(),
  cpu: z.string(),
  cores: z.number(),
  threads: z.number(),
  onnxruntime: z.string(),
});
export type TunedKey = z.infer<typeof keySchema>;

const curveSchema = z.object({
  precision: z.enum(PRECISIONS),
  rows: z.array(z.number()),
  prefixes: z.array(z.number()),
  stepMs: z.array(z.array(z.number())),
  prefill: z.array(z.object({ rows: z.number(), ms: z.number() })),
  askedMs: z.number(),
  entropyMs: z.number(),
  promptMs: z.number(),
  loopMs: z.number(),
  batched: z
    .object({
      sequences: z.array(z.number()),
      rows: z.array(z.number()),
      prefix: z.number(),
      ms: z.array(z.array(z.number())),
    })
    .optional(),
});

const tunedSchema = z.object({
  version: z.literal(1),
  /** Name of the model's folder when it was tuned, for people. */
  name: z.string(),
  key: keySchema,
  /** ISO 8601. */
  createdAt: z.string(),
  precision: z.enum(PRECISIONS),
  options: decodeOptionsSchema
    .pick({ mode: true, blockLength: true, threshold: true, factor: true, gamma: true })
    .extend({
      policy: decodeOptionsSchema.shape.policy,
      redrafts: decodeOptionsSchema.shape.redrafts.unwrap().optional(),
    }),
  /** Measured, useful tokens a second: of the choice, and of one token a step. */
  tokensPerSecond: z.number(),
  baselineTokensPerSecond: z.number(),
  /** Points of exact match that the choice lost on the rows of the tuning. */
  exactLossPoints: z.number(),
  rows: z.number(),
  curves: z.array(curveSchema),
});
export type Tuned = z.infer<typeof tunedSchema>;

type Environment = Readonly<Record<string, string | undefined>>;

/** `TINTYPE_CACHE_DIR`, or `tintype` in the cache folder of the user. */
export function tunedFolder(env: Environment = process.env): string {
  const said = (value: string | undefined): string | undefined => (value === '' ? undefined : value);
  const cache = said(env.XDG_CACHE_HOME) ?? join(homedir(), '.cache');
  return join(said(env.TINTYPE_CACHE_DIR) ?? join(cache, 'tintype'), 'tuned');
}

/** Hash of what a model computes. Recorded hashes are taken as they are: loading the model checks them. */
async function modelHash(model: string): Promise<string> {
  const dir = isGgufPath(model) ? dirname(model) : model;
  const found = await readdir(dir).catch((cause: NodeJS.ErrnoException) => {
    throw new TintypeError('not_found', {
      what: `cannot read the model folder ${dir}`,
      got: cause.code,
      cause,
    });
  });
  const isPart = (name: string): boolean => name === 'config.json' || name.endsWith('.safetensors');
  const names = found.filter((name) => (isGgufPath(model) ? name === basename(model) : isPart(name)));
  const recorded = new Map([...(await knownHashes(dir)), ...(await readHashes(dir))]);
  const hash = createHash('sha256');
  for (const name of names.toSorted()) {
    hash.update(`${recorded.get(name) ?? (await sha256OfFile(join(dir, name)))}  ${name}\n`);
  }
  return hash.digest('hex');
}

/** @param threads that compute; by default one a core */
export async function tunedKey(dir: string, threads = availableParallelism()): Promise<TunedKey> {
  const [model, { cpu, cores, onnxruntime }] = await Promise.all([modelHash(dir), describeMachine()]);
  return { model, cpu, cores, threads, onnxruntime };
}

const fileOf = (folder: string, key: TunedKey): string => {
  const { model, cpu, cores, threads, onnxruntime } = key;
  const text = JSON.stringify([model, cpu, cores, threads, onnxruntime]);
  return join(folder, `${createHash('sha256').update(text).digest('hex').slice(0, 32)}.json`);
};

/** The file's path. The old file is there until the new one is complete. Errors: `io`. */
export async function writeTuned(tuned: Tuned, folder = tunedFolder()): Promise<string> {
  const path = fileOf(folder, tuned.key);
  const beside = `${path}.${process.pid}`;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(beside, `${JSON.stringify(tuned, null, 2)}\n`);
    await rename(beside, path);
    return path;
  } catch (cause) {
    await rm(beside, { force: true }).catch(() => {});
    throw new TintypeError('io', {
      what: 'the choice could not be stored',
      got: (cause as Error).message,
      next: 'name a folder that can be written in TINTYPE_CACHE_DIR',
      cause,
    });
  }
}

/**
 * What was stored for a model on this machine, or null. A file that cannot be read or makes no sense is passed over; `warn`
 * is told. Nothing is hashed where nothing is stored.
 */
export async function readTuned(
  dir: string,
  {
    threads,
    folder = tunedFolder(),
    warn = () => {},
  }: { threads?: number | undefined; folder?: string; warn?: (sentence: string) => void } = {},
): Promise<Tuned | null> {
  const stored = await readdir(folder).catch((): string[] => []);
  if (!stored.some((name) => name.endsWith('.json'))) return null;
  const path = fileOf(folder, await tunedKey(resolve(modelPath(dir)), threads));
  if (!stored.includes(basename(path))) return null;
  try {
    const tuned = tunedSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    // Later versions may know options that this one refuses.
    parseOptions(decodeOptionsSchema, tuned.options);
    return tuned;
  } catch {
    warn(`${path} is not what tintype tune stores and is ignored; run tintype tune again`);
    return null;
  }
}
