import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { json, serverRig } from '../../../tests/server-rig.ts';
import { runRoutes } from './runs.ts';

let dir: string;
let runs: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tintype-runs-'));
  runs = join(dir, 'runs');
  const write = (folder: string, text: string, seconds: number): void => {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, 'log.jsonl');
    writeFileSync(path, text);
    utimesSync(path, seconds, seconds);
  };
  write(join(runs, 'one'), '{"type":"start","name":"eins"}\n{"type":"step","step":1}\n{"type":"st', 1000);
  write(join(runs, 'old', 'two'), '{"type":"start"}\n', 2000);
  write(join(runs, 'node_modules', 'three'), 'x\n', 3000);
  write(join(runs, '.hidden'), 'x\n', 3000);
  write(join(dir, 'secret'), 'secret\n', 3000);
  mkdirSync(join(runs, 'empty'));
  symlinkSync(join(dir, 'secret'), join(runs, 'linked'));
  mkdirSync(join(runs, 'file-link'));
  symlinkSync(join(dir, 'secret', 'log.jsonl'), join(runs, 'file-link', 'log.jsonl'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const get = (path: string, root = runs) =>
  serverRig(undefined, { routes: runRoutes(root) }).app.request(path);
const log = (run: string, offset?: number) =>
  get(`/page/runs/log?run=${encodeURIComponent(run)}${offset === undefined ? '' : `&offset=${offset}`}`);

describe('/page/runs', () => {
  it('lists folders with a log, the newest first, and follows no links', async () => {
    const { data } = await json(await get('/page/runs'));
    expect(data.map(({ id, changed_at }: any) => [id, changed_at])).toEqual([
      ['old/two', 2000],
      ['one', 1000],
    ]);
  });

  it('is empty where there is no folder', async () => {
    expect(await json(await get('/page/runs', join(dir, 'nothing')))).toMatchObject({
      object: 'list',
      data: [],
    });
  });
});

describe('/page/runs/log', () => {
  it('tells whole lines, and goes on where it stopped', async () => {
    const first = await json(await log('one'));
    expect(first.text).toBe('{"type":"start","name":"eins"}\n{"type":"step","step":1}\n');
    expect(first).toMatchObject({ from: 0, next: first.text.length, size: first.text.length + 11 });
    expect(await json(await log('one', first.next))).toMatchObject({ text: '', next: first.next });
    appendFileSync(join(runs, 'one', 'log.jsonl'), 'ep","step":2}\n');
    const second = await json(await log('one', first.next));
    expect(second.text).toBe('{"type":"step","step":2}\n');
    expect(second.next).toBe(second.size);
    // A log that was begun anew is shorter.
    expect(await json(await log('one', 1_000_000))).toMatchObject({ from: 0, next: second.size });
    expect((await json(await log('old/two'))).text).toBe('{"type":"start"}\n');
  });

  it.each([
    '../secret',
    'one/../../secret',
    '..',
    '.',
    '',
    '/etc',
    'one/',
    '..\\secret',
    'one\0',
    '.hidden',
    'linked',
    'file-link',
    'empty',
    'nothing',
    'a/b/c/d',
  ])('refuses %j', async (run) => {
    const response = await log(run);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain('secret');
  });

  it('names a wrong parameter', async () => {
    expect((await get('/page/runs/log')).status).toBe(400);
    const response = await get('/page/runs/log?run=one&offset=-1');
    expect(response.status).toBe(400);
    expect((await json(response)).error.param).toBe('offset');
  });
});
