/** @typedef {import('../src/types.js').Candle} Candle */

/**
 * Return a closed, complete candle with these fields changed.
 * @param {Partial<Candle>} changes
 * @returns {Candle}
 */
export function candle(changes = {}) {
  const openTime = changes.openTime ?? Date.UTC(2026, 0, 2, 3, 4);
  return {
    symbol: 'BTCUSDT',
    interval: '1m',
    openTime,
    closeTime: openTime + 59_999,
    open: '1000.10000000',
    high: '1002.00000000',
    low: '999.90000000',
    close: '1001.50000000',
    volume: '12.50000000',
    quoteVolume: '12500.0000000000000000',
    tradeCount: 7,
    complete: true,
    closed: true,
    missingIds: 0,
    verifiedAbsentIds: 0,
    source: 'realtime',
    reconciled: null,
    differences: [],
    revision: 1,
    ...changes,
  };
}
