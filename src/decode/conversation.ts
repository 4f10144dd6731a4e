/** Conversations as prompts, for models whose folder says how. Others complete text and cannot be talked to. */
import { TintypeError } from '../errors.ts';
import { createChatFormat } from '../text/chat.ts';
import type { ChatFormat } from '../text/chat.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { ChatPrompt } from './engine-types.ts';

/** The chat format of a folder, null where it has none. @throws bad_template for one that cannot be read */
export function chatFormatOf(
  files: Readonly<Record<string, string>>,
  tokenizerJson: object,
  tokenizer: Tokenizer,
): ChatFormat | null {
  const isStated =
    files['chat_template.jinja'] !== undefined ||
    /"chat_template"\s*:/.test(files['tokenizer_config.json'] ?? '');
  return isStated ? createChatFormat(files, tokenizerJson, tokenizer) : null;
}

/** The prompt of a conversation, up to where the answer begins. [T] @throws bad_template, unsupported */
export function chatPromptIds(
  format: ChatFormat | null,
  id: string,
  { messages, tools }: ChatPrompt,
): number[] {
  if (format !== null) return format.encode(messages, tools);
  throw new TintypeError('unsupported', {
    what: `the model ${id} completes text and has no chat template, so it cannot answer messages`,
    next: 'use /v1/completions or /v1/fim/completions, or serve a model whose folder has a chat template',
  });
}
