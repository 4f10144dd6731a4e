/** A queue between who tells and who listens. */

export interface Inbox<T> {
  put(item: T): void;
  /** What was put, in order, until `end` or `fail`. */
  read(): AsyncGenerator<T, void, void>;
  end(): void;
  fail(error: unknown): void;
}

/** @param replaces whether an item makes the last unread one needless, which bounds what waits for a slow reader */
export function createInbox<T>(replaces: (later: T, earlier: T) => boolean = () => false): Inbox<T> {
  let items: T[] = [];
  let over: { error: unknown } | 'ended' | null = null;
  let wake = (): void => {};
  return {
    put(item) {
      if (items.length > 0 && replaces(item, items.at(-1)!)) items.pop();
      items.push(item);
      wake();
    },
    async *read() {
      for (;;) {
        const ready = items;
        items = [];
        yield* ready;
        if (items.length > 0) continue;
        if (over === 'ended') return;
        if (over !== null) throw over.error;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    },
    end() {
      over ??= 'ended';
      wake();
    },
    fail(error) {
      over ??= { error };
      wake();
    },
  };
}
