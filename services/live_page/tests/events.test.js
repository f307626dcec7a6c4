import assert from 'node:assert/strict';
import test from 'node:test';

import { follow, pauseBefore } from '../src/events.js';

/** Stands for setTimeout and clearTimeout, whose time the test lets pass; Node's own mock has faults in version 18. */
class Timers {
  #now = 0;
  #next = 1;
  /** @type {Map<number, { at: number, call: () => void }>} */
  #waiting = new Map();
  #real = [globalThis.setTimeout, globalThis.clearTimeout];

  constructor() {
    const set = (/** @type {() => void} */ call, /** @type {number} */ pause) => {
      this.#waiting.set(this.#next, { at: this.#now + pause, call });
      return this.#next++;
    };
    Object.assign(globalThis, { setTimeout: set, clearTimeout: (/** @type {number} */ id) => this.#waiting.delete(id) });
  }

  /** @param {number} milliseconds */
  pass(milliseconds) {
    const until = this.#now + milliseconds;
    for (;;) {
      const due = [...this.#waiting].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#waiting.delete(due[0]);
      this.#now = due[1].at;
      due[1].call();
    }
    this.#now = until;
  }

  restore() {
    Object.assign(globalThis, { setTimeout: this.#real[0], clearTimeout: this.#real[1] });
  }
}

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

/** @param {(states: string[], received: unknown[], timers: Timers) => void} body */
function withStream(body) {
  Source.opened = [];
  const timers = new Timers();
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
    body(states, received, timers);
    end();
    timers.pass(100_000);
  } finally {
    timers.restore();
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
  withStream((states, _, timers) => {
    const [source] = Source.opened;
    source?.close();
    source?.onerror();
    assert.equal(Source.opened.length, 1);
    timers.pass(1_300);
    assert.equal(Source.opened.length, 2);
    Source.opened[1]?.onopen();
    assert.deepEqual(states, ['connecting', 'lost', 'lost', 'live']);
  });
});

test('a lost connection that the browser tries again itself is left to it', () => {
  withStream((states, _, timers) => {
    Source.opened[0]?.onopen();
    Source.opened[0]?.onerror();
    timers.pass(5_000);
    assert.equal(Source.opened.length, 1);
    assert.equal(states.at(-1), 'lost');
  });
});

test('a silent connection is replaced', () => {
  withStream((states, _, timers) => {
    assert.deepEqual(states, ['connecting']);
    Source.opened[0]?.onopen();
    timers.pass(39_000);
    Source.opened[0]?.send('candle', {});
    timers.pass(39_000);
    assert.equal(Source.opened.length, 1);
    timers.pass(1_001);
    assert.equal(Source.opened.length, 2);
    assert.equal(Source.opened[0]?.readyState, Source.CLOSED);
  });
});

test('nothing is opened after the end', () => {
  withStream(() => {});
  assert.equal(Source.opened.length, 1);
});

test('pauses grow to a limit and vary', () => {
  assert.deepEqual([1, 2, 3, 4, 5, 9].map((failures) => pauseBefore(failures, 0.5)), [1000, 2000, 4000, 8000, 15000, 15000]);
  assert.equal(pauseBefore(1, 0), 750);
  assert.equal(pauseBefore(1, 1), 1250);
});
