/**
 * The policy of docs/add-a-policy.md: as many masks at once as are probably all right together.
 *
 *     npx tsx examples/joint-policy.ts
 */
import { completeText, confidenceThreshold, loadDenoiser } from '../src/index.ts';
import type { UnmaskPolicy } from '../src/index.ts';

/** The surest masks whose probabilities multiply to at least `floor`: were they independent, all of them are right. */
export const joint = (floor: number): UnmaskPolicy => ({
  name: `joint(${floor})`,
  needs: { topK: 1, entropy: false },
  choose({ candidates, mustCommit }) {
    const surestFirst = [...candidates].sort((a, b) => b.probability - a.probability);
    let allRight = 1;
    const failing = surestFirst.findIndex(({ probability }) => (allRight *= probability) < floor);
    const count = failing < 0 ? surestFirst.length : failing;
    // One at least, or decoding would stand still.
    return { commit: surestFirst.slice(0, Math.max(count, mustCommit ? 1 : 0)) };
  },
});

// Not when a test imports the policy.
if (process.argv[1] === import.meta.filename) {
  const { denoiser, tokenizer } = await loadDenoiser(`${import.meta.dirname}/../models/tintype-code`);
  const gap = {
    prefix: 'export function area(width: number, height: number): number {\n  ',
    suffix: '\n}\n',
  };
  for (const policy of [confidenceThreshold(0.9), joint(0.5)]) {
    const { done } = await completeText({ denoiser, tokenizer: tokenizer! }, gap, { policy, maxTokens: 24 });
    console.log(`${policy.name}: ${done.usefulTokens} tokens in ${done.nfe} forwards`);
  }
  await denoiser.close();
}
