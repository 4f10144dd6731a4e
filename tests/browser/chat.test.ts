/** The chat view over a tiny random checkpoint: its words are noise, its conversation is real. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { jsonFault } from '../../web/pages/chat/json-position.ts';
import { saveChatModel } from '../chat-model.ts';
import { accessibility, openRig, overflows, PHONE, picture } from './rig.ts';
import type { PageRig } from './rig.ts';

const dir = mkdtempSync(join(tmpdir(), 'tintype-chat-page-'));
let rig: PageRig;
beforeAll(async () => {
  const model = join(dir, 'tiny-chat');
  await saveChatModel(model, 'blockCausal');
  rig = await openRig(['--model', model, '--threads', '1', '--data', dir]);
});
afterAll(async () => {
  await rig?.close();
  rmSync(dir, { recursive: true });
});

const composer = (page: Page) => page.getByRole('textbox', { name: 'Message', exact: true });
const answers = (page: Page) => page.locator('.message.answer');
const finished = (page: Page, count: number) =>
  page
    .getByRole('button', { name: 'Another answer' })
    .nth(count - 1)
    .waitFor();

async function say(page: Page, text: string, count: number): Promise<void> {
  await composer(page).fill(text);
  await page.keyboard.press('Enter');
  await finished(page, count);
}

/** Settings and conversations as an earlier visit would have left them. */
async function openWith(stored: Record<string, unknown>, options = {}) {
  const opened = await rig.open('', options);
  await opened.page.evaluate((entries) => {
    for (const [name, value] of Object.entries(entries))
      localStorage.setItem(`tintype.${name}`, JSON.stringify(value));
  }, stored);
  await opened.page.goto(`${rig.url}/#/chat`);
  await opened.page.reload();
  await composer(opened.page).waitFor();
  return opened;
}

const settings = (part: object = {}) => ({
  model: '',
  maxTokens: '24',
  temperature: 0,
  threshold: '',
  isBound: false,
  schema: '',
  view: 'both',
  ...part,
});

describe('chat', () => {
  it('answers, shows canvas and text, keeps both sides over a reload, and starts anew', async () => {
    const { page, problems, close } = await openWith({ 'chat.settings': settings() });
    await say(page, 'Hello there', 1);
    const answer = answers(page).first();
    expect(await answer.locator('.acts').textContent()).toMatch(
      /tiny-chat, \d+ tokens, \d+ forwards, \d\.\d\d a forward/,
    );
    // The canvas can be wound back to its masks; the last state is the text.
    const slider = answer.getByLabel('State of the canvas');
    const canvas = answer.locator('.canvas');
    const text = await answer.locator('.final').textContent();
    expect((await canvas.textContent())?.trim().split(/\s+/)).toEqual(text?.trim().split(/\s+/));
    await slider.focus();
    await page.keyboard.press('Home');
    expect(await answer.locator('.piece[data-state=masked]').count()).toBeGreaterThan(0);
    await say(page, 'And more', 2);
    await page.reload();
    await finished(page, 2);
    expect(await page.locator('.said').allTextContents()).toEqual(['Hello there', 'And more']);
    expect(await answers(page).first().locator('.final').textContent()).toBe(text);
    await page.getByRole('button', { name: 'New', exact: true }).click();
    expect(await answers(page).count()).toBe(0);
    await page.getByLabel('Conversation', { exact: true }).selectOption({ label: 'Hello there' });
    expect(await answers(page).count()).toBe(2);
    await page.getByRole('button', { name: 'Delete' }).click();
    expect(await page.locator('.said').count()).toBe(0);
    expect(problems).toEqual([]);
    await close();
  });

  it('stops and keeps what is settled, asks again, edits an earlier message, copies', async () => {
    const { page, close } = await openWith(
      { 'chat.settings': settings({ maxTokens: '200' }) },
      { permissions: ['clipboard-read', 'clipboard-write'] },
    );
    await composer(page).fill('A long one');
    // From inside of the page: a tiny model is done before a click from here arrives.
    const stopped = page.evaluate(
      () =>
        new Promise<void>((resolve) => {
          const observer = new MutationObserver(() => {
            const stop = [...document.querySelectorAll('button')].find((each) => each.textContent === 'Stop');
            if (!stop || !document.querySelector('.answer[aria-busy=true] .piece')) return;
            observer.disconnect();
            stop.click();
            resolve();
          });
          observer.observe(document.body, { childList: true, subtree: true });
        }),
    );
    await page.keyboard.press('Enter');
    await stopped;
    await finished(page, 1);
    expect(await answers(page).first().locator('.acts').textContent()).toContain('stopped');

    await page.locator('summary').click();
    await page.locator('summary').click();
    await page.getByLabel('Most tokens').fill('8');
    await page.getByRole('button', { name: 'Another answer' }).click();
    await page.getByText('8 tokens').waitFor();
    await say(page, 'Second', 2);
    await page.getByRole('button', { name: 'Edit' }).first().click();
    await page.locator('textarea:focus').waitFor();
    await page.getByLabel('Your message, to be changed').press('Escape');
    await page.locator('.message.user >> nth=0').locator('button:focus', { hasText: 'Edit' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByLabel('Your message, to be changed').fill('A short one');
    await page.getByRole('button', { name: 'Ask again from here' }).click();
    await finished(page, 1);
    expect(await page.locator('.said').allTextContents()).toEqual(['A short one']);
    await page.getByRole('button', { name: 'Copy' }).first().click();
    await page.getByText('Copied').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('A short one');
    await close();
  });

  it('says what the server says: here, that the template refuses a system prompt', async () => {
    const { page, close } = await openWith({ 'chat.settings': settings() });
    await page.getByLabel('System prompt of this conversation').fill('Be brief.');
    await composer(page).fill('Hello');
    await page.keyboard.press('Enter');
    const alert = page.locator('.message [role=alert]');
    await alert.waitFor();
    expect(await alert.textContent()).toContain('no system message, please');
    await page.getByLabel('System prompt of this conversation').fill('');
    await page.getByRole('button', { name: 'Try again' }).click();
    await finished(page, 1);
    await close();
  });

  it('answers by a pasted schema, and says where and why another cannot be used, before anything is sent', async () => {
    const { page, problems, close } = await openWith({ 'chat.settings': settings({ maxTokens: '64' }) });
    await page.getByLabel('Answer as JSON, by a schema').check();
    const state = page.locator('#schema-state');
    const said = async (schema: string, text: string): Promise<string> => {
      await page.getByLabel('JSON Schema').fill(schema);
      await state.filter({ hasText: text }).waitFor();
      return (await state.textContent()) ?? '';
    };
    await said('', 'Paste a JSON Schema');
    expect(await said('{"type": "object",\n  "properties": {]}', 'Not JSON')).toContain('line 2, column 18');
    expect(
      await said('{"type": "object", "properties": {"a": {"type": "strin"}}}', '#/properties/a'),
    ).toContain('strin');
    await composer(page).fill('As JSON');
    expect(await page.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true);
    await page.keyboard.press('Enter');
    expect(await answers(page).count()).toBe(0);
    expect(await composer(page).inputValue()).toBe('As JSON');

    const schema = {
      type: 'object',
      properties: { kind: { enum: ['cat', 'dog'] }, wild: { type: 'boolean' } },
      required: ['kind', 'wild'],
    };
    await said(JSON.stringify(schema), 'can be held');
    await say(page, 'As JSON', 1);
    const value = JSON.parse((await answers(page).locator('.final').textContent()) ?? '') as object;
    expect(Object.keys(value)).toEqual(['kind', 'wild']);
    expect(problems).toEqual([]);
    await close();
  });

  it('shows Markdown with coloured code, and nothing that runs or asks others', async () => {
    const text = [
      '# Title',
      'A **bold** [link](https://example.com) and ![a picture](https://example.com/x.png)',
      '<img src=x onerror="globalThis.hacked = true"><script>globalThis.hacked = true</script>',
      '[click](javascript:globalThis.hacked=true)',
      '```ts\nconst answer: number = 42;\n```',
      '| a | b |\n|---|---|\n| 1 | 2 |',
    ].join('\n\n');
    const answer = {
      id: 'a',
      role: 'assistant',
      text,
      model: 'tiny-chat',
      ending: 'done',
      isJson: false,
      figures: { tokens: 9, forwards: 3, elapsedMs: 100 },
    };
    const messages = [{ id: 'u', role: 'user', text: 'Show me' }, answer];
    const stored = {
      'chat.settings': settings(),
      'chat.conversations': [{ id: 'c', system: '', messages }],
    };
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const viewport of [undefined, PHONE]) {
        const { page, problems, close } = await openWith(stored, {
          colorScheme,
          reducedMotion: 'reduce',
          ...(viewport && { viewport }),
        });
        await page.locator('.markdown .tok-keyword').first().waitFor();
        expect(await page.locator('.markdown h1').textContent()).toBe('Title');
        expect(await page.locator('.markdown pre').textContent()).toBe('const answer: number = 42;\n');
        expect(await page.locator('.markdown table').count()).toBe(1);
        expect(await page.locator('.markdown').textContent()).toContain('<img src=x onerror=');
        expect(await page.locator('.markdown img, .markdown script').count()).toBe(0);
        expect(await page.locator('.markdown [href^="javascript"]').count()).toBe(0);
        expect(await page.evaluate(() => 'hacked' in globalThis)).toBe(false);
        expect(await accessibility(page)).toEqual([]);
        expect(await overflows(page)).toBe(false);
        expect(problems).toEqual([]);
        if (viewport) await page.locator('summary').click();
        await page.getByRole('radio', { name: 'Final' }).focus();
        await page.keyboard.press('ArrowRight');
        expect(await page.getByRole('radio', { name: 'Denoising' }).isChecked()).toBe(true);
        await picture(page, `chat-${colorScheme}${viewport ? '-phone' : ''}`);
        await close();
      }
    }
  });

  it('keeps the text of a server that goes away, and asks again when it is back', async () => {
    const { page, close } = await openWith({ 'chat.settings': settings() });
    await page.context().setOffline(true);
    await composer(page).fill('Are you there?');
    await page.keyboard.press('Enter');
    await page.locator('.message [role=alert]').waitFor();
    expect(await page.locator('.said').allTextContents()).toEqual(['Are you there?']);
    await page.getByText('Server away').waitFor();
    await page.context().setOffline(false);
    await page.getByText('Server ready').waitFor();
    await page.getByRole('button', { name: 'Try again' }).click();
    await finished(page, 1);
    await close();
  });
});

describe('a server without a chat model', () => {
  it('says so, how to get one, and offers nothing that does not work', async () => {
    const { page, close } = await rig.open('', { colorScheme: 'dark', viewport: PHONE });
    // As /v1/models lists a model without a chat template.
    await page.route('**/v1/models', async (route) => {
      const response = await route.fetch();
      const body = (await response.json()) as { data: { supported_features: string[] }[] };
      for (const model of body.data)
        model.supported_features = model.supported_features.filter((each) => each !== 'chat');
      await route.fulfill({ response, json: body });
    });
    await page.goto(`${rig.url}/#/chat`);
    await page.reload();
    await page.getByText('No chat model is loaded').waitFor();
    expect(await page.locator('main').textContent()).toContain('tintype pull OWNER/NAME');
    expect(await page.locator('main').textContent()).toContain('tintype serve --model');
    expect(await page.locator('main').locator('button, input, textarea, select').count()).toBe(0);
    expect(await accessibility(page)).toEqual([]);
    expect(await overflows(page)).toBe(false);
    await close();
  });
});

describe('the place where a text stops being JSON', () => {
  it.each([
    ['{"a": 1,}', 1, 9, 'a comma stands before "}"'],
    ['{\n  a: 1\n}', 2, 3, 'expected a name in double quotes, got "a"'],
    ['[1 2]', 1, 4, 'expected "," or "]", got "2"'],
    ['{"a" 1}', 1, 6, 'expected ":" after a name, got "1"'],
    ['{"a": ', 1, 7, 'expected a value, got the end of the text'],
    ['"abc', 1, 5, 'a string is not closed'],
    ['"a\nb"', 1, 3, 'a string goes over the end of a line; write \\n'],
    ['"\\x"', 1, 2, 'no such escape in a string'],
    ['01', 1, 2, 'expected nothing more, got "1"'],
    ['[tru]', 1, 2, 'expected a value, got "t"'],
    ['['.repeat(300), 1, 202, 'nested deeper than 200 levels'],
  ])('of %j is line %i, column %i', (text, line, column, why) => {
    expect(() => JSON.parse(text) as unknown).toThrow();
    expect(jsonFault(text)).toEqual({ line, column, why });
  });

  it.each(['{}', '[]', ' [1, -2.5e+3, true, null, "\\u00e9\\n"] ', '{"a": {"b": [{}]}}', '"x"'])(
    'of %j is nowhere',
    (text) => {
      expect(() => JSON.parse(text) as unknown).not.toThrow();
      expect(jsonFault(text)).toBeNull();
    },
  );
});
