/// <reference lib="webworker" />
/** Draws away from the page: a long run takes seconds. */
import { makePicture } from './pictures.ts';
import type { PictureKind, PictureTheme } from './pictures.ts';
import type { SavedRun } from '../../runs/recording.ts';

export interface PictureOrder {
  kind: PictureKind;
  run: SavedRun;
  theme: PictureTheme;
}

export type PictureAnswer = { blob: Blob; error?: undefined } | { error: string };

const scope = globalThis as unknown as DedicatedWorkerGlobalScope;

scope.addEventListener('message', ({ data }: MessageEvent<PictureOrder>) => {
  makePicture(data.kind, data.run, data.theme).then(
    (blob) => scope.postMessage({ blob } satisfies PictureAnswer),
    (error: unknown) => scope.postMessage({ error: String(error) } satisfies PictureAnswer),
  );
});
