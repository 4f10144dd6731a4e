/** First come, first served. */
export class Queue<T> {
  private items: T[] = [];

  /** How many wait. */
  get length(): number {
    return /*[*/ this.items.length; /*]*/
  }

  isEmpty(): boolean {
    return /*[*/ this.items.length === 0; /*]*/
  }

  push(item: T): void {
    /*[*/ this.items.push(item); /*]*/
  }

  /** The next one; undefined when nobody waits. */
  shift(): T | undefined {
    return this.items.shift();
  }

  /** Everybody, in order. */
  toArray(): T[] {
    return [...this.items];
  }

  clear(): void {
    /*[*/ this.items = []; /*]*/
  }
}
