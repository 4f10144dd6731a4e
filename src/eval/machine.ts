/** Under what conditions something was measured. No names of hosts and no paths, so that a result can be published. */
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { nodeRuntime } from '../graph/node.ts';

export interface Machine {
  cpu: string;
  cores: number;
  memoryBytes: number;
  /** `linux x64`. */
  platform: string;
  node: string;
  onnxruntime: string;
  /** Processes that wanted a core in the last 1, 5 and 15 minutes; zeros on Windows. More than 0.3: others were at work. */
  loadAtStart: number[];
}

export async function describeMachine(): Promise<Machine> {
  const runtime = (await nodeRuntime()) as unknown as { env?: { versions?: Record<string, string> } };
  const { common = 'unknown', node = common } = runtime.env?.versions ?? {};
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    onnxruntime: node,
    loadAtStart: loadavg().map((load) => Number(load.toFixed(2))),
  };
}
