/** A run to give away: as a link that holds it, as a file, as a picture. */
import { OpenJson } from './open-json.tsx';
import { useEffect, useState } from 'preact/hooks';
import type { Recording, SavedRun } from '../../runs/recording.ts';
import { linkTo } from '../../route.ts';
import { notice } from '../../state.ts';
import type { PictureAnswer, PictureOrder } from './pictures-worker.ts';
import type { PictureKind } from './pictures.ts';
import { MOST_LINK, packRun, writeTranscript } from './transcript.ts';
import { plural } from './words.ts';

const savedOf = ({ request, lines }: Recording): SavedRun => ({ request, lines });

type Result =
  | { kind: 'link'; link: string; candidates: number; isCopied: boolean }
  | { kind: 'working' | 'said' | 'failed'; words: string };

export interface ShareProps {
  recording: Recording;
  onOpen: (file: File) => void;
}

export function Share({ recording, onOpen }: ShareProps) {
  const [result, setResult] = useState<Result | null>(null);
  useEffect(() => setResult(null), [recording]);
  const isWhole = recording.done !== null;
  const say = (next: Result): void => {
    setResult(next);
    if (next.kind !== 'link') notice.value = next.words;
  };

  const attempt = async (work: () => Promise<Result>): Promise<void> => {
    try {
      say(await work());
    } catch (error) {
      say({ kind: 'failed', words: error instanceof Error ? error.message : String(error) });
    }
  };

  const copyLink = (): Promise<void> =>
    attempt(async () => {
      const packed = await packRun(savedOf(recording));
      if (packed === null) {
        const words = `This run is too long for a link (over ${MOST_LINK / 1000} kB). Save it as JSON and send the file.`;
        return { kind: 'failed', words };
      }
      const hash = linkTo('watch', { run: packed.packed });
      const link = location.href.replace(/#.*$/, '') + hash;
      // The address holds the run as well, without a step in the browser's history.
      history.replaceState(history.state, '', hash);
      const isCopied = await navigator.clipboard.writeText(link).then(
        () => true,
        () => false,
      );
      notice.value = isCopied ? 'The link is copied.' : 'The link is ready to be copied.';
      return { kind: 'link', link, candidates: packed.candidates, isCopied };
    });

  const saveJson = (): Promise<void> =>
    attempt(async () => {
      const text = await writeTranscript(savedOf(recording));
      return saved(new Blob([text], { type: 'application/json' }), 'json');
    });

  const savePicture = (kind: PictureKind): Promise<void> =>
    attempt(async () => {
      setResult({ kind: 'working', words: `Drawing the ${kind.toUpperCase()} …` });
      return saved(await drawPicture(kind, savedOf(recording)), kind);
    });

  return (
    <section class="card stack share" aria-labelledby="share-title">
      <h2 id="share-title">Keep and share</h2>
      <div class="row">
        <button type="button" disabled={!isWhole} onClick={() => void copyLink()}>
          Copy link
        </button>
        <button type="button" disabled={!isWhole} onClick={() => void saveJson()}>
          JSON
        </button>
        {(['png', 'svg', 'gif'] as const).map((kind) => (
          <button key={kind} type="button" disabled={!isWhole} onClick={() => void savePicture(kind)}>
            {kind.toUpperCase()}
          </button>
        ))}
        <OpenJson onOpen={onOpen} />
      </div>
      {result?.kind === 'link' ? (
        <div class="link">
          <label>
            <span class="soft">{result.isCopied ? 'Copied' : 'Link'}</span>
            <input
              type="text"
              readOnly
              value={result.link}
              onFocus={(event) => event.currentTarget.select()}
              aria-label="Link to this run"
            />
          </label>
          <p class="soft">
            {(result.link.length / 1000).toFixed(0)} kB; it holds the run itself, and no server sees it.
            {result.candidates < (recording.request.candidates ?? 0) &&
              ` Of each position it keeps the ${plural(result.candidates, 'most likely token')}; the JSON keeps all.`}
          </p>
        </div>
      ) : (
        <p class={result?.kind === 'failed' ? 'error' : 'soft'}>
          {result?.words ?? 'A link holds the whole run. A JSON file can be dropped anywhere on this view.'}
        </p>
      )}
    </section>
  );
}

function saved(blob: Blob, extension: string): Result {
  const name = `tintype-run.${extension}`;
  const url = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
  return { kind: 'said', words: `Saved ${name}, ${(blob.size / 1000).toFixed(0)} kB.` };
}

/** What the model thought is in no picture, and would be most of what is sent. */
function drawPicture(kind: PictureKind, { request, lines }: SavedRun): Promise<Blob> {
  const run = { request, lines: lines.filter(({ type }) => type !== 'look') };
  const theme = getComputedStyle(document.documentElement).colorScheme;
  const isDark =
    theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  const worker = new Worker(new URL('./pictures-worker.ts', import.meta.url), { type: 'module' });
  return new Promise<Blob>((resolve, reject) => {
    worker.addEventListener('message', ({ data }: MessageEvent<PictureAnswer>) =>
      data.error === undefined ? resolve(data.blob) : reject(new Error(data.error)),
    );
    worker.addEventListener('error', ({ message }) =>
      reject(new Error(`The picture could not be drawn (${message || 'its worker did not start'}).`)),
    );
    worker.postMessage({ kind, run, theme: isDark ? 'dark' : 'light' } satisfies PictureOrder);
  }).finally(() => worker.terminate());
}
