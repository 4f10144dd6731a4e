import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page, Request } from 'playwright-core';
import { createRng } from '../../src/rng.ts';
import { drawOrders, fieldFor, marked } from '../../web/pages/race/racers.ts';
import { median } from '../../web/pages/race/report.ts';
import { accessibility, openRig, overflows, PHONE, picture } from './rig.ts';
import type { PageRig } from './rig.ts';

let rig: PageRig;
beforeAll(async () => {
  rig = await openRig();
});
afterAll(() => rig?.close());

const lane = (page: Page, name: string) => page.getByRole('article', { name, exact: true });
const start = (page: Page) => page.getByRole('button', { name: 'Start the race' });
const finished = (page: Page) => page.getByText(/^Finished: /).waitFor({ timeout: 60_000 });

interface CopiedRun {
  racer: string;
  round: number;
  turn: number;
  wallMs: number;
  decodeMs: number;
  tokensPerSecond: number;
  usefulTokens: number;
  nfe: number;
  cachedTokens: number;
  promptTokens: number;
  text: string;
  quality: { kind: string; syntaxErrors?: number; solved?: boolean };
  prompt: { prefix?: string; suffix?: string; puzzle?: string };
}
interface Copied {
  conditions: { order: string[]; seed: number; browser: string; cores: number; cache: string };
  medians: { racer: string; wallMs: number; wallRatio: number | null; same: number | null; good: number }[];
  runs: CopiedRun[];
}

async function copied(page: Page): Promise<Copied> {
  await page.getByRole('button', { name: 'Copy as JSON' }).click();
  await page.getByText('JSON copied.').first().waitFor();
  return JSON.parse(await page.evaluate(() => navigator.clipboard.readText())) as Copied;
}

const CLIPBOARD = { permissions: ['clipboard-read', 'clipboard-write'] };

async function choose(page: Page, options: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(options)) {
    await page.getByRole('combobox', { name, exact: true }).selectOption(value);
  }
}

/** Short runs: these tests are not about speed. */
async function atMost(page: Page, tokens: number): Promise<void> {
  await page.getByText('Who runs, and how').click();
  await page.getByRole('spinbutton', { name: 'Most tokens' }).fill(String(tokens));
  await page.getByRole('spinbutton', { name: 'Most tokens' }).blur();
}

describe('fair turns', () => {
  it('draws the first order, and lets everybody begin once in as many rounds as there are racers', () => {
    const ids = ['diffusion', 'verify', 'twin', 'ar'] as const;
    const firsts = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const orders = drawOrders(ids, 4, createRng(seed));
      for (const order of orders) expect([...order].sort()).toEqual([...ids].sort());
      expect(new Set(orders.map(([first]) => first)).size).toBe(4);
      expect(drawOrders(ids, 4, createRng(seed))).toEqual(orders);
      firsts.add(orders[0].join());
    }
    expect(firsts.size).toBeGreaterThan(15);
  });

  it('marks both ends of a prompt, but no suffix that is not there', () => {
    const prompt = { kind: 'code', prefix: 'a(', suffix: ')' } as const;
    expect(marked(prompt, 'x1')).toEqual({ kind: 'code', prefix: '// x1\na(', suffix: '/* x1 */)' });
    expect(marked({ ...prompt, suffix: '' }, 'x1')).toMatchObject({ suffix: '' });
  });

  it('takes the middle', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([1, 2, 10, 4])).toBe(3);
  });

  it('lets models run on what they can do', () => {
    const model = (id: string, layout: string, contextLength: number) => ({
      id,
      layout,
      contextLength,
      features: [],
    });
    const listed = [
      model('code', 'causalContext', 1024),
      model('code-ar', 'causal', 1024),
      model('my-sudoku', 'full', 82),
      model('my-sudoku-ar', 'causal', 164),
    ];
    const names = (kind: 'code' | 'puzzle') => {
      const { runners, twins } = fieldFor(kind, listed);
      return [runners.map(({ id }) => id), twins.map(({ id }) => id)];
    };
    expect(names('code')).toEqual([['code'], ['code-ar']]);
    expect(names('puzzle')).toEqual([['my-sudoku'], ['my-sudoku-ar']]);
  });
});

describe('a race', () => {
  it('starts with two clicks, runs one at a time, and shows figures that are those of its runs', async () => {
    const { page, problems, close } = await rig.open('', CLIPBOARD);
    await page.evaluate(() => localStorage.setItem('tintype.race.maxTokens', '16'));
    await page.reload();
    const asked: Request[] = [];
    page.on('request', (request) => {
      if (request.url().endsWith('/v1/trace')) asked.push(request);
    });
    await page.getByRole('link', { name: 'Race' }).click();
    await start(page).waitFor();
    // The editor of the first screen asks as well.
    const before = asked.length;
    await start(page).click();
    await page.locator('.lane .piece').first().waitFor();
    await finished(page);
    // Three lanes, three rounds, and one run each that is not timed.
    expect(asked.length - before).toBe(12);
    let lastEndMs = 0;
    for (const request of asked.slice(before)) {
      await (await request.response())!.finished();
      const { startTime, responseEnd } = request.timing();
      // By the browser's clock, which has no finer grain.
      expect(startTime).toBeGreaterThan(lastEndMs - 1);
      lastEndMs = startTime + responseEnd;
    }

    const { conditions, medians, runs } = await copied(page);
    expect(runs.map(({ racer }) => racer)).toEqual(conditions.order.flatMap((order) => order.split(', ')));
    expect(new Set(conditions.order.map((order) => order.split(', ')[0])).size).toBe(3);
    expect(conditions).toMatchObject({ cache: 'warm', browser: expect.stringContaining('Chrome') });
    for (const { racer, wallMs, wallRatio, same } of medians) {
      const own = runs.filter((run) => run.racer === racer);
      expect(own).toHaveLength(3);
      expect(wallMs).toBe(median(own.map((run) => run.wallMs)));
      expect(wallRatio).toBeCloseTo(wallMs / medians.find((one) => one.racer === 'twin')!.wallMs);
      const texts = runs.filter((run) => run.racer === 'twin').map(({ text }) => text);
      expect(same).toBe(racer === 'twin' ? null : own.filter(({ text }, i) => text === texts[i]).length);
      for (const run of own) {
        expect(run.tokensPerSecond).toBeCloseTo((run.usefulTokens * 1000) / run.wallMs);
        expect(run.wallMs).toBeGreaterThanOrEqual(run.decodeMs);
      }
    }
    // Warm: the whole prompt but its last token is known to all.
    for (const { cachedTokens, promptTokens } of runs) expect(cachedTokens).toBe(promptTokens - 1);
    const row = async (name: string): Promise<string[]> =>
      page
        .getByRole('row', { name: new RegExp(`^${name}`) })
        .getByRole('cell')
        .allTextContents();
    const nfeOf = (id: string): string =>
      String(median(runs.filter(({ racer }) => racer === id).map(({ nfe }) => nfe)));
    expect(await row('Forwards')).toEqual(['diffusion', 'verify', 'twin'].map(nfeOf));
    expect((await row('Time')).every((text) => text.includes('× twin'))).toBe(true);
    expect(await row('Parses')).toEqual(medians.map(({ good }) => `${good} of 3`));

    await page.getByRole('button', { name: 'Copy as Markdown' }).click();
    await page.getByText('Markdown copied.').first().waitFor();
    const markdown = await page.evaluate(() => navigator.clipboard.readText());
    expect(markdown).toContain(`| Forwards | ${(await row('Forwards')).join(' | ')} |`);
    expect(markdown).toContain(`- seed: ${conditions.seed}`);

    // The last round once more: nothing at first, everything at the end, faster racers before.
    const slider = page.getByRole('slider', { name: 'Time of the replay' });
    await slider.focus();
    await page.keyboard.press('Home');
    for (const name of ['Diffusion', 'Verify', 'Twin']) {
      await lane(page, name).getByText('0 forwards').waitFor();
      expect(await lane(page, name).locator('.piece').count()).toBe(0);
    }
    await choose(page, { 'Speed of the replay': '0.5' });
    await page.getByRole('button', { name: 'Replay side by side' }).click();
    await page.getByRole('button', { name: 'Pause' }).waitFor();
    await page.getByRole('button', { name: 'Replay side by side' }).waitFor();
    const twinForwards = runs.findLast(({ racer }) => racer === 'twin')!.nfe;
    await lane(page, 'Twin').getByText(`${twinForwards} forwards`).waitFor();
    await page.getByRole('button', { name: 'Back to the result' }).click();
    await lane(page, 'Twin').getByText('a second').waitFor();
    await picture(page, 'race');
    expect(problems).toEqual([]);
    await close();
  });

  it('verifies what the same file writes one token at a time, and finds no prompt in a cold cache', async () => {
    const { page, close } = await rig.open('#/race', CLIPBOARD);
    await page.getByText('Server ready').waitFor();
    await atMost(page, 12);
    await page.getByRole('checkbox', { name: 'One at a time' }).check();
    await page.getByRole('checkbox', { name: 'Diffusion' }).uncheck();
    await choose(page, { Rounds: '1', Prompt: 'A constructor' });
    await start(page).click();
    await finished(page);
    const warm = await copied(page);
    const textOf = (id: string): string => warm.runs.find(({ racer }) => racer === id)!.text;
    expect(warm.runs).toHaveLength(3);
    expect(textOf('verify')).toBe(textOf('ar'));
    expect(textOf('verify').length).toBeGreaterThan(0);

    await choose(page, { Cache: 'cold' });
    await start(page).click();
    await finished(page);
    const cold = await copied(page);
    expect(cold.runs.map(({ cachedTokens }) => cachedTokens)).toEqual([0, 0, 0]);
    expect(new Set(cold.runs.map(({ prompt }) => prompt.prefix!.split('\n')[0])).size).toBe(3);
    expect(cold.medians.every(({ same }) => same === null)).toBe(true);
    await close();
  });

  it('runs on a puzzle, and checks every grid', async () => {
    const { page, close } = await rig.open('#/race', CLIPBOARD);
    await choose(page, { Prompt: 'puzzle', Rounds: '3', Cache: 'cold' });
    await start(page).click();
    await finished(page);
    const { runs } = await copied(page);
    // Another puzzle each round, the same for both.
    expect(new Set(runs.map(({ prompt }) => prompt.puzzle)).size).toBe(3);
    for (const { racer, nfe, usefulTokens, prompt } of runs) {
      const blanks = prompt.puzzle!.split('.').length - 1;
      expect([nfe, usefulTokens]).toEqual(racer === 'twin' ? [36, 36] : [expect.any(Number), blanks]);
      if (racer === 'diffusion') expect(nfe).toBeLessThan(blanks);
    }
    const solved = runs.filter(({ racer, quality }) => racer === 'diffusion' && quality.solved).length;
    const cells = page.getByRole('row', { name: /^Solved/ }).getByRole('cell');
    expect(await cells.first().textContent()).toBe(`${solved} of 3`);
    expect(await page.locator('.lane .sudoku').count()).toBe(2);
    await close();
  });

  it('takes a prompt of one’s own, keeps it, and wants one', async () => {
    const { page, close } = await rig.open('#/race', CLIPBOARD);
    await choose(page, { Prompt: 'own', Rounds: '1' });
    await atMost(page, 6);
    // It begins with the sample that was there.
    expect(await page.getByRole('textbox', { name: 'Before the gap' }).inputValue()).toContain('clamp');
    await page.getByRole('textbox', { name: 'Before the gap' }).fill('');
    expect(await start(page).isDisabled()).toBe(true);
    await page.getByRole('textbox', { name: 'Before the gap' }).fill('const twice = (n: number): number => ');
    await page.getByRole('textbox', { name: 'After the gap, or nothing' }).fill('');
    await start(page).click();
    await finished(page);
    const { runs } = await copied(page);
    expect(runs[0].prompt).toEqual({ prefix: 'const twice = (n: number): number => ', suffix: '' });
    await page.reload();
    expect(await page.getByRole('textbox', { name: 'Before the gap' }).inputValue()).toContain('twice');
    await close();
  });
});

describe('in every condition', () => {
  it('waits for a server that goes away between two lanes, and runs to the end when it is back', async () => {
    const { page, close } = await rig.open('#/race');
    await page.getByText('Server ready').waitFor();
    await atMost(page, 6);
    await choose(page, { Rounds: '1' });
    let runs = 0;
    let isAway = false;
    await page.route(/v1\/trace|health/, (route) => {
      if (route.request().url().endsWith('/v1/trace') && ++runs === 5) isAway = true;
      return isAway ? route.abort() : route.continue();
    });
    await start(page).click();
    await page.getByText('the server is away; it starts again when it is back').waitFor();
    isAway = false;
    await finished(page);
    expect(
      await page
        .getByRole('row', { name: /^Forwards/ })
        .getByRole('cell')
        .count(),
    ).toBe(3);
    await close();
  });

  it('goes on without a racer whom the server turns away, and says why; stops when asked', async () => {
    const { page, close } = await rig.open('#/race');
    await page.getByText('Server ready').waitFor();
    await atMost(page, 6);
    await choose(page, { Rounds: '1' });
    await page.route('**/v1/trace', (route) =>
      route.request().postData()!.includes('tintype-code-ar')
        ? route.fulfill({ status: 400, json: { error: { message: 'no twin today', code: 'bad_option' } } })
        : route.continue(),
    );
    await start(page).click();
    await finished(page);
    await lane(page, 'Twin').getByText('failed: no twin today').waitFor();
    expect(await page.getByRole('columnheader').allTextContents()).toEqual(['■Diffusion', '◆Verify']);
    await page.unroute('**/v1/trace');
    await page.route('**/v1/trace', () => {});
    await start(page).click();
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped.').waitFor();
    await start(page).waitFor();
    await close();
  });

  it('is accessible and fits, light and dark, wide and narrow, and needs no pointer', async () => {
    const { page, problems, close } = await rig.open('#/race', { reducedMotion: 'reduce' });
    await page.getByText('Server ready').waitFor();
    await atMost(page, 8);
    await choose(page, { Rounds: '1' });
    await page.getByText('What makes it fair').click();
    await page.locator('#main').focus();
    await page.keyboard.press('Tab');
    expect(await page.evaluate(() => document.activeElement!.textContent)).toBe('Start the race');
    await page.keyboard.press('Enter');
    await finished(page);
    await page.getByText('Every run, in the order').click();
    for (const viewport of [{ width: 1280, height: 800 }, PHONE]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        const name = `race-${viewport.width}-${colorScheme}`;
        expect(await accessibility(page), name).toEqual([]);
        expect(await overflows(page), name).toBe(false);
        await picture(page, name);
      }
    }
    // Without motion the replay is a slider.
    await page.getByRole('button', { name: 'Replay side by side' }).press('Enter');
    const slider = page.getByRole('slider', { name: 'Time of the replay' });
    await slider.focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    expect(await slider.inputValue()).toBe('1');
    expect(problems).toEqual([]);
    await close();
  });
});
