/** Where one is, in the part of the address behind `#`: `#/watch?…`. */
import { signal } from '@preact/signals';

export interface Place {
  page: string;
  parameters: URLSearchParams;
}

function read(): Place {
  const [, page = '', query = ''] = /^#\/([^?]*)(?:\?(.*))?$/.exec(location.hash) ?? [];
  return { page: page || 'write', parameters: new URLSearchParams(query) };
}

export const place = signal<Place>(read());
addEventListener('hashchange', () => (place.value = read()));

export const linkTo = (page: string, parameters: Record<string, string> = {}): string => {
  const query = new URLSearchParams(parameters).toString();
  return `#/${page}${query === '' ? '' : `?${query}`}`;
};
