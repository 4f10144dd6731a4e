/** A tiny random model folder with a chat template. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../src/model/config.ts';
import { saveTextModel } from './text-model.ts';

/** In the style of Qwen's, short: system messages are refused, thinking is written down. */
export const CHAT_TEMPLATE = [
  `{%- if messages[0].role == 'system' %}{{ raise_exception('no system message, please') }}{% endif %}`,
  `{{- bos_token }}{%- for message in messages %}`,
  `{{- '<|fim_prefix|>' + message.role + '\\n' + message.content | trim + '<|fim_suffix|>' }}`,
  `{%- endfor %}{%- if add_generation_prompt %}{{- '<|fim_middle|>' }}{%- endif %}`,
  `{%- if enable_thinking is defined %}{{- 'think ' ~ enable_thinking }}{%- endif %}`,
].join('');

export async function saveChatModel(dir: string, layout: Layout, template = CHAT_TEMPLATE): Promise<void> {
  await saveTextModel(dir, layout);
  const config = {
    bos_token: '<|reserved_0|>',
    eos_token: { content: '<|endoftext|>' },
    chat_template: template,
  };
  writeFileSync(join(dir, 'tokenizer_config.json'), JSON.stringify(config));
}
