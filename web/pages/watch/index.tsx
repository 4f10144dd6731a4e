/** The microscope: one run, step by step. */
import { OpenJson } from './open-json.tsx';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { groupCells } from '../../../src/decode/canvas-frames.ts';
import type { Recording } from '../../runs/recording.ts';
import { createBreath } from '../../runs/breathe.ts';
import { createRecording } from '../../runs/recording.ts';
import { linkTo, place } from '../../route.ts';
import { useRun } from '../../runs/use-run.ts';
import { models, notice, remembered } from '../../state.ts';
import { CanvasLegend, CanvasText } from '../../views/canvas.tsx';
import { Figures } from './figures.tsx';
import { SetupForm } from './form.tsx';
import { Heat } from './heat.tsx';
import { createHistory } from './history.ts';
import type { History } from './history.ts';
import { Inspector } from './inspector.tsx';
import { Opinions } from './opinions.tsx';
import { INITIAL, isPuzzleModel, knownSetup, requestOf } from './setup.ts';
import type { Setup } from './setup.ts';
import { Share } from './share.tsx';
import { readTranscriptFile, unpackRun } from './transcript.ts';
import type { SavedRun } from '../../runs/recording.ts';
import { Transport } from './transport.tsx';
import type { Speed } from './transport.tsx';
import { forwardName, plural } from './words.ts';
import './watch.css';

const setup = remembered<Setup>('watch', INITIAL);

export default function Watch() {
  const run = useRun();
  const [opened, setOpened] = useState<Recording | null>(null);
  const [trouble, setTrouble] = useState<string | null>(null);
  const isRunning = run.status === 'running';
  const known = models.value;
  const asked = knownSetup(setup.value);
  const model = known.find(({ id }) => id === asked.model) ?? known.at(0) ?? null;

  const open = useCallback(async (read: Promise<SavedRun>): Promise<void> => {
    try {
      const { request, lines } = await read;
      const recording = createRecording(request);
      const breathe = createBreath();
      for (const line of lines) {
        recording.push(line);
        await breathe();
      }
      run.reset();
      setTrouble(null);
      setOpened(recording);
      notice.value = `A run with ${plural(recording.steps.length, 'forward')} is open.`;
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
    }
  }, []);

  const packed = place.value.parameters.get('run');
  useEffect(() => {
    if (packed !== null) void open(unpackRun(packed));
  }, [packed]);

  const start = async (): Promise<void> => {
    setTrouble(null);
    try {
      const request = await requestOf(asked, model!);
      setOpened(null);
      // The run that the address holds is no longer the one on the screen.
      if (location.hash !== linkTo('watch')) history.replaceState(history.state, '', linkTo('watch'));
      if (await run.start(request)) notice.value = 'The run is finished.';
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
    }
  };

  const recording = opened ?? run.recording;
  const error =
    trouble ??
    (run.status === 'failed' && !opened ? failureWords(run.error!.code, run.error!.message) : null);
  return (
    <div
      class="view watch stack"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        const [file] = event.dataTransfer?.files ?? [];
        if (!file) return;
        event.preventDefault();
        void open(readTranscriptFile(file));
      }}
    >
      <div>
        <h1>Watch</h1>
        <p class="soft">
          One run under the microscope: every forward, every position, what the model thought, and what each
          policy makes of it.
        </p>
      </div>
      <SetupForm
        setup={asked}
        model={model}
        isRunning={isRunning}
        onChange={(changes) => (setup.value = { ...knownSetup(setup.value), ...changes })}
        onRun={() => void start()}
        onStop={() => run.stop()}
      />
      {error !== null && (
        <p class="error" role="alert">
          {error}
        </p>
      )}
      <Microscope
        recording={recording}
        isRunning={isRunning && !opened}
        onOpen={(file) => void open(readTranscriptFile(file))}
      />
    </div>
  );
}

const failureWords = (code: string, message: string): string =>
  code === 'offline'
    ? `The server is away (${message}). Your text is kept: run again when it is back.`
    : `The run failed: ${message}`;

/** An empty run, so that nothing moves when the first one begins. */
const EMPTY = 'Run something, or drop a transcript here.';

function useHistory(recording: Recording | null): History | null {
  const history = useMemo(() => (recording ? createHistory() : null), [recording]);
  if (recording) history!.read(recording.lines);
  return history && history.moments.length > 0 ? history : null;
}

interface MicroscopeProps {
  recording: Recording | null;
  isRunning: boolean;
  onOpen: (file: File) => void;
}

function Microscope({ recording, isRunning, onOpen }: MicroscopeProps) {
  const run = useHistory(recording);
  /** Null: the newest. */
  const [chosen, setChosen] = useState<number | null>(null);
  /** Null: where this forward committed. */
  const [picked, setPicked] = useState<number | null>(null);
  const [isPlaying, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<Speed>('8');
  const shown = useRef(recording);
  if (shown.current !== recording) {
    shown.current = recording;
    setChosen(null);
    setPicked(null);
    setPlaying(false);
  }
  if (!run || !recording) {
    return <EmptyMicroscope onOpen={onOpen} isRunning={isRunning} />;
  }
  const last = run.moments.length - 1;
  const at = Math.min(chosen ?? last, last);
  const isLive = isRunning && chosen === null;
  const go = (to: number): void => setChosen(to);
  const { vocabulary } = recording;
  const index = Math.min(picked ?? newestIndex(run, at), run.length - 1);
  return (
    <>
      <Transport
        history={run}
        at={at}
        isPlaying={isPlaying}
        isRunning={isRunning}
        speed={speed}
        onGo={go}
        onPlay={setPlaying}
        onSpeed={setSpeed}
      />
      <CanvasPart run={run} recording={recording} at={at} index={index} onPick={setPicked} />
      <Heat
        history={run}
        vocabulary={vocabulary}
        at={at}
        index={index}
        isLive={isLive}
        onMove={(nextAt, nextIndex) => {
          setPlaying(false);
          go(nextAt);
          setPicked(nextIndex);
        }}
      />
      <div class="pair">
        <Inspector history={run} vocabulary={vocabulary} at={at} index={index} />
        <Figures history={run} recording={recording} at={at} />
      </div>
      <Opinions
        history={run}
        vocabulary={vocabulary}
        request={recording.request}
        at={at}
        index={index}
        isWhole={!isRunning || at < last}
        onPick={setPicked}
      />
      <Share recording={recording} onOpen={onOpen} />
    </>
  );
}

/** The first token of this forward; the first position where there is none. */
const newestIndex = ({ moments, answerStart }: History, at: number): number =>
  Math.max(0, (moments[at].commits[0]?.position ?? answerStart) - answerStart);

interface CanvasPartProps {
  run: History;
  recording: Recording;
  at: number;
  index: number;
  onPick: (index: number) => void;
}

function CanvasPart({ run, recording, at, index, onPick }: CanvasPartProps) {
  const groups = groupCells(run.cells(at), recording.vocabulary);
  const { source } = recording.request;
  const around =
    'prompt' in source
      ? { before: linesAtEnd(source.prompt), after: linesAtStart(source.suffix ?? '') }
      : { before: '', after: '' };
  const position = run.answerStart + index;
  const box = useRef<HTMLDivElement>(null);
  // What is new stays in sight, in its box alone.
  useLayoutEffect(() => {
    const fresh = box.current?.querySelector<HTMLElement>('.piece[data-state="fresh"]');
    if (!fresh) return;
    const { scrollTop, clientHeight } = box.current!;
    const top = fresh.offsetTop;
    if (top < scrollTop || top + fresh.offsetHeight > scrollTop + clientHeight) {
      box.current!.scrollTop = top - clientHeight / 2;
    }
  }, [at, run]);
  const picked = groups.findIndex(({ cells }) => cells.some((cell) => cell.position === position));
  return (
    <section class="stack" aria-labelledby="canvas-title">
      <div class="row spread">
        <h2 id="canvas-title">The canvas, {forwardName(at)}</h2>
        <CanvasLegend />
      </div>
      <div
        ref={box}
        class="canvas-box"
        data-puzzle={isPuzzleModel(recording.request.model) ? '' : undefined}
        tabIndex={0}
        role="region"
        aria-label="Canvas"
      >
        <CanvasText
          pieces={groups.map(({ piece }) => piece)}
          label={`Canvas ${forwardName(at)}`}
          {...around}
          picked={picked}
          onPick={(place) => onPick(groups[place].cells[0].position - run.answerStart)}
        />
      </div>
    </section>
  );
}

const LINES = 4;
const linesAtEnd = (text: string): string => text.split('\n').slice(-LINES).join('\n');
const linesAtStart = (text: string): string => text.split('\n').slice(0, LINES).join('\n');

function EmptyMicroscope({ isRunning, onOpen }: { isRunning: boolean; onOpen: (file: File) => void }) {
  return (
    <div class="empty card">
      <p class="soft">{isRunning ? 'Waiting for the first forward …' : EMPTY}</p>
      <OpenJson onOpen={onOpen} />
    </div>
  );
}
