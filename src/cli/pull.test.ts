/** The commands around pulled models, as a user runs them. */
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type FakeHub, REPO, startFakeHub } from '../../tests/fake-hub.ts';
import { runCommand } from '../../tests/run-command.ts';
import { register as registerInspect } from './inspect.ts';
import { register as registerModels } from './models.ts';
import { register as registerPull } from './pull.ts';

const fixture = fileURLToPath(new URL('../../fixtures/checkpoints/sdar', import.meta.url));
const run = (...args: string[]) => runCommand([registerPull, registerModels, registerInspect], args);

let root: string;
let hub: FakeHub;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tintype-pull-'));
  const files = new Map<string, Buffer>();
  for (const name of await readdir(fixture)) {
    if ((await stat(join(fixture, name))).isFile()) files.set(name, await readFile(join(fixture, name)));
  }
  hub = await startFakeHub(files);
  vi.stubEnv('TINTYPE_CACHE_DIR', join(root, 'cache'));
  vi.stubEnv('HF_ENDPOINT', hub.url);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(root, { recursive: true });
});

it('pull says where the model is, and other commands find it by name', async () => {
  const { out } = await run('pull', REPO);
  expect(out).toMatch(/folder +.*owner.tiny-model\ncommit +a{40}\nfetched +\d of \d files, \d\.\d MB\n/);
  expect((await run('inspect', REPO)).out).toContain('family      sdar');
  expect((await run('models')).out).toMatch(/owner\/tiny-model +pulled +\S+ +sdar +blockCausal/);
  const { models } = JSON.parse((await run('models', '--json')).out);
  expect(models.map(({ origin }: { origin: string }) => origin)).toContain('bundled');
  expect((await run('models', '--clear-cache')).out).toBe('freed 0.0 MB\n');
});

it('pull prints one document for scripts', async () => {
  const { out } = await run('pull', REPO, '--dir', join(root, 'here'), '--json');
  expect(JSON.parse(out)).toMatchObject({ repository: REPO, dir: join(root, 'here'), commit: hub.commit });
});
