/** The candle at the pointer or chosen by keyboard: its values and its state, beside it and for screen readers. */

import { decimalsOf, grouped } from './decimals.js';
import { byId, element, setText } from './dom.js';
import { isIncomplete, reasons, sentence, timeOf } from './words.js';

/**
 * @typedef {import('./types.js').Candle} Candle
 * @typedef {import('./chart.js').Point} Point
 */

const DISTANCE = 16;

/**
 * Show the values of a candle in the corner of the chart.
 * @param {Candle | undefined} candle
 * @param {number} decimals
 */
export function showLegend(candle, decimals) {
  const values = candle
    ? [
        ['', `${candle.symbol} ${candle.interval} ${timeOf(candle.openTime, candle.interval)}`],
        ['O ', grouped(candle.open, decimals)],
        ['H ', grouped(candle.high, decimals)],
        ['L ', grouped(candle.low, decimals)],
        ['C ', grouped(candle.close, decimals)],
        ['V ', grouped(candle.volume, Math.max(decimalsOf(candle.volume), 2))],
      ]
    : [];
  byId('legend', HTMLElement).replaceChildren(
    ...values.map(([name = '', value = '']) => element('span', {}, name, element('b', {}, value))),
  );
}

/**
 * Show what is known about a candle beside a point of the chart.
 * @param {Candle} candle
 * @param {Point} point
 */
export function showTooltip(candle, point) {
  const tooltip = byId('tooltip', HTMLDivElement);
  const [first = '', ...others] = reasons(candle);
  tooltip.replaceChildren(
    element('strong', {}, `${timeOf(candle.openTime, candle.interval)} UTC`),
    element('p', { className: isIncomplete(candle) ? 'why' : '' }, first),
    ...others.map((text) => element('p', {}, text)),
  );
  tooltip.hidden = false;
  const stage = byId('chart', HTMLDivElement);
  const left = point.x + DISTANCE + tooltip.offsetWidth > stage.clientWidth
    ? point.x - DISTANCE - tooltip.offsetWidth
    : point.x + DISTANCE;
  const top = Math.min(point.y + DISTANCE, stage.clientHeight - tooltip.offsetHeight - 8);
  tooltip.style.transform = `translate(${Math.max(left, 4)}px, ${Math.max(top, 4)}px)`;
}

/** Hide what showTooltip showed. */
export function hideTooltip() {
  byId('tooltip', HTMLDivElement).hidden = true;
}

/**
 * Let screen readers say a candle.
 * @param {Candle} candle
 * @param {number} decimals
 */
export function speak(candle, decimals) {
  setText(byId('spoken', HTMLElement), sentence(candle, decimals));
}

/**
 * Return the place of the candle that a key leads to, or null for other keys.
 * @param {string} key as KeyboardEvent.key
 * @param {number} place of the chosen candle
 * @param {readonly Candle[]} candles
 */
export function placeAfter(key, place, candles) {
  const last = candles.length - 1;
  /** @param {number} wanted */
  const within = (wanted) => Math.min(Math.max(wanted, 0), last);
  switch (key) {
    case 'ArrowLeft':
      return within(place - 1);
    case 'ArrowRight':
      return within(place + 1);
    case 'PageUp':
      return within(place - 20);
    case 'PageDown':
      return within(place + 20);
    case 'Home':
      return 0;
    case 'End':
      return last;
    case 'n':
    case 'N': {
      const earlier = candles.slice(0, place).findLastIndex(isIncomplete);
      const found = earlier >= 0 ? earlier : candles.findLastIndex(isIncomplete);
      return found >= 0 ? found : null;
    }
    default:
      return null;
  }
}
