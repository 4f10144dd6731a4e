/** One official transcript against a run of ours: the canvas after every denoising forward, the forwards, the result. */
import { appendCanvas, MASKED } from '../decode/canvas.ts';
import { decode } from '../decode/decode.ts';
import { collect } from '../decode/events.ts';
import type { DecodeEvent } from '../decode/events.ts';
import { planOfficial } from '../decode/official/plan.ts';
import { SAMPLERS } from '../decode/official/samplers.ts';
import { familyName } from '../model/config.ts';
import type { Denoiser } from '../model/denoiser.ts';
import { FAMILIES } from '../model/families.ts';
import type { Golden, GoldenTranscript } from './golden-format.ts';
import { translate } from './golden-samplers.ts';

/** Null: all equal. Else where the first difference is, in one line. */
export async function firstDivergence(
  denoiser: Denoiser,
  transcript: GoldenTranscript,
  tokens: Golden['tokens'],
): Promise<string | null> {
  const translated = translate(transcript);
  switch (translated.kind) {
    case 'unknown':
      return translated.reason;
    case 'autoregressive':
      return compareAutoregressive(denoiser, transcript, translated);
    case 'official': {
      const { name, options, draws } = translated;
      const { layout } = SAMPLERS[name];
      // Weights that both kinds of sampler are published for.
      const isAmbiguous = FAMILIES.find(({ id }) => id === familyName(denoiser.config))?.isAmbiguous;
      const model = isAmbiguous ? { ...denoiser, config: { ...denoiser.config, layout } } : denoiser;
      const run = planOfficial(name, model.config, transcript.prompt, {
        padId: tokens.pad,
        ...options,
      });
      const { events } = await collect(decode(model, run.canvas, { recipe: run.recipe, ...draws }));
      const replay = replayOf(events, run.canvas.ids, model.config.tokens.mask ?? MASKED);
      return compareReplay(replay, transcript, run.result(replay.final, replay.workedEnd));
    }
  }
}

interface Replay {
  initial: number[];
  /** After each denoising forward. */
  canvases: number[][];
  final: number[];
  kinds: string[];
  lengths: number[];
  /** End of the last block that was worked on. */
  workedEnd: number;
}

/** Masked positions hold the mask token. */
function replayOf(events: readonly DecodeEvent[], start: Int32Array, mask: number): Replay {
  const canvas = Array.from(start, (id) => (id === MASKED ? mask : id));
  const replay: Replay = {
    initial: [...canvas],
    canvases: [],
    final: canvas,
    kinds: [],
    lengths: [],
    workedEnd: 0,
  };
  let denoising = false;
  const shoot = (): void => {
    if (denoising) replay.canvases.push([...canvas]);
    denoising = false;
  };
  for (const event of events) {
    switch (event.type) {
      case 'step':
        shoot();
        denoising = event.kind === 'denoise';
        replay.kinds.push(event.kind);
        replay.lengths.push(event.positions);
        if (denoising) replay.workedEnd = Math.max(replay.workedEnd, event.block.end);
        break;
      case 'commit':
        for (const { position, id } of event.tokens) canvas[position] = id;
        break;
      case 'remask':
        for (const position of event.positions) canvas[position] = mask;
        break;
      case 'done':
        shoot();
    }
  }
  return replay;
}

/** Names of official calls that are one kind here; how many rows they had tells them apart. */
const KINDS: Readonly<Record<string, string>> = {
  prefix: 'prefill',
  refresh: 'denoise',
  'denoise-sub': 'denoise',
};

function compareReplay(replay: Replay, golden: GoldenTranscript, result: readonly number[]): string | null {
  const { canvases = [], initial, forwards, forwardKinds, forwardLens, final, finalCanvas } = golden;
  return (
    (initial && compareIds('initial canvas', replay.initial.slice(0, initial.length), initial)) ??
    first(canvases, (canvas, step) => {
      const ours = replay.canvases[step];
      if (ours === undefined) return `step ${step + 1}: got no forward, wanted ${canvases.length}`;
      // A canvas that grows block by block is here all masks behind its end.
      return compareIds(`step ${step + 1}`, ours.slice(0, canvas.length), canvas);
    }) ??
    (golden.canvases && replay.canvases.length !== canvases.length
      ? `got ${replay.canvases.length} denoising forwards, wanted ${canvases.length}`
      : null) ??
    (replay.kinds.length === forwards ? null : `got ${replay.kinds.length} forwards, wanted ${forwards}`) ??
    first(forwardKinds ?? [], (kind, i) =>
      replay.kinds[i] === (KINDS[kind] ?? kind)
        ? null
        : `forward ${i + 1}: got ${replay.kinds[i]}, wanted ${kind}`,
    ) ??
    first(forwardLens ?? [], (length, i) =>
      replay.lengths[i] === length
        ? null
        : `forward ${i + 1}: got ${replay.lengths[i]} rows, wanted ${length}`,
    ) ??
    (finalCanvas
      ? compareIds('final canvas', replay.final.slice(0, finalCanvas.length), finalCanvas)
      : null) ??
    compareIds('result', result, final)
  );
}

async function compareAutoregressive(
  denoiser: Denoiser,
  { prompt, final, forwards }: GoldenTranscript,
  { maxTokens, eos }: { maxTokens: number; eos: number[] },
): Promise<string | null> {
  const { config } = denoiser;
  const model = { ...denoiser, config: { ...config, tokens: { ...config.tokens, eos } } };
  const { done } = await collect(decode(model, appendCanvas(prompt, maxTokens)));
  const ended = done.reason === 'eos' && eos.includes(final.at(-1)!) ? [final.at(-1)!] : [];
  return (
    compareIds('result', [...prompt, ...done.ids, ...ended], final) ??
    (done.nfe === forwards ? null : `got ${done.nfe} forwards, wanted ${forwards}`)
  );
}

function compareIds(where: string, got: readonly number[], wanted: readonly number[]): string | null {
  const at = wanted.findIndex((id, position) => got[position] !== id);
  if (at >= 0) return `${where}, position ${at}: got ${got[at] ?? 'nothing'}, wanted ${wanted[at]}`;
  return got.length === wanted.length ? null : `${where}: got ${got.length} tokens, wanted ${wanted.length}`;
}

/** The first complaint. */
function first<T>(items: readonly T[], complain: (item: T, index: number) => string | null): string | null {
  for (const [index, item] of items.entries()) {
    const complaint = complain(item, index);
    if (complaint !== null) return complaint;
  }
  return null;
}
