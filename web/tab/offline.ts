/** The static build keeps itself in the browser (`offline.js`), so that it goes on without a network. */

let kept: Promise<void> | null = null;

/** Resolves when what is loaded from now on is kept, or when it cannot be: on plain http, or in a private window. */
export function keepPage(): Promise<void> {
  kept ??= keep().catch(() => {});
  return kept;
}

async function keep(): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const { serviceWorker } = navigator;
  const registration = await serviceWorker.register(new URL('offline.js', document.baseURI));
  if (serviceWorker.controller) return;
  const starting = registration.installing ?? registration.waiting;
  await new Promise<void>((resolve) => {
    serviceWorker.addEventListener('controllerchange', () => resolve(), { once: true });
    // What could not be kept is not waited for.
    starting?.addEventListener('statechange', () => {
      if (starting.state === 'redundant') resolve();
    });
    if (!starting && !registration.active) resolve();
  });
}
