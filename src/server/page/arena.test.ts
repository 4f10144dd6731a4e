import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { json, serverRig } from '../../../tests/server-rig.ts';
import { accountsRig } from '../../../tests/accounts-rig.ts';
import { missingRedis, startRedis } from '../../../tests/redis-server.ts';
import { pageParts } from './index.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

function rig(dataDir = mkdtempSync(join(tmpdir(), 'tintype-arena-'))) {
  const page = pageParts({ dataDir, runsDir: join(dataDir, 'runs') });
  undo.push(
    () => rmSync(dataDir, { recursive: true, force: true }),
    () => page.close(),
  );
  return { ...serverRig(undefined, { routes: page.routes }), dataDir };
}

const VOTES = '/page/arena/votes';
const A = { name: 'a', model: 'tintype-code', settings: { tintype: { mode: 'verify' } } };
const B = { name: '=b, "quoted"', model: 'tintype-code-ar', settings: {} };
const voter = 'browser-0123456789';
const vote = { top: A, bottom: B, outcome: 'top', gap: 'sum', voter };

describe('/page/arena/votes', () => {
  it('keeps votes with the places, in a file that outlives the server', async () => {
    const { post, app, dataDir } = rig();
    const added = await json(await post(VOTES, vote));
    expect(added).toMatchObject({ object: 'vote', top: A, bottom: B, outcome: 'top', gap: 'sum' });
    await post(VOTES, { ...vote, top: B, bottom: A, outcome: 'neither' });
    const { data } = await json(await app.request(VOTES));
    expect(data.map(({ top, outcome }: any) => [top.name, outcome])).toEqual([
      ['a', 'top'],
      ['=b, "quoted"', 'neither'],
    ]);
    // Who voted is nobody's business.
    expect(JSON.stringify(data)).not.toContain(voter);
    const again = pageParts({ dataDir, runsDir: dataDir });
    undo.push(() => again.close());
    const later = serverRig(undefined, { routes: again.routes });
    expect((await json(await later.app.request(VOTES))).data).toEqual(data);
  });

  it('exports CSV that tables read as text', async () => {
    const { post, app } = rig();
    const { id } = await json(await post(VOTES, vote));
    const response = await app.request(`${VOTES}?format=csv`);
    expect(response.headers.get('content-type')).toContain('text/csv');
    expect(response.headers.get('content-disposition')).toContain('arena-votes.csv');
    const [head, row, end] = (await response.text()).split('\r\n');
    expect(head).toBe(
      'id,created_at,top,top_model,top_settings,bottom,bottom_model,bottom_settings,outcome,gap',
    );
    expect(row).toMatch(
      new RegExp(
        `^${id},[0-9T:.-]+Z,a,tintype-code,"\\{""tintype"":\\{""mode"":""verify""\\}\\}","'=b, ""quoted""",tintype-code-ar,\\{\\},top,sum$`,
      ),
    );
    expect(end).toBe('');
  });

  it('takes back the last vote of the voter, and nobody else’s', async () => {
    const { post, app } = rig();
    const other = 'browser-abcdefghij';
    await post(VOTES, vote);
    const { id } = await json(await post(VOTES, { ...vote, outcome: 'bottom' }));
    await post(VOTES, { ...vote, voter: other });
    const last = (who: string) => app.request(`${VOTES}/last?voter=${who}`, { method: 'DELETE' });
    expect(await json(await last(voter))).toMatchObject({ id, outcome: 'bottom', deleted: true });
    expect((await last(voter)).status).toBe(200);
    const none = await last(voter);
    expect(none.status).toBe(404);
    expect((await json(none)).error.message).toContain('no vote of yours');
    expect((await json(await app.request(VOTES))).data).toHaveLength(1);
  });

  it.each([
    ['outcome', { ...vote, outcome: 'draw' }, 'expected one of top, bottom, both, neither'],
    ['bottom', { ...vote, bottom: A }, 'two different names'],
    ['voter', { ...vote, voter: 'me' }, '16 to 64 letters'],
    ['top', { ...vote, top: { ...A, name: 'two\nlines' } }, 'without line breaks'],
    ['top', { ...vote, top: { ...A, name: 'x'.repeat(121) } }, 'at most 120'],
    ['top', { ...vote, top: { ...A, settings: { x: 'y'.repeat(3000) } } }, 'at most 2000'],
  ])('refuses a wrong %s', async (param, body, message) => {
    const response = await rig().post(VOTES, body);
    expect(response.status).toBe(400);
    const { error } = await json(response);
    expect(error.param).toBe(param);
    expect(error.message).toContain(message);
  });

  it('refuses another format and a voter that is none', async () => {
    const { app } = rig();
    expect((await app.request(`${VOTES}?format=xml`)).status).toBe(400);
    expect((await app.request(`${VOTES}/last`, { method: 'DELETE' })).status).toBe(400);
  });

  it('says that the store does not answer where the folder cannot be made, and tries again', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tintype-arena-'));
    undo.push(() => rmSync(dir, { recursive: true, force: true }));
    const blocked = join(dir, 'file');
    writeFileSync(blocked, '');
    const { app } = rig(blocked);
    expect((await app.request(VOTES)).status).toBe(503);
    rmSync(blocked);
    expect((await app.request(VOTES)).status).toBe(200);
  });
});

describe.skipIf(missingRedis() !== null)('votes in Redis', () => {
  it('are shared by servers, and only the voter takes the newest back', async () => {
    const redis = await startRedis();
    undo.push(() => redis.stop());
    const server = () => {
      const page = pageParts({ dataDir: '/nowhere', redisUrl: redis.url, runsDir: '/nowhere' });
      undo.push(() => page.close());
      return serverRig(undefined, { routes: page.routes });
    };
    const [one, two] = [server(), server()];
    const added = [
      await json(await one.post(VOTES, vote)),
      await json(await two.post(VOTES, { ...vote, outcome: 'both' })),
      await json(await one.post(VOTES, { ...vote, voter: 'another-0123456789' })),
    ];
    expect((await json(await two.app.request(VOTES))).data).toEqual(added);
    const last = (name: string) => one.app.request(`${VOTES}/last?voter=${name}`, { method: 'DELETE' });
    expect(await json(await last(voter))).toEqual({ ...added[1], deleted: true });
    expect(await json(await last(voter))).toEqual({ ...added[0], deleted: true });
    expect((await last(voter)).status).toBe(404);
    expect((await json(await two.app.request(VOTES))).data).toEqual([added[2]]);
  });
});

describe('keys', () => {
  it('are asked for: any for votes, admin for runs; a vote belongs to its key', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'tintype-arena-'));
    const page = pageParts({ dataDir: dir, runsDir: dir });
    const { app, get, post, close } = await accountsRig(
      { one: { scopes: ['complete'] }, two: { scopes: ['admin'] } },
      undefined,
      page.routes,
    );
    undo.push(
      () => rmSync(dir, { recursive: true, force: true }),
      close,
      () => page.close(),
    );
    expect((await app.request(VOTES)).status).toBe(401);
    expect((await post('one', VOTES, vote)).status).toBe(200);
    expect((await get('one', VOTES)).status).toBe(200);
    const last = (secret: string) =>
      app.request(`${VOTES}/last?voter=${voter}`, {
        method: 'DELETE',
        headers: { authorization: `Bearer ${secret}` },
      });
    expect((await last('two')).status).toBe(404);
    expect((await last('one')).status).toBe(200);
    expect((await app.request('/page/runs')).status).toBe(401);
    const refused = await get('one', '/page/runs');
    expect(refused.status).toBe(403);
    expect((await json(refused)).error.message).toContain('lacks the scope "admin"');
    expect((await get('two', '/page/runs')).status).toBe(200);
    expect((await get('one', '/page/runs/log?run=x')).status).toBe(403);
  });
});
