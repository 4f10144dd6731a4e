/** How a canvas can be decoded, and which models can. */
import type { Layout } from '../model/config.ts';

export const MODES = ['diffusion', 'verify', 'ar'] as const;
/**
 * `diffusion` commits in parallel; `verify` drafts so and keeps what one token at a time would have written; `ar`
 * writes one token at a time.
 */
export type Mode = (typeof MODES)[number];

/** What each layout can do; the first is the default. */
export const POSSIBLE_MODES: Readonly<Record<Layout, readonly Mode[]>> = {
  causal: ['ar', 'verify'],
  causalContext: ['diffusion', 'verify', 'ar'],
  blockCausal: ['diffusion', 'ar'],
  full: ['diffusion', 'ar'],
};
