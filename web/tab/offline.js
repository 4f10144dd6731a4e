/**
 * The service worker of the static build. It keeps the files of one version of the page and whatever else of it was
 * loaded, and answers from there, so the page goes on without a network. Weights are kept by the page itself (files.ts).
 * It also sends the headers that isolate the page, which plain hosts do not: from the second visit on, WebAssembly has
 * threads. A new version takes over when no tab shows the old one. The build puts VERSION and FILES in front.
 */
const CACHE = `tintype-page-${VERSION}`;

addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)));
});

addEventListener('activate', (event) => {
  event.waitUntil(forgetEarlier().then(() => clients.claim()));
});

/** Several builds may stand on one host, each in its folder; a folder's cache holds addresses of that folder. */
async function forgetEarlier() {
  for (const name of await caches.keys()) {
    if (!name.startsWith('tintype-page-') || name === CACHE) continue;
    const cache = await caches.open(name);
    const [first] = await cache.keys();
    if (!first || first.url.startsWith(registration.scope)) await caches.delete(name);
  }
}

addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  const isOurs = method === 'GET' && url.startsWith(registration.scope) && !url.includes('?sha256=');
  if (isOurs) event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  // There is one document; what follows # does not come here.
  const known = await cache.match(request.mode === 'navigate' ? registration.scope : request);
  if (known) return isolated(known);
  const response = await fetch(request);
  if (response.status === 200) await cache.put(request, response.clone());
  return isolated(response);
}

function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set('cross-origin-opener-policy', 'same-origin');
  headers.set('cross-origin-embedder-policy', 'require-corp');
  const { status, statusText, body } = response;
  return new Response(body, { status, statusText, headers });
}
