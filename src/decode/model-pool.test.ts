import { describe, expect, it } from 'vitest';
import { createModelPool } from './model-pool.ts';

const never = new AbortController().signal;

/** Three models of 4 bytes; two fit. */
function rig(maxBytes = 8) {
  const closed: string[] = [];
  const pool = createModelPool({
    sizes: { a: 4, b: 4, c: 4 },
    maxBytes,
    load: async (id) => ({ id, weightBytes: 4, close: async () => void closed.push(id) }),
  });
  return { pool, closed };
}

describe('model pool', () => {
  it('unloads the one that was not used for longest', async () => {
    const { pool, closed } = rig();
    for (const id of ['a', 'b', 'a', 'c']) {
      expect((await pool.acquire(id, never)).id).toBe(id);
      pool.release(id);
    }
    expect(closed).toEqual(['b']);
    expect(pool.loaded()).toEqual(['a', 'c']);
    await pool.close();
    expect(closed).toEqual(['b', 'a', 'c']);
  });

  it('never unloads what is in use; who comes later waits behind', async () => {
    const { pool, closed } = rig(4);
    await pool.acquire('a', never);
    const order: string[] = [];
    const b = pool.acquire('b', never).then(() => order.push('b'));
    const again = pool.acquire('a', never).then(() => order.push('a'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(order).toEqual([]);
    pool.release('a');
    await b;
    expect(closed).toEqual(['a']);
    pool.release('b');
    await again;
    expect(order).toEqual(['b', 'a']);
  });

  it('lets who waits for room give up, and serves the next', async () => {
    const { pool } = rig(4);
    await pool.acquire('a', never);
    const controller = new AbortController();
    const b = pool.acquire('b', controller.signal);
    const again = pool.acquire('a', never);
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await expect(b).rejects.toMatchObject({ code: 'aborted' });
    expect((await again).id).toBe('a');
  });

  it('refuses what it does not know and what can never fit', async () => {
    const { pool } = rig(3);
    await expect(pool.acquire('x', never)).rejects.toMatchObject({ code: 'not_found' });
    await expect(pool.acquire('a', never)).rejects.toThrow('--memory');
  });

  it('counts what a model takes, not what its file promised', async () => {
    const closed: string[] = [];
    const pool = createModelPool({
      sizes: { a: 2, b: 2, c: 2 },
      maxBytes: 8,
      load: async (id) => ({ id, weightBytes: id === 'c' ? 9 : 5, close: async () => void closed.push(id) }),
    });
    for (const id of ['a', 'b']) {
      await pool.acquire(id, never);
      pool.release(id);
    }
    expect(closed).toEqual(['a']);
    await expect(pool.acquire('c', never)).rejects.toThrow('--memory');
    expect(closed).toContain('c');
  });
});
