/** docs/api.md: the routes and their fields, made of the schemas that check them. */
import type { Route } from './deps.ts';
import { fieldsOf } from './openapi.ts';

const cell = (text: string): string =>
  text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;');

function section({ method, path, aliases = [], summary, body, streams }: Route): string {
  const lines = [`### ${method.toUpperCase()} ${path}`, '', `${summary}.`];
  if (aliases.length > 0) lines.push('', `Also: ${aliases.map((each) => `\`${each}\``).join(', ')}.`);
  if (streams) lines.push('', `Streams as \`${streams}\`.`);
  if (body) {
    const rows = fieldsOf(body).map(
      ({ name, type, required, description }) =>
        `| \`${name}\`${required ? ' (required)' : ''} | ${cell(type)} | ${cell(description)} |`,
    );
    lines.push('', '| field | type | |', '|---|---|---|', ...rows);
  }
  return lines.join('\n');
}

/** @param introduction what stands before the routes */
export function apiDocs(routes: readonly Route[], introduction: string): string {
  const tags = [...new Set(routes.map(({ tag }) => tag))];
  const parts = tags.map((tag) =>
    [`## ${tag}`, ...routes.filter((each) => each.tag === tag).map(section)].join('\n\n'),
  );
  return `${[introduction.trim(), ...parts].join('\n\n')}\n`;
}
