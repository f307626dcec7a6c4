/** The chart: candles with volume, incomplete ones hatched. The element's data-… attributes say what is drawn. */

import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  createChart,
} from './vendor/lightweight-charts.mjs';
import { IncompleteMarks } from './incomplete_marks.js';
import { isIncomplete } from './words.js';

/**
 * @typedef {import('lightweight-charts').UTCTimestamp} UTCTimestamp
 * @typedef {import('./types.js').Candle} Candle
 * @typedef {import('./colours.js').Colours} Colours
 * @typedef {{ x: number, y: number }} Point
 */

/** So many candles from the left end of what is loaded, older ones are asked for. */
const OLDER_FROM = 30;
const VISIBLE_CANDLES = 120;

export class PriceChart {
  #element;
  #chart;
  #series;
  #volume;
  #marks = new IncompleteMarks();
  #colours;
  /** @type {readonly Candle[]} */
  #candles = [];

  /**
   * @param {HTMLElement} element
   * @param {Colours} colours
   * @param {(openTime: number | null, point: Point | null) => void} onPoint the pointer moved to a candle, or off all
   * @param {() => void} onOldEnd the left end of the candles comes near
   */
  constructor(element, colours, onPoint, onOldEnd) {
    this.#element = element;
    this.#colours = colours;
    this.#chart = createChart(element, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      // The library's logo brings a style element, which the page's policy forbids; the link is in the footer.
      layout: { attributionLogo: false, fontSize: 12 },
      rightPriceScale: { scaleMargins: { top: 0.12, bottom: 0.26 } },
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 4, minBarSpacing: 0.8 },
    });
    this.#series = this.#chart.addSeries(CandlestickSeries, { priceLineStyle: 2 });
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: 'volume',
      priceFormat: { type: 'volume' },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#chart.priceScale('volume').applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.#series.attachPrimitive(this.#marks);
    this.#chart.subscribeCrosshairMove(({ time, point, sourceEvent }) => {
      if (sourceEvent) onPoint(time === undefined || !point ? null : Number(time) * 1000, point ?? null);
      else if (!point) onPoint(null, null);
    });
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && this.#candles.length > 0 && range.from < OLDER_FROM) onOldEnd();
    });
    this.paint(colours);
  }

  /**
   * Use other colours.
   * @param {Colours} colours
   */
  paint(colours) {
    this.#colours = colours;
    const { panel, text, muted, line, grid, up, down, open } = colours;
    this.#chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: panel },
        textColor: muted,
        fontFamily: getComputedStyle(this.#element).fontFamily,
      },
      grid: { vertLines: { visible: false }, horzLines: { color: grid } },
      crosshair: {
        vertLine: { color: muted, labelBackgroundColor: text },
        horzLine: { color: muted, labelBackgroundColor: text },
      },
      rightPriceScale: { borderColor: line },
      timeScale: { borderColor: line },
    });
    this.#series.applyOptions({
      upColor: up, downColor: down, priceLineColor: open, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down,
    });
    if (this.#candles.length > 0) this.#draw();
  }

  /**
   * Draw these candles, oldest first, instead of those before.
   * @param {readonly Candle[]} candles
   * @param {{ decimals: number, daily: boolean, jump: boolean }} options jump: show the newest ones
   */
  show(candles, { decimals, daily, jump }) {
    this.#candles = candles;
    this.#series.applyOptions({
      priceFormat: { type: 'price', precision: decimals, minMove: Number((10 ** -decimals).toFixed(decimals)) },
    });
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    this.#chart.applyOptions({
      localization: { priceFormatter: (/** @type {number} */ price) => price.toLocaleString('en-US', digits) },
      timeScale: { timeVisible: !daily },
    });
    this.#draw();
    if (jump) this.showNewest();
  }

  /**
   * Draw one candle that is new or changed; `candles` are all of them.
   * @param {Candle} candle
   * @param {readonly Candle[]} candles
   */
  update(candle, candles) {
    const isOld = candle.openTime < (this.#candles.at(-1)?.openTime ?? 0);
    this.#candles = candles;
    this.#series.update(this.#bar(candle), isOld);
    this.#volume.update(this.#column(candle), isOld);
    this.#mark();
  }

  /** Scroll to the newest candles. */
  showNewest() {
    const last = this.#candles.length - 1;
    const width = this.#element.clientWidth < 600 ? VISIBLE_CANDLES / 2 : VISIBLE_CANDLES;
    this.#chart.timeScale().setVisibleLogicalRange({ from: last - width, to: last + 4 });
  }

  /**
   * Scroll to a candle that is out of view.
   * @param {Candle} candle
   */
  reveal(candle) {
    const scale = this.#chart.timeScale();
    const index = this.#candles.indexOf(candle);
    const range = scale.getVisibleLogicalRange();
    if (range && (index < range.from + 1 || index > range.to - 1)) {
      const width = range.to - range.from;
      const from = index < range.from + 1 ? index - width * 0.2 : index - width * 0.8;
      scale.setVisibleLogicalRange({ from, to: from + width });
    }
  }

  /**
   * Put the cross-hair on a candle, and return where it is.
   * @param {Candle} candle
   * @returns {Point | null}
   */
  point(candle) {
    const time = /** @type {UTCTimestamp} */ (candle.openTime / 1000);
    this.#chart.setCrosshairPosition(Number(candle.close), time, this.#series);
    const x = this.#chart.timeScale().timeToCoordinate(time);
    const y = this.#series.priceToCoordinate(Number(candle.high));
    return x === null || y === null ? null : { x, y };
  }

  /** Take the cross-hair away. */
  unpoint() {
    this.#chart.clearCrosshairPosition();
  }

  /**
   * Make the candles wider (factor above 1) or narrower, around the newest visible one.
   * @param {number} factor
   */
  zoom(factor) {
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    const width = Math.min(Math.max((range.to - range.from) / factor, 10), 1_500);
    this.#chart.timeScale().setVisibleLogicalRange({ from: range.to - width, to: range.to });
  }

  #draw() {
    this.#series.setData(this.#candles.map((candle) => this.#bar(candle)));
    this.#volume.setData(this.#candles.map((candle) => this.#column(candle)));
    this.#mark();
  }

  #mark() {
    const incomplete = this.#candles.filter(isIncomplete);
    this.#marks.show(incomplete, this.#colours.incomplete);
    const newest = this.#candles.at(-1);
    Object.assign(this.#element.dataset, {
      candles: String(this.#candles.length),
      incomplete: String(incomplete.length),
      newest: String(newest?.openTime ?? ''),
      close: newest?.close ?? '',
    });
  }

  /**
   * Return what the library draws: its numbers are positions on the screen, so floats do.
   * @param {Candle} candle
   * @returns {import('lightweight-charts').CandlestickData<UTCTimestamp>}
   */
  #bar(candle) {
    const bar = {
      time: /** @type {UTCTimestamp} */ (candle.openTime / 1000),
      open: Number(candle.open),
      high: Number(candle.high),
      low: Number(candle.low),
      close: Number(candle.close),
    };
    if (candle.closed) return bar;
    const { panel, open } = this.#colours;
    return { ...bar, color: panel, borderColor: open, wickColor: open };
  }

  /**
   * @param {Candle} candle
   * @returns {import('lightweight-charts').HistogramData<UTCTimestamp>}
   */
  #column(candle) {
    const rose = Number(candle.close) >= Number(candle.open);
    return {
      time: /** @type {UTCTimestamp} */ (candle.openTime / 1000),
      value: Number(candle.volume),
      color: rose ? this.#colours['up-volume'] : this.#colours['down-volume'],
    };
  }
}
