/** @typedef {import('./types.js').Candle} Candle */

/** The loaded candles of one symbol and interval in order of time, each in its newest revision. */
export class CandleList {
  /** @type {Map<number, Candle>} */
  #byTime = new Map();
  /** @type {Candle[]} */
  #ordered = [];

  /** All candles, oldest first. */
  get all() {
    return this.#ordered;
  }

  /** The newest candle, if there is one. */
  get newest() {
    return this.#ordered.at(-1);
  }

  /** @param {number} openTime */
  at(openTime) {
    return this.#byTime.get(openTime);
  }

  /**
   * Take candles over, except those that are older than what is known already.
   * @param {Candle[]} candles
   * @returns {Candle[]} those that were taken over
   */
  merge(candles) {
    const taken = candles.filter((candle) => {
      const known = this.#byTime.get(candle.openTime);
      if (known && known.revision > candle.revision) return false;
      this.#byTime.set(candle.openTime, candle);
      return true;
    });
    if (taken.length > 0) {
      this.#ordered = [...this.#byTime.values()].sort((a, b) => a.openTime - b.openTime);
    }
    return taken;
  }
}
