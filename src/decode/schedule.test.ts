import { describe, expect, it } from 'vitest';
import { createSchedule } from './schedule.ts';
import type { Turn } from './schedule.ts';

const never = new AbortController().signal;
const turn = (owner: string, parts: Partial<Turn> = {}): Turn => ({
  lane: 'model',
  owner,
  costBytes: 1,
  ...parts,
});
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Enters turns and notes who starts, in order. */
function rig({ mostTogether, maxBytes } = { mostTogether: 2, maxBytes: 100 }) {
  const schedule = createSchedule({
    mostTogether: (lane) => (lane === 'alone' ? 1 : mostTogether),
    maxBytes,
  });
  const started: string[] = [];
  const leave: Record<string, () => void> = {};
  const enter = async (name: string, each: Turn, signal = never): Promise<void> => {
    leave[name] = await schedule.enter(each, signal);
    started.push(name);
  };
  return { schedule, started, leave, enter };
}

describe('schedule', () => {
  it('starts as many as may run together, and the next when one leaves', async () => {
    const { schedule, started, leave, enter } = rig();
    for (const name of ['a', 'b', 'c']) void enter(name, turn(name));
    await settled();
    expect(started).toEqual(['a', 'b']);
    expect([schedule.running, schedule.waiting]).toEqual([2, 1]);
    leave.a();
    leave.a();
    await settled();
    expect(started).toEqual(['a', 'b', 'c']);
  });

  it('lets owners take turns', async () => {
    const { started, leave, enter } = rig({ mostTogether: 2, maxBytes: 100 });
    for (let i = 0; i < 5; i++) void enter(`greedy${i}`, turn('greedy'));
    void enter('modest', turn('modest'));
    await settled();
    leave.greedy0();
    await settled();
    expect(started).toEqual(['greedy0', 'greedy1', 'modest']);
  });

  it('takes as many of each lane as that lane says', async () => {
    const { started, enter } = rig();
    for (const name of ['a', 'b']) void enter(name, turn(name, { lane: 'alone' }));
    for (const name of ['c', 'd', 'e']) void enter(name, turn(name));
    await settled();
    expect(started).toEqual(['a', 'c', 'd']);
  });

  it('keeps lanes apart', async () => {
    const { started, enter } = rig({ mostTogether: 1, maxBytes: 100 });
    void enter('a', turn('x'));
    void enter('b', turn('x'));
    void enter('c', turn('x', { lane: 'other' }));
    await settled();
    expect(started).toEqual(['a', 'c']);
  });

  it('waits for memory without being overtaken, and runs alone what is larger than all of it', async () => {
    const { started, leave, enter } = rig({ mostTogether: 8, maxBytes: 10 });
    void enter('a', turn('x', { costBytes: 6 }));
    void enter('huge', turn('y', { costBytes: 60 }));
    void enter('small', turn('z', { costBytes: 1 }));
    await settled();
    expect(started).toEqual(['a']);
    leave.a();
    await settled();
    expect(started).toEqual(['a', 'huge']);
    leave.huge();
    await settled();
    expect(started).toEqual(['a', 'huge', 'small']);
  });

  it('forgets who gives up while waiting', async () => {
    const { schedule, started, leave, enter } = rig({ mostTogether: 1, maxBytes: 10 });
    void enter('a', turn('x'));
    const controller = new AbortController();
    const gone = enter('b', turn('x'), controller.signal);
    void enter('c', turn('x'));
    controller.abort();
    await expect(gone).rejects.toMatchObject({ code: 'aborted' });
    expect(schedule.waiting).toBe(1);
    leave.a();
    await settled();
    expect(started).toEqual(['a', 'c']);
    await expect(schedule.enter(turn('x'), AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
  });
});
