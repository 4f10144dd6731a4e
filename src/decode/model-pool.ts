/**
 * Several models, and memory for some of them: a model is loaded when it is asked for, and the one that was not used
 * for longest makes room. Askers are served in the order in which they came, so that nobody waits for ever for a model
 * that others keep busy.
 */
import { assert, TintypeError } from '../errors.ts';

export interface PoolModel {
  /** Bytes of its weights. */
  weightBytes: number;
  close(): Promise<void>;
}

export interface PoolOptions<M extends PoolModel> {
  /** By id: an estimate of the bytes of the weights, before they are known. */
  sizes: Readonly<Record<string, number>>;
  load: (id: string) => Promise<M>;
  /** Of the weights of all loaded models. */
  maxBytes: number;
}

export interface ModelPool<M> {
  /**
   * The model, for the asker to `release`. @throws aborted, and the errors of loading; unsupported if it is larger than
   * the memory
   */
  acquire(id: string, signal: AbortSignal): Promise<M>;
  release(id: string): void;
  /** Ids, least recently used first. */
  loaded(): string[];
  close(): Promise<void>;
}

interface Slot<M> {
  model: M;
  users: number;
}

export function createModelPool<M extends PoolModel>(options: PoolOptions<M>): ModelPool<M> {
  const { load, maxBytes } = options;
  const sizes = new Map(Object.entries(options.sizes));
  /** Least recently used first. */
  const slots = new Map<string, Slot<M>>();
  let line: Promise<unknown> = Promise.resolve();
  let wake = (): void => {};

  const usedBytes = (): number => [...slots.values()].reduce((sum, { model }) => sum + model.weightBytes, 0);
  const touch = (id: string, slot: Slot<M>): void => {
    slots.delete(id);
    slots.set(id, slot);
  };

  async function makeRoom(bytes: number, signal: AbortSignal): Promise<void> {
    while (slots.size > 0 && usedBytes() + bytes > maxBytes) {
      const idle = [...slots].find(([, { users }]) => users === 0);
      if (idle) {
        slots.delete(idle[0]);
        await idle[1].model.close();
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      checkWanted(signal);
    }
  }

  function checkFits(id: string, bytes: number): void {
    if (bytes <= maxBytes) return;
    throw new TintypeError('unsupported', {
      what: `the model ${id} does not fit into the memory for models`,
      got: `${bytes} bytes`,
      wanted: `at most ${maxBytes}`,
      next: 'start the server with more --memory, or load it with --precision int8',
    });
  }

  async function take(id: string, signal: AbortSignal): Promise<M> {
    checkWanted(signal);
    const known = slots.get(id);
    if (known) {
      known.users++;
      touch(id, known);
      return known.model;
    }
    const bytes = sizes.get(id);
    if (bytes === undefined)
      throw new TintypeError('not_found', { what: 'this model is not loaded', got: id });
    checkFits(id, bytes);
    await makeRoom(bytes, signal);
    const model = await load(id);
    // Weights may take more memory than their file: what is known now counts.
    sizes.set(id, model.weightBytes);
    try {
      checkFits(id, model.weightBytes);
      await makeRoom(model.weightBytes, signal);
    } catch (error) {
      await model.close();
      throw error;
    }
    slots.set(id, { model, users: 1 });
    return model;
  }

  return {
    acquire(id, signal) {
      const taken = line.then(() => take(id, signal));
      line = taken.catch(() => {});
      return taken;
    },
    release(id) {
      const slot = slots.get(id);
      assert(slot !== undefined && slot.users > 0, 'only what was acquired is released');
      slot.users--;
      wake();
    },
    loaded: () => [...slots.keys()],
    async close() {
      await line;
      for (const { model } of slots.values()) await model.close();
      slots.clear();
    },
  };
}

function checkWanted(signal: AbortSignal): void {
  if (signal.aborted) throw new TintypeError('aborted', { what: 'the request was given up' });
}
