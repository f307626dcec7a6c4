/**
 * The shapes of the API's answers that the page reads. Prices and volumes are decimal strings.
 *
 * @typedef {object} Candle
 * @property {string} symbol
 * @property {string} interval
 * @property {number} openTime milliseconds since 1970, as all times
 * @property {number} closeTime
 * @property {string} open
 * @property {string} high
 * @property {string} low
 * @property {string} close
 * @property {string} volume
 * @property {string} quoteVolume
 * @property {number} tradeCount
 * @property {boolean} complete
 * @property {boolean} closed
 * @property {number} missingIds
 * @property {number} verifiedAbsentIds
 * @property {'realtime' | 'official' | 'empty'} source
 * @property {'equal' | 'different' | 'official only' | 'realtime only' | null} reconciled
 * @property {string[]} differences fields that differ from the official kline
 * @property {number} revision grows with each change of the candle
 *
 * @typedef {object} Status What is known about a symbol now
 * @property {number} minutes closed minutes of the day
 * @property {number} complete of them, those of which every trade is known
 * @property {number} gaps runs of trade ids that are missing
 * @property {number} officialEqual minutes that equal the official kline
 * @property {number} officialDifferent minutes that differ from it
 * @property {number | null} newestTradeTime
 * @property {number} serverTime
 *
 * @typedef {object} Gap A run of trade ids that are missing
 * @property {number} firstMissingId
 * @property {number} lastMissingId
 * @property {number} missingCount
 * @property {string | null} reason why it could not be repaired yet
 * @property {number | null} firstMinute
 *
 * @typedef {object} Hop One step on the way of the data
 * @property {string} name
 * @property {string} state
 * @property {string} words
 *
 * @typedef {object} Link
 * @property {string} name
 * @property {string} url
 */

export {};
