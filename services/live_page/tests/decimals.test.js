import assert from 'node:assert/strict';
import test from 'node:test';

import { change, decimalsOf, direction, grouped, scaled } from '../src/decimals.js';

test('decimals beyond what a float holds are exact', () => {
  assert.equal(scaled('123456789012345678.12345678', 8), 12345678901234567812345678n);
  assert.equal(scaled('-0.5', 2), -50n);
  assert.equal(direction('0.10000000000000001', '0.10000000000000002'), 0, 'beyond 16 decimals');
  assert.equal(direction('90071992547409.93', '90071992547409.94'), 1);
  assert.equal(direction('2', '1.99'), -1);
});

test('values are shown in groups, cut and never rounded', () => {
  assert.equal(grouped('1234567.89990000', 2), '1,234,567.89');
  assert.equal(grouped('999', 2), '999.00');
  assert.equal(grouped('0.00001234', 8), '0.00001234');
  assert.equal(grouped('1234.5', 0), '1,234');
});

test('trailing zeros are no decimals', () => {
  assert.deepEqual(['1.50000000', '1', '1.00000001', '0.00'].map(decimalsOf), [1, 0, 8, 0]);
});

test('a change is in percent with its sign', () => {
  assert.equal(change('100', '101.234'), '+1.23 %');
  assert.equal(change('100', '99.5'), '−0.50 %');
  assert.equal(change('3', '3'), '0.00 %');
  assert.equal(change('0', '1'), '');
});
