/** Long work in short tasks, so that the screen is never kept waiting. */

/** How long a task may go on before others get their turn. Milliseconds. */
const MOST_MS = 10;

/** The page's other work first: input, drawing, timers. */
const others = (): Promise<void> =>
  'scheduler' in globalThis && 'yield' in (globalThis.scheduler as object)
    ? (globalThis.scheduler as { yield(): Promise<void> }).yield()
    : new Promise((resolve) => setTimeout(resolve));

/** To be awaited between pieces of work; gives way when enough of them came in a row. */
export function createBreath(): () => Promise<void> | undefined {
  let sinceMs = performance.now();
  return () => {
    if (performance.now() - sinceMs < MOST_MS) return undefined;
    return others().then(() => {
      sinceMs = performance.now();
    });
  };
}
