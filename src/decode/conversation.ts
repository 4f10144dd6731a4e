/**
 * The seam between conversations and prompts: what the engine needs of a chat template. A model without one completes
 * text and cannot be talked to.
 */
import { TintypeError } from '../errors.ts';
import type { ChatPrompt } from './engine-types.ts';

/** The prompt of a conversation, up to where the assistant's answer begins. [T] */
export type RenderChat = (prompt: ChatPrompt) => number[];

/** @throws unsupported for a model without a chat template */
export function chatPromptIds(render: RenderChat | null, id: string, prompt: ChatPrompt): number[] {
  if (render !== null) return render(prompt);
  throw new TintypeError('unsupported', {
    what: `the model ${id} completes text and has no chat template, so it cannot answer messages`,
    next: 'use /v1/completions or /v1/fim/completions, or serve a model whose folder has a chat template',
  });
}
