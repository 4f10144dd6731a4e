/** `tintype chat` as a program that is talked to through a pipe. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveChatModel } from '../chat-model.ts';
import { finished, start, tintype } from './run.ts';
import { writeTinyModel } from './tiny-model.ts';

const dir = mkdtempSync(join(tmpdir(), 'tintype-chat-'));
const model = join(dir, 'model');
const plain = join(dir, 'plain');
beforeAll(async () => {
  await saveChatModel(model, 'blockCausal');
  await writeTinyModel(plain);
});
afterAll(() => rmSync(dir, { recursive: true }));

const talk = (input: string, ...args: string[]) => {
  const child = start(['chat', '--model', model, '--threads', '1', '--max-tokens', '8', ...args]);
  child.stdin?.end(input);
  return finished(child);
};

interface Talk {
  model: string;
  turns: { user: string; assistant: string; promptTokens: number; events: { type: string; nfe: number }[] }[];
}

describe('tintype chat', () => {
  it('answers every line, and keeps in mind what was said', async () => {
    const { status, stdout, stderr } = await talk(
      'hello\n/reset\nhello\nhello\n/exit\nnever read\n',
      '--json',
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { model: name, turns } = JSON.parse(stdout) as Talk;
    expect(name).toBe('model');
    expect(turns.map(({ user }) => user)).toEqual(['hello', 'hello', 'hello']);
    const [first, afresh, second] = turns;
    expect(afresh).toMatchObject({ assistant: first.assistant, promptTokens: first.promptTokens });
    expect(second.promptTokens).toBeGreaterThan(first.promptTokens);
    expect(turns.every(({ events }) => events.at(-1)?.type === 'done')).toBe(true);
  });

  it('prints the answers alone, the same as in JSON', async () => {
    const [text, json] = [await talk('hello\n'), await talk('hello\n', '--json')];
    expect(text).toMatchObject({ status: 0, stderr: '' });
    expect(text.stdout).toBe(`${(JSON.parse(json.stdout) as Talk).turns[0].assistant}\n`);
  });

  it('answers as a published sampler does', async () => {
    const { status, stdout } = await talk('hello\n', '--json', '--sampler', 'sdar', '--threshold', '2');
    expect(status).toBe(0);
    const { events } = (JSON.parse(stdout) as Talk).turns[0];
    expect(events.filter(({ type }) => type === 'step').length).toBeGreaterThan(7);
  });

  it.each([
    ['a system message that the template refuses', ['--system', 'Be brief.'], /no system message, please/],
    ['a sampler that is none', ['--sampler', 'best'], /wanted: official, llada/],
    ['a sampler for other attention', ['--sampler', 'dream'], /is not for this model/],
  ])('ends with an error for %s', async (_, args, what) => {
    const { status, stderr, stdout } = await talk('hello\n', ...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(what);
  });

  it('says that a model without a template is not for talking', async () => {
    const { status, stderr } = await tintype('chat', '--model', plain, '--json');
    expect(status).toBe(2);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'bad_template' } });
  });
});
