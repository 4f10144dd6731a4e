/** The frame around the views: where one can go, who computes, and whether somebody answers. */
import type { ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { PAGES } from './pages.ts';
import type { Page } from './pages.ts';
import { linkTo, place } from './route.ts';
import { apiKey, notice, serverState, theme, where } from './state.ts';
import { watchServer } from './runs/server.ts';
import { TabStatus, WhereSwitch } from './tab/switch.tsx';

export function App() {
  const current = PAGES.find(({ id }) => id === place.value.page) ?? PAGES[0];
  return (
    <>
      <a class="skip" href="#main" onClick={focusMain}>
        Skip to content
      </a>
      <header class="bar">
        <a class="brand" href={linkTo('write')}>
          <img src="icon.svg" alt="" width="20" height="20" />
          tintype
        </a>
        <nav aria-label="Views">
          {PAGES.map(({ id, label, about }) => (
            <a
              key={id}
              href={linkTo(id)}
              title={about}
              {...(id === current.id && { 'aria-current': 'page' as const })}
            >
              {label}
            </a>
          ))}
        </nav>
        <div class="bar-end">
          <WhereSwitch />
          {where.value === 'tab' ? <TabStatus /> : <Status />}
          <ThemeSwitch />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <View key={current.id} page={current} />
      </main>
      <div class="sr-only" role="status" aria-live="polite">
        {notice.value}
      </div>
    </>
  );
}

/** The hash is the router's, so the link moves the focus itself. */
function focusMain(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('#main')?.focus();
}

type Loaded = { view: ComponentType } | { error: string } | null;

function View({ page }: { page: Page }) {
  const [loaded, setLoaded] = useState<Loaded>(null);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    let isHere = true;
    document.title = `${page.label} · tintype`;
    page.load().then(
      ({ default: view }) => isHere && setLoaded({ view }),
      (error: unknown) => isHere && setLoaded({ error: String(error) }),
    );
    return () => {
      isHere = false;
    };
  }, [page, attempt]);
  if (loaded === null) return <div class="view loading" aria-busy="true" />;
  if ('view' in loaded) return <loaded.view />;
  return (
    <div class="view">
      <p role="alert">This view could not be fetched: {loaded.error}</p>
      <button type="button" onClick={() => setAttempt(attempt + 1)}>
        Try again
      </button>
    </div>
  );
}

const STATES = {
  unknown: 'Looking for the server …',
  ready: 'Server ready',
  loading: 'Loading models …',
  away: 'Server away, trying again …',
  locked: 'The server wants a key',
} as const;

function Status() {
  const state = serverState.value;
  const input = useRef<HTMLInputElement>(null);
  return (
    <div class="status" data-state={state}>
      <span role="status">{STATES[state]}</span>
      {state === 'locked' && (
        <form
          class="key"
          onSubmit={(event) => {
            event.preventDefault();
            apiKey.value = input.current!.value.trim();
            serverState.value = 'unknown';
            void watchServer();
          }}
        >
          <input ref={input} type="password" aria-label="API key" placeholder="tt-…" autocomplete="off" />
          <button type="submit">Use</button>
        </form>
      )}
    </div>
  );
}

const THEMES = ['system', 'light', 'dark'] as const;
const SIGNS = { system: '◐', light: '○', dark: '●' } as const;

function ThemeSwitch() {
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length];
  return (
    <button
      type="button"
      class="quiet"
      title={`Colours: ${theme.value}`}
      aria-label={`Colours: ${theme.value}; change to ${next}`}
      onClick={() => (theme.value = next)}
    >
      {SIGNS[theme.value]}
    </button>
  );
}
