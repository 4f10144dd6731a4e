/** How many positions the steps of a block commit, as published code counts them. */

/** The masks in equal shares, the remainder to the first steps; a step may have none (LLaDA, SDAR, model cards of A2D). */
export function floorCounts(masks: number, steps: number): number[] {
  const base = Math.floor(masks / steps);
  return Array.from({ length: steps }, (_, i) => base + (i < masks % steps ? 1 : 0));
}

/**
 * Of the masks that are left the share 1 − s/t, rounded half to even, at t = 1, 1 − 1/steps, …; steps without any are
 * dropped (dllm's samplers with their linear schedule). The schedule is computed in float32, the product in float64.
 */
export function linearCounts(masks: number, steps: number): number[] {
  const counts: number[] = [];
  let left = masks;
  for (let i = steps; i > 0 && left > 0; i--) {
    const masked = (time: number): number => Math.fround(1 - Math.fround(1 - Math.fround(time)));
    const share = 1 - Math.fround(masked((i - 1) / steps) / masked(i / steps));
    const count = Math.min(left, roundHalfEven(left * share));
    if (count > 0) counts.push(count);
    left -= count;
  }
  return counts;
}

function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/**
 * Of the masks that are left the share 1 − s/t, rounded down, with times from 1 to `eps`; the last step commits all
 * (Dream). Times and products are float32: with as many steps as tokens the first step commits none because of it.
 */
export function timestepCount(
  masks: number,
  { step, steps, eps }: { step: number; steps: number; eps: number },
): number {
  if (step >= steps - 1) return step === steps - 1 ? masks : 0;
  const share = Math.fround(1 - Math.fround(timeOf(step + 1, steps, eps) / timeOf(step, steps, eps)));
  return Math.floor(Math.fround(masks * share));
}

/** One of `steps` + 1 equal times from 1 to eps in float32, counted from the nearer end as torch does. */
function timeOf(i: number, steps: number, eps: number): number {
  const end = Math.fround(eps);
  const stride = Math.fround(Math.fround(end - 1) / steps);
  return i < Math.floor((steps + 1) / 2)
    ? Math.fround(1 + Math.fround(stride * i))
    : Math.fround(end - Math.fround(stride * (steps - i)));
}
