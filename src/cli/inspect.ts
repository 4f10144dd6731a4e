/** `tintype inspect`: what a checkpoint is, after everything about it has been checked. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import pc from 'picocolors';
import {
  activeParameterCount,
  elementCount,
  familyName,
  hasQkNorm,
  type Layout,
  type LogitShift,
  type Mixture,
  type Yarn,
  parameterCount,
  parameterShapes,
  type ModelConfig,
} from '../model/config.ts';
import type { Gemma } from '../model/gemma-shapes.ts';
import { FAMILY_SAMPLERS, samplersFor } from '../decode/official/choose.ts';
import type { SamplerName } from '../decode/official/samplers.ts';
import type { Origin, Overrides } from '../model/config-json.ts';
import type { Json } from '../model/family.ts';
import { sha256OfFile } from '../model/files.ts';
import { isGgufPath } from '../model/gguf-folder.ts';
import { describeCheckpoint, type Description } from '../model/hf.ts';
import { modelPath } from '../model/library.ts';
import type { Precision } from '../model/quantize.ts';
import { addBlockLength, addModelOptions, type ModelFlags, overridesOf } from './model-options.ts';
import { formatFields, formatTable, printJson, printLine } from './output.ts';
import { formatCount } from './progress.ts';

const KINDS = ['embedding', 'attention', 'feedForward', 'norms', 'head'] as const;
type Kind = (typeof KINDS)[number];

export interface Inspection {
  name: string;
  family: string;
  layout: Layout;
  /** Positions denoised together. */
  blockLength: number;
  contextLength: number;
  /** `active`: those that one token goes through. */
  parameters: Record<Kind | 'total' | 'active', number>;
  dimensions: Pick<
    ModelConfig,
    'width' | 'layers' | 'heads' | 'kvHeads' | 'headDim' | 'ffnWidth' | 'vocabSize'
  >;
  normEps: number;
  ropeTheta: number;
  tiedHead: boolean;
  dtype: string;
  /** `int8`, `int4`: of the matrices; `dtype` is then that of the rest. */
  precision: Precision;
  tokens: ModelConfig['tokens'];
  /** Who said family, layout, block length, mask and ends of text. */
  origins: Description['origins'];
  logitShift: LogitShift;
  qkNorm: boolean;
  qkvBias: boolean;
  mixture: Mixture | null;
  yarn: Yarn | null;
  /** Known tokens stand before masks in a run. */
  reordersKnown: boolean;
  /** Components of a head that turn with the position. */
  rotaryDim: number;
  /** Published samplers that fit, those of its family first. */
  samplers: { family: readonly string[]; others: readonly string[] };
  /** Width of the noise level's embedding, in a diffusion transformer. */
  conditionWidth: number | null;
  /** Whether it is told that level in every forward, as SEDD is. */
  isToldNoise: boolean;
  /** Gemma's block, with layers of two kinds. */
  gemma: Gemma | null;
  /** What stands where nothing is decided. */
  noise: NonNullable<ModelConfig['noise']>;
  tokenizer: { kind: string; size: number; special: { id: number; content: string }[] } | null;
  /** `verified`: the hash is the one recorded in the folder. */
  files: { name: string; sizeBytes: number; sha256: string; verified: boolean }[];
  warnings: string[];
}

/** Reads every file of the folder once or twice, and no weight into memory. Errors: those of `describeCheckpoint`. */
export async function inspectCheckpoint(dir: string, overrides?: Overrides): Promise<Inspection> {
  const { config, origins, dtype, ggufType, precision, sha256, tokenizerJson, warnings } =
    await describeCheckpoint(dir, {
      overrides,
    });
  const { width, layers, heads, kvHeads, headDim, ffnWidth, vocabSize } = config;
  const files: Inspection['files'] = [];
  const isGguf = isGgufPath(dir);
  const folder = isGguf ? dirname(resolve(dir)) : dir;
  for (const { name } of (await readdir(folder, { withFileTypes: true })).filter((entry) =>
    isGguf ? entry.name === basename(dir) : !entry.isDirectory(),
  )) {
    const path = join(folder, name);
    const { size } = await stat(path);
    const verified = name in sha256;
    files.push({ name, sizeBytes: size, sha256: sha256[name] ?? (await sha256OfFile(path)), verified });
  }
  return {
    name: basename(resolve(dir)),
    family: familyName(config),
    layout: config.layout,
    blockLength: config.blockLength,
    contextLength: config.contextLength,
    parameters: countByKind(config),
    dimensions: { width, layers, heads, kvHeads, headDim, ffnWidth, vocabSize },
    normEps: config.normEps,
    ropeTheta: config.ropeTheta,
    tiedHead: config.tiedHead,
    dtype: ggufType ?? dtype,
    precision,
    tokens: config.tokens,
    origins,
    logitShift: config.logitShift ?? 'none',
    qkNorm: hasQkNorm(config),
    qkvBias: config.qkvBias ?? false,
    rotaryDim: config.rotaryDim ?? config.headDim,
    mixture: config.mixture ?? null,
    yarn: config.yarn ?? null,
    reordersKnown: config.reordersKnown ?? false,
    samplers: samplersOf(config),
    conditionWidth: config.dit?.conditionWidth ?? null,
    isToldNoise: config.dit?.isToldNoise ?? false,
    gemma: config.gemma ?? null,
    noise: config.noise ?? 'mask',
    tokenizer: tokenizerJson && inspectTokenizer(tokenizerJson),
    files: files.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    warnings,
  };
}

function samplersOf(config: ModelConfig): Inspection['samplers'] {
  const family: readonly SamplerName[] = FAMILY_SAMPLERS[familyName(config)] ?? [];
  const fitting = samplersFor(config);
  return {
    family: fitting.filter((name) => family.includes(name)),
    others: fitting.filter((name) => !family.includes(name)),
  };
}

/** What `--sampler` may name; `official` is the first. */
function samplersText({ family, others }: Inspection['samplers']): string {
  if (family.length + others.length === 0) return 'none';
  if (family.length === 0) return others.join(', ');
  return [family.join(', '), ...(others.length > 0 ? [`fitting too: ${others.join(', ')}`] : [])].join('; ');
}

function countByKind(config: ModelConfig): Inspection['parameters'] {
  const counts = {
    total: parameterCount(config),
    active: activeParameterCount(config),
    embedding: 0,
    attention: 0,
    feedForward: 0,
    norms: 0,
    head: 0,
  };
  for (const { name, shape } of parameterShapes(config)) counts[kindOf(name)] += elementCount(shape);
  return counts;
}

function kindOf(name: string): Kind {
  if (/norm(_\d)?\.weight$|_scalar$/.test(name) || /\.(modulation|noise)\./.test(name)) return 'norms';
  if (name.includes('.self_attn.')) return 'attention';
  if (/\.(mlp|self_conditioning)\./.test(name)) return 'feedForward';
  return name.startsWith('lm_head') ? 'head' : 'embedding';
}

function inspectTokenizer(json: Json): Inspection['tokenizer'] {
  const {
    model,
    added_tokens: added = [],
    decoder,
  } = json as {
    model?: { type?: string; vocab?: object };
    added_tokens?: { id: number; content: string; special?: boolean }[];
    decoder?: { type?: string } | null;
  };
  const isByteLevel = JSON.stringify(decoder ?? {}).includes('"ByteLevel"');
  // Some files list the added tokens in the vocabulary too.
  const ids = new Set([...Object.values(model?.vocab ?? {}), ...added.map(({ id }) => id)]);
  return {
    kind: `${isByteLevel ? 'byte-level ' : ''}${model?.type ?? 'unknown'}`,
    size: ids.size,
    special: added.filter(({ special }) => special).map(({ id, content }) => ({ id, content })),
  };
}

const LAYOUT_WORDS: Record<Layout, (blockLength: number) => string> = {
  causal: () => 'causal (autoregressive)',
  full: () => 'full (diffusion, every position sees all)',
  blockCausal: (n) => `blockCausal (diffusion in blocks of ${n})`,
  causalContext: (n) => `causalContext (diffusion in blocks of ${n} after a causal context)`,
};

/** After a fact; what config.json says goes without saying. */
const ORIGIN_WORDS: Record<Origin, string> = {
  option: ' (as the option says)',
  config: '',
  tokenizer: ' (from the tokenizer)',
  name: ' (from the name of the folder)',
  family: ' (assumed for the family)',
};

const SHIFT_WORDS: Record<LogitShift, string> = {
  none: 'predict their own position',
  sequence: 'predict the next position',
  block: 'predict the next position of their block',
};

const ROUTER_WORDS: Record<Mixture['router'], string> = {
  softmax: 'weighed among all (softmax)',
  softmaxRenorm: 'weighed among those taken (softmax)',
  sigmoidGroups: 'weighed among those taken (sigmoid)',
};

function expertsText(mixture: Mixture): string {
  const { experts, perToken, width, router, groups, groupsPerToken, scale, sharedWidth, denseLayers } =
    mixture;
  return [
    `${perToken} of ${experts} of width ${width}, ${ROUTER_WORDS[router]}`,
    ...(groups > 1 ? [`from ${groupsPerToken} of ${groups} groups`] : []),
    ...(scale === 1 ? [] : [`times ${scale}`]),
    ...(sharedWidth > 0 ? [`and one of width ${sharedWidth} for all`] : []),
    ...(denseLayers > 0
      ? [`none in the first ${denseLayers === 1 ? 'layer' : `${denseLayers} layers`}`]
      : []),
  ].join(', ');
}

function fullLayersText({ window, fullLayers, full, fullRope }: Gemma): string {
  const heads = `${full.kvHeads} kv-heads of ${full.headDim}, RoPE theta ${fullRope.theta} in ${fullRope.turning} of ${full.headDim / 2} pairs`;
  return `a window of ${window} but in layers ${fullLayers.join(', ')} with ${heads}`;
}

/** `160`, `4 kB`, `1.2 MB`. */
function formatBytes(sizeBytes: number): string {
  const suffix = ['bytes', 'kB', 'MB', 'GB'];
  let size = sizeBytes;
  let unit = 0;
  while (size >= 999.5 && unit < suffix.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${unit === 0 ? size : size.toPrecision(3)} ${suffix[unit]}`;
}

/** The same for people. */
export function formatInspection(inspection: Inspection): string {
  const { parameters, dimensions: d, tokenizer, tokens, files, warnings } = inspection;
  const contents = new Map(tokenizer?.special.map(({ id, content }) => [id, content]));
  const token = (id: number): string => (contents.has(id) ? `${id} ${contents.get(id)}` : String(id));
  const share = (count: number): string => `${((100 * count) / parameters.total).toFixed(1)} %`;
  const said = (fact: keyof Inspection['origins']): string => ORIGIN_WORDS[inspection.origins[fact]];
  const details = [
    ...(inspection.qkNorm ? ['heads normalised'] : []),
    ...(inspection.qkvBias ? ['biases on q, k and v'] : []),
    ...(inspection.yarn
      ? [`YaRN factor ${inspection.yarn.factor} from ${inspection.yarn.originalLength} tokens`]
      : []),
    ...(inspection.gemma ? [fullLayersText(inspection.gemma)] : []),
    ...(inspection.conditionWidth === null
      ? []
      : [
          `a diffusion transformer ${inspection.isToldNoise ? 'that is told its noise level' : 'at noise level 0'}`,
        ]),
    ...(inspection.rotaryDim < d.headDim ? [`${inspection.rotaryDim} of ${d.headDim} components turn`] : []),
  ];
  const active =
    parameters.active < parameters.total ? `, ${formatCount(parameters.active)} of them active` : '';
  const sections = [
    `${pc.bold(inspection.name)}: ${formatCount(parameters.total)} parameters${active}, ${LAYOUT_WORDS[inspection.layout](inspection.blockLength)}`,
    formatFields({
      family: `${inspection.family}${said('family')}`,
      layout: `${inspection.layout}${said('layout')}, blocks of ${inspection.blockLength}${said('blockLength')}`,
      stored: `${inspection.precision === 'f32' ? '' : `${inspection.precision}, the rest `}${inspection.dtype}, head ${inspection.tiedHead ? 'tied to the embedding' : 'of its own'}`,
      dimensions: `${d.layers} layers, width ${d.width}, feed-forward ${d.ffnWidth}, vocabulary ${d.vocabSize}`,
      attention: `${d.heads} heads and ${d.kvHeads} kv-heads of ${d.headDim}, RoPE theta ${inspection.ropeTheta}${details.map((each) => `, ${each}`).join('')}`,
      ...(inspection.mixture ? { experts: expertsText(inspection.mixture) } : {}),
      logits: `${SHIFT_WORDS[inspection.logitShift]}${inspection.reordersKnown ? '; known tokens stand before masks' : ''}`,
      samplers: samplersText(inspection.samplers),
      context: `${inspection.contextLength} tokens`,
      mask:
        inspection.noise === 'uniform'
          ? 'none: random tokens stand for what is not decided'
          : tokens.mask === null
            ? 'none'
            : `${token(tokens.mask)}${said('mask')}`,
      eos: tokens.eos.length > 0 ? `${tokens.eos.map(token).join(', ')}${said('eos')}` : 'none',
      pad: tokens.pad === null ? 'none' : token(tokens.pad),
      tokenizer: tokenizer
        ? `${tokenizer.kind}, ${tokenizer.size} tokens, ${tokenizer.special.length} special`
        : 'none',
    }),
    formatTable(
      ['parameters', 'count', 'share'],
      KINDS.filter((kind) => parameters[kind] > 0).map((kind) => {
        return [kind === 'feedForward' ? 'feed-forward' : kind, parameters[kind], share(parameters[kind])];
      }),
    ),
    formatTable(
      ['file', 'size', 'sha256', ''],
      files.map(({ name, sizeBytes, sha256, verified }) => [
        name,
        formatBytes(sizeBytes),
        sha256,
        verified ? 'verified' : '',
      ]),
    ),
    ...warnings.map((warning) => `${pc.yellow('warning:')} ${warning}`),
  ];
  return sections.join('\n\n');
}

interface InspectFlags extends ModelFlags {
  blockLength?: number;
  json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('inspect')
    .description('print what a checkpoint is: parameters, layout, tokenizer, hashes')
    .argument('<dir>', 'a Hugging Face folder with config.json and model.safetensors, or a GGUF file');
  addBlockLength(addModelOptions(command))
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  tintype inspect models/tintype-code')
    .action(async (dir: string, { json, blockLength, ...flags }: InspectFlags) => {
      const inspection = await inspectCheckpoint(modelPath(dir), { ...overridesOf(flags), blockLength });
      if (json) printJson(inspection);
      else printLine(formatInspection(inspection));
    });
}
