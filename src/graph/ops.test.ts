/** Every differentiable operator against central finite differences of its own forward, on ONNX Runtime. */
import { describe, expect, it } from 'vitest';
import { createRng } from '../rng.ts';
import { Graph, type Value } from './graph.ts';
import { nodeRuntime } from './node.ts';
import * as layers from './layers.ts';
import * as ops from './ops.ts';
import { createSession } from './session.ts';

interface Argument {
  shape: number[];
  /** Away from poles and kinks where the operator has some. */
  positive?: boolean;
}

/** Compares dLoss/dx for loss = Σ c ∘ f(x…) with fixed random c. */
async function checkGradient(args: Argument[], f: (...values: Value[]) => Value | Value[]): Promise<void> {
  const { Tensor } = await nodeRuntime();
  const rng = createRng(1, JSON.stringify(args), f.toString());
  const data = args.map(({ shape, positive }) =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      positive ? 0.5 + rng.next() : rng.normal(),
    ),
  );
  const graph = new Graph();
  const inputs = args.map(({ shape }, i) => graph.input(`x${i}`, 'float32', shape));
  let loss = graph.scalar(0);
  for (const y of [f(...inputs)].flat()) {
    const size = y.shape.reduce<number>((a, b) => a * (b as number), 1);
    const c = graph.constant(
      'c',
      Float32Array.from({ length: size }, () => rng.normal()),
      y.shape as number[],
    );
    const term = ops.mul(y, c);
    loss = ops.add(
      loss,
      ops.reduceSum(
        term,
        y.shape.map((_, i) => i),
      ),
    );
  }
  graph.output('loss', loss);
  const grads = graph.backward(loss, new Map(inputs.map((x) => [x, null])));
  inputs.forEach((x, i) => graph.output(`g${i}`, grads.get(x)!));
  const session = await createSession(await nodeRuntime(), graph, { threads: 1 });
  const run = (values: Float32Array[]) =>
    session.run(Object.fromEntries(values.map((v, i) => [`x${i}`, new Tensor('float32', v, args[i].shape)])));
  const result = await run(data);
  const h = 1 / 64;
  for (const [i, values] of data.entries()) {
    const grad = result[`g${i}`].data as Float32Array;
    expect(grad.length).toBe(values.length);
    for (let j = 0; j < values.length; j++) {
      const at = async (delta: number): Promise<number> => {
        const moved = data.map((v) => v.slice());
        moved[i][j] += delta;
        return ((await run(moved)).loss.data as Float32Array)[0];
      };
      // Richardson's extrapolation: the h² error of the central difference cancels.
      const coarse = ((await at(2 * h)) - (await at(-2 * h))) / (4 * h);
      const fine = ((await at(h)) - (await at(-h))) / (2 * h);
      const estimate = (4 * fine - coarse) / 3;
      expect(Math.abs(grad[j] - estimate), `input ${i}[${j}]: ${grad[j]} against ${estimate}`).toBeLessThan(
        2e-3 * (1 + Math.abs(estimate)),
      );
    }
  }
  await session.close();
}

const x23: Argument = { shape: [2, 3] };

describe('gradients equal finite differences', () => {
  it.each<[string, Argument[], (...v: Value[]) => Value | Value[]]>([
    ['add', [x23, x23], (a, b) => ops.add(a, b)],
    ['add, broadcast both ways', [{ shape: [2, 1, 3] }, { shape: [4, 1] }], (a, b) => ops.add(a, b)],
    ['sub, broadcast', [x23, { shape: [3] }], (a, b) => ops.sub(a, b)],
    ['mul, broadcast', [x23, { shape: [2, 1] }], (a, b) => ops.mul(a, b)],
    ['div', [x23, { shape: [3], positive: true }], (a, b) => ops.div(a, b)],
    ['neg', [x23], (a) => ops.neg(a)],
    ['log', [{ shape: [2, 3], positive: true }], (a) => ops.log(a)],
    ['sigmoid', [x23], (a) => ops.sigmoid(a)],
    ['silu', [x23], (a) => ops.silu(a)],
    ['gelu', [x23], (a) => layers.gelu(a)],
    ['reshape', [x23], (a) => ops.reshape(a, [3, 2])],
    ['transpose', [{ shape: [2, 3, 2] }], (a) => ops.transpose(a, [2, 0, 1])],
    ['split, all used', [{ shape: [2, 5] }], (a) => ops.split(a, 1, [2, 3])],
    ['split, one used', [{ shape: [2, 5] }], (a) => ops.split(a, 1, [2, 3])[1]],
    ['concat', [x23, { shape: [2, 2] }], (a, b) => ops.concat([a, b], 1)],
    ['reduceSum', [{ shape: [2, 3, 2] }], (a) => ops.reduceSum(a, [0, 2])],
    ['matmul', [{ shape: [2, 2, 3] }, { shape: [2, 3, 4] }], (a, b) => ops.matmul(a, b, { alpha: 0.5 })],
    ['matmul aᵀ b', [{ shape: [3, 2] }, { shape: [3, 4] }], (a, b) => ops.matmul(a, b, { transA: true })],
    ['matmul a bᵀ', [{ shape: [2, 3] }, { shape: [4, 3] }], (a, b) => ops.matmul(a, b, { transB: true })],
    [
      'matmul aᵀ bᵀ',
      [{ shape: [3, 2] }, { shape: [4, 3] }],
      (a, b) => ops.matmul(a, b, { transA: true, transB: true }),
    ],
    ['linear', [{ shape: [2, 2, 3] }, { shape: [4, 3] }], (x, w) => ops.linear(x, w)],
    [
      'linear twice with one weight, so that contributions accumulate',
      [{ shape: [2, 3] }, { shape: [3, 3] }],
      (x, w) => ops.linear(ops.linear(x, w), w),
    ],
    [
      'gatherRows, with repeats',
      [{ shape: [4, 2] }],
      (x) => ops.gatherRows(x, x.graph.constant('i', Int32Array.of(1, 3, 1), [3])),
    ],
    [
      'gatherRows and linear into one weight',
      [{ shape: [3, 2] }],
      (x) => ops.linear(ops.gatherRows(x, x.graph.constant('i', Int32Array.of(2, 0), [2])), x),
    ],
    ['rmsNorm', [{ shape: [2, 2, 4] }, { shape: [4] }], (x, w) => layers.rmsNorm(x, w, 1e-6)],
    ['softmax', [{ shape: [2, 4] }], (x) => layers.softmax(x)],
    ...[
      { name: 'rope', heads: 2, isPartial: false },
      { name: 'rope of the first half of each head', heads: 1, isPartial: true },
    ].map(({ name, heads, isPartial }): [string, Argument[], (...values: Value[]) => Value] => [
      name,
      [{ shape: [1, 3, 8] }],
      (x) => {
        const g = x.graph;
        const angles = Float32Array.from({ length: 6 }, (_, i) => 0.3 * i);
        const tables = {
          cos: g.constant('cos', angles.map(Math.cos), [3, 2]),
          sin: g.constant('sin', angles.map(Math.sin), [3, 2]),
          positions: g.constant('positions', BigInt64Array.of(0n, 1n, 2n), [1, 3]),
          isPartial,
        };
        return layers.rope(x, tables, heads);
      },
    ]),
    [
      'attend, grouped heads and a mask',
      [{ shape: [1, 2, 2, 3, 2] }, { shape: [1, 2, 4, 2] }, { shape: [1, 2, 4, 2] }],
      (q, k, v) => {
        const bias = Float32Array.from({ length: 12 }, (_, i) => (i % 4 > Math.floor(i / 4) + 1 ? -1e9 : 0));
        return layers.attend(q, k, v, q.graph.constant('bias', bias, [1, 1, 1, 3, 4]), 0.7);
      },
    ],
    [
      'crossEntropy, with a row of weight 0',
      [{ shape: [3, 2] }, { shape: [5, 2] }],
      (h, e) =>
        layers.crossEntropy(
          h,
          e,
          h.graph.constant('targets', Int32Array.of(4, 0, 2), [3, 1]),
          h.graph.constant('weights', Float32Array.of(0.5, 2, 0), [3, 1]),
        ).loss,
    ],
    ...[1, 0.5].map((temperature): [string, Argument[], (...values: Value[]) => Value] => [
      `crossEntropy, sure where right, temperature ${temperature}`,
      [{ shape: [4, 2] }, { shape: [5, 2] }],
      (h, e) => {
        const g = h.graph;
        const near = (x: Value, centre: number[]): Value =>
          ops.add(
            ops.mul(x, g.scalar(0.2)),
            g.constant('centre', Float32Array.from(centre), x.shape as number[]),
          );
        // Far from ties, so that the best guess of each row stays what it is: 0, 1, 2, 1.
        return layers.crossEntropy(
          near(h, [1.2, 0, 0, 1.2, -1.2, -1.2, 0, 1.2]),
          near(e, [1.2, 0, 0, 1.2, -1.2, -1.2, 0.3, -0.5, -0.5, 0.3]),
          g.constant('targets', Int32Array.of(0, 3, 2, 1), [4, 1]),
          g.constant('weights', Float32Array.of(0.5, 1, 0, 0.3), [4, 1]),
          {
            weights: g.constant('certainty', Float32Array.of(1, 2, 1.5, 0), [4, 1]),
            temperature,
          },
        ).loss;
      },
    ]),
  ])('%s', async (_, args, f) => checkGradient(args, f));
});

describe('backward', () => {
  it('starts from an accumulator when there is one', async () => {
    const { Tensor } = await nodeRuntime();
    const graph = new Graph();
    const x = graph.input('x', 'float32', [1, 2]);
    const w = graph.input('w', 'float32', [3, 2]);
    const into = graph.input('into', 'float32', [3, 2]);
    const loss = ops.reduceSum(ops.linear(x, w), [0, 1]);
    graph.output('dw', graph.backward(loss, new Map([[w, into]])).get(w)!);
    const session = await createSession(await nodeRuntime(), graph, { threads: 1 });
    const buffer = Float32Array.of(1, 2, 3, 4, 5, 6);
    const shared = new Tensor('float32', buffer, [3, 2]);
    const feeds = {
      x: new Tensor('float32', Float32Array.of(10, 20), [1, 2]),
      w: new Tensor('float32', new Float32Array(6), [3, 2]),
      into: shared,
    };
    // In place, twice: the same buffer is fed and fetched.
    for (let i = 0; i < 2; i++) await session.run(feeds, { dw: shared });
    expect([...buffer]).toEqual([21, 42, 23, 44, 25, 46]);
  });

  it('refuses a loss that is not a scalar', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', [2]);
    expect(() => graph.backward(x, new Map([[x, null]]))).toThrow('scalar');
  });
});

describe('crossEntropy with certainty', () => {
  it('adds the entropy of rows that are right, and of no others', async () => {
    const runtime = await nodeRuntime();
    const graph = new Graph();
    const h = graph.constant('h', Float32Array.of(2, 0, 2, 0), [2, 2]);
    const e = graph.constant('e', Float32Array.of(1, 0, 0, 1, 0, 0), [3, 2]);
    const { loss, nll, best } = layers.crossEntropy(
      h,
      e,
      graph.constant('targets', Int32Array.of(0, 1), [2, 1]),
      graph.constant('weights', Float32Array.of(1, 1), [2, 1]),
      { weights: graph.constant('certainty', Float32Array.of(10, 10), [2, 1]), temperature: 1 },
    );
    graph.output('loss', loss);
    graph.output('nll', nll);
    graph.output('best', best!);
    const session = await createSession(runtime, graph, { threads: 1 });
    const result = await session.run({});
    const sum = Math.exp(2) + 2;
    const p = [Math.exp(2) / sum, 1 / sum, 1 / sum];
    const entropy = -p.reduce((total, each) => total + each * Math.log(each), 0);
    expect((result.loss.data as Float32Array)[0]).toBeCloseTo(
      -Math.log(p[0]) - Math.log(p[1]) + 10 * entropy,
      4,
    );
    expect((result.best.data as Float32Array)[1]).toBeCloseTo(p[0], 6);
    await session.close();
  });
});
