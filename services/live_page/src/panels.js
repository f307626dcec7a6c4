/** The parts of the page around the chart: price, health of each hop, links, and the table of the newest candles. */

import { change, decimalsOf, direction, grouped } from './decimals.js';
import { byId, element, setText } from './dom.js';
import { count, gapWords, isIncomplete, reasons, state, timeOf } from './words.js';

/**
 * @typedef {import('./types.js').Candle} Candle
 * @typedef {import('./types.js').Gap} Gap
 * @typedef {import('./types.js').Hop} Hop
 * @typedef {import('./types.js').Link} Link
 */

const ROWS = 12;
const SIGNS = /** @type {Record<string, string>} */ ({ ok: '✓', warning: '!', failed: '✗', unknown: '?' });

/**
 * Show the last price, and whether it rose or fell.
 * @param {string} price
 * @param {number} decimals
 * @param {string | null} since price of 24 hours ago
 */
export function showPrice(price, decimals, since) {
  const output = byId('price', HTMLOutputElement);
  const before = output.dataset['exact'];
  if (before !== undefined && before !== price) {
    const name = direction(before, price) > 0 ? 'flash-up' : 'flash-down';
    output.classList.remove('flash-up', 'flash-down');
    requestAnimationFrame(() => output.classList.add(name));
  }
  output.dataset['exact'] = price;
  setText(output, grouped(price, decimals));
  const changed = byId('change', HTMLSpanElement);
  setText(changed, since === null ? '' : `${change(since, price)} in 24 h`);
  changed.className = since === null ? '' : ['down', '', 'up'][direction(since, price) + 1] ?? '';
}

/** Show that nothing is known about the symbol yet. */
export function clearSymbol() {
  const output = byId('price', HTMLOutputElement);
  delete output.dataset['exact'];
  setText(output, '–');
  setText(byId('change', HTMLSpanElement), '');
  byId('day', HTMLElement).replaceChildren();
  byId('gaps', HTMLUListElement).replaceChildren();
}

/**
 * Show high, low and volume of the last 24 hours.
 * @param {{ highPrice: string, lowPrice: string, quoteVolume: string, count: number }} ticker
 * @param {number} decimals
 */
export function showDay(ticker, decimals) {
  const items = [
    ['24 h high', grouped(ticker.highPrice, decimals)],
    ['24 h low', grouped(ticker.lowPrice, decimals)],
    ['24 h turnover', grouped(ticker.quoteVolume, 0)],
    ['24 h trades', count(ticker.count)],
  ];
  byId('day', HTMLElement).replaceChildren(
    ...items.map(([name = '', value = '']) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, value)),
    ),
  );
}

/** @param {Gap[]} gaps */
export function showGaps(gaps) {
  byId('gaps', HTMLUListElement).replaceChildren(...gaps.map((gap) => element('li', {}, gapWords(gap))));
}

/** @param {Hop[]} hops */
export function showHealth(hops) {
  const rows = hops.map((hop) => {
    const item = element(
      'li',
      {},
      element('span', { className: 'sign', ariaHidden: 'true' }, SIGNS[hop.state] ?? '?'),
      element('span', { className: 'name' }, hop.name),
      element('span', { className: 'words' }, hop.words),
    );
    item.dataset['state'] = hop.state;
    return item;
  });
  byId('health', HTMLUListElement).replaceChildren(...rows);
}

/** @param {Link[]} links */
export function showLinks(links) {
  const items = links.map(({ name, url }) => element('li', {}, element('a', { href: url }, name)));
  byId('links', HTMLUListElement).replaceChildren(...items);
}

/**
 * Show the newest candles as a table, the newest first.
 * @param {readonly Candle[]} candles
 * @param {number} decimals
 */
export function showTable(candles, decimals) {
  const rows = candles.slice(-ROWS).reverse().map((candle) => row(candle, decimals));
  byId('rows', HTMLTableSectionElement).replaceChildren(...rows);
}

/**
 * @param {Candle} candle
 * @param {number} decimals
 */
function row(candle, decimals) {
  const prices = [candle.open, candle.high, candle.low, candle.close].map((price) => grouped(price, decimals));
  const cells = [...prices, grouped(candle.volume, Math.max(decimalsOf(candle.volume), 2)), count(candle.tradeCount)];
  const incomplete = isIncomplete(candle);
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, timeOf(candle.openTime, candle.interval)),
    ...cells.map((text) => element('td', {}, text)),
    element('td', { className: incomplete ? 'incomplete' : '' }, incomplete ? reasons(candle)[0] ?? '' : state(candle)),
  );
}
