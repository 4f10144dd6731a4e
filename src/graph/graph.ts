/**
 * Tensor programs. A `Graph` is a list of nodes in the order in which they were built, which is also an order in
 * which they can run. Building is typed: every value knows its dtype and shape before anything is executed.
 *
 * Reverse-mode differentiation walks that list backwards. Each node carries its own vector–Jacobian product,
 * written beside its forward in `ops.ts`. A product does not return a gradient but a *contribution*: a function
 * that adds itself into what has already been accumulated. That lets a matrix product use Gemm's C operand, so
 * accumulating over uses, and over micro-batches, costs no pass over memory of its own.
 */
import { assert } from '../errors.ts';
import { sameShape, type Dim, type Shape } from './shape.ts';

export type DType = 'float32' | 'int32' | 'int64' | 'bool' | 'uint8' | 'int8' | 'float16' | 'bfloat16';

export interface Value {
  readonly graph: Graph;
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

export type Attribute = number | { int: number } | { ints: readonly number[] } | string;

/** Adds a gradient into `into`, or starts one when `into` is null. */
export type Contribution = (into: Value | null) => Value;

/** From the gradients of a node's outputs (null: not needed) to a contribution per input (null: not differentiable). */
export type Vjp = (outputGrads: readonly (Value | null)[]) => readonly (Contribution | null)[];

export interface Node {
  op: string;
  /** '' is ONNX itself, 'com.microsoft' ONNX Runtime's own operators. */
  domain: '' | 'com.microsoft';
  inputs: readonly (Value | null)[];
  outputs: readonly Value[];
  attributes: Readonly<Record<string, Attribute>>;
  vjp: Vjp | null;
  /** What the contributions of `vjp` are for: the inputs, or, for the last node of a composite, the composite's. */
  wrt: readonly (Value | null)[];
}

export interface NodeSpec {
  op: string;
  domain?: Node['domain'];
  inputs: readonly (Value | null)[];
  /** dtype and shape of every output. */
  outputs: readonly { dtype: DType; shape: Shape }[];
  attributes?: Record<string, Attribute>;
  vjp?: Vjp;
  wrt?: readonly (Value | null)[];
}

export type ConstantData = Float32Array | Int32Array | BigInt64Array | Uint8Array | Int8Array | Uint16Array;

/** Content that is made when it is asked for, since a large model's does not fit into memory twice. */
export interface DeferredData {
  dtype: DType;
  make: () => ConstantData;
}

/** A tensor whose content is part of the graph. */
export interface Constant {
  value: Value;
  data: ConstantData | DeferredData;
}

export const isDeferred = (data: Constant['data']): data is DeferredData => 'make' in data;

/** Bytes of one element. */
export const ELEMENT_BYTES: Readonly<Record<DType, number>> = {
  float32: 4,
  int32: 4,
  int64: 8,
  bool: 1,
  uint8: 1,
  int8: 1,
  float16: 2,
  bfloat16: 2,
};

export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Value[] = [];
  /** What leaves the graph, under its outer name. */
  readonly outputs: { name: string; value: Value }[] = [];
  readonly constants: Constant[] = [];
  #names = new Map<string, number>();
  #scalars = new Map<string, Value>();

  /** A fresh value; names are for people who look at the file, and must be unique for the runtime. */
  #value(hint: string, dtype: DType, shape: Shape): Value {
    const count = this.#names.get(hint) ?? 0;
    this.#names.set(hint, count + 1);
    return { graph: this, name: count === 0 ? hint : `${hint}_${count}`, dtype, shape };
  }

  input(name: string, dtype: DType, shape: Shape): Value {
    assert(!this.#names.has(name), `two values named ${name}`);
    const value = this.#value(name, dtype, shape);
    this.inputs.push(value);
    return value;
  }

  constant(
    hint: string,
    data: Constant['data'],
    shape: readonly number[],
    dtype: DType = isDeferred(data) ? data.dtype : dtypeOf(data),
  ): Value {
    if (!isDeferred(data)) checkLength(hint, data, shape);
    const value = this.#value(hint, dtype, shape);
    this.constants.push({ value, data });
    return value;
  }

  /** A float32 scalar; equal ones are shared. */
  scalar(x: number): Value {
    const key = String(x);
    let value = this.#scalars.get(key);
    if (!value) this.#scalars.set(key, (value = this.constant(`scalar_${key}`, Float32Array.of(x), [])));
    return value;
  }

  /** A list of int64, as shapes and axes are given. */
  ints(values: readonly number[]): Value {
    const key = `ints_${values.join('_')}`;
    let value = this.#scalars.get(key);
    if (!value) {
      value = this.constant(key, BigInt64Array.from(values, BigInt), [values.length]);
      this.#scalars.set(key, value);
    }
    return value;
  }

  /** Appends a node and returns its outputs. */
  node(spec: NodeSpec): Value[] {
    for (const input of spec.inputs)
      assert(!input || input.graph === this, `${spec.op}: value of another graph`);
    const outputs = spec.outputs.map(({ dtype, shape }) => this.#value(spec.op.toLowerCase(), dtype, shape));
    this.nodes.push({
      op: spec.op,
      domain: spec.domain ?? '',
      inputs: spec.inputs,
      outputs,
      attributes: spec.attributes ?? {},
      vjp: spec.vjp ?? null,
      wrt: spec.wrt ?? spec.inputs,
    });
    return outputs;
  }

  /** Appends a node with one output. */
  op(spec: Omit<NodeSpec, 'outputs'> & { shape: Shape; dtype?: DType }): Value {
    const { shape, dtype = 'float32', ...rest } = spec;
    return this.node({ ...rest, outputs: [{ dtype, shape }] })[0];
  }

  /** Makes a value leave the graph under a name of its own. */
  output(name: string, value: Value): void {
    assert(!this.#names.has(name), `two values named ${name}`);
    this.#names.set(name, 1);
    this.outputs.push({ name, value });
  }

  /**
   * Differentiates `loss` (a scalar). `wanted` maps each value whose gradient is asked for to an accumulator of its
   * shape, or to null to start from zero.
   * @returns the gradients, in the order of `wanted`; values that the loss does not depend on give their accumulator.
   */
  backward(loss: Value, wanted: ReadonlyMap<Value, Value | null>): Map<Value, Value | null> {
    assert(loss.shape.length === 0, `loss must be a scalar, got [${loss.shape}]`);
    const needed = this.#reach(new Set(wanted.keys()));
    const grads = new Map<Value, Value | null>(wanted);
    grads.set(loss, this.scalar(1));
    // Nodes appended below belong to the gradient and are not themselves differentiated.
    for (const node of this.nodes.slice().reverse()) {
      if (!node.outputs.some((out) => needed.has(out))) continue;
      const outputGrads = node.outputs.map((out) => grads.get(out) ?? null);
      if (outputGrads.every((g) => g === null)) continue;
      assert(node.vjp, `${node.op} is not differentiable`);
      const contributions = node.vjp(outputGrads);
      node.wrt.forEach((input, i) => {
        const contribution = contributions[i];
        if (!input || !contribution || !needed.has(input)) return;
        const grad = contribution(grads.get(input) ?? null);
        assert(
          sameShape(grad.shape, input.shape),
          `gradient of ${input.name} [${input.shape}] through ${node.op} has shape [${grad.shape}]`,
        );
        grads.set(input, grad);
      });
    }
    return new Map([...wanted.keys()].map((value) => [value, grads.get(value) ?? null]));
  }

  /** Everything that depends on one of `sources`. */
  #reach(sources: ReadonlySet<Value>): Set<Value> {
    const reached = new Set(sources);
    for (const node of this.nodes) {
      if (node.inputs.some((input) => input && reached.has(input))) {
        for (const out of node.outputs) reached.add(out);
      }
    }
    return reached;
  }
}

function checkLength(name: string, { length }: ConstantData, shape: readonly Dim[]): void {
  const wanted = shape.reduce<number>((a, b) => a * (b as number), 1);
  assert(length === wanted, `${name}: ${length} elements for [${shape}]`);
}

/** The content of a constant, made if it has to be. */
export function contentOf({ value, data }: Constant): ConstantData {
  if (!isDeferred(data)) return data;
  const made = data.make();
  checkLength(value.name, made, value.shape);
  return made;
}

const dtypeOf = (data: ConstantData): DType => {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Uint16Array) return 'float16';
  return 'uint8';
};

export type { Dim, Shape };
