/**
 * From a `Graph` to the bytes of an ONNX model. Field numbers are those of onnx.proto (ONNX IR version 10);
 * the wire format itself is `@bufbuild/protobuf`'s.
 */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  type Attribute,
  contentOf,
  type DType,
  type Graph,
  isDeferred,
  type Node,
  type Value,
} from './graph.ts';

const IR_VERSION = 10;
/** The first with `Attention`. */
const OPSET = 23;

/** TensorProto.DataType. */
const ELEMENT_TYPE: Record<DType, number> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
};

/** AttributeProto.AttributeType. */
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const;

const message = (writer: BinaryWriter, field: number, body: BinaryWriter): void => {
  writer.tag(field, WireType.LengthDelimited).bytes(body.finish());
};
const text = (writer: BinaryWriter, field: number, value: string): void => {
  writer.tag(field, WireType.LengthDelimited).string(value);
};
const int = (writer: BinaryWriter, field: number, value: number): void => {
  writer.tag(field, WireType.Varint).int64(value);
};

function attribute(name: string, value: Attribute): BinaryWriter {
  const out = new BinaryWriter();
  text(out, 1, name);
  if (typeof value === 'number') {
    out.tag(2, WireType.Bit32).float(value);
    int(out, 20, ATTRIBUTE_TYPE.float);
  } else if (typeof value === 'string') {
    text(out, 4, value);
    int(out, 20, ATTRIBUTE_TYPE.string);
  } else if ('int' in value) {
    int(out, 3, value.int);
    int(out, 20, ATTRIBUTE_TYPE.int);
  } else {
    for (const element of value.ints) int(out, 8, element);
    int(out, 20, ATTRIBUTE_TYPE.ints);
  }
  return out;
}

/** Operators that compute less when nobody reads some of their outputs. */
const OPTIONAL_OUTPUTS = new Set(['SimplifiedLayerNormalization', 'SkipSimplifiedLayerNormalization']);

type NameOf = (value: Value) => string;

function node(
  { op, domain, inputs, outputs, attributes }: Node,
  nameOf: NameOf,
  isRead: (value: Value) => boolean,
): BinaryWriter {
  const out = new BinaryWriter();
  for (const input of inputs) text(out, 1, input ? nameOf(input) : '');
  const lastRead = outputs.findLastIndex(isRead);
  for (const [i, output] of outputs.entries()) {
    const isLeftOut = OPTIONAL_OUTPUTS.has(op) && !isRead(output);
    if (!isLeftOut) text(out, 2, nameOf(output));
    else if (i < lastRead) text(out, 2, '');
  }
  text(out, 3, outputs[0].name);
  text(out, 4, op);
  for (const [name, value] of Object.entries(attributes)) message(out, 5, attribute(name, value));
  if (domain) text(out, 7, domain);
  return out;
}

function valueInfo(name: string, { dtype, shape }: Value): BinaryWriter {
  const dims = new BinaryWriter();
  for (const size of shape) {
    const dim = new BinaryWriter();
    if (typeof size === 'number') int(dim, 1, size);
    else text(dim, 2, size);
    message(dims, 1, dim);
  }
  const tensor = new BinaryWriter();
  int(tensor, 1, ELEMENT_TYPE[dtype]);
  message(tensor, 2, dims);
  const type = new BinaryWriter();
  message(type, 1, tensor);
  const out = new BinaryWriter();
  text(out, 1, name);
  message(out, 2, type);
  return out;
}

/** Where a constant's bytes stand, in a file that the runtime maps itself. */
export interface FilePlace {
  /** Name in the folder that the session is given. */
  file: string;
  offset: number;
  byteLength: number;
}

/** Places of deferred constants by name; those without one are made and become part of the model. */
export type Places = ReadonlyMap<string, FilePlace>;

/** TensorProto.DataLocation. */
const EXTERNAL = 1;

function initializer(constant: Graph['constants'][number], places: Places): BinaryWriter {
  const { value } = constant;
  const out = new BinaryWriter();
  for (const dim of value.shape) int(out, 1, dim as number);
  int(out, 2, ELEMENT_TYPE[value.dtype]);
  text(out, 8, value.name);
  const place = isDeferred(constant.data) ? places.get(value.name) : undefined;
  if (place) {
    for (const [key, fact] of [
      ['location', place.file],
      ['offset', place.offset],
      ['length', place.byteLength],
    ] as const) {
      const entry = new BinaryWriter();
      text(entry, 1, key);
      text(entry, 2, String(fact));
      message(out, 13, entry);
    }
    int(out, 14, EXTERNAL);
    return out;
  }
  const data = contentOf(constant);
  out
    .tag(9, WireType.LengthDelimited)
    .bytes(new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
  return out;
}

/** Nodes that some output depends on, in order: what was built and not used costs nothing at run time. */
function liveNodes(graph: Graph): Node[] {
  const live = new Set<Value>(graph.outputs.map(({ value }) => value));
  const kept: Node[] = [];
  for (const each of graph.nodes.slice().reverse()) {
    if (!each.outputs.some((out) => live.has(out))) continue;
    for (const input of each.inputs) if (input) live.add(input);
    kept.push(each);
  }
  return kept.reverse();
}

/**
 * Values that leave the graph take their outer name, so that no copy is needed to rename them. One that already
 * has an outer name (an input, a constant, a second name for the same value) passes through an Identity.
 */
function nameOutputs(graph: Graph): { nameOf: NameOf; identities: Node[] } {
  const names = new Map<Value, string>();
  const fixed = new Set<Value>([...graph.inputs, ...graph.constants.map(({ value }) => value)]);
  const identities: Node[] = [];
  for (const { name, value } of graph.outputs) {
    if (fixed.has(value) || names.has(value)) {
      const renamed: Value = { ...value, name };
      identities.push({
        op: 'Identity',
        domain: '',
        inputs: [value],
        outputs: [renamed],
        attributes: {},
        vjp: null,
        wrt: [],
      });
    } else {
      names.set(value, name);
    }
  }
  return { nameOf: (value) => names.get(value) ?? value.name, identities };
}

/** Serialises the graph: its live nodes, the constants they use, inputs and outputs. A model is 2 GB at most. */
export function encodeOnnx(graph: Graph, places: Places = new Map()): Uint8Array {
  const { nameOf, identities } = nameOutputs(graph);
  const nodes = [...liveNodes(graph), ...identities];
  const used = new Set(nodes.flatMap((each) => each.inputs));
  const leaving = new Set(graph.outputs.map(({ value }) => value));
  const isRead = (value: Value): boolean => used.has(value) || leaving.has(value);
  const body = new BinaryWriter();
  for (const each of nodes) message(body, 1, node(each, nameOf, isRead));
  text(body, 2, 'tintype');
  for (const constant of graph.constants)
    if (used.has(constant.value)) message(body, 5, initializer(constant, places));
  for (const input of graph.inputs) if (used.has(input)) message(body, 11, valueInfo(input.name, input));
  for (const { name, value } of graph.outputs) message(body, 12, valueInfo(name, value));

  const model = new BinaryWriter();
  int(model, 1, IR_VERSION);
  text(model, 2, 'tintype');
  message(model, 7, body);
  for (const [domain, version] of [
    ['', OPSET],
    ['com.microsoft', 1],
  ] as const) {
    const opset = new BinaryWriter();
    text(opset, 1, domain);
    int(opset, 2, version);
    message(model, 8, opset);
  }
  return model.finish();
}
