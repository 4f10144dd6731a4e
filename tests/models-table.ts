/**
 * docs/models.md: which published checkpoints run here, how that is known, and what they cost. Made from what the code
 * itself knows and from golden runs, so that the page cannot say more than the tests do.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FAMILY_SAMPLERS } from '../src/decode/official/choose.ts';
import { suits } from '../src/decode/official/plan.ts';
import { weightBytes } from '../src/eval/bench-configurations.ts';
import { checkGolden } from '../src/eval/golden.ts';
import { placeBytes } from '../src/model/cache.ts';
import { familyName, parameterCount, type ModelConfig } from '../src/model/config.ts';
import { configFromJson } from '../src/model/config-json.ts';
import { PUBLISHED } from './published.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/checkpoints', import.meta.url));

/**
 * Milliseconds of a step of eight rows over 512 cached places for each billion weights that it reads, in int8 on two cores
 * with AVX-512 (`npx tsx scripts/bench-shapes.ts`, 0.6B: 82 ms; LOG.md).
 */
const MS_PER_BILLION = 138;

const INTRODUCTION = `# Published checkpoints

\`tintype pull OWNER/NAME\` and \`tintype complete|chat|serve --model OWNER/NAME\` run these; a folder or a .gguf file that
is there already works too. This page is made by \`tests/models-table.test.ts\`.
`;

const NOTES = `
- *published samplers*: \`--sampler NAME\`, or \`--sampler official\` for the first. Without it tintype decodes by its own policies.
- *goldens*: a tiny checkpoint in this layout with random weights, and what the official code computed from it: logits within 1e-4,
  and so many transcripts whose canvas is the same after every forward (\`npm run golden -- fixtures/checkpoints\`). No published
  weights were downloaded for these tests. *size, names, plain loops*: parameters counted against the published size, names of
  tensors, and logits against plain float64 loops over random weights; no output of the official code stands behind those.
- *GB*: weights in memory, an embedding included that is looked up in its file; \`f32\` takes four bytes a parameter. Keys and values come on top, for every sequence.
- *s a step, estimated*: eight rows over 512 cached tokens in int8 on the two-core machine that the figures of LOG.md are from, scaled from the
  measured step of the 0.6B shape by the weights that a step reads. A step of another model was not timed.
- WeDLM's samplers are held to their algorithm in plain steps; without one, tintype decodes it a token at a time.
- *logits alone*: MDLM's, BD3-LM's and SEDD's samplers are draws at temperature 1 (\`--temperature 1\`), tested in distribution. Their
  repositories have no tokenizer, so \`pull\` brings GPT-2's as well.
- SEDD is told a noise level in every forward: by its sampler that of each step, by tintype's own policies that of the masks left. It is
  decoded, not trained or scored. The absorbing models alone, in the files of \`louaaron/\`; \`kuleshov-group/sedd-noeos-owt\` was not seen.
- LLaDA2.2 is not here: its experts are chosen for a block of tokens together, and two of its tokens delete and insert, which no
  official code at hand shows exactly. A config.json that states those tokens (\`delete_token_id\`, \`split_token_id\`) is refused.
- DiffusionGemma's canvases begin as random tokens, so policies that fill masks have nothing to do there: without \`--sampler\` its
  own sampler runs, which is made for \`--temperature 1\`. The official loop is nothing but draws; for its goldens the draws were
  taken from this project's generator, so transcripts are equal token for token, drawn ones and (temperature 0) greedy ones.
  Text alone: prompts with an image token are refused, the vision tower is not read. A step has all 256 rows of a canvas, in which
  every expert is likely to be picked, so it takes far longer than the eight rows of the estimate. Settings of the sampler in
  generation_config.json are not read; the defaults are the official ones.
- Not here: ModernBERT-chat, vision towers.
`;

const ROWS = 8;

/** Weights that a step of eight rows multiplies: of a mixture, the experts that eight tokens are expected to pick. */
function weightsRead(config: ModelConfig): number {
  const { width, layers, vocabSize, tiedHead, mixture } = config;
  // The embedding is looked up and not multiplied, unless it is the head too.
  const all = parameterCount(config) - (tiedHead ? 0 : vocabSize * width);
  if (!mixture) return all;
  const picked = mixture.experts * (1 - (1 - mixture.perToken / mixture.experts) ** ROWS);
  return all - (layers - mixture.denseLayers) * (mixture.experts - picked) * 3 * width * mixture.width;
}

/** Golden folders by the family that they are of, each with the transcripts that were reproduced. */
async function goldens(families: readonly string[]): Promise<Map<string, string[]>> {
  const byFamily = new Map<string, string[]>();
  for (const name of readdirSync(FIXTURES).filter((entry) => !entry.includes('.'))) {
    const { passed, transcripts, reproduced } = await checkGolden(join(FIXTURES, name));
    if (!passed) throw new Error(`${name} does not pass, so it cannot stand in the table`);
    const family = families
      .filter((each) => name === each || name.startsWith(`${each}-`))
      .toSorted((a, b) => b.length - a.length)[0];
    if (family === undefined) continue;
    const known = transcripts > 0 ? `${name} ${reproduced}/${transcripts}` : `${name}, logits alone`;
    byFamily.set(family, [...(byFamily.get(family) ?? []), known]);
  }
  return byFamily;
}

/** Of converted weights: published embeddings keep their 16 bits, but for those of diffusion transformers, which have 32. */
const convertedBytes = (config: ModelConfig, precision: 'int8' | 'int4'): number =>
  weightBytes(config, precision) - (config.dit ? 0 : 2 * config.vocabSize * config.width);

const gb = (bytes: number): string => (bytes / 1e9).toPrecision(3);
const attention = ({ layout, blockLength, logitShift = 'none' }: ModelConfig): string =>
  [
    layout === 'blockCausal' || layout === 'causalContext' ? `${layout} ${blockLength}` : layout,
    ...(logitShift === 'none' ? [] : [`shift: ${logitShift}`]),
  ].join(', ');

export async function modelsTable(): Promise<string> {
  const models = PUBLISHED.map(({ repository, raw, overrides }) => ({
    repository,
    config: configFromJson(raw, { generation: null, tokenizerMask: null, where: repository, overrides }),
  }));
  const verified = await goldens([...new Set(models.map(({ config }) => familyName(config)))]);
  const rows = models.map(({ repository, config }) => {
    const family = familyName(config);
    const samplers = (FAMILY_SAMPLERS[family] ?? []).filter((name) => suits(name, config));
    const golden = verified.get(family);
    return [
      repository,
      family,
      attention(config),
      samplers.map((name) => `\`${name}\``).join(', ') || 'own policies only',
      golden ? `goldens: ${golden.join(', ')}` : 'size, names, plain loops',
      `${(parameterCount(config) / 1e9).toPrecision(3)}B`,
      `${gb(convertedBytes(config, 'int8'))} / ${gb(convertedBytes(config, 'int4'))}`,
      ((placeBytes(config) * 1000) / 1e6).toFixed(0),
      ((weightsRead(config) / 1e12) * MS_PER_BILLION).toPrecision(2),
    ];
  });
  const head = [
    'repository',
    'family',
    'attention',
    'published samplers',
    'verified by',
    'parameters',
    'GB int8 / int4',
    'MB a 1,000 tokens',
    's a step, estimated',
  ];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `${INTRODUCTION}
${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}
${NOTES}`;
}
