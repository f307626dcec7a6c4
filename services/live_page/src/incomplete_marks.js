/** Draws over the chart which candles are incomplete: a hatched band with a dashed outline, which needs no colour to be seen. */

/**
 * @typedef {import('lightweight-charts').IPanePrimitivePaneView} PaneView
 * @typedef {import('lightweight-charts').SeriesAttachedParameter<import('lightweight-charts').Time, 'Candlestick'>} Attached
 * @typedef {import('./types.js').Candle} Candle
 */

const HATCH_PIXELS = 6;

/** A primitive of the series of candles. */
export class IncompleteMarks {
  /** @type {Attached | null} */
  #attached = null;
  /** @type {readonly Candle[]} */
  #candles = [];
  #colour = '';
  /** @type {{ key: string, pattern: CanvasPattern | null }} */
  #hatch = { key: '', pattern: null };

  /** @param {Attached} attached */
  attached(attached) {
    this.#attached = attached;
  }

  detached() {
    this.#attached = null;
  }

  /**
   * Draw these candles as incomplete from now on.
   * @param {readonly Candle[]} candles
   * @param {string} colour
   */
  show(candles, colour) {
    this.#candles = candles;
    this.#colour = colour;
    this.#attached?.requestUpdate();
  }

  /** @returns {PaneView[]} */
  paneViews() {
    return [{ zOrder: () => 'top', renderer: () => ({ draw: (target) => this.#draw(target) }) }];
  }

  /** @param {import('fancy-canvas').CanvasRenderingTarget2D} target */
  #draw(target) {
    const attached = this.#attached;
    if (!attached) return;
    const scale = attached.chart.timeScale();
    const width = Math.max(scale.options().barSpacing, 3);
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio, verticalPixelRatio }) => {
      const hatch = this.#pattern(context, horizontalPixelRatio);
      for (const candle of this.#candles) {
        const x = scale.timeToCoordinate(/** @type {import('lightweight-charts').UTCTimestamp} */ (candle.openTime / 1000));
        const top = attached.series.priceToCoordinate(Number(candle.high));
        const bottom = attached.series.priceToCoordinate(Number(candle.low));
        if (x === null || top === null || bottom === null) continue;
        const left = Math.round((x - width / 2) * horizontalPixelRatio);
        const right = Math.round((x + width / 2) * horizontalPixelRatio);
        if (right < 0 || left > bitmapSize.width) continue;
        const upper = Math.round((top - 5) * verticalPixelRatio);
        const lower = Math.round((bottom + 5) * verticalPixelRatio);
        context.save();
        context.globalAlpha = 0.1;
        context.fillStyle = this.#colour;
        context.fillRect(left, 0, right - left, bitmapSize.height);
        context.globalAlpha = 0.75;
        if (hatch) context.fillStyle = hatch;
        context.fillRect(left, upper, right - left, lower - upper);
        context.globalAlpha = 1;
        context.strokeStyle = this.#colour;
        context.lineWidth = Math.max(1, Math.round(1.5 * horizontalPixelRatio));
        context.setLineDash([3 * horizontalPixelRatio, 2 * horizontalPixelRatio]);
        context.strokeRect(left, upper, right - left, lower - upper);
        context.restore();
      }
    });
  }

  /**
   * Return diagonal lines in the mark's colour.
   * @param {CanvasRenderingContext2D} context
   * @param {number} ratio pixels of the screen for one of the page
   */
  #pattern(context, ratio) {
    const key = `${this.#colour} ${ratio}`;
    if (this.#hatch.key !== key) {
      const size = Math.round(HATCH_PIXELS * ratio);
      const tile = document.createElement('canvas');
      tile.width = tile.height = size;
      const drawing = tile.getContext('2d');
      if (!drawing) return null;
      drawing.strokeStyle = this.#colour;
      drawing.lineWidth = ratio;
      for (const shift of [-size, 0, size]) {
        drawing.moveTo(shift, size);
        drawing.lineTo(shift + size, 0);
      }
      drawing.stroke();
      this.#hatch = { key, pattern: context.createPattern(tile, 'repeat') };
    }
    return this.#hatch.pattern;
  }
}
