/** What a model is to learn from itself is what it writes: training's parallel rounds against the decoder. */
import { describe, expect, it } from 'vitest';
import { appendCanvas } from '../src/decode/canvas.ts';
import { decode } from '../src/decode/decode.ts';
import { collect } from '../src/decode/events.ts';
import { nodeRuntime } from '../src/graph/node.ts';
import { createDenoiser } from '../src/model/native.ts';
import { createParameters, initialise, toTensors } from '../src/model/parameters.ts';
import { createRng } from '../src/rng.ts';
import { createForwardPass } from '../src/train/gradients.ts';
import { assignBlocks, ownContinuation, OWN_ROUNDS } from '../src/train/objective.ts';
import { tinyConfig } from './tiny.ts';

describe('own continuation', () => {
  it('begins each block as the decoder goes on from the text before it, one token at a time', async () => {
    const config = {
      ...tinyConfig('causalContext'),
      tokens: { ...tinyConfig('causalContext').tokens, eos: [] },
    };
    const runtime = await nodeRuntime();
    const parameters = createParameters(config);
    initialise(parameters, config, createRng(3, 'init'));
    // Larger weights than at the start of training, so that what stands before matters to what follows.
    for (let i = 0; i < parameters.flat.length; i++) parameters.flat[i] *= 4;
    const [rows, length, blockLength] = [2, 24, 6];
    const shape = { rows, length, streams: 2 as const, guesses: true };
    const pass = await createForwardPass(runtime, config, parameters, shape, { threads: 1 });
    const rng = createRng(5);
    const ids = Int32Array.from({ length: rows * length }, () => rng.int(config.vocabSize - 1));
    const batch = { rows, length, ids, segments: new Int32Array(rows * length), answer: null };
    const blocks = assignBlocks(batch, blockLength, rng);
    const eligible = Uint8Array.from(ids, (_, at) =>
      Number(at % length > 0 && blocks[at] === blocks[at - 1]),
    );

    const own = await ownContinuation(batch, eligible, blocks, async (inputs) => {
      const { nll, guess } = await pass.score(inputs);
      return { nll, guess: guess! };
    });

    const denoiser = createDenoiser(runtime, config, toTensors(parameters), { threads: 1 });
    let compared = 0;
    let changed = 0;
    for (let row = 0; row < rows; row++) {
      for (let t = 0; t + 1 < length; t++) {
        const at = row * length + t;
        if (eligible[at] || !eligible[at + 1]) continue;
        let count = 0;
        while (count < OWN_ROUNDS && t + count + 1 < length && eligible[at + count + 1]) count++;
        const prompt = ids.subarray(row * length, at + 1);
        const logitBias = { [String(config.tokens.mask)]: -100 };
        const { done } = await collect(
          decode(denoiser, appendCanvas(prompt, count), { mode: 'ar', logitBias }),
        );
        expect([...own.subarray(at + 1, at + 1 + count)]).toEqual(done.ids);
        changed += done.ids.filter((id, i) => id !== ids[at + 1 + i]).length;
        compared += count;
      }
    }
    expect(compared).toBeGreaterThan(20);
    expect(changed).toBeGreaterThan(10);
    // Anchors stay.
    expect([...own].filter((id, at) => !eligible[at] && id !== ids[at])).toEqual([]);
    await Promise.all([pass.close(), denoiser.close()]);
  });
});
