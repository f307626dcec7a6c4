/** The page: loads candles, follows their changes, and shows them with what is known about them. */

import { address, get } from './api.js';
import { CandleList } from './candle_list.js';
import { PriceChart } from './chart.js';
import { colours, connectTheme } from './colours.js';
import { byId, element, setText } from './dom.js';
import { follow } from './events.js';
import { clearSymbol, showDay, showGaps, showHealth, showLinks, showPrice, showTable } from './panels.js';
import { hideTooltip, placeAfter, showLegend, showTooltip, speak } from './pointer.js';
import { INTERVALS, connection, strip } from './words.js';

/**
 * @typedef {import('./types.js').Candle} Candle
 * @typedef {import('./types.js').Status} Status
 * @typedef {import('./events.js').StreamState} StreamState
 */

const PAGE = 1_000;
const HEALTH_MS = 10_000;
const TICKER_MS = 15_000;
const GAPS_MS = 20_000;
const RETRY_MS = 2_000;
const CLOCK_MS = 500;

/** What is shown: a symbol and an interval, from the address of the page if it names them. */
const shown = { symbol: '', interval: '1m' };
let candles = new CandleList();
let decimals = 2;
/** Decimals of the prices of each symbol. @type {Map<string, number>} */
let priceDecimals = new Map();
/** The candle chosen by keyboard or under the pointer. @type {number | null} */
let pointed = null;
/** @type {string | null} */
let dayOpen = null;
/** @type {Status | null} */
let status = null;
/** @type {StreamState} */
let streamState = 'connecting';
/** Server's clock minus ours, in milliseconds. */
let clockOffset = 0;
/** Whether the newest candles are loaded; until then, changes are only remembered. */
let isLoaded = false;
let loadsOlder = false;
let hasOlder = true;
/** Ends what belongs to the shown symbol and interval. */
let shownUntil = new AbortController();

const chartElement = byId('chart', HTMLDivElement);
const chart = new PriceChart(chartElement, colours(), onPoint, () => void loadOlder());

/** Show another symbol or interval. @param {{ symbol?: string, interval?: string }} choice */
async function choose(choice) {
  Object.assign(shown, choice);
  decimals = Math.max(priceDecimals.get(shown.symbol) ?? 2, 2);
  shownUntil.abort();
  shownUntil = new AbortController();
  const { signal } = shownUntil;
  candles = new CandleList();
  isLoaded = false;
  hasOlder = true;
  status = null;
  dayOpen = null;
  pointed = null;
  hideTooltip();
  clearSymbol();
  history.replaceState(null, '', `?${new URLSearchParams(shown)}`);
  setText(byId('loading', HTMLElement), 'Loading candles …');
  byId('loading', HTMLElement).hidden = false;
  const end = follow(
    address('v1/live', shown),
    { candle: onCandle, status: (/** @type {Status} */ news) => void onStatus(news) },
    (state) => {
      // What changed while the connection was lost; the first connection begins with the newest candles.
      if (state === 'live' && streamState === 'lost') void loadNewest(signal);
      streamState = state;
      showState();
    },
  );
  signal.addEventListener('abort', end);
  void loadNewest(signal);
  void every(TICKER_MS, loadTicker, signal);
  void every(GAPS_MS, loadGaps, signal);
}

/** Load the newest candles. @param {AbortSignal} signal */
async function loadNewest(signal) {
  await retried(async () => {
    const newest = await get('v1/candles', { ...shown, limit: PAGE }, signal);
    const isFirst = !isLoaded;
    isLoaded = true;
    candles.merge(newest);
    setText(byId('loading', HTMLElement), `No candle of ${shown.symbol} yet: it comes with its first trade.`);
    draw(isFirst);
  }, signal);
}

/** Load candles before the oldest one. */
async function loadOlder() {
  const oldest = candles.all[0];
  if (loadsOlder || !hasOlder || !oldest) return;
  loadsOlder = true;
  const { signal } = shownUntil;
  await attempt(async () => {
    const older = await get('v1/candles', { ...shown, endTime: oldest.openTime - 1, limit: PAGE }, signal);
    hasOlder = candles.merge(older).length > 0;
    if (hasOlder) draw(false);
  }, signal);
  loadsOlder = false;
}

/** @param {Candle} candle */
function onCandle(candle) {
  if (candle.symbol !== shown.symbol || candle.interval !== shown.interval) return;
  const wasEmpty = candles.newest === undefined;
  if (candles.merge([candle]).length === 0 || !isLoaded) return;
  // A change of the newest candle is a new trade; the next status says its exact time.
  if (status && candle === candles.newest) {
    status = { ...status, newestTradeTime: Math.min(Date.now() + clockOffset, candle.closeTime) };
  }
  if (wasEmpty) draw(true);
  else chart.update(candle, candles.all);
  showAround();
}

/** @param {Status} news */
function onStatus(news) {
  status = news;
  clockOffset = news.serverTime - Date.now();
  showState();
}

/** @param {boolean} jump whether to show the newest candles, wherever the chart was scrolled to */
function draw(jump) {
  byId('loading', HTMLElement).hidden = candles.all.length > 0;
  chart.show(candles.all, { decimals, daily: /[dwM]$/.test(shown.interval), jump });
  showAround();
}

/** Show the newest candle's price, the legend and the table. */
function showAround() {
  const newest = candles.newest;
  if (!newest) return;
  showPrice(newest.close, decimals, dayOpen);
  document.title = `${byId('price', HTMLOutputElement).textContent} ${shown.symbol}`;
  showLegend(pointed === null ? newest : candles.at(pointed), decimals);
  showTable(candles.all, decimals);
}

/** @param {number | null} openTime @param {import('./chart.js').Point | null} point */
function onPoint(openTime, point) {
  pointed = openTime;
  const candle = openTime === null ? undefined : candles.at(openTime);
  if (candle && point) showTooltip(candle, point);
  else hideTooltip();
  showLegend(candle ?? candles.newest, decimals);
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || candles.all.length === 0) return;
  const { all } = candles;
  const current = pointed === null ? all.length : all.findIndex((candle) => candle.openTime === pointed);
  const place = placeAfter(event.key, current, all);
  const candle = place === null ? undefined : all[place];
  if (candle) {
    pointed = candle.openTime;
    speak(candle, decimals);
    chart.reveal(candle);
    // The chart computes its scales with the next frame.
    requestAnimationFrame(() => onPoint(candle.openTime, chart.point(candle)));
    if (place !== null && place < PAGE / 10) void loadOlder();
  } else if (event.key === '+' || event.key === '=') chart.zoom(1.25);
  else if (event.key === '-') chart.zoom(0.8);
  else if (event.key === 'Escape') leave();
  else return;
  event.preventDefault();
}

function leave() {
  chart.unpoint();
  onPoint(null, null);
}

/** Say how current the page is, and what is known about today. */
function showState() {
  const now = Date.now() + clockOffset;
  const { state, words } = connection(streamState, status, now);
  const target = byId('connection', HTMLElement);
  target.dataset['state'] = state;
  setText(target, words);
  if (!status) return;
  setText(byId('strip', HTMLElement), strip(shown.symbol, status, now));
  byId('completeness', HTMLMeterElement).value = status.minutes > 0 ? status.complete / status.minutes : 0;
}

/** @param {AbortSignal} signal */
async function loadTicker(signal) {
  const ticker = await get('api/v3/ticker/24hr', { symbol: shown.symbol }, signal);
  dayOpen = ticker.openPrice;
  showDay(ticker, decimals);
  showAround();
}

/** @param {AbortSignal} signal */
async function loadGaps(signal) {
  showGaps(await get('v1/gaps', { symbol: shown.symbol, limit: 3 }, signal));
}

async function loadHealth() {
  showHealth((await get('v1/health')).hops);
}

/**
 * Do something now and again after each pause, until `signal` is aborted; what fails is tried again after the next pause.
 * @param {number} milliseconds the pause
 * @param {(signal: AbortSignal) => Promise<void>} work
 * @param {AbortSignal} signal
 */
async function every(milliseconds, work, signal) {
  while (!signal.aborted) {
    await attempt(() => work(signal), signal);
    await pause(milliseconds);
  }
}

/**
 * Do something, again after a pause if it fails, until it succeeds or `signal` is aborted.
 * @param {() => Promise<void>} work
 * @param {AbortSignal} signal
 */
async function retried(work, signal) {
  while (!(await attempt(work, signal))) await pause(RETRY_MS);
}

/**
 * Do something; show in words where it fails. Return whether it is done: it succeeded, or `signal` ended it.
 * @param {() => Promise<void>} work
 * @param {AbortSignal} signal
 */
async function attempt(work, signal) {
  try {
    await work();
    return true;
  } catch (error) {
    if (signal.aborted) return true;
    const cause = error instanceof Error ? error.message : String(error);
    setText(byId('loading', HTMLElement), `Not loaded: ${cause}. It is tried again by itself.`);
    return false;
  }
}

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Fill the choices, and show what the address of the page names. */
async function start() {
  connectTheme(byId('theme', HTMLButtonElement), () => chart.paint(colours()));
  chartElement.addEventListener('keydown', onKey);
  chartElement.addEventListener('blur', leave);
  setInterval(showState, CLOCK_MS);

  const wanted = new URLSearchParams(location.search);
  const interval = wanted.get('interval') ?? '';
  if (INTERVALS.some(([name]) => name === interval)) shown.interval = interval;
  byId('intervals', HTMLFieldSetElement).append(
    ...INTERVALS.map(([name = '', words = '']) => {
      const radio = element('input', { type: 'radio', name: 'interval', value: name, ariaLabel: words });
      radio.checked = name === shown.interval;
      radio.addEventListener('change', () => void choose({ interval: name }));
      return element('label', { title: words }, radio, element('span', { ariaHidden: 'true' }, name));
    }),
  );

  const forever = new AbortController().signal;
  void attempt(async () => showLinks((await get('v1/links')).links), forever);
  void every(HEALTH_MS, loadHealth, forever);

  const select = byId('symbol', HTMLSelectElement);
  await retried(async () => {
    /** @type {{ symbols: string[], details: { symbol: string, priceDecimals: number }[] }} */
    const { symbols, details } = await get('v1/symbols');
    if (symbols.length === 0) throw new Error('no symbol has a candle yet');
    priceDecimals = new Map(details.map((known) => [known.symbol, known.priceDecimals]));
    select.append(...symbols.map((symbol) => element('option', { value: symbol }, symbol)));
    const named = wanted.get('symbol') ?? '';
    select.value = symbols.includes(named) ? named : symbols[0] ?? '';
  }, forever);
  select.addEventListener('change', () => void choose({ symbol: select.value }));
  await choose({ symbol: select.value });
}

await start();
