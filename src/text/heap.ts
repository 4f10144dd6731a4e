/** A binary heap: the queue that both training and encoding a BPE turn on. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  /** @param before true if `a` must leave the heap ahead of `b` */
  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  push(value: T): void {
    const items = this.#items;
    let child = items.length;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#before(value, items[parent])) break;
      items[child] = items[parent]!;
      child = parent;
    }
    items[child] = value;
  }

  /** Removes and returns the first item; undefined when empty. */
  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    let parent = 0;
    for (;;) {
      let child = 2 * parent + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.#before(items[child + 1], items[child])) child++;
      if (!this.#before(items[child], last)) break;
      items[parent] = items[child]!;
      parent = child;
    }
    items[parent] = last;
    return first;
  }
}
