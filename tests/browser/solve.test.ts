import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { createRng } from '../../src/rng.ts';
import { clashes, createPuzzle, formatGrid, onlySolution, solves } from '../../src/train/sudoku.ts';
import { readPuzzle } from '../../web/pages/solve/puzzle.ts';
import { accessibility, openRig, overflows, PHONE, picture } from './rig.ts';
import type { PageRig } from './rig.ts';

let rig: PageRig;
beforeAll(async () => {
  rig = await openRig();
});
afterAll(() => rig?.close());

/** As few givens as the solution stays the only one with: more than the model can do at once. */
const HARD = createPuzzle(6, createRng(3, 'page'), 1);
const BLANKS = HARD.givens.filter((digit) => digit === 0).length;
const STANDING = `${36 - BLANKS} givens, ${BLANKS} blank. Exactly one grid agrees`;
const linkTo = (givens: ArrayLike<number>): string => `#/solve?puzzle=${formatGrid(givens)}`;
const grid = (page: Page) => page.getByRole('grid');
const report = (page: Page) => page.getByRole('list', { name: 'This forward' });
const slider = (page: Page) => page.getByRole('slider', { name: 'Forward' });
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });

/** Digits of the board, 0 where masked. */
const digitsOf = async (page: Page): Promise<number[]> =>
  (await grid(page).locator('.sudoku-digit').allTextContents()).map((text) => Number(text) || 0);

/** What a screen reader says of a cell. */
const nameOf = (page: Page, cell: number): Promise<string | null> =>
  grid(page).locator(`[data-cell="${cell}"] .sr-only`).textContent();

/** Runs to the end without waiting for the playback. */
async function solveAtOnce(page: Page, name: string | RegExp = 'Solve'): Promise<number> {
  await page.getByRole('button', typeof name === 'string' ? { name, exact: true } : { name }).click();
  await button(page, 'Pause').or(button(page, 'Play')).first().waitFor();
  await page.waitForFunction(() => !document.querySelector<HTMLButtonElement>('.play')!.disabled);
  await button(page, 'To the end').click();
  return Number(await slider(page).getAttribute('max'));
}

describe('puzzles as text', () => {
  it('reads rows, signs for blanks and decoration, and says what it cannot read', () => {
    const { givens } = HARD;
    const rows = formatGrid(givens).match(/.{6}/g)!;
    expect(readPuzzle(rows.join('\n'), 6)).toEqual(givens);
    expect(readPuzzle(rows.map((row) => `| ${row.replaceAll('.', '0')} |`).join('\n'), 6)).toEqual(givens);
    expect(readPuzzle('123', 6)).toEqual({ problem: expect.stringContaining('3 cells') });
    expect(readPuzzle('x'.repeat(36), 6)).toEqual({ problem: expect.stringContaining('“x”') });
    expect(readPuzzle('7'.repeat(36), 6)).toEqual({ problem: expect.stringContaining('no 7') });
  });
});

describe('solving', () => {
  it('takes two clicks from the first screen to cells that fill, and plays to a solved grid', async () => {
    const { page, problems, close } = await rig.open();
    await page.getByRole('link', { name: 'Solve' }).click();
    await button(page, 'Solve').click();
    await page.locator('.sudoku-cell[data-state=fresh]').first().waitFor();
    await report(page).getByText('Solved').waitFor();
    const digits = await digitsOf(page);
    expect(clashes(digits, 6)).toEqual([]);
    await slider(page).focus();
    await page.keyboard.press('Home');
    const givens = await digitsOf(page);
    expect(givens).toContain(0);
    expect(solves({ size: 6, givens: Uint8Array.from(givens) }, digits)).toBe(true);
    expect(problems).toEqual([]);
    await close();
  });

  it('shows errors and what is masked again, forward by forward', async () => {
    const { page, close } = await rig.open(linkTo(HARD.givens));
    await page.getByText(STANDING).waitFor();
    const forwards = await solveAtOnce(page, /Guess and repair/);
    expect(forwards).toBe(16);
    let before = Array.from(HARD.givens);
    let takenBack = 0;
    await button(page, 'To the start').click();
    expect(await digitsOf(page)).toEqual(before);
    for (let forward = 1; forward <= forwards; forward++) {
      await button(page, 'One forward on').click();
      const now = await digitsOf(page);
      const lost = before.flatMap((digit, cell) => (digit !== 0 && now[cell] !== digit ? [cell] : []));
      expect(await grid(page).locator('[data-taken-back]').count(), `forward ${forward}`).toBe(lost.length);
      for (const cell of lost) {
        const row = `row ${Math.floor(cell / 6) + 1}`;
        expect(await nameOf(page, cell)).toMatch(new RegExp(`^${row}, .*${before[cell]} was taken back`));
      }
      if (lost.length > 0) expect(await report(page).textContent()).toContain('Taken back');
      takenBack += lost.length;
      before = now;
    }
    expect(takenBack).toBeGreaterThan(0);

    // All cells at once cannot agree: every wrong one has its sign and its name.
    await solveAtOnce(page, /All in one go/);
    const digits = await digitsOf(page);
    const wrong = digits.flatMap((digit, cell) => (digit === HARD.solution[cell] ? [] : [cell]));
    expect(wrong.length).toBeGreaterThan(0);
    for (const cell of wrong) {
      const place = grid(page).locator(`[data-cell="${cell}"]`);
      expect(await nameOf(page, cell)).toMatch(/clashes with another cell|not the digit/);
      expect(await place.locator('.sudoku-sign').textContent()).toMatch(/✕|≠/);
    }
    const clashing = new Set(clashes(digits, 6).flat());
    expect(await grid(page).locator('[data-fault=clash]').count()).toBe(clashing.size);
    await picture(page, 'solve-errors');
    await close();
  });

  it('uses the policy, its parameters and the seed that were chosen, and says what they cost', async () => {
    const { page, close } = await rig.open(linkTo(HARD.givens));
    await page.getByText('Policy and threshold').click();
    await page.getByRole('spinbutton', { name: 'threshold' }).fill('2');
    await page.getByRole('spinbutton', { name: 'threshold' }).blur();
    expect(await solveAtOnce(page)).toBe(BLANKS);
    expect(await page.locator('.cost').textContent()).toContain(
      `${BLANKS} of ${BLANKS} forwards, 1.0 cells a forward`,
    );
    await page.getByRole('combobox', { name: 'Policy' }).selectOption('random');
    await page.getByText('the same in random order').waitFor();
    await page.getByRole('spinbutton', { name: 'steps' }).fill('3');
    await page.getByRole('spinbutton', { name: 'steps' }).blur();
    expect(await solveAtOnce(page)).toBe(3);
    const one = await digitsOf(page);
    await page.getByRole('spinbutton', { name: 'Seed of draws' }).fill('2');
    await page.getByRole('spinbutton', { name: 'Seed of draws' }).blur();
    await solveAtOnce(page);
    expect(await digitsOf(page)).not.toEqual(one);
    // The chosen cell tells what the last forward weighed there; shares are of one distribution.
    const blank = HARD.givens.indexOf(0);
    await grid(page).locator(`[data-cell="${blank}"]`).click();
    await button(page, 'To the start').click();
    await button(page, 'One forward on').click();
    const thoughts = page.getByRole('region', { name: 'What the model thought' }).getByRole('listitem');
    const shares = (await thoughts.locator('small').allTextContents()).map((text) =>
      Number(text.replace('>', '')),
    );
    expect(shares).toHaveLength(6);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeGreaterThan(95);
    await close();
  });

  it('puts the twin beside it, cell by cell, with its own cost', async () => {
    const { page, close } = await rig.open('#/solve');
    await page.getByRole('checkbox', { name: 'Twin beside it' }).check();
    const last = await solveAtOnce(page);
    expect(last).toBe(36);
    expect(await page.locator('.cost').nth(1).textContent()).toMatch(
      /36 of 36 forwards, 1\.0 cells a forward/,
    );
    await slider(page).focus();
    await page.keyboard.press('Home');
    for (const forward of [1, 2, 3]) {
      await page.keyboard.press('ArrowRight');
      const twin = page.getByRole('img', { name: 'What the twin has written' });
      expect(await twin.locator('.sudoku-cell:not([data-state=unwritten])').count()).toBe(forward);
      expect(await twin.locator('[data-taken-back]').count()).toBe(0);
    }
    await close();
  });
});

describe('a puzzle by hand', () => {
  it('is typed with the keyboard, and says when it has no solution or several', async () => {
    const { page, close } = await rig.open('#/solve');
    await button(page, 'Empty the grid').click();
    await page.getByText('0 givens, 36 blank. More than one grid').waitFor();
    await grid(page).locator('[data-cell="0"]').focus();
    const typed: string[] = [
      '4',
      'ArrowRight',
      'ArrowRight',
      '4',
      'ArrowDown',
      '1',
      'End',
      '6',
      'Home',
      '2',
      'Delete',
    ];
    for (const key of typed) await page.keyboard.press(key);
    await page.keyboard.press('9');
    const digits = await digitsOf(page);
    expect(digits.slice(0, 12)).toEqual([4, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 6]);
    await page.getByText('No grid agrees with these givens').waitFor();
    await report(page).getByText('4 in row 1 column 1 and row 1 column 3').waitFor();
    expect(await nameOf(page, 2)).toBe('row 1, column 3: 4, given, clashes with another cell');
    expect(await page.evaluate(() => (document.activeElement as HTMLElement).dataset.cell)).toBe('6');
    // On a telephone the digits are buttons.
    await grid(page).locator('[data-cell="2"]').click();
    await page.getByRole('group', { name: 'Digit for row 1, column 3' }).getByText('3').click();
    await page
      .getByText('3 givens, 33 blank. More than one grid')
      .or(page.getByText('4 givens, 32 blank. More than one grid'))
      .waitFor();
    // It outlives the tab.
    const text = await page.getByRole('textbox', { name: 'As text' }).inputValue();
    await page.reload();
    await page.getByText('Your own puzzle').waitFor();
    expect(await page.getByRole('textbox', { name: 'As text' }).inputValue()).toBe(text);
    await close();
  });

  it('is pasted, and what cannot be read says why and changes nothing', async () => {
    const { page, close } = await rig.open('#/solve');
    await grid(page).locator('[data-cell="5"]').focus();
    const paste = (text: string): Promise<void> =>
      page.evaluate((pasted) => {
        const clipboardData = new DataTransfer();
        clipboardData.setData('text', pasted);
        document.activeElement!.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true }));
      }, text);
    await paste(formatGrid(HARD.givens));
    await page.getByText(STANDING).waitFor();
    await paste('1234');
    await page.getByText('That is 4 cells. Wanted: 36').first().waitFor();
    expect(await digitsOf(page)).toEqual(Array.from(HARD.givens));
    const full = onlySolution(HARD.givens, 6)!;
    await page.getByRole('textbox', { name: 'As text' }).fill(formatGrid(full));
    await page.getByRole('textbox', { name: 'As text' }).press('Enter');
    await page.getByText('there is nothing to fill').waitFor();
    expect(await button(page, 'Solve').isDisabled()).toBe(true);
    await page.getByRole('combobox', { name: 'Givens' }).selectOption('20');
    await page.getByText('20 givens, 16 blank. Exactly one').waitFor();
    await close();
  });
});

describe('in every condition', () => {
  it('waits for a server that is away, keeps the puzzle, and goes on when it is back', async () => {
    const { page, close } = await rig.open(linkTo(HARD.givens));
    await page.getByText('Server ready').waitFor();
    await page.route(/v1\/trace|health/, (route) => route.abort());
    await button(page, 'Solve').click();
    await page.getByText('The server does not answer. The puzzle is kept').waitFor();
    expect(await digitsOf(page)).toEqual(Array.from(HARD.givens));
    await page.unroute(/v1\/trace|health/);
    await page.locator('.sudoku-cell[data-state=fresh]').first().waitFor();
    await close();
  });

  it('says what the server has against a request', async () => {
    const { page, close } = await rig.open(linkTo(HARD.givens));
    await page.getByText('Policy and threshold').click();
    await page.getByRole('combobox', { name: 'Policy' }).selectOption('remdm');
    await page.route('**/v1/trace', (route) =>
      route.fulfill({ status: 400, json: { error: { message: 'not like this', code: 'bad_option' } } }),
    );
    await button(page, 'Solve').click();
    await page.getByText('Not solved: not like this').first().waitFor();
    await close();
  });

  it('is accessible and fits, light and dark, wide and narrow, with errors on the board and the twin beside it', async () => {
    const { page, problems, close } = await rig.open(linkTo(HARD.givens), { reducedMotion: 'reduce' });
    await page.getByText('Policy and threshold').click();
    await page.getByRole('checkbox', { name: 'Twin beside it' }).check();
    await page.getByRole('button', { name: /All in one go/ }).click();
    // Where nothing is to move, the end is shown at once.
    await report(page).getByText('still masked').or(report(page).getByText('Clash')).first().waitFor();
    expect(await digitsOf(page)).not.toContain(0);
    for (const viewport of [{ width: 1280, height: 800 }, PHONE]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        const name = `solve-${viewport.width}-${colorScheme}`;
        expect(await accessibility(page), name).toEqual([]);
        expect(await overflows(page), name).toBe(false);
        await picture(page, name);
      }
    }
    expect(problems).toEqual([]);
    await close();
  });
});
