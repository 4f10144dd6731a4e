/** `/docs`: the routes to read, one page that asks nothing of anybody. */
import type { Route } from './deps.ts';
import { fieldsOf } from './openapi.ts';

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
code { font: 0.9em ui-monospace, monospace }
details { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .5rem 0 }
summary { cursor: pointer }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
td { padding: .2rem .8rem .2rem 0; vertical-align: top; font-size: .9rem }
small { opacity: .7 }`;

function section({ method, path, aliases = [], summary, body, streams }: Route): string {
  const names = aliases.map((alias) => `<code>${escaped(alias)}</code>`).join(', ');
  const rows = (body ? fieldsOf(body) : []).map(
    ({ name, type, required, description }) =>
      `<tr><td><code>${escaped(name)}</code>${required ? ' *' : ''}</td><td><small>${escaped(type)}</small></td><td>${escaped(description)}</td></tr>`,
  );
  return [
    `<details><summary><code>${method.toUpperCase()} ${escaped(path)}</code> ${escaped(summary)}</summary>`,
    names ? `<p>Also ${names}.</p>` : '',
    streams ? `<p>Streams as <code>${streams}</code>.</p>` : '',
    rows.length > 0 ? `<table>${rows.join('')}</table>` : '',
    '</details>',
  ].join('');
}

export function docsPage(routes: readonly Route[]): string {
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  const parts = tags.map(
    (tag) =>
      `<h2>${tag}</h2>${routes
        .filter((each) => each.tag === tag)
        .map(section)
        .join('')}`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>tintype API</title><style>${STYLE}</style>
<h1>tintype API</h1><p>* is required; unknown fields are ignored. <a href="/openapi.json">openapi.json</a></p>
${parts.join('\n')}</html>`;
}
