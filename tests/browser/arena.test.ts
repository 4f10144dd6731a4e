/** The arena: pairs, votes by key and by mouse, ratings, and what is kept of them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTextModel } from '../text-model.ts';
import { accessibility, openRig, overflows, PHONE, picture } from './rig.ts';
import type { PageRig } from './rig.ts';

const dir = mkdtempSync(join(tmpdir(), 'tintype-arena-page-'));
const SOON = { timeout: 20_000 };
const models = [join(dir, 'one'), join(dir, 'two')];
let rig: PageRig;
beforeAll(async () => {
  await saveTextModel(models[0], 'causalContext', 3);
  await saveTextModel(models[1], 'causal', 4);
  const data = join(dir, 'data');
  rig = await openRig(['--model', ...models, '--threads', '1', '--data', data]);
});
afterAll(async () => {
  await rig?.close();
  rmSync(dir, { recursive: true });
});

const group = (page: Page) => page.locator('.pair');
const top = (page: Page) => page.getByRole('button', { name: 'Top is better' });
const next = (page: Page) => page.getByRole('button', { name: 'Next pair' });

interface Vote {
  top: { name: string; settings: object };
  bottom: { name: string; settings: object };
  outcome: string;
  gap: string;
}
async function kept(): Promise<Vote[]> {
  const response = await fetch(`${rig.url}/page/arena/votes`);
  return ((await response.json()) as { data: Vote[] }).data;
}

async function openArena(options = {}) {
  const opened = await rig.open('#/arena', options);
  await opened.page.getByRole('button', { name: 'Compare two' }).click();
  await top(opened.page).waitFor();
  return opened;
}

describe('a pair', () => {
  it('hides the names until the vote, which Tab, Shift-Tab, B and N give while the pair has the focus', async () => {
    const { page, problems, close } = await openArena();
    for (const [key, outcome, said] of [
      ['Tab', 'top', 'You took the top one.'],
      ['Shift+Tab', 'bottom', 'You took the bottom one.'],
      ['b', 'both', 'You like both.'],
      ['n', 'neither', 'You like neither.'],
    ]) {
      expect(await group(page).evaluate((node) => node === document.activeElement)).toBe(true);
      expect(await group(page).textContent()).not.toMatch(/\b(one|two)\b/);
      const before = (await kept()).length;
      await page.keyboard.press(key);
      await group(page).getByText(said).waitFor();
      // Now the names are there, and those that the server was told.
      await expect.poll(async () => (await kept()).length, SOON).toBe(before + 1);
      const vote = (await kept()).at(-1)!;
      expect(vote.outcome).toBe(outcome);
      const shown = await page.locator('.side header span:first-child').allTextContents();
      expect(shown).toEqual([vote.top.name, vote.bottom.name]);
      expect([...shown].sort()).toEqual(['one', 'two']);
      // The next pair is one key away.
      await page.keyboard.press('Enter');
      await top(page).waitFor();
    }
    // Skipped: no vote.
    const count = (await kept()).length;
    await page.keyboard.press('s');
    await group(page).and(page.locator('[aria-busy=true]')).waitFor();
    await top(page).waitFor();
    expect(await kept()).toHaveLength(count);
    expect(problems).toEqual([]);
    await close();
  });

  it('leaves Tab alone outside of it', async () => {
    const { page, close } = await openArena();
    const count = (await kept()).length;
    await page.keyboard.press('Escape');
    const names: string[] = [];
    for (let i = 0; i < 5; i++) {
      names.push((await page.evaluate(() => document.activeElement?.textContent)) ?? '');
      await page.keyboard.press('Tab');
    }
    expect(names.map((name) => name.split(' ')[0])).toEqual(['Top', 'Bottom', 'Both', 'Neither', 'Skip']);
    expect(await kept()).toHaveLength(count);
    await page.getByRole('button', { name: 'Bottom is better' }).press('Enter');
    await next(page).waitFor();
    await expect.poll(async () => (await kept()).length, SOON).toBe(count + 1);
    await close();
  });

  it('comes from a pool that one chooses, on code of one’s own, which is not kept', async () => {
    const { page, close } = await rig.open('#/arena');
    await page.getByRole('combobox', { name: 'Gap' }).selectOption('own');
    await page.getByLabel('Before the gap').fill('const secret = ');
    await page.getByLabel('After the gap').fill(';\n');
    await page.locator('summary').click();
    await page.getByRole('button', { name: 'Remove two' }).click();
    await page.getByText('A comparison needs two').waitFor();
    expect(await page.getByRole('button', { name: 'Compare two' }).isDisabled()).toBe(true);
    await page.getByRole('combobox', { name: 'Mode', exact: true }).selectOption('diffusion');
    await page.getByLabel('Threshold').fill('0.2');
    await page.getByLabel('Temperature').fill('1');
    await page.getByRole('button', { name: 'Add' }).click();
    await page.getByRole('button', { name: 'Compare two' }).click();
    await top(page).click();
    await next(page).waitFor();
    await expect.poll(async () => (await kept()).at(-1)?.gap, SOON).toBe('own');
    const { top: above, bottom } = (await kept()).at(-1)!;
    const set = [above, bottom].find(({ name }) => name !== 'one')!;
    expect(set).toMatchObject({
      name: 'one · diffusion · threshold 0.2 · temperature 1',
      settings: { temperature: 1, options: { mode: 'diffusion', threshold: 0.2 } },
    });
    expect(JSON.stringify(await kept())).not.toContain('secret');
    // The pool is remembered.
    await page.reload();
    await page.getByText('Pool: 2 contestants').waitFor();
    expect(await page.locator('.pool li span').allTextContents()).toContain(set.name);
    await close();
  });
});

describe('ratings', () => {
  it('stand in a table and a picture, are exported, and lose a vote that is taken back', async () => {
    const { page, problems, close } = await openArena();
    await page.keyboard.press('Tab');
    await next(page).waitFor();
    await page.locator('.arena .chart svg').waitFor();
    const votes = await kept();
    await page.getByText(`${votes.length} votes`).waitFor();
    const label = await page.locator('.chart').getAttribute('aria-label');
    expect(label).toMatch(/^Ratings with 95 % intervals: \S.* \d+, from \d+ to \d+;/);
    const rows = page.locator('.arena table tbody tr');
    expect(await rows.count()).toBe(new Set(votes.flatMap((vote) => [vote.top.name, vote.bottom.name])).size);

    for (const format of ['CSV', 'JSON']) {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: `Save ${format}` }).click(),
      ]);
      expect(download.suggestedFilename()).toBe(`arena-votes.${format.toLowerCase()}`);
      const text = readFileSync(await download.path(), 'utf8');
      const count =
        format === 'CSV'
          ? text.trim().split('\r\n').length - 1
          : (JSON.parse(text) as { data: unknown[] }).data.length;
      expect(count).toBe(votes.length);
    }
    await page.getByRole('button', { name: 'Take my last vote back' }).click();
    await page.getByText('is taken back').waitFor();
    expect(await kept()).toEqual(votes.slice(0, -1));
    // This browser has given no other.
    await page.getByRole('button', { name: 'Take my last vote back' }).click();
    await page.getByText('no vote of yours').waitFor();
    expect(problems.filter((each) => !each.includes('404'))).toEqual([]);
    await close();
  });

  it('get a vote that was given while the server was away', async () => {
    const { page, close } = await openArena();
    const count = (await kept()).length;
    await page.context().setOffline(true);
    await page.keyboard.press('Tab');
    await page.getByText('Your vote is not on the server yet').waitFor();
    await page.context().setOffline(false);
    await page.getByText('Server ready').waitFor();
    await expect.poll(async () => (await kept()).length, SOON).toBe(count + 1);
    await page.getByText('Your vote is not on the server yet').waitFor({ state: 'detached' });
    await close();
  });
});

it.each(['light', 'dark'] as const)('is accessible and fits, %s, wide and narrow', async (colorScheme) => {
  for (const viewport of [undefined, PHONE]) {
    const { page, close } = await openArena({
      colorScheme,
      reducedMotion: 'reduce',
      ...(viewport && { viewport }),
    });
    expect(await accessibility(page)).toEqual([]);
    await top(page).click();
    await page.locator('.arena .chart svg').waitFor();
    await page.locator('summary').click();
    expect(await accessibility(page)).toEqual([]);
    expect(await overflows(page)).toBe(false);
    await picture(page, `arena-${colorScheme}${viewport ? '-phone' : ''}`);
    await close();
  }
});
