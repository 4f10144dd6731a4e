/** `golden.json`: what the official code computed from a checkpoint folder (fixtures/checkpoints/README.md). */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TintypeError } from '../errors.ts';

const ids = z.array(z.int());

const forwardSchema = z.object({
  input_ids: ids,
  attention: z.union([
    z.literal('causal'),
    z.object({
      type: z.enum(['full', 'blockCausal', 'anchored']),
      /** `anchored`: rows of the context; the others are the canvas. */
      clean: z.int().optional(),
      block: z.int().optional(),
      origin: z.int().optional(),
      /** Tokens with this id neither see nor are seen. */
      padId: z.int().optional(),
      /** 0 for rows that neither see nor are seen. */
      valid: z.array(z.int()).optional(),
    }),
  ]),
  position_ids: ids.optional(),
  /** Noise level, of models that are told it. */
  noise: z.number().optional(),
  /** Rows to compare; all by default. */
  compareRows: ids.optional(),
  /** Self-conditioning: a forward before, by number, and what its logits are divided by. */
  conditionedOn: z.object({ forward: z.int(), temperature: z.number() }).optional(),
  /** Key of golden.safetensors: the raw logits, [T, V]. */
  logits: z.string(),
});
export type GoldenForward = z.infer<typeof forwardSchema>;

const transcriptSchema = z.object({
  sampler: z.string(),
  mode: z.string().optional(),
  greedy: z.string().optional(),
  args: z.record(z.string(), z.unknown()),
  prompt: ids,
  initial: ids.optional(),
  /** The canvas after each denoising forward. */
  canvases: z.array(ids).optional(),
  /** Model calls. */
  forwards: z.int(),
  forwardKinds: z.array(z.string()).optional(),
  forwardLens: z.array(z.int()).optional(),
  /** What the official function returned. */
  final: ids,
  finalCanvas: ids.optional(),
});
export type GoldenTranscript = z.infer<typeof transcriptSchema>;

const goldenSchema = z.object({
  family: z.string(),
  tokens: z.object({ mask: z.int().nullable(), pad: z.int().nullish() }),
  forward: z.array(forwardSchema),
  transcripts: z.array(transcriptSchema),
});
export type Golden = z.infer<typeof goldenSchema>;

/** Errors: `not_found`; `bad_data`, for a file that is not of this form. */
export async function readGolden(dir: string): Promise<Golden> {
  const path = join(dir, 'golden.json');
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new TintypeError('not_found', { what: `there is no ${path}`, cause });
  });
  try {
    return goldenSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new TintypeError('bad_data', {
      what: `${path} is not a golden file`,
      wanted: 'family, tokens, forward[] and transcripts[] as fixtures/checkpoints/README.md describes them',
      got: (cause as Error).message.slice(0, 400),
      cause,
    });
  }
}
