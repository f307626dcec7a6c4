import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { follow, pauseBefore } from '../src/events.js';

/** Stands for the browser's EventSource; the test says what happens to it. */
class Source extends EventTarget {
  static CLOSED = 2;
  /** @type {Source[]} */
  static opened = [];
  readyState = 0;
  onopen = () => {};
  onerror = () => {};

  /** @param {string} url */
  constructor(url) {
    super();
    this.url = url;
    Source.opened.push(this);
  }

  close() {
    this.readyState = Source.CLOSED;
  }

  /** @param {string} type @param {unknown} data */
  send(type, data) {
    this.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data) }));
  }
}

/** @param {(states: string[], received: unknown[]) => void} body */
function withStream(body) {
  Source.opened = [];
  mock.timers.enable();
  /** @type {string[]} */
  const states = [];
  /** @type {unknown[]} */
  const received = [];
  const end = follow(
    'v1/live',
    { candle: (data) => received.push(data) },
    (state) => states.push(state),
    /** @type {any} */ (Source),
  );
  try {
    body(states, received);
  } finally {
    end();
    mock.timers.reset();
  }
}

test('events reach their handlers as objects', () => {
  withStream((states, received) => {
    const [source] = Source.opened;
    source?.onopen();
    source?.send('candle', { close: '1.5' });
    source?.send('unknown', {});
    assert.deepEqual(received, [{ close: '1.5' }]);
    assert.deepEqual(states, ['connecting', 'live']);
  });
});

test('a refused connection is tried again by itself', () => {
  withStream((states) => {
    const [source] = Source.opened;
    source?.close();
    source?.onerror();
    assert.equal(Source.opened.length, 1);
    mock.timers.tick(1_300);
    assert.equal(Source.opened.length, 2);
    Source.opened[1]?.onopen();
    assert.deepEqual(states, ['connecting', 'lost', 'lost', 'live']);
  });
});

test('a lost connection that the browser tries again itself is left to it', () => {
  withStream((states) => {
    Source.opened[0]?.onopen();
    Source.opened[0]?.onerror();
    mock.timers.tick(5_000);
    assert.equal(Source.opened.length, 1);
    assert.equal(states.at(-1), 'lost');
  });
});

test('a silent connection is replaced', () => {
  withStream(() => {
    Source.opened[0]?.onopen();
    mock.timers.tick(39_000);
    Source.opened[0]?.send('candle', {});
    mock.timers.tick(39_000);
    assert.equal(Source.opened.length, 1);
    mock.timers.tick(1_001);
    assert.equal(Source.opened.length, 2);
    assert.equal(Source.opened[0]?.readyState, Source.CLOSED);
  });
});

test('nothing is opened after the end', () => {
  withStream(() => {});
  mock.timers.enable();
  mock.timers.tick(100_000);
  mock.timers.reset();
  assert.equal(Source.opened.length, 1);
});

test('pauses grow to a limit and vary', () => {
  assert.deepEqual([1, 2, 3, 4, 5, 9].map((failures) => pauseBefore(failures, 0.5)), [1000, 2000, 4000, 8000, 15000, 15000]);
  assert.equal(pauseBefore(1, 0), 750);
  assert.equal(pauseBefore(1, 1), 1250);
});
