import { describe, expect, it } from 'vitest';
import { CHAT_TEMPLATE } from '../../tests/chat-model.ts';
import { codeTokenizer, codeTokenizerJson } from '../../tests/text-model.ts';
import { createChatFormat, createMarkedEncoder } from './chat.ts';
import type { ChatMessage } from './chat.ts';

const tokenizer = codeTokenizer();
const format = (files: Record<string, string>, options = {}) =>
  createChatFormat(files, codeTokenizerJson(), tokenizer, options);
const withTemplate = (chat_template: unknown, more: object = {}) => ({
  'tokenizer_config.json': JSON.stringify({ chat_template, ...more }),
});
const hello: ChatMessage[] = [{ role: 'user', content: ' Hello ' }];

/** Templates in the form of published ones, cut down to what differs (CHECKPOINTS.md 2.1, 2.5, 2.7). */
const LLADA =
  `{% set loop_messages = messages %}{% for message in loop_messages %}` +
  `{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}` +
  `{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}` +
  `{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}`;
const QWEN25 =
  `{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}` +
  `{%- else %}{{- '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{%- endif %}` +
  `{%- for message in messages %}{%- if message.role != 'system' %}` +
  `{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}{%- endif %}{%- endfor %}` +
  `{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}`;
const QWEN3_END =
  `{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{%- endfor %}` +
  `{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}` +
  `{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}`;

describe('a chat format', () => {
  it('writes what the template writes, its start token once', () => {
    const llada = format(withTemplate(LLADA, { bos_token: '<|startoftext|>' }));
    expect(llada.render([...hello, { role: 'assistant', content: 'Hi' }, ...hello])).toBe(
      '<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>' +
        '<|start_header_id|>assistant<|end_header_id|>\n\nHi<|eot_id|>' +
        '<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>' +
        '<|start_header_id|>assistant<|end_header_id|>\n\n',
    );
  });

  it('leaves default system prompts to the template', () => {
    const qwen = format(withTemplate(QWEN25));
    expect(qwen.render(hello)).toMatch(/^<\|im_start\|>system\nYou are a helpful assistant\.<\|im_end\|>\n/);
    expect(qwen.render([{ role: 'system', content: 'Be brief.' }, ...hello])).toMatch(
      /^<\|im_start\|>system\nBe brief\.<\|im_end\|>\n<\|im_start\|>user\n Hello <\|im_end\|>\n<\|im_start\|>assistant\n$/,
    );
  });

  it('tells about thinking only when asked to', () => {
    const render = (options = {}) => format(withTemplate(QWEN3_END), options).render(hello);
    expect(render()).toMatch(/assistant\n$/);
    expect(render({ thinking: false })).toMatch(/assistant\n<think>\n\n<\/think>\n\n$/);
    expect(render({ thinking: true })).toBe(render());
  });

  it('makes tokens of special tokens in the template, whatever else is text', () => {
    const { encode } = format(withTemplate(CHAT_TEMPLATE, { bos_token: '<|reserved_0|>' }));
    const ids = encode(hello);
    const special = (name: string) => codeTokenizerJson().added_tokens.find((t) => t.content === name)!.id;
    expect(ids[0]).toBe(special('<|reserved_0|>'));
    expect(ids[1]).toBe(special('<|fim_prefix|>'));
    expect(ids.at(-1)).toBe(special('<|fim_middle|>'));
    expect(ids).toEqual([
      special('<|reserved_0|>'),
      special('<|fim_prefix|>'),
      ...tokenizer.encode('user\nHello'),
      special('<|fim_suffix|>'),
      special('<|fim_middle|>'),
    ]);
  });

  it('takes the template file first, and the one called default of several', () => {
    const several = [
      { name: 'tools', template: 'tools' },
      { name: 'default', template: 'default' },
    ];
    expect(format(withTemplate(several)).render(hello)).toBe('default');
    expect(format({ ...withTemplate(several), 'chat_template.jinja': 'file' }).render(hello)).toBe('file');
    expect(format(withTemplate(`{{ strftime_now('%Y') }}`)).render(hello)).toBe(
      String(new Date().getFullYear()),
    );
  });

  it.each([
    ['none', {}, /has no chat template/],
    ['one that does not parse', withTemplate('{% if %}'), /not Jinja/],
  ])('says what is wrong with %s', (_, files, what) => {
    expect(() => format(files)).toThrow(what);
    try {
      format(files);
    } catch (error) {
      expect(error).toMatchObject({ code: 'bad_template', exitStatus: 2 });
    }
  });

  it('passes on what a template refuses', () => {
    const { render } = format(withTemplate(CHAT_TEMPLATE));
    expect(() => render([{ role: 'system', content: 'x' }, ...hello])).toThrow(/no system message, please/);
    expect(() => render([{ role: 'system', content: 'x' }])).toThrow(
      expect.objectContaining({ code: 'bad_template' }) as Error,
    );
  });
});

describe('a marked encoder', () => {
  const id = (content: string, n: number, more: object = {}) => ({ content, id: n, ...more });
  it('prefers the longest token and takes blanks in where a token does', () => {
    const encode = createMarkedEncoder(tokenizer, [
      id('<a>', 9),
      id('<a><b>', 8),
      id('<c>', 7, { lstrip: true, rstrip: true }),
    ]);
    expect(encode('<a><b><a>')).toEqual([8, 9]);
    expect(encode('x  <c>\ny')).toEqual([...tokenizer.encode('x'), 7, ...tokenizer.encode('y')]);
    expect(encode('a + b')).toEqual(tokenizer.encode('a + b'));
    expect(createMarkedEncoder(tokenizer, [])('<a>')).toEqual(tokenizer.encode('<a>'));
  });
});
