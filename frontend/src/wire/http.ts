/** Requests to the server of this page, and its errors in the words that it gave. */

import { MEDIA_TYPE } from './frames';

export interface Access {
  /** Absolute path of the API, with a slash at its end. */
  api: string;
  csrfToken: string;
}

/** What an error's answer says besides its code; `position` and `length`: of the fault in a filter's text. */
export interface ErrorBody {
  code?: string;
  message?: string;
  hint?: string;
  detail?: string;
  position?: number;
  length?: number;
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterMs: number | null,
    readonly body: ErrorBody = {},
  ) {
    super(message);
  }

  /** Whether asking the same again later can help. */
  get passing(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }

  /** Nobody is logged in any more. */
  get ended(): boolean {
    return this.status === 401;
  }
}

async function failure(response: Response): Promise<ApiError> {
  const wait = Number(response.headers.get('Retry-After'));
  const retryAfter = wait > 0 ? wait * 1000 : null;
  try {
    const body = (await response.json()) as ErrorBody;
    const message = [body.message ?? body.detail, body.hint].filter(Boolean).join(' ');
    return new ApiError(response.status, body.code ?? '', message || `The server answered ${response.status}.`, retryAfter, body);
  } catch {
    return new ApiError(response.status, '', `The server answered ${response.status}.`, retryAfter);
  }
}

async function request(access: Access, path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(access.api + path, { credentials: 'same-origin', ...init });
  if (!response.ok) throw await failure(response);
  return response;
}

export async function getJson<T>(access: Access, path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(access, path, { headers: { Accept: 'application/json' }, ...(signal && { signal }) });
  return (await response.json()) as T;
}

function post(access: Access, path: string, body: unknown, accept: string, signal?: AbortSignal): Promise<Response> {
  return request(access, path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: accept, 'X-CSRFToken': access.csrfToken },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
}

export async function postJson<T>(access: Access, path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return (await (await post(access, path, body, 'application/json', signal)).json()) as T;
}

export async function deleteAt(access: Access, path: string): Promise<void> {
  await request(access, path, { method: 'DELETE', headers: { 'X-CSRFToken': access.csrfToken } });
}

/** All pages of a list. */
export async function getAll<T>(access: Access, path: string): Promise<T[]> {
  const all: T[] = [];
  let next: string | null = '';
  while (next !== null) {
    const query: string = next ? `?limit=1000&cursor=${encodeURIComponent(next)}` : '?limit=1000';
    const page: { results: T[]; next: string | null } | T[] = await getJson(access, path + query);
    if (Array.isArray(page)) return page;
    all.push(...page.results);
    next = page.next;
  }
  return all;
}

export interface Download {
  bytes: Blob;
  name: string;
}

/** An answer to be saved as a file, with the name that the server gave it. */
export async function postForFile(access: Access, path: string, body: unknown, accept: string): Promise<Download> {
  const response = await post(access, path, body, accept);
  const [, name] = /filename="?([^";]+)"?/.exec(response.headers.get('Content-Disposition') ?? '') ?? [];
  return { bytes: await response.blob(), name: name ?? 'rows' };
}

/** The bytes of a message of frames, as they arrive. */
export async function* postFrames(access: Access, path: string, body: unknown, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const response = await post(access, path, body, MEDIA_TYPE, signal);
  const reader = response.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
