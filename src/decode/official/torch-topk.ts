/**
 * Which places `torch.topk` picks on a CPU among equal values. Its documentation promises nothing, but SDAR asks for more
 * places than there are masks, the rest being −∞, and then writes what it got: the choice shows in the text. torch
 * partitions with the C++ library's `nth_element`, and of the usual one (GCC's) the steps are fixed: the median of three
 * as pivot, a two-pointer partition, then insertion below four elements.
 */

/** Places of the `k` largest of `values`, ascending. */
export function torchTopK(values: readonly number[], k: number): number[] {
  const places = Array.from(values.keys());
  const before = (a: number, b: number): boolean => values[places[a]] > values[places[b]];
  const swap = (a: number, b: number): void => {
    [places[a], places[b]] = [places[b], places[a]];
  };

  /** Of three elements the middle one moves to `to`. */
  function medianTo(to: number, a: number, b: number, c: number): void {
    if (before(a, b)) swap(to, before(b, c) ? b : before(a, c) ? c : a);
    else swap(to, before(a, c) ? a : before(b, c) ? c : b);
  }

  /** Splits [from + 1, to) by the element at `from`; the first place of the second part. */
  function partition(from: number, to: number): number {
    let [low, high] = [from + 1, to];
    for (;;) {
      while (before(low, from)) low++;
      high--;
      while (before(from, high)) high--;
      if (low >= high) return low;
      swap(low++, high);
    }
  }

  let [from, to] = [0, values.length];
  while (to - from > 3) {
    medianTo(from, from + 1, from + Math.floor((to - from) / 2), to - 1);
    const cut = partition(from, to);
    if (cut <= k - 1) from = cut;
    else to = cut;
  }
  // Stable, like an insertion sort.
  const rest = places
    .slice(from, to)
    .sort((a, b) => (values[a] > values[b] ? -1 : values[a] < values[b] ? 1 : 0));
  places.splice(from, rest.length, ...rest);
  return places.slice(0, k).sort((a, b) => a - b);
}
