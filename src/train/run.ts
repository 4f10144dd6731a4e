/**
 * A run on disk: its folder, its log, and what it publishes.
 *   RUN/config.json         the configuration, every default written out
 *   RUN/log.jsonl           one event a line (`TrainEvent`, with the time of day)
 *   RUN/state.safetensors   for exact resumption
 *   RUN/model/              the model as of the last checkpoint, a Hugging Face folder
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TintypeError } from '../errors.ts';
import { nodeRuntime } from '../graph/node.ts';
import { BIGRAMS } from '../model/bigrams.ts';
import type { ModelConfig } from '../model/config.ts';
import { loadCheckpoint, saveCheckpoint } from '../model/hf.ts';
import { copyTensors, toTensors } from '../model/parameters.ts';
import { tokenizerConfig } from '../text/bpe.ts';
import { loadTokenizer, readTokenizerJson, tokenizerHash } from '../text/load.ts';
import type { BatchSource } from './batch.ts';
import { modelConfigOf, type TrainConfig } from './config.ts';
import { createTextSource } from './packing.ts';
import { openShards } from './shards.ts';
import { sudokuTokenizer, SUDOKU_TOKENS } from './sudoku-rows.ts';
import { createSudokuSource } from './sudoku-source.ts';
import { train, type TrainEvent } from './trainer.ts';

export interface RunOptions {
  config: TrainConfig;
  dir: string;
  resume: boolean;
  minutes?: number | undefined;
  stopped: () => boolean;
}

interface Data {
  source: BatchSource;
  vocabSize: number;
  tokens: ModelConfig['tokens'];
  tokenizerFiles: Record<string, string>;
}

const pretty = (json: unknown): string => `${JSON.stringify(json, null, 2)}\n`;

async function openData({ data, model, seed }: TrainConfig): Promise<Data> {
  if (data.kind === 'sudoku') {
    const layout = model.layout === 'full' ? 'full' : 'causal';
    const { json, config } = sudokuTokenizer(data.size);
    return {
      source: createSudokuSource({ size: data.size, seed, layout }),
      ...SUDOKU_TOKENS,
      tokenizerFiles: { 'tokenizer.json': pretty(json), 'tokenizer_config.json': pretty(config) },
    };
  }
  const json = await readTokenizerJson(data.tokenizer);
  const tokenizer = await loadTokenizer(json);
  const shards = openShards(data.shards, { tokenizerHash: tokenizerHash(json) });
  const eos = tokenizer.special('<|endoftext|>');
  return {
    source: createTextSource(shards, { tokenizer, seed, fimRate: data.fimRate, spmRate: data.spmRate }),
    vocabSize: tokenizer.vocabSize,
    tokens: {
      mask: tokenizer.special('<|mask|>'),
      eos: eos === null ? [] : [eos],
      pad: tokenizer.special('<|pad|>'),
      bos: null,
    },
    tokenizerFiles: {
      'tokenizer.json': pretty(json),
      'tokenizer_config.json': pretty(tokenizerConfig(model.contextLength)),
    },
  };
}

/** Refuses to run over another run, or to resume what is not there. */
function checkFolder({ config, dir, resume }: RunOptions): void {
  const path = join(dir, 'config.json');
  const there = existsSync(path);
  if (resume && !there) {
    throw new TintypeError('not_found', {
      what: `there is no run to resume in ${dir}`,
      next: 'start it without --resume',
    });
  }
  if (!resume && there) {
    throw new TintypeError('bad_option', {
      what: `${dir} already holds a run`,
      next: 'add --resume to go on with it, or choose another --out',
    });
  }
  mkdirSync(dir, { recursive: true });
  if (!there) writeFileSync(path, pretty(config));
}

/** The configuration that a run folder was started with. */
export function readRunConfig(dir: string): unknown {
  const path = join(dir, 'config.json');
  if (!existsSync(path)) {
    throw new TintypeError('not_found', {
      what: `there is no run in ${dir}`,
      wanted: `a folder with config.json`,
    });
  }
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Trains and writes the log; the events are those of `train`. */
export async function* runTraining(options: RunOptions): AsyncGenerator<TrainEvent> {
  const { config, dir, resume, minutes, stopped } = options;
  const data = await openData(config);
  const model = modelConfigOf(config, data);
  const init = config.init === null || resume ? null : await loadCheckpoint(config.init);
  checkFolder(options);
  const log = (event: object): void =>
    appendFileSync(join(dir, 'log.jsonl'), `${JSON.stringify({ ...event, at: new Date().toISOString() })}\n`);

  const events = train({
    runtime: await nodeRuntime(),
    config,
    model,
    source: data.source,
    dir,
    start: init && (async (parameters) => copyTensors(parameters, init.tensors)),
    resume,
    stopped,
    minutes,
    publish: (parameters) =>
      saveCheckpoint(join(dir, 'model'), {
        config: model,
        tensors: toTensors(parameters),
        dtype: 'F16',
        tokenizerFiles: data.tokenizerFiles,
        // Copying tensors has made sure that the vocabulary is the same.
        extraFiles: init?.bigrams ? { [BIGRAMS]: [init.bigrams] } : {},
      }),
  });
  for await (const event of events) {
    if (event.type === 'start') log({ ...event, name: config.name, config });
    else if (event.type !== 'step' || event.step % config.logEverySteps === 0) log(event);
    yield event;
  }
}
