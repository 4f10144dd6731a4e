import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { accessibility, openRig, overflows, PHONE, picture } from './rig.ts';
import type { OpenPage, PageRig } from './rig.ts';
import { gaps, runInTab, runOnServer, stopInTab } from './tab-rig.ts';

let rig: PageRig;
/** One page whose tab has its models; each test leaves it as it was. */
let tab: OpenPage;
/** What the page asked for before the tab was chosen. */
let askedBefore: string[];

const status = (page: Page) => page.locator('.status [role=status]');
const details = (page: Page) => page.getByRole('dialog', { name: 'Models in this tab' });
/** A small model, where it does not matter which. */
const GRID = {
  model: 'tintype-sudoku',
  source: { canvas: { ids: [0, ...Array.from({ length: 36 }, () => -1)], answerStart: 1 } },
};
const GAP = { model: 'tintype-code', source: gaps(1, 240)[0], seed: 1 };

beforeAll(async () => {
  rig = await openRig();
  tab = await rig.open('#/dashboard');
  const { page } = tab;
  await page.getByText('Server ready').waitFor();
  askedBefore = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
  await page.getByRole('button', { name: 'This tab' }).click();
  await page.getByText(/^WASM, \d threads?$/).waitFor();
});
afterAll(() => rig?.close());

describe('models in the tab', () => {
  it('cost nothing until they are chosen', () => {
    expect(askedBefore.length).toBeGreaterThan(2);
    expect(askedBefore.filter((name) => /ort|wasm|worker|source|page\/models/.test(name))).toEqual([]);
  });

  it('say what computes, and why nothing else does', async () => {
    const { page } = tab;
    const threads = await page.evaluate(() => Math.min(4, navigator.hardwareConcurrency));
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(await status(page).textContent()).toBe(`WASM, ${threads} ${threads === 1 ? 'thread' : 'threads'}`);
    await status(page).click();
    await details(page)
      .getByText(/WebGPU/)
      .first()
      .waitFor();
    await details(page).getByText('What you write does not leave it').waitFor();
    await page.keyboard.press('Escape');
    await details(page).waitFor({ state: 'hidden' });
  });

  it('write the tokens that the server writes, greedily', async () => {
    for (const [seed, source] of gaps(12, 160).entries()) {
      const request = { model: 'tintype-code', source, maxTokens: 6, seed };
      const [here, there] = [await runInTab(tab.page, request), await runOnServer(rig.url, request)];
      expect(here.ids, source.prompt.slice(-60)).toEqual(there.ids);
      expect(here.ids.length).toBeGreaterThan(0);
      const kinds = ({ lines }: typeof here) => lines.map(({ type }) => type).join(' ');
      expect(kinds(here)).toBe(kinds(there));
    }
  });

  it.each([
    ['the twin', { model: 'tintype-code-ar', source: gaps(1, 240)[0], maxTokens: 8 }],
    [
      'verify',
      { model: 'tintype-code', source: gaps(2, 240)[1], maxTokens: 8, options: { mode: 'verify' as const } },
    ],
    [
      'drawn tokens',
      {
        model: 'tintype-code',
        source: { prompt: 'const a = ', suffix: null },
        maxTokens: 8,
        temperature: 0.8,
        seed: 5,
      },
    ],
    ['a puzzle, with candidates', { ...GRID, candidates: 3 }],
  ])('agree with the server on %s', async (_, request) => {
    const [here, there] = [await runInTab(tab.page, request), await runOnServer(rig.url, request)];
    expect(here.ids).toEqual(there.ids);
  });

  it('keep the keys of a prompt, so that the next keystroke is cheap', async () => {
    const reply = async (prompt: string) => {
      const { lines } = await runInTab(tab.page, {
        model: 'tintype-code',
        source: { prompt, suffix: '' },
        maxTokens: 4,
      });
      return lines.find((line) => line.type === 'reply')!;
    };
    const text = 'export function total(prices: number[]): number {\n  let sum = 0;\n  for (const price of ';
    const first = await reply(text);
    const second = await reply(`${text}prices`);
    expect(first.cachedTokens).toBeLessThan(second.cachedTokens);
    expect(second.cachedTokens).toBeGreaterThan(first.promptTokens - 4);
  });

  it('stop between two steps, and go on', async () => {
    expect(await stopInTab(tab.page, { ...GAP, maxTokens: 400 }, 'step')).toBe('aborted');
    expect((await runInTab(tab.page, { ...GAP, maxTokens: 4 })).ids.length).toBeGreaterThan(0);
  });

  it('refuse with the server’s own words', async () => {
    const wrong = { ...GAP, options: { threshold: 7 } };
    const here = await runInTab(tab.page, wrong).then(
      () => 'nothing',
      (error: Error) => error.message,
    );
    expect(here).toContain('threshold');
    await expect(runInTab(tab.page, { ...GAP, model: 'gpt' })).rejects.toThrow(/not loaded/);
  });

  it('are kept by the browser; what is damaged is fetched again, and all can be forgotten', async () => {
    const { page } = tab;
    const fetched: string[] = [];
    page.on('request', (request) => {
      if (request.url().includes('?sha256=')) fetched.push(new URL(request.url()).pathname);
    });
    await page.reload();
    await page.getByText(/^WASM, \d threads?$/).waitFor();
    await runInTab(page, GRID);
    expect(fetched).toEqual([]);

    await page.evaluate(async () => {
      const cache = await caches.open('tintype-models');
      for (const request of await cache.keys()) {
        const bytes = new Uint8Array(await (await cache.match(request))!.arrayBuffer());
        bytes[bytes.length >> 1] ^= 1;
        if (bytes.length > 5e5) await cache.put(request, new Response(bytes));
      }
    });
    await page.reload();
    await page.getByText(/^WASM, \d threads?$/).waitFor();
    await runInTab(page, GRID);
    expect(fetched).toEqual(['/page/models/tintype-sudoku/model.safetensors']);

    await status(page).click();
    await details(page)
      .getByText(/Weights kept: [\d.]+ of 30\.\d MB/)
      .waitFor();
    await details(page).getByRole('button', { name: 'Forget them' }).click();
    await details(page).getByText('Weights kept: 0.0 of').waitFor();
    expect(await page.evaluate(async () => (await (await caches.open('tintype-models')).keys()).length)).toBe(
      0,
    );
    await page.keyboard.press('Escape');
  });

  it('say when weights cannot be fetched, and go on when they can', async () => {
    const { page } = tab;
    await page.route('**/model.safetensors?*', (route) => route.abort());
    await page.evaluate(() => caches.delete('tintype-models'));
    await page.reload();
    await page.getByText(/^WASM, \d threads?$/).waitFor();
    await expect(runInTab(page, GRID)).rejects.toThrow(/cannot be fetched/);
    await page.unroute('**/model.safetensors?*');
    expect((await runInTab(page, GRID)).ids.length).toBeGreaterThan(0);
    tab.problems.length = 0;
  });

  it('say when nothing of them can be read, with a way to try again', async () => {
    const { page } = tab;
    await page.route('**/page/models/index.json', (route) => route.fulfill({ status: 500 }));
    await page.reload();
    await page.getByText('This tab cannot run models').click();
    await details(page)
      .getByRole('alert')
      .getByText(/index\.json: status 500/)
      .waitFor();
    expect(await accessibility(page)).toEqual([]);
    await page.unroute('**/page/models/index.json');
    await details(page).getByRole('button', { name: 'Try again' }).click();
    await details(page).getByText('What you write does not leave it').waitFor();
    await page.keyboard.press('Escape');
    tab.problems.length = 0;
  });

  it.each(['light', 'dark'] as const)(
    'are chosen by keyboard on a phone, %s, and stay chosen',
    async (scheme) => {
      const { page, problems, close } = await rig.open('#/dashboard', {
        colorScheme: scheme,
        viewport: PHONE,
      });
      await page.getByText('Server ready').waitFor();
      await page.getByRole('button', { name: 'This tab' }).focus();
      await page.keyboard.press('Enter');
      await page.getByText(/^WASM, \d threads?$/).waitFor();
      expect(await overflows(page)).toBe(false);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await details(page).getByText('What you write does not leave it').waitFor();
      expect(await overflows(page)).toBe(false);
      expect(await accessibility(page)).toEqual([]);
      await picture(page, `tab-phone-${scheme}`);
      await page.reload();
      await page.getByText(/^WASM, \d threads?$/).waitFor();
      await page.getByRole('button', { name: 'Server' }).click();
      await page.getByText('Server ready').waitFor();
      expect(problems).toEqual([]);
      await close();
    },
  );

  it('asked nobody else and logged no error', () => {
    expect(tab.problems).toEqual([]);
  });
});
