/** The file on the desk: what is open, whether it is saved, and a copy of it that outlives the tab. */
import { signal } from '@preact/signals';
import { Prec } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { notice, remembered } from '../../state.ts';
import { contentOf, stateOf } from './editor.ts';
import type { Content } from './editor.ts';
import { fill, filling } from './fill.ts';
import { FileError, openFile, readFile, saveFile } from './files.ts';
import type { FileHandle, OpenedFile } from './files.ts';
import { isTyped, ghostField } from './ghost.ts';
import { holesOf, touched } from './holes.ts';
import { SAMPLES } from './samples.ts';
import { trouble } from './state.ts';

interface Draft extends Content {
  name: string;
  lineBreak: OpenedFile['lineBreak'];
  /** Somebody wrote since it was opened or saved. */
  isChanged: boolean;
}

const first: Draft = { ...SAMPLES[0], lineBreak: '\n', isChanged: false };
const draft = remembered<Draft>('write.draft', first);
if (typeof draft.value?.text !== 'string') draft.value = first;
/** Cannot be written down. */
let handle: FileHandle | null = null;

/** What the page around the editor shows of it. */
export const desk = signal({ name: '', isChanged: false, holes: 0, touched: 0, hasGhost: false });

/** A change is written down so much later: large texts less often, since that holds up typing. */
const keepMs = (characters: number): number => 300 + characters / 500;

export interface Desk {
  view: EditorView;
  open(): Promise<void>;
  save(): Promise<void>;
  /** Takes a sample; asks first where that would lose something. */
  take(name: string): void;
  close(): void;
}

export function createDesk(parent: HTMLElement): Desk {
  let { name, lineBreak, isChanged } = draft.value;
  let timer = 0;

  const keep = (): void => {
    clearTimeout(timer);
    timer = 0;
    draft.value = { ...contentOf(view.state), name, lineBreak, isChanged };
  };
  const show = (): void => {
    const { state } = view;
    const shown = {
      name,
      isChanged,
      holes: holesOf(state).length,
      touched: touched(state).length,
      hasGhost: state.field(ghostField) !== null,
    };
    if (JSON.stringify(shown) !== JSON.stringify(desk.value)) desk.value = shown;
  };
  const own = [
    EditorView.updateListener.of(({ docChanged, startState, state, transactions }) => {
      if (transactions.some(isTyped)) isChanged = true;
      const isOther = docChanged || holesOf(startState) !== holesOf(state);
      if (isOther && !filling.value) timer ||= window.setTimeout(keep, keepMs(state.doc.length));
      show();
    }),
    EditorView.domEventHandlers({
      drop(event) {
        const file = event.dataTransfer?.files[0];
        if (!file) return false;
        event.preventDefault();
        void report(async () => {
          if (mayGo()) put(await readFile(file));
        });
        return true;
      },
    }),
    Prec.highest(
      keymap.of([
        { key: 'Mod-Enter', run: (view) => run(() => fill(view)) },
        { key: 'Mod-s', run: () => run(save) },
        { key: 'Mod-o', run: () => run(open) },
      ]),
    ),
    Prec.high(keymap.of([{ key: 'Escape', run: stop }])),
  ];
  const view = new EditorView({ state: stateOf(draft.value, own), parent });
  show();
  addEventListener('pagehide', keep);

  function put(file: Omit<OpenedFile, 'handle'> & Partial<Content> & { handle?: FileHandle | null }): void {
    filling.value?.abort();
    ({ name, lineBreak } = file);
    isChanged = false;
    handle = file.handle ?? null;
    trouble.value = null;
    view.setState(stateOf({ holes: [], ...file }, own));
    keep();
    show();
    notice.value = `${name} is open`;
  }
  const mayGo = (): boolean => !isChanged || confirm(`Changes to ${name} are not saved. Throw them away?`);

  async function open(): Promise<void> {
    if (!mayGo()) return;
    const file = await openFile();
    if (file) put(file);
  }
  async function save(): Promise<void> {
    const text = view.state.doc.toString();
    const saved = await saveFile({ name, text, lineBreak, handle });
    if (saved === undefined) return;
    handle = saved;
    name = saved?.name ?? name;
    isChanged = view.state.doc.toString() !== text;
    keep();
    show();
    notice.value = `${name} is saved`;
  }
  return {
    view,
    open: () => report(open),
    save: () => report(save),
    take(wanted) {
      const sample = SAMPLES.find(({ name }) => name === wanted);
      if (sample && mayGo()) put({ ...sample, lineBreak: '\n' });
    },
    close() {
      removeEventListener('pagehide', keep);
      filling.value?.abort();
      keep();
      view.destroy();
    },
  };
}

async function report(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    trouble.value = error instanceof FileError ? error.message : `That did not work: ${error.message}`;
  }
}

function run(work: () => Promise<void>): boolean {
  void report(work);
  return true;
}

function stop(): boolean {
  if (!filling.value) return false;
  filling.value.abort();
  return true;
}
