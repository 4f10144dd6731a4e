/**
 * Where a Chromium is that tests can drive: one that is installed, else playwright's download, else the distribution's
 * package where we may install one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { root, runNode } from './setup.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome'];
const PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:/Program Files/Google/Chrome/Application/chrome.exe',
  'C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe',
];

const starts = (path) =>
  existsSync(path) &&
  (process.platform === 'win32' || spawnSync(path, ['--version'], { timeout: 30_000 }).status === 0);

/** Path of a Chromium that starts, or null. */
export async function findChromium() {
  const { chromium } = await import('playwright-core');
  const named = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => NAMES.map((name) => join(folder, name)));
  const all = [process.env.TINTYPE_CHROMIUM ?? '', ...named, ...PLACES, chromium.executablePath()];
  return all.find((path) => path !== '' && starts(path)) ?? null;
}

const COMMAND = 'npx playwright-core install --with-deps chromium';

/** The same, and gets one where there is none. Throws with the one command that helps. */
export async function ensureChromium() {
  const found = await findChromium();
  if (found !== null) return found;
  console.log('tintype: no Chromium here, fetching one ...');
  const cli = join(root, 'node_modules', 'playwright-core', 'cli.js');
  runNode([cli, 'install', 'chromium'], { timeout: 300_000 });
  const fetched = await findChromium();
  if (fetched !== null) return fetched;
  if (process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).status === 0) {
    const options = { stdio: 'inherit', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
    spawnSync('apt-get', ['update', '-qq'], options);
    spawnSync('apt-get', ['install', '-y', '-qq', 'chromium'], options);
    const installed = await findChromium();
    if (installed !== null) return installed;
  }
  throw new Error(`no Chromium could be found or fetched; run: ${COMMAND}`);
}
