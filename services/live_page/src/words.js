/** What is known, in words. */

import { decimalsOf, grouped } from './decimals.js';

/**
 * @typedef {import('./types.js').Candle} Candle
 * @typedef {import('./types.js').Status} Status
 */

export const INTERVALS = [
  ['1m', '1 minute'],
  ['3m', '3 minutes'],
  ['5m', '5 minutes'],
  ['15m', '15 minutes'],
  ['30m', '30 minutes'],
  ['1h', '1 hour'],
  ['2h', '2 hours'],
  ['4h', '4 hours'],
  ['6h', '6 hours'],
  ['8h', '8 hours'],
  ['12h', '12 hours'],
  ['1d', '1 day'],
  ['3d', '3 days'],
  ['1w', '1 week'],
  ['1M', '1 month'],
];

/** @param {number} number */
export const count = (number) => number.toLocaleString('en-US');

/**
 * @param {number} number
 * @param {string} one
 */
export const plural = (number, one) => `${count(number)} ${one}${number === 1 ? '' : 's'}`;

/**
 * Return how long ago something was: `0.4 s`, `12 s`, `3 min`, `2 h`, `5 days`, with a space that does not break.
 * @param {number} milliseconds
 */
export function age(milliseconds) {
  const seconds = Math.max(milliseconds, 0) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)}\u00a0s`;
  if (seconds < 120) return `${Math.floor(seconds)}\u00a0s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}\u00a0min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}\u00a0h`;
  return `${Math.floor(seconds / 86_400)}\u00a0days`;
}

/**
 * Return a candle's time in UTC: the date alone for days and longer.
 * @param {number} openTime
 * @param {string} interval
 */
export function timeOf(openTime, interval) {
  const text = new Date(openTime).toISOString();
  return /[dwM]$/.test(interval) ? text.slice(0, 10) : `${text.slice(0, 10)} ${text.slice(11, 16)}`;
}

/**
 * Return whether a candle is drawn as incomplete: its interval is over, and trades of it are not known.
 * @param {Candle} candle
 */
export const isIncomplete = (candle) => candle.closed && !candle.complete;

/**
 * Return the state of a candle in one or two words.
 * @param {Candle} candle
 */
export function state(candle) {
  if (!candle.closed) return 'open';
  if (candle.source === 'empty') return 'no trades';
  return candle.complete ? 'complete' : 'incomplete';
}

/**
 * Return what is known about a candle, a sentence each, the reason for an incomplete one first.
 * @param {Candle} candle
 */
export function reasons(candle) {
  const found = [];
  if (!candle.closed) found.push('Open: it moves with each trade.');
  if (candle.missingIds > 0) {
    const verb = candle.missingIds === 1 ? 'is' : 'are';
    found.push(`Incomplete: ${plural(candle.missingIds, 'trade id')} ${verb} missing.`);
  } else if (isIncomplete(candle)) {
    found.push(
      candle.source === 'official'
        ? 'Incomplete: only the official kline is known, no trade.'
        : 'Incomplete: the trades before or after it are not known yet.',
    );
  } else if (candle.source === 'empty') {
    found.push('No trades: the ids of the trades around it follow one another.');
  } else if (candle.closed) {
    found.push('Complete: every trade id is known.');
  }
  if (candle.verifiedAbsentIds > 0) {
    found.push(`${plural(candle.verifiedAbsentIds, 'id')} never issued, as the exchange itself shows.`);
  }
  if (candle.reconciled === 'equal') found.push('Equals the official kline.');
  if (candle.reconciled === 'different') {
    found.push(`Differs from the official kline: ${candle.differences.join(', ') || 'fields not named'}.`);
  }
  if (candle.reconciled === 'official only') found.push('Only the official kline has it.');
  if (candle.reconciled === 'realtime only') found.push('No official kline of it yet.');
  return found;
}

/**
 * Return a candle as one sentence for screen readers.
 * @param {Candle} candle
 * @param {number} decimals
 */
export function sentence(candle, decimals) {
  const prices = ['open', 'high', 'low', 'close'].map(
    (name) => `${name} ${grouped(candle[/** @type {'open'} */ (name)], decimals)}`,
  );
  const volume = `volume ${grouped(candle.volume, Math.max(decimalsOf(candle.volume), 2))}`;
  return `${timeOf(candle.openTime, candle.interval)} UTC, ${prices.join(', ')}, ${volume}. ${reasons(candle).join(' ')}`;
}

/**
 * Return what is known about today, in one line.
 * @param {string} symbol
 * @param {Status} status
 * @param {number} now
 */
export function strip(symbol, status, now) {
  const parts = [`${count(status.complete)} of ${count(status.minutes)} minutes of today complete`];
  parts.push(status.gaps === 0 ? 'no gap' : plural(status.gaps, 'gap'));
  parts.push(
    status.newestTradeTime === null ? 'no trade yet' : `newest trade ${age(now - status.newestTradeTime)} ago`,
  );
  parts.push(`official equal: ${count(status.officialEqual)}`);
  if (status.officialDifferent > 0) parts.push(`official different: ${count(status.officialDifferent)}`);
  return `${symbol}: ${parts.join(', ')}`;
}

/**
 * Return a gap in words.
 * @param {import('./types.js').Gap} gap
 */
export function gapWords(gap) {
  const ids = gap.missingCount === 1 ? `id ${gap.firstMissingId}` : `ids ${gap.firstMissingId} to ${gap.lastMissingId}`;
  const when = gap.firstMinute === null ? '' : `, at ${timeOf(gap.firstMinute, '1m')} UTC`;
  return `Gap: ${plural(gap.missingCount, 'trade')} missing (${ids})${when}${gap.reason ? `: ${brief(gap.reason)}` : ''}`;
}

const BRIEF = 80;

/** @param {string} text */
const brief = (text) => (text.length <= BRIEF ? text : `${text.slice(0, BRIEF - 1)}…`);

const STALE_MS = 60_000;

/**
 * Return how current the page is: a state, and its words.
 * @param {import('./events.js').StreamState} stream
 * @param {Status | null} status
 * @param {number} now
 * @returns {{ state: 'connecting' | 'live' | 'stale' | 'lost', words: string }}
 */
export function connection(stream, status, now) {
  const newest = status?.newestTradeTime ?? null;
  if (stream === 'connecting') return { state: 'connecting', words: 'Connecting …' };
  if (stream === 'lost') {
    return { state: 'lost', words: `Connection lost, trying again${newest === null ? '' : ': prices may be old'}` };
  }
  if (newest !== null && now - newest > STALE_MS) {
    return { state: 'stale', words: `Stale: no trade for ${age(now - newest)}` };
  }
  return { state: 'live', words: 'Live' };
}
