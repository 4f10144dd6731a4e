/**
 * Chat templates: a conversation as the text that a checkpoint was trained on, by the Jinja template in its own folder.
 * What the template writes is all there is: no token is added before or after it (LLaDA's begins with its own start token),
 * and special tokens in it are tokens, while in `Tokenizer.encode` they are text.
 */
import { Template } from '@huggingface/jinja';
import { TintypeError } from '../errors.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
  name?: string | undefined;
  /** What an assistant called, in OpenAI's shape. */
  tool_calls?: readonly unknown[] | undefined;
  tool_call_id?: string | undefined;
}

export interface ChatFormat {
  /** The conversation with the beginning of an answer; tools, for templates that know them. @throws bad_template */
  render: (messages: readonly ChatMessage[], tools?: readonly unknown[]) => string;
  /** Its token ids. @throws bad_template */
  encode: (messages: readonly ChatMessage[], tools?: readonly unknown[]) => number[];
}

export interface ChatFormatOptions {
  /** For templates that know it; by default they are told nothing. */
  thinking?: boolean | undefined;
}

type Json = Record<string, unknown>;

interface AddedToken {
  id: number;
  content: string;
  lstrip?: boolean;
  rstrip?: boolean;
}

/**
 * @param files texts of the tokenizer's files by name: the template is `chat_template.jinja`, or stands in
 *   `tokenizer_config.json`
 * @param tokenizerJson for its added tokens
 * @throws bad_template where there is none, or none that can be read
 */
export function createChatFormat(
  files: Readonly<Record<string, string>>,
  tokenizerJson: object,
  tokenizer: Tokenizer,
  { thinking }: ChatFormatOptions = {},
): ChatFormat {
  const config = configOf(files);
  const source = files['chat_template.jinja'] ?? templateOf(config['chat_template']);
  if (source === null) {
    throw new TintypeError('bad_template', {
      what: 'this checkpoint has no chat template, so it was not made for conversations',
      wanted: 'chat_template in tokenizer_config.json, or chat_template.jinja',
      next: 'use an instruct or chat checkpoint, or complete text with tintype complete',
    });
  }
  const template = parseTemplate(source);
  const encode = createMarkedEncoder(
    tokenizer,
    ((tokenizerJson as Json)['added_tokens'] ?? []) as AddedToken[],
  );
  // Templates name these; a checkpoint that lacks one gets none written.
  const names = ['bos_token', 'eos_token', 'pad_token', 'unk_token', 'mask_token'];
  const tokens = Object.fromEntries(names.map((name) => [name, textOfToken(config[name])]));

  const render: ChatFormat['render'] = (messages, tools) => {
    try {
      return template.render({
        ...tokens,
        messages: messages.map((message) => ({ ...message })),
        ...(tools === undefined ? {} : { tools }),
        add_generation_prompt: true,
        ...(thinking === undefined ? {} : { enable_thinking: thinking }),
      });
    } catch (cause) {
      throw new TintypeError('bad_template', {
        what: "the checkpoint's chat template refuses this conversation",
        got: (cause as Error).message,
        next: 'change the order or the roles of the messages (some templates take no system message)',
        cause,
      });
    }
  };
  return { render, encode: (messages, tools) => encode(render(messages, tools)) };
}

function configOf(files: Readonly<Record<string, string>>): Json {
  try {
    return JSON.parse(files['tokenizer_config.json'] ?? '{}') as Json;
  } catch (cause) {
    throw new TintypeError('bad_tokenizer', {
      what: 'tokenizer_config.json is not JSON',
      got: (cause as Error).message,
      cause,
    });
  }
}

/** One template, or the one called `default` of several. */
function templateOf(stated: unknown): string | null {
  if (typeof stated === 'string') return stated;
  if (!Array.isArray(stated)) return null;
  const named = stated as { name?: string; template?: string }[];
  return (named.find(({ name }) => name === 'default') ?? named[0])?.template ?? null;
}

function parseTemplate(source: string): Template {
  try {
    return new Template(source);
  } catch (cause) {
    throw new TintypeError('bad_template', {
      what: "the checkpoint's chat template is not Jinja as it is understood here",
      got: (cause as Error).message,
      next: 'check the file against the published one',
      cause,
    });
  }
}

function textOfToken(stated: unknown): string {
  if (typeof stated === 'string') return stated;
  const content = (stated as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : '';
}

/** Encodes text in which added tokens stand for themselves; of several that fit, the longest. */
export function createMarkedEncoder(
  tokenizer: Tokenizer,
  added: readonly AddedToken[],
): (text: string) => number[] {
  const known = added.filter(({ content }) => content !== '');
  if (known.length === 0) return (text) => tokenizer.encode(text);
  const ids = new Map(known.map(({ content, id }) => [content, id]));
  const alternatives = known
    .toSorted((a, b) => b.content.length - a.content.length)
    .map(({ content, lstrip, rstrip }) => {
      const escaped = content.replace(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`);
      // Such a token takes the blanks beside it in.
      return `${lstrip ? String.raw`\s*` : ''}${escaped}${rstrip ? String.raw`\s*` : ''}`;
    });
  const pattern = new RegExp(alternatives.join('|'), 'g');
  return (text) => {
    const out: number[] = [];
    const push = (piece: string): void => {
      if (piece !== '') for (const id of tokenizer.encode(piece)) out.push(id);
    };
    let at = 0;
    for (const match of text.matchAll(pattern)) {
      push(text.slice(at, match.index));
      out.push(ids.get(match[0]) ?? ids.get(match[0].trim())!);
      at = match.index + match[0].length;
    }
    push(text.slice(at));
    return out;
  };
}
