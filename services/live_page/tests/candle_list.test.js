import assert from 'node:assert/strict';
import test from 'node:test';

import { CandleList } from '../src/candle_list.js';
import { placeAfter } from '../src/pointer.js';
import { candle } from './candles.js';

test('candles are in order of time, whatever order they come in', () => {
  const list = new CandleList();
  list.merge([candle({ openTime: 120_000 }), candle({ openTime: 60_000 })]);
  list.merge([candle({ openTime: 180_000 }), candle({ openTime: 0 })]);
  assert.deepEqual(list.all.map(({ openTime }) => openTime), [0, 60_000, 120_000, 180_000]);
  assert.equal(list.newest?.openTime, 180_000);
});

test('a candle never goes back to an older revision', () => {
  const list = new CandleList();
  list.merge([candle({ openTime: 0, revision: 5, close: '5' })]);
  assert.deepEqual(list.merge([candle({ openTime: 0, revision: 4, close: '4' })]), []);
  assert.equal(list.at(0)?.close, '5');
  assert.equal(list.merge([candle({ openTime: 0, revision: 5, reconciled: 'equal' })]).length, 1);
  assert.equal(list.at(0)?.reconciled, 'equal', 'the same revision may have been reconciled since');
});

test('keys lead to candles', () => {
  const all = Array.from({ length: 30 }, (_, index) => candle({ openTime: index * 60_000, complete: index % 10 !== 5 }));
  assert.equal(placeAfter('ArrowLeft', all.length, all), 29, 'the first key chooses the newest candle');
  assert.equal(placeAfter('ArrowLeft', 0, all), 0);
  assert.equal(placeAfter('ArrowRight', 3, all), 4);
  assert.equal(placeAfter('PageUp', 25, all), 5);
  assert.equal(placeAfter('End', 3, all), 29);
  assert.equal(placeAfter('n', 30, all), 25);
  assert.equal(placeAfter('N', 25, all), 15);
  assert.equal(placeAfter('n', 5, all), 25, 'from the oldest to the newest again');
  assert.equal(placeAfter('a', 5, all), null);
  assert.equal(placeAfter('n', 3, all.filter(({ complete }) => complete)), null, 'none is incomplete');
});
