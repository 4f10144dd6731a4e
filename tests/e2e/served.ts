/** A server as a process: started on a free port, known when it says that it serves. */
import type { ChildProcess } from 'node:child_process';
import { finished, start, type Finished } from './run.ts';

export interface Served {
  child: ChildProcess;
  url: string;
  end: Promise<Finished>;
}

export async function serve(args: readonly string[], env: Record<string, string> = {}): Promise<Served> {
  const child = start(['serve', '--port', '0', ...args], env);
  const end = finished(child);
  const url = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += String(chunk);
      const said = /at (http:\/\/[\d.]+:\d+)/.exec(text);
      if (said && text.includes('curl ')) resolve(said[1]);
    });
    end.then(({ stderr }) => reject(new Error(`the server ended: ${stderr}`)), reject);
  });
  return { child, url, end };
}
