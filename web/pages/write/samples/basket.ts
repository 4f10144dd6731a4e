/** One line of a shopping basket. Prices are in cents. */
export interface Item {
  name: string;
  price: number;
  count: number;
}

export function total(items: Item[]): number {
  let sum = 0;
  for (const item of items) {
    /*[*/ sum += item.price * item.count; /*]*/
  }
  return sum;
}

export function find(items: Item[], name: string): Item | undefined {
  return /*[*/ items.find((item) => item.name === name); /*]*/
}

export function add(items: Item[], added: Item): Item[] {
  const known = find(items, added.name);
  if (known === undefined) {
    return [...items, added];
  }
  return items.map((item) => {
    if (item !== known) return item;
    return { ...item, count: item.count + added.count };
  });
}

export function format(cents: number): string {
  return /*[*/ (cents / 100).toFixed(2); /*]*/
}
