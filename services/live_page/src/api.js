/** Requests to the API on this server. A login, where one is needed, is asked for and sent by the browser. */

/**
 * Return the address of `path` on this server.
 * @param {string} path
 * @param {Record<string, string | number>} query
 */
export function address(path, query = {}) {
  // Not document.baseURI: with a login in it, as in http://user:<token>@host, the browser refuses requests.
  const url = new URL(path, location.origin + location.pathname);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return url.href;
}

/**
 * Return the JSON at `path`.
 * @param {string} path
 * @param {Record<string, string | number>} query
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(path, query = {}, signal = undefined) {
  const response = await fetch(address(path, query), { cache: 'no-store', ...(signal ? { signal } : {}) });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}
