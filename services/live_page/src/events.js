/**
 * Server-Sent Events that come back by themselves. A browser's EventSource connects again after a lost connection, but not
 * after an answer that is an error, and it does not notice a connection that is silently dead: both are covered here.
 *
 * @typedef {'connecting' | 'live' | 'lost'} StreamState
 */

/** No event for so long: the connection may be dead, a new one is opened. */
const SILENCE_MS = 40_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;

/**
 * Return the pause before the next connection: it doubles with each failure, and varies so that not all pages return at once.
 * @param {number} failures in a row
 * @param {number} random from 0 to 1
 */
export function pauseBefore(failures, random) {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.max(failures - 1, 0), LONGEST_PAUSE_MS) * (0.75 + random / 2);
}

/**
 * Follow the events of `url`; return the function that ends it.
 * @param {string} url
 * @param {Record<string, (data: any) => void>} handlers by the type of event; they get its parsed JSON
 * @param {(state: StreamState) => void} onState
 * @param {typeof EventSource} [Source] for tests
 */
export function follow(url, handlers, onState, Source = EventSource) {
  /** @type {EventSource} */
  let source;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let failures = 0;

  const connect = () => {
    onState(failures === 0 ? 'connecting' : 'lost');
    const opened = new Source(url);
    source = opened;
    watch();
    opened.onopen = () => {
      failures = 0;
      watch();
      onState('live');
    };
    opened.onerror = () => {
      failures += 1;
      onState('lost');
      if (opened.readyState === Source.CLOSED) again(pauseBefore(failures, Math.random()));
    };
    for (const [type, handle] of Object.entries(handlers)) {
      opened.addEventListener(type, (event) => {
        watch();
        handle(JSON.parse(event.data));
      });
    }
  };
  /** @param {number} pause */
  const again = (pause) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      source.close();
      connect();
    }, pause);
  };
  const watch = () => again(SILENCE_MS);

  connect();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
