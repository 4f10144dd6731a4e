/** Lines, commands and Ctrl-C, on streams that say they are a terminal. */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createTalk, readLine } from './talk.ts';

function streams(isTTY: boolean) {
  const input = Object.assign(new PassThrough(), { isTTY });
  const output = Object.assign(new PassThrough(), { isTTY });
  let text = '';
  output.on('data', (chunk) => (text += String(chunk)));
  return { input, output, said: () => text };
}
const CTRL_C = '\x03';
const soon = () => new Promise((resolve) => setTimeout(resolve, 20));

describe('a talk in a terminal', () => {
  it('takes lines, and what is typed while something runs waits', async () => {
    const { input, output, said } = streams(true);
    const talk = createTalk({ input, output });
    const first = talk.ask();
    input.write('one\r');
    expect(await first).toBe('one');
    input.write('two\rthree\r');
    await soon();
    expect([await talk.ask(), await talk.ask()]).toEqual(['two', 'three']);
    expect(said()).toContain('> ');
    talk.close();
    expect(await talk.ask()).toBeNull();
  });

  it('stops what runs at Ctrl-C, and goes on', async () => {
    const { input, output } = streams(true);
    const talk = createTalk({ input, output });
    const stopped = talk.interruptible(
      (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => resolve(signal.reason));
          input.write(CTRL_C);
        }),
    );
    expect(await stopped).toMatchObject({ code: 'aborted' });
    const next = talk.ask();
    input.write('still here\r');
    expect(await next).toBe('still here');
    talk.close();
  });

  it('quits at the second Ctrl-C in a row at the prompt', async () => {
    const { input, output, said } = streams(true);
    const talk = createTalk({ input, output });
    let asked = talk.ask();
    input.write(CTRL_C);
    await soon();
    expect(said()).toContain('Ctrl-C again quits');
    input.write('no\r');
    expect(await asked).toBe('no');
    asked = talk.ask();
    input.write(CTRL_C);
    await soon();
    input.write(CTRL_C);
    expect(await asked).toBeNull();
    talk.close();
  });
});

describe('a talk from a pipe', () => {
  it('takes every line, the last one without its end too, and no prompt is printed', async () => {
    const { input, output, said } = streams(false);
    const talk = createTalk({ input, output });
    input.end('one\n\ntwo');
    const lines = [];
    for (let line = await talk.ask(); line !== null; line = await talk.ask()) lines.push(line);
    expect(lines).toEqual(['one', '', 'two']);
    expect(said()).toBe('');
    talk.close();
  });
});

describe('a line', () => {
  it.each([
    ['hello /there', { kind: 'message', text: 'hello /there' }],
    ['  hello  ', { kind: 'message', text: 'hello' }],
    ['//comment', { kind: 'message', text: '/comment' }],
    ['', { kind: 'nothing' }],
    ['/reset', { kind: 'reset' }],
    [' /exit ', { kind: 'exit' }],
    ['/quit', { kind: 'exit' }],
    ['/help', { kind: 'help' }],
    ['/forget all', { kind: 'unknown', name: '/forget' }],
  ])('%j means %j', (line, meaning) => expect(readLine(line)).toEqual(meaning));
});
