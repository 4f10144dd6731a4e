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
  const breathe = async (): Promise<void> => {
    await others();
    sinceMs = performance.now();
  };
  return () => (performance.now() - sinceMs < MOST_MS ? undefined : breathe());
}
