/** Who computes: the server or this tab; and of the tab what computes there, why, and what the browser keeps of it. */
import { useEffect, useState } from 'preact/hooks';
import { isStatic, notice, where } from '../state.ts';
import { forgetAll, listFolders, storedBytes } from './files.ts';
import type { WantedDevice } from './messages.ts';
import { device, download, megabytes, tabState, tabText } from './state.ts';
import './switch.css';

const PLACES = [
  { id: 'server', label: 'Server', about: 'The server that this page came from runs the models' },
  { id: 'tab', label: 'This tab', about: 'Your browser runs the models; nothing you write leaves it' },
] as const;

export function WhereSwitch() {
  if (isStatic) return null;
  return (
    <div class="where" role="group" aria-label="Where models run">
      {PLACES.map(({ id, label, about }) => (
        <button
          key={id}
          type="button"
          class="quiet"
          title={about}
          aria-pressed={where.value === id}
          onClick={() => (where.value = id)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

/** In place of the server's state: one line that opens the rest. */
export function TabStatus() {
  const { phase } = tabState.value;
  const [isOpen, setOpen] = useState(false);
  const state = phase === 'failed' ? 'away' : phase === 'ready' && !download.value ? 'ready' : 'loading';
  return (
    <div class="status" data-state={state}>
      <button type="button" class="quiet" popovertarget="tab-details" aria-expanded={isOpen}>
        {/* A download changes by the moment, which is to be seen and not to be read out. */}
        <span role="status" aria-live={download.value ? 'off' : 'polite'}>
          {tabText.value}
        </span>
      </button>
      <div
        id="tab-details"
        class="card stack"
        popover="auto"
        role="dialog"
        aria-label="Models in this tab"
        onToggle={(event) => setOpen(event.newState === 'open')}
      >
        {isOpen && <Details />}
      </div>
    </div>
  );
}

const DEVICES: Readonly<Record<WantedDevice, string>> = {
  auto: 'WebGPU, else WebAssembly',
  webgpu: 'WebGPU, even in software',
  wasm: 'WebAssembly',
};

function Details() {
  const state = tabState.value;
  return (
    <>
      {state.phase === 'failed' && (
        <p role="alert" class="error">
          {state.message}
        </p>
      )}
      {state.phase === 'failed' && (
        <button type="button" class="primary" onClick={startAnew}>
          Try again
        </button>
      )}
      {state.phase === 'ready' && (
        <p>
          The models run in this tab, by <strong>{tabText.value}</strong>. What you write does not leave it.
        </p>
      )}
      {state.phase === 'ready' && state.compute.reasons.map((reason) => <p key={reason}>{reason}</p>)}
      <label>
        Compute by
        <select
          value={device.value}
          onChange={(event) => {
            device.value = event.currentTarget.value as WantedDevice;
            startAnew();
          }}
        >
          {Object.entries(DEVICES).map(([id, label]) => (
            <option key={id} value={id}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <Stored />
    </>
  );
}

function startAnew(): void {
  import('./source.ts')
    .then(({ restart }) => restart())
    .catch((error: unknown) => (notice.value = String(error)));
}

/** What the browser keeps, and a way to be rid of it. */
function Stored() {
  const [bytes, setBytes] = useState<{ stored: number; all: number } | null>(null);
  const count = async (): Promise<void> => {
    const folders = await listFolders(new URL('.', document.baseURI).href);
    const files = folders.flatMap((folder) => folder.files);
    const all = new Map(files.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
    setBytes({
      stored: await storedBytes(folders),
      all: [...all.values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0),
    });
  };
  const isLoading = download.value !== null;
  useEffect(() => {
    count().catch(() => setBytes(null));
  }, [isLoading]);
  return (
    <div class="row spread figures">
      <span>
        {bytes === null
          ? 'The list of weights is out of reach'
          : `Weights kept: ${(bytes.stored / 1e6).toFixed(1)} of ${megabytes(bytes.all)}`}
      </span>
      <button
        type="button"
        disabled={bytes?.stored === 0}
        onClick={() => {
          void forgetAll().then(() => {
            notice.value = 'The weights are forgotten; the next visit fetches them again.';
            return count();
          });
        }}
      >
        Forget them
      </button>
    </div>
  );
}
