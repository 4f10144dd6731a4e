/** The microscope in a real browser: one run, every tool on it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Download, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TraceLine } from '../../src/decode/trace.ts';
import { createRng } from '../../src/rng.ts';
import { accessibility, openRig, overflows, PHONE, picture } from './rig.ts';
import type { OpenPage, PageRig } from './rig.ts';

let rig: PageRig;
let folder: string;
/** A page with a finished run of the first sample. */
let open: OpenPage;
let page: Page;
/** What the server told of that run. */
let lines: TraceLine[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tintype-watch-'));
  rig = await openRig();
  open = await rig.open('#/watch', { permissions: ['clipboard-read', 'clipboard-write'] });
  page = open.page;
  lines = await runFirst(page);
});
afterAll(async () => {
  await rig?.close();
  await rm(folder, { recursive: true, force: true });
});

const TOKENS = 24;

async function runFirst(on: Page): Promise<TraceLine[]> {
  await on.getByLabel('Most tokens').fill(String(TOKENS));
  const answered = on.waitForResponse((response) => response.url().endsWith('/v1/trace'));
  await on.getByRole('button', { name: 'Run', exact: true }).click();
  const body = await (await answered).text();
  await finished(on);
  return body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TraceLine);
}

const finished = (on: Page): Promise<void> =>
  on.getByRole('heading', { name: 'The whole run' }).waitFor({ timeout: 100_000 });

const slider = (on: Page) => on.getByRole('slider', { name: 'Forward' });
const valueOf = async (on: Page): Promise<number> => Number(await slider(on).inputValue());
const canvas = (on: Page) => on.locator('.canvas-box .canvas');
const cell = (on: Page) => on.getByRole('gridcell');
const only = <T extends TraceLine['type']>(type: T) =>
  lines.filter((line): line is Extract<TraceLine, { type: T }> => line.type === type);
/** A figure of the card, by its name. */
const figure = (on: Page, name: string): Promise<string> =>
  on
    .locator('.tiles > div', { has: on.locator('dt').getByText(name, { exact: true }) })
    .locator('dd')
    .innerText();

async function goTo(on: Page, at: number): Promise<void> {
  await slider(on).focus();
  await on.keyboard.press('Home');
  for (let i = 0; i < at; i++) await on.keyboard.press('ArrowRight');
}

describe('a finished run', () => {
  it('shows the text and the counts of the answer', async () => {
    const [done] = only('done');
    const [{ text }] = only('text');
    expect(await canvas(page).innerText()).toContain(text.trim());
    expect(await figure(page, 'Forwards')).toBe(String(done.nfe));
    expect(await figure(page, 'Tokens')).toBe(String(done.usefulTokens));
    expect(await figure(page, 'Tokens per forward')).toBe(done.tpf.toFixed(2));
    const positions = only('step').reduce((sum, step) => sum + step.positions, 0);
    expect(await figure(page, 'Positions computed')).toBe(String(positions));
    expect(open.problems).toEqual([]);
  });

  it('goes from forward to forward by keyboard', async () => {
    const steps = only('step').length;
    await slider(page).focus();
    await page.keyboard.press('Home');
    expect(await valueOf(page)).toBe(0);
    expect(await slider(page).getAttribute('aria-valuetext')).toContain(`${TOKENS} masks left`);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    expect(await valueOf(page)).toBe(2);
    await page.getByRole('heading', { name: 'The canvas, forward 2' }).waitFor();
    // What stands there is what was committed until then.
    const committed = only('commit')
      .filter(({ nfe }) => nfe <= 2)
      .flatMap(({ tokens }) => tokens).length;
    expect(await figure(page, 'Tokens')).toBe(String(committed));
    expect(await page.locator('.piece[data-state=fresh]').count()).toBeGreaterThan(0);
    expect(await page.locator('.canvas-box .piece[data-state=masked]').count()).toBeGreaterThan(0);
    await page.keyboard.press('End');
    expect(await valueOf(page)).toBe(steps);
    expect(await page.locator('.canvas-box .piece[data-state=masked]').count()).toBe(0);
  });

  it('plays to the end at the chosen speed, and pauses', async () => {
    await page.getByLabel('Speed').selectOption('20');
    await page.getByRole('button', { name: 'Play' }).click();
    await page.getByRole('button', { name: 'Pause' }).click();
    const paused = await valueOf(page);
    expect(paused).toBeLessThan(only('step').length);
    await page.getByRole('button', { name: 'Play' }).click();
    await page.getByRole('button', { name: 'Play' }).waitFor();
    expect(await valueOf(page)).toBe(only('step').length);
  });

  it('says of every cell what it holds, by keyboard', async () => {
    await goTo(page, 1);
    const [first] = only('commit');
    const [{ answerStart }] = only('canvas');
    const [token] = first.tokens;
    const grid = page.getByRole('grid', { name: /Heat map/ });
    await grid.focus();
    await page.keyboard.press('Home');
    for (let i = 0; i < token.position - answerStart; i++) await page.keyboard.press('ArrowRight');
    expect(await cell(page).innerText()).toMatch(
      new RegExp(`^Position ${token.position - answerStart}, forward 1: .*committed now, [<>]? ?[\\d.]+ %$`),
    );
    expect(await grid.getAttribute('aria-colcount')).toBe(String(TOKENS));
    expect(await grid.getAttribute('aria-activedescendant')).toBe(await cell(page).getAttribute('id'));
    // Up and down are forwards: the slider goes along.
    await page.keyboard.press('ArrowDown');
    expect(await valueOf(page)).toBe(2);
    // A piece of the text leads to its position as well.
    await canvas(page).locator('.piece').first().click();
    expect(await cell(page).innerText()).toMatch(/^Position 0, forward 2: /);
    await grid.focus();
    await page.keyboard.press('Control+End');
    expect(await cell(page).getAttribute('aria-colindex')).toBe(String(TOKENS));
    expect(await valueOf(page)).toBe(only('step').length);
  });

  it('paints every state, and more of it in larger cells', async () => {
    await goTo(page, 3);
    const colours = await page.locator('.heat canvas').evaluate((element: HTMLCanvasElement) => {
      const { data } = element.getContext('2d')!.getImageData(0, 0, element.width, element.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    expect(colours).toBeGreaterThan(6);
    const widthOf = async () => (await cell(page).boundingBox())!.width;
    const before = await widthOf();
    await page.getByRole('button', { name: 'Smaller cells' }).click();
    expect(await widthOf()).toBeLessThan(before);
    await page.getByRole('button', { name: 'Fit' }).click();
    expect(await widthOf()).toBe(before);
  });

  it('shows what the model thought of a position, and when its token was committed', async () => {
    const [look] = only('look');
    const [{ answerStart }] = only('canvas');
    await goTo(page, 1);
    await page.getByRole('grid').focus();
    await page.keyboard.press('Home');
    for (const candidate of look.candidates.slice(0, 3)) {
      const place = candidate.position - answerStart;
      await page.getByRole('heading', { name: `Position ${place}, forward 1` }).waitFor();
      const card = page.locator('.inspector');
      expect(await card.getByText(`${candidate.entropy.toFixed(3)} nats`).count()).toBe(1);
      const bars = card.getByRole('list', { name: 'Most likely tokens' }).getByRole('listitem');
      expect(await bars.count()).toBe(10);
      const [best] = candidate.top;
      const share = best.probability >= 0.9995 ? '99.9' : (100 * best.probability).toFixed(1);
      expect(await bars.first().innerText()).toContain(share);
      await page.keyboard.press('ArrowRight');
    }
    const commit = only('commit').at(-1)!;
    await slider(page).focus();
    await page.keyboard.press('End');
    await page.getByRole('grid').focus();
    await page.keyboard.press('End');
    const [last] = commit.tokens.slice(-1);
    if (last.position - answerStart === TOKENS - 1) {
      await page.locator('.inspector').getByText(`by forward ${commit.nfe} with`).waitFor();
    }
  });

  it('asks every policy, and the own one agrees with what happened', async () => {
    const row = (name: string) =>
      page.locator('.opinions tbody tr', { has: page.locator('th', { hasText: name }) });
    const tokensOf = (name: string) => row(name).first().locator('.chip').allInnerTexts();
    for (let at = 1; at <= Math.min(6, only('step').length); at++) {
      await goTo(page, at);
      await page.getByText(`From what forward ${at} said`).waitFor();
      await page.locator('.opinions[aria-busy=false]').waitFor();
      const own = await page.locator('.opinions tr[data-own] .chip').allInnerTexts();
      expect(own, `forward ${at}`).toEqual(await tokensOf('This run'));
      expect(own.length).toBeGreaterThan(0);
      expect((await tokensOf('factor')).length).toBeGreaterThan(0);
    }
    await goTo(page, 1);
    expect(await row('fixedSteps').innerText()).toContain('counts the steps of a block');
    // A token of another policy leads to its position.
    await row('klass').locator('.chip').first().click();
    await page.getByRole('heading', { name: 'Position 0, forward 1' }).waitFor();
  });

  it('is accessible, light and dark, wide and narrow, and looks as it should', async () => {
    for (const [scheme, viewport] of [
      ['light', undefined],
      ['dark', PHONE],
    ] as const) {
      const other = await rig.open('#/watch', {
        colorScheme: scheme,
        reducedMotion: 'reduce',
        ...(viewport && { viewport }),
      });
      await runFirst(other.page);
      for (const at of [0, 4]) {
        await goTo(other.page, at);
        expect(await accessibility(other.page), `${scheme} ${at}`).toEqual([]);
        expect(await overflows(other.page)).toBe(false);
      }
      await other.page.locator('.transport').evaluate((element) => element.scrollIntoView());
      await picture(other.page, `watch-${scheme}`);
      expect(other.problems).toEqual([]);
      await other.close();
    }
  });
});

describe('a run to give away', () => {
  const download = async (name: string): Promise<{ bytes: Buffer; path: string }> => {
    const came: Promise<Download> = page.waitForEvent('download', { timeout: 60_000 });
    await page.locator('.share').getByRole('button', { name, exact: true }).click();
    const saved = await came;
    const path = join(folder, saved.suggestedFilename());
    await saved.saveAs(path);
    return { bytes: await readFile(path), path };
  };

  it('is a link that replays it without a server', async () => {
    await page.getByRole('button', { name: 'Copy link' }).click();
    const link = await page.getByLabel('Link to this run').inputValue();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(link);
    expect(page.url()).toBe(link);
    expect(link.length).toBeLessThan(200_000);
    const other = await rig.open();
    await other.page.route(/\/(v1|health|metrics)/, (route) => route.abort());
    await other.page.goto(link);
    await other.page.reload();
    await finished(other.page);
    expect(await canvas(other.page).innerText()).toBe(await canvasAtEnd());
    await goTo(other.page, 1);
    expect(await other.page.locator('.inspector .bars li').count()).toBe(10);
    await other.close();
  });

  const canvasAtEnd = async (): Promise<string> => {
    await slider(page).focus();
    await page.keyboard.press('End');
    return canvas(page).innerText();
  };

  it('says so when a link was cut', async () => {
    const link = await page.getByLabel('Link to this run').inputValue();
    const other = await rig.open(link.slice(link.indexOf('#'), -200));
    await other.page.getByRole('alert').getByText('This link is damaged').waitFor();
    await other.close();
  });

  it('is JSON that opens again, chosen or dropped', async () => {
    const { bytes, path } = await download('JSON');
    const saved = JSON.parse(bytes.toString()) as { tintype: string; lines: TraceLine[] };
    expect(saved.tintype).toBe('run');
    expect(saved.lines).toEqual(lines);
    const other = await rig.open('#/watch');
    await other.page.getByLabel('Transcript to open').setInputFiles(path);
    await finished(other.page);
    expect(await canvas(other.page).innerText()).toBe(await canvasAtEnd());
    await other.close();

    const third = await rig.open('#/watch');
    await third.page.locator('.watch h1').waitFor();
    await third.page.evaluate((text) => {
      const data = new DataTransfer();
      data.items.add(new File([text], 'run.json'));
      document
        .querySelector('.watch')!
        .dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }));
    }, bytes.toString());
    await finished(third.page);
    await third.close();
  });

  it('is a file where it is too long for a link', async () => {
    const { bytes } = await download('JSON');
    const saved = JSON.parse(bytes.toString()) as { lines: object[] };
    const rng = createRng(1);
    const noise = Array.from({ length: 300_000 }, () => String.fromCharCode(33 + rng.int(90))).join('');
    const path = join(folder, 'long.json');
    const long = { ...saved, lines: [...saved.lines, { type: 'text', text: noise }] };
    await writeFile(path, JSON.stringify(long));
    const other = await rig.open('#/watch');
    await other.page.getByLabel('Transcript to open').setInputFiles(path);
    await finished(other.page);
    await other.page.getByRole('button', { name: 'Copy link' }).click();
    await other.page.locator('.share').getByText('too long for a link').waitFor();
    expect(other.page.url()).toMatch(/#\/watch$/);
    await other.close();
  });

  it.each([
    ['binary', () => Buffer.from([0x89, 0x50, 0, 1]), 'is a binary file'],
    ['5 MB of text', () => Buffer.from('const a = 1;\n'.repeat(400_000)), 'This is no JSON'],
    ['another JSON', () => Buffer.from('{"a": 1}'), 'This is no run'],
    [
      'positions outside of the canvas',
      () =>
        Buffer.from(
          JSON.stringify({
            tintype: 'run',
            version: 1,
            request: { model: 'm', source: { prompt: '', suffix: null } },
            lines: [
              { type: 'canvas', ids: [1, -1], answerStart: 1 },
              { type: 'commit', nfe: 1, tokens: [{ position: 1e9, id: 1, probability: 1 }] },
            ],
          }),
        ),
      'Line 2 of this transcript is damaged (commit)',
    ],
  ])('says what is wrong with a file: %s', async (name, make, words) => {
    const path = join(folder, `${name}.json`);
    await writeFile(path, make());
    await page.getByLabel('Transcript to open').setInputFiles(path);
    await page.getByRole('alert').getByText(words).waitFor();
    // The run that was there is still there.
    expect(await slider(page).isVisible()).toBe(true);
  });

  it('is a PNG, an SVG and a GIF that moves', async () => {
    const png = (await download('PNG')).bytes;
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    expect(png.readUInt32BE(16)).toBeGreaterThan(1000);
    const svg = (await download('SVG')).bytes.toString();
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www.w3.org\/2000\/svg"/);
    expect(svg).toContain(`${only('done')[0].nfe} forwards`);
    // One of the legend, and one of each committed token.
    const committed = only('commit').flatMap(({ tokens }) => tokens).length;
    expect(svg.split('<g class="fresh">').length - 1).toBe(committed + 1);
    const gif = (await download('GIF')).bytes;
    expect(gif.subarray(0, 6).toString()).toBe('GIF89a');
    const frames = gif.toString('latin1').split('\x21\xf9\x04').length - 1;
    expect(frames).toBe(only('commit').length + 1);
  });
});

describe('other runs', () => {
  it('takes tokens back in a sudoku, and shows where', async () => {
    const { page: other, problems, close } = await rig.open('#/watch');
    await other.getByLabel('Model', { exact: true }).selectOption('tintype-sudoku');
    const puzzle = other.getByLabel(/A sudoku, 6 by 6/);
    // The first one is drawn a moment after the field is there.
    await expect.poll(async () => (await puzzle.inputValue()).replace(/\s/g, '').length).toBe(36);
    await puzzle.fill('12');
    await expect.poll(() => puzzle.inputValue()).toBe('12');
    await other.getByRole('button', { name: 'Run', exact: true }).click();
    await other.getByRole('alert').getByText('here are 2 cells').waitFor();
    await other.getByRole('button', { name: 'Another puzzle' }).click();
    await other.getByLabel('Policy').selectOption('remdm');
    await other.getByLabel('Steps', { exact: true }).fill('8');
    await other.getByLabel('Eta').fill('0.5');
    await other.getByRole('button', { name: 'Run', exact: true }).click();
    await finished(other);
    expect(await canvas(other).innerText()).toMatch(/^[1-6]{36}$/);
    let again = 0;
    for (let at = 1; at <= 8; at++) {
      await goTo(other, at);
      await other.locator('.opinions[aria-busy=false]').waitFor();
      await other.getByText(`From what forward ${at} said`).waitFor();
      const own = await other.locator('.opinions tr[data-own] td').last().innerText();
      expect(own).toBe(await other.locator('.opinions tr[data-actual] td').last().innerText());
      if (own.includes('masked again')) again++;
    }
    expect(again).toBeGreaterThan(0);
    expect(problems).toEqual([]);
    await close();
  });

  it('runs the twin and verify', async () => {
    const { page: other, close } = await rig.open('#/watch');
    await other.getByLabel('Most tokens').fill('8');
    await other.getByLabel('Mode', { exact: true }).selectOption('verify');
    await other.getByRole('button', { name: 'Run', exact: true }).click();
    await finished(other);
    const verified = await canvas(other).innerText();
    await other.getByLabel('Mode', { exact: true }).selectOption('ar');
    await other.getByRole('button', { name: 'Run', exact: true }).click();
    await other.getByText(/^8 \/ 8$/).waitFor();
    await finished(other);
    expect(await canvas(other).innerText()).toBe(verified);
    await close();
  });

  it('stops, and keeps what there is', async () => {
    const { page: other, close } = await rig.open('#/watch');
    await other.getByLabel('Most tokens').fill('400');
    await other.getByRole('button', { name: 'A class to go on with' }).click();
    await other.getByRole('button', { name: 'Run', exact: true }).click();
    // It is followed while it goes on.
    await other.getByRole('heading', { name: /^The canvas, forward \d/ }).waitFor();
    await other.getByRole('button', { name: 'Stop' }).press('Enter');
    await other.getByRole('button', { name: 'Run', exact: true }).waitFor();
    expect(await other.getByRole('alert').count()).toBe(0);
    expect(await valueOf(other)).toBeGreaterThan(0);
    expect(await other.getByRole('button', { name: 'Copy link' }).isDisabled()).toBe(true);
    await other.getByLabel('Speed').selectOption('as it ran');
    await other.getByRole('button', { name: 'Play' }).click();
    await other.getByRole('button', { name: 'Play' }).waitFor();
    await close();
  });

  it('keeps the text while the server is away', async () => {
    const { page: other, close } = await rig.open('#/watch');
    await other.getByText('Server ready').waitFor();
    await other.getByLabel(/^Text, with a gap/).fill('let kept = ');
    await other.route(/\/(v1|health)/, (route) => route.abort());
    await other.getByRole('button', { name: 'Run', exact: true }).click();
    await other.getByRole('alert').getByText('Your text is kept').waitFor();
    expect(await other.getByLabel(/^Text, with a gap/).inputValue()).toBe('let kept = ');
    await other.unroute(/\/(v1|health)/);
    await other.getByText('Server ready').waitFor();
    await other.getByLabel('Most tokens').fill('4');
    await other.getByRole('button', { name: 'Run', exact: true }).click();
    await finished(other);
    await close();
  });
});

describe('512 tokens', () => {
  /** As browsers define a long task. */
  const MOST_MS = 50;

  it('denoise without a task that keeps the screen waiting', async () => {
    const { page: other, close } = await rig.open('#/watch');
    await other.getByText('Server ready').waitFor();
    // So that the text goes on for so long, a token a forward.
    await other.route('**/v1/trace', async (route) => {
      const body = JSON.parse(route.request().postData()!) as { tintype: object };
      const tintype = { ...body.tintype, logitBias: { 0: -100 }, threshold: 1.1 };
      await route.continue({ postData: JSON.stringify({ ...body, tintype }) });
    });
    await other.getByRole('button', { name: 'A class to go on with' }).click();
    await other.getByLabel('Most tokens').fill('512');
    await rig.browser.startTracing(other, { categories: ['toplevel', 'devtools.timeline'] });
    await other.getByRole('button', { name: 'Run', exact: true }).click();
    await finished(other);
    const { traceEvents } = JSON.parse((await rig.browser.stopTracing()).toString()) as {
      traceEvents: TracedEvent[];
    };
    expect(await figure(other, 'Tokens')).toBe('512');
    const longest = longestTask(traceEvents);
    expect(longest.frames).toBeGreaterThan(100);
    expect(longest.cpuMs).toBeGreaterThan(1);
    expect(longest.cpuMs).toBeLessThan(MOST_MS);

    await other.getByRole('button', { name: 'Copy link' }).click();
    const said = other.locator('.share').getByText(/too long for a link|keeps the 4 most likely tokens/);
    await said.waitFor();
    await close();
  });

  interface TracedEvent {
    name: string;
    pid: number;
    tid: number;
    /** Microseconds on the processor: other programs on the machine do not count. */
    tdur?: number;
    args: { name?: string };
  }

  function longestTask(events: TracedEvent[]): { cpuMs: number; frames: number } {
    const threadOf = ({ pid, tid }: TracedEvent): string => `${pid}:${tid}`;
    const main = new Set(
      events
        .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
        .map(threadOf),
    );
    const own = events.filter((event) => main.has(threadOf(event)));
    const tasks = own.filter(({ name }) => name.endsWith('RunTask'));
    return {
      cpuMs: Math.max(...tasks.map(({ tdur = 0 }) => tdur / 1000)),
      frames: own.filter(({ name }) => name === 'FireAnimationFrame').length,
    };
  }
});
