import assert from 'node:assert/strict';
import test from 'node:test';

import { age, connection, gapWords, reasons, sentence, state, strip, timeOf } from '../src/words.js';
import { candle } from './candles.js';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

test('the strip says what is known today', () => {
  const status = {
    minutes: 1440, complete: 1438, gaps: 2, officialEqual: 1436, officialDifferent: 0, newestTradeTime: NOW - 400, serverTime: NOW,
  };
  assert.equal(
    strip('BTCUSDT', status, NOW),
    'BTCUSDT: 1,438 of 1,440 minutes of today complete, 2 gaps, newest trade 0.4\u00a0s ago, official equal: 1,436',
  );
  assert.equal(
    strip('X', { ...status, gaps: 0, officialDifferent: 3, newestTradeTime: null }, NOW),
    'X: 1,438 of 1,440 minutes of today complete, no gap, no trade yet, official equal: 1,436, official different: 3',
  );
  assert.match(strip('X', { ...status, gaps: 1 }, NOW), /complete, 1 gap, /);
});

test('ages have one unit each', () => {
  const seconds = [-1, 0.44, 9.94, 10, 119.9, 120, 7199, 7200, 172_799, 172_800];
  assert.deepEqual(
    seconds.map((number) => age(number * 1000).replace('\u00a0', ' ')),
    ['0.0 s', '0.4 s', '9.9 s', '10 s', '119 s', '2 min', '119 min', '2 h', '47 h', '2 days'],
  );
});

test('an incomplete candle has its reason first', () => {
  assert.deepEqual(reasons(candle({ complete: false, missingIds: 1 })), ['Incomplete: 1 trade id is missing.']);
  assert.equal(reasons(candle({ complete: false, missingIds: 1234 }))[0], 'Incomplete: 1,234 trade ids are missing.');
  assert.match(reasons(candle({ complete: false }))[0] ?? '', /before or after it are not known yet/);
  assert.match(reasons(candle({ complete: false, source: 'official' }))[0] ?? '', /only the official kline/);
});

test('a candle says how it compares with the official kline', () => {
  assert.deepEqual(reasons(candle({ reconciled: 'equal' })), [
    'Complete: every trade id is known.', 'Equals the official kline.',
  ]);
  const different = candle({ reconciled: 'different', differences: ['volume', 'close'] });
  assert.equal(reasons(different)[1], 'Differs from the official kline: volume, close.');
  assert.match(reasons(candle({ verifiedAbsentIds: 2 }))[1] ?? '', /^2 ids never issued/);
});

test('an open candle is not called incomplete, unless trades of it are missing', () => {
  assert.deepEqual(reasons(candle({ closed: false, complete: false })), ['Open: it moves with each trade.']);
  assert.equal(state(candle({ closed: false, complete: false })), 'open');
  assert.equal(reasons(candle({ closed: false, complete: false, missingIds: 2 })).length, 2);
  assert.equal(state(candle({ complete: false })), 'incomplete');
  assert.equal(state(candle({ source: 'empty' })), 'no trades');
});

test('times are in UTC', () => {
  assert.equal(timeOf(Date.UTC(2026, 0, 2, 23, 59), '1m'), '2026-01-02 23:59');
  assert.equal(timeOf(Date.UTC(2026, 0, 2), '1d'), '2026-01-02');
  assert.equal(timeOf(Date.UTC(2026, 0, 1), '1M'), '2026-01-01');
});

test('a screen reader hears the prices and the state', () => {
  const spoken = sentence(candle({ complete: false, missingIds: 3 }), 2);
  assert.equal(
    spoken,
    '2026-01-02 03:04 UTC, open 1,000.10, high 1,002.00, low 999.90, close 1,001.50, volume 12.50. ' +
      'Incomplete: 3 trade ids are missing.',
  );
});

test('the connection is described, and old prices are called so', () => {
  const status = {
    minutes: 1, complete: 1, gaps: 0, officialEqual: 0, officialDifferent: 0, newestTradeTime: NOW - 61_000, serverTime: NOW,
  };
  assert.equal(connection('live', null, NOW).words, 'Live');
  assert.equal(connection('live', { ...status, newestTradeTime: NOW - 59_000 }, NOW).state, 'live');
  assert.deepEqual(connection('live', status, NOW), { state: 'stale', words: 'Stale: no trade for 61\u00a0s' });
  assert.match(connection('lost', status, NOW).words, /trying again: prices may be old/);
});

test('a gap is described by its ids, its time and its reason', () => {
  const gap = { firstMissingId: 7, lastMissingId: 9, missingCount: 3, reason: null, firstMinute: null };
  assert.equal(gapWords(gap), 'Gap: 3 trades missing (ids 7 to 9)');
  assert.equal(
    gapWords({ ...gap, lastMissingId: 7, missingCount: 1, reason: 'REST does not answer', firstMinute: Date.UTC(2026, 0, 2, 3, 4) }),
    'Gap: 1 trade missing (id 7), at 2026-01-02 03:04 UTC: REST does not answer',
  );
});
